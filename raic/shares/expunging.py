"""Taking down what is stored under a storage index, so that it does not come back.

An object below ``expunged/`` names the objects that are to go; a rebuild of the index leaves these
out, whatever is left of them by then.  Specified in ``docs/specifications/objects.rst``.
"""

from __future__ import annotations

from collections.abc import Collection

import cbor2
from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from raic.deferreds import async_to_deferred
from raic.errors import (
    NoSuchShare,
    ObjectCorrupt,
    ObjectNotFound,
    OutcomeUnknown,
    ProviderError,
    VersionConflict,
)
from raic.interfaces import IIndex, IStorageProvider
from raic.shares.ages import GARBAGE_SECONDS, REQUEST_SECONDS
from raic.shares.keys import CHUNKS, EXPUNGED, ExpungedKey, new_transaction_id, parse_expunged_key
from raic.shares.listing import pages
from raic.values import Expunged, Garbage

MAGIC = b"RAICexp1"

ATTEMPTS = 3
"""How often it is tried while clients change what is to go."""


class Expunger:
    """Takes shares down."""

    def __init__(self, provider: IStorageProvider, index: IIndex, clock: IReactorTime) -> None:
        self._provider = provider
        self._index = index
        self._clock = clock

    @async_to_deferred
    async def expunge(self, storage_index: bytes, reason: str) -> Expunged:
        """Take down all shares of a storage index, mutable or not, and all their leases.

        :param reason: the operator's words, for the history.
        :return: fires when clients find them no more, and no restore will bring them back; their
            objects are deleted some minutes later.  Fails with ``NoSuchShare`` when there are none,
            with a ``ProviderError`` or an ``IndexFailure``; nothing was then changed.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._attempt(storage_index, reason)
            except VersionConflict:
                continue
        return await self._attempt(storage_index, reason)

    async def _attempt(self, storage_index: bytes, reason: str) -> Expunged:
        objects = await self._index.get_objects(storage_index)
        if not objects:
            raise NoSuchShare("nothing is stored under that storage index")
        now = int(self._clock.seconds())
        # Chunks say nothing of themselves: without its version none comes back.
        named = sorted(key for key in objects if not key.startswith(CHUNKS))
        content = MAGIC + cbor2.dumps({"expunged": now, "objects": named})
        key = str(ExpungedKey(storage_index, new_transaction_id(), len(content)))
        await self._index.reserve([key])
        try:
            await self._provider.put_object(key, content)
            return await self._index.expunge(
                storage_index, objects, key, reason, now, now + GARBAGE_SECONDS
            )
        except (ProviderError, VersionConflict) as error:
            passes = 2 if isinstance(error, OutcomeUnknown) else 1
            until = now + REQUEST_SECONDS * (passes - 1)
            await self._index.release([Garbage(key, until, passes)])
            raise


@frozen
class FoundExpunged:
    """What a provider says was expunged.

    :ivar objects: what must not come back.
    :ivar tombstones: what says so.
    :ivar problems: what could not be read.
    """

    objects: frozenset[str]
    tombstones: tuple[str, ...]
    problems: tuple[str, ...]


@async_to_deferred
async def find_expunged(provider: IStorageProvider) -> FoundExpunged:
    """Read what was expunged and is not gone yet; fails with a ``ProviderError``."""
    objects: set[str] = set()
    tombstones = []
    problems = []
    async for page in pages(provider, EXPUNGED):
        for listed in page:
            key = parse_expunged_key(listed.key)
            if key is None or listed.partial:
                continue
            try:
                objects.update(await _named(provider, key))
                tombstones.append(listed.key)
            except (ObjectCorrupt, ObjectNotFound, ValueError) as error:
                problems.append(f"{listed.key}: {error}")
    return FoundExpunged(frozenset(objects), tuple(tombstones), tuple(problems))


async def _named(provider: IStorageProvider, key: ExpungedKey) -> Collection[str]:
    """The objects that are to go.

    :raises ValueError: it is not understood.
    """
    content = await provider.get_object(str(key), 0, key.size)
    if not content.startswith(MAGIC):
        raise ValueError("it is of a kind unknown to this RAIC")
    try:
        named = cbor2.loads(content[len(MAGIC) :])["objects"]
    except (cbor2.CBORDecodeError, LookupError, TypeError) as error:
        raise ValueError(f"it is not understood: {error!r}") from error
    return [str(one) for one in named]
