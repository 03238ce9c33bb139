"""Reading shares as a whole, to see whether they are what was written."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IConsumer, IDelayedCall, IProducer, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from raic.deferreds import async_to_deferred
from raic.errors import IndexStopped, ObjectCorrupt, ObjectNotFound
from raic.interfaces import IIndex, IStorageProvider
from raic.shares.pins import Pins
from raic.shares.slot_reader import object_keys
from raic.values import GONE, VERIFIED, Advisory, SlotVersion

PIECE_BYTES = 4 * 1024 * 1024
"""How much is read in one request."""

RATE = 4 * 1024 * 1024
"""How many bytes a second are read because of advisories: what clients say must not be able to
take the links or the disk from them."""

INTERVAL_SECONDS = 60.0
"""How often it is looked whether there are advisories, and how long it waits after a failure."""

REPAIRED = "it can be read, and is being repaired"

Inspect = Callable[[str], Deferred[tuple[str, ...]]]
"""Fires with what is wrong with an object, by its key."""

Pause = Callable[[int], Deferred[None]]
"""Fires when more may be read, after as many bytes."""


def at_once(size: int) -> Deferred[None]:
    """A pause of no length."""
    return succeed(None)


class ShareChecker:
    """Reads objects through the provider, whose tags tell whether they are right."""

    def __init__(self, provider: IStorageProvider, pins: Pins) -> None:
        self._provider = provider
        self._pins = pins

    @async_to_deferred
    async def find_damage(self, objects: Mapping[str, int], pause: Pause = at_once) -> str:
        """Read some objects as a whole; none of them is deleted meanwhile.

        :param objects: their lengths by key.
        :return: fires with what is wrong with the first that is not right, empty if all are.
            Fails with a ``ProviderError`` when one cannot be read just now.
        """
        keys = frozenset(objects)
        self._pins.pin(keys)
        try:
            for key, size in objects.items():
                damage = await self._damage(key, size, pause)
                if damage:
                    return damage
            return ""
        finally:
            self._pins.unpin(keys)

    async def _damage(self, key: str, size: int, pause: Pause) -> str:
        offset = 0
        try:
            while offset < size:
                wanted = min(PIECE_BYTES, size - offset)
                # A stream is never answered from a cache.
                found = await self._provider.stream_object(key, offset, wanted, _Nowhere())
                if found != wanted:
                    return f"{key}: it ends after {offset + found} of {size} bytes"
                offset += wanted
                await pause(wanted)
        except ObjectNotFound:
            return f"{key}: it is not there"
        except ObjectCorrupt as error:
            return error.detail if key in error.detail else f"{key}: {error.detail}"
        return ""


@implementer(IConsumer)
class _Nowhere:
    """Takes bytes as fast as they come, and keeps none."""

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """See ``IConsumer``."""

    def unregisterProducer(self) -> None:
        """See ``IConsumer``."""

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""


@frozen
class Stored:
    """What is stored under a storage index.

    :ivar immutable: the objects of each immutable share: their lengths by key.
    :ivar mutable: of each share of the slot, the version object among them.
    """

    immutable: Mapping[int, Mapping[str, int]]
    mutable: Mapping[int, Mapping[str, int]]

    def everything(self) -> dict[str, int]:
        """The lengths of all objects, by key."""
        found: dict[str, int] = {}
        for shares in (self.immutable, self.mutable):
            for objects in shares.values():
                found.update(objects)
        return found


@async_to_deferred
async def stored_under(index: IIndex, storage_index: bytes) -> Stored:
    """What the index says is stored; fails with an ``IndexFailure``."""
    bucket = await index.get_bucket(storage_index)
    version = await index.get_slot(storage_index)
    return Stored(
        {shnum: {share.key: share.header_length + share.length} for shnum, share in bucket.items()},
        {} if version is None else _slot_objects(version),
    )


def _slot_objects(version: SlotVersion) -> dict[int, dict[str, int]]:
    return {
        shnum: {
            key: object_length(key) for key in [version.key, *sorted(object_keys(version, share))]
        }
        for shnum, share in version.shares.items()
    }


def object_length(key: str) -> int:
    """The length of an object, which every key ends in."""
    return int(key.rpartition(".")[2])


class AdvisoryChecker:
    """Reads each share that a client said is corrupt, in the background.

    :param inspect: looks deeper into an object that can be read, where there is more of it than a
        read needs; fires with what is wrong.
    """

    _log = Logger()

    def __init__(
        self,
        provider: IStorageProvider,
        index: IIndex,
        pins: Pins,
        clock: IReactorTime,
        inspect: Inspect | None = None,
    ) -> None:
        self._checker = ShareChecker(provider, pins)
        self._inspect = inspect
        self._index = index
        self._clock = clock
        self._next: IDelayedCall | None = None
        self._round: Deferred[None] = succeed(None)
        self._running = False

    def start(self) -> None:
        """Look into advisories from now on."""
        self._running = True
        self._call_later()

    def stop(self) -> Deferred[None]:
        """Read no more; a share that was not read to its end will be read again.

        :return: fires when nothing is under way; never fails.
        """
        self._running = False
        if self._next is not None and self._next.active():
            self._next.cancel()
        done: Deferred[None] = Deferred()
        self._round.addCallback(done.callback)
        self._round.cancel()
        return done

    @async_to_deferred
    async def check_next(self) -> bool:
        """Look into the oldest advisory.

        :return: fires with whether there was one; fails with a ``ProviderError`` or an
            ``IndexFailure``, and may be repeated.
        """
        advisory = await self._index.next_advisory()
        if advisory is None:
            return False
        verdict = await self._verdict(advisory)
        await self._index.settle_advisory(advisory, int(self._clock.seconds()), verdict)
        if verdict not in (VERIFIED, GONE):
            self._log.warn(
                "a share of which a client said that it is corrupt is: 'raic advisories' tells"
                " which"
            )
        return True

    async def _verdict(self, advisory: Advisory) -> str:
        stored = await stored_under(self._index, advisory.storage_index)
        shares = stored.immutable if advisory.kind == "immutable" else stored.mutable
        objects = shares.get(advisory.shnum)
        if objects is None:
            return GONE
        damage = await self._checker.find_damage(objects, self._pause)
        damage = damage or await self._look_deeper(objects)
        if not damage:
            return VERIFIED
        # A newer version, or an expiry, may have taken the place of what was read.
        again = await stored_under(self._index, advisory.storage_index)
        return damage if again == stored else await self._verdict(advisory)

    async def _look_deeper(self, objects: Mapping[str, int]) -> str:
        if self._inspect is None:
            return ""
        problems: list[str] = []
        for key, size in objects.items():
            problems.extend(await self._inspect(key))
            await self._pause(size)
        return "" if not problems else f"{REPAIRED}: {'; '.join(problems)}"

    def _pause(self, size: int) -> Deferred[None]:
        return deferLater(self._clock, size / RATE)

    def _call_later(self) -> None:
        self._next = self._clock.callLater(INTERVAL_SECONDS, self._begin)

    def _begin(self) -> None:
        self._round = self._check_all()

    @async_to_deferred
    async def _check_all(self) -> None:
        """Look into what there is, and the call for the next time; never fails."""
        try:
            while await self.check_next():
                pass
        except CancelledError:
            return
        except IndexStopped:
            self._running = False
        except Exception as error:  # noqa: BLE001 (whatever it is, it may be over next time)
            self._log.info("an advisory could not be looked into yet: {error}", error=error)
        if self._running:
            self._call_later()
