"""Writing the next version of a slot: new objects first, then the commit."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime

from raic.errors import IndexFailure, OutcomeUnknown, ProviderError
from raic.interfaces import IIndex, IStorageProvider
from raic.shares.ages import GARBAGE_SECONDS, REQUEST_SECONDS
from raic.shares.keys import ChunkKey, VersionKey, new_transaction_id
from raic.shares.layout import slot_header
from raic.shares.sealing import Sealer
from raic.shares.slot_reader import CHUNK_BYTES, SlotObjects
from raic.shares.vectors import Outcome, by_chunk, cover, overlay
from raic.values import (
    HEAD_BYTES,
    Chunk,
    Garbage,
    Inline,
    Lease,
    SlotShare,
    SlotVersion,
    Version,
    WriteEnabler,
    WriteVector,
)

INLINE_BYTES = 256 * 1024
"""A slot whose shares have more bytes than this together keeps them in chunks."""

HEADER_LEASES = 100
"""How many leases, besides the one being granted, a header repeats at most."""

PARALLEL_CHUNKS = 4
"""How many chunks of an update are in memory, and on their way, at once."""


@frozen
class Update:
    """What is to be written.

    :ivar old: the version that is replaced; None for a new slot.
    :ivar outcomes: all shares of the new version, in ascending order; empty for a tombstone.
    :ivar secret: the write enabler itself.
    :ivar lease: None when no share was touched that remains.
    """

    storage_index: bytes
    old: SlotVersion | None
    outcomes: Mapping[int, Outcome]
    enabler: WriteEnabler
    secret: bytes
    lease: Lease | None


class SlotWriter:
    """Writes versions; its caller holds the slot's lock."""

    def __init__(
        self,
        provider: IStorageProvider,
        index: IIndex,
        sealer: Sealer,
        clock: IReactorTime,
        objects: SlotObjects,
    ) -> None:
        self._provider = provider
        self._index = index
        self._sealer = sealer
        self._clock = clock
        self._objects = objects

    async def write(self, update: Update) -> bool:
        """Replace the slot's version.

        :return: False, and nothing was written, when that would change no byte.
        :raises ProviderError: or :class:`IndexFailure`; the slot is as it was.
        """
        objects = NewObjects(self._provider, self._index)
        version = self._index.next_version()
        try:
            return await self._write(update, version, objects)
        except Exception:
            await objects.discard(int(self._clock.seconds()))
            raise

    async def _write(self, update: Update, version: Version, objects: NewObjects) -> bool:
        old = update.old
        area = b""
        if sum(outcome.length for outcome in update.outcomes.values()) > INLINE_BYTES:
            shares = await _Chunking(self._objects, objects, update, version).shares()
            changed = old is None or shares != old.shares
        else:
            pieces = await self._inline_pieces(update)
            area = b"".join(pieces.values())
            shares = _inline_shares(pieces)
            changed = not self._is_same(old, shares, area)
        if changed:
            await self._commit(update, version, shares, area, objects)
        return changed

    async def _inline_pieces(self, update: Update) -> dict[int, bytes]:
        """The new bytes of each share."""
        pieces = {}
        for shnum, outcome in update.outcomes.items():
            base = b""
            kept = min(outcome.old_length, outcome.length)
            if outcome.old is not None and not cover(outcome.writes, 0, kept):
                assert update.old is not None
                base = await self._old_bytes(update.old, outcome.old, kept)
            pieces[shnum] = overlay(base, 0, outcome.length, outcome.writes)
        return pieces

    async def _old_bytes(self, old: SlotVersion, share: SlotShare, length: int) -> bytes:
        if isinstance(share.content, Inline) and length > len(share.head):
            area = await self._objects.read_area(old)
            return area[share.content.offset : share.content.offset + length]
        return await self._objects.read(old, share, 0, length)

    def _is_same(
        self, old: SlotVersion | None, shares: Mapping[int, SlotShare], area: bytes
    ) -> bool:
        if old is None or shares != old.shares:
            return False
        return not area or self._objects.area_now(old) == area

    async def _commit(
        self,
        update: Update,
        version: Version,
        shares: Mapping[int, SlotShare],
        area: bytes,
        objects: NewObjects,
    ) -> None:
        now = int(self._clock.seconds())
        index, enabler = update.storage_index, update.enabler
        header = slot_header(
            index,
            version,
            list(shares.values()),
            now,
            update.secret,
            enabler.nodeid,
            _header_leases(await self._index.get_leases(index), update.lease),
        )
        size = header.length + len(area)
        key = str(VersionKey(index, version, new_transaction_id(), size))
        await objects.put(key, header.sealed_for(key, self._sealer) + area)
        new = SlotVersion(index, version, key, header.length, size, shares, enabler)
        expected = None if update.old is None else update.old.version
        await self._index.commit_slot(
            new, expected, update.lease, now + GARBAGE_SECONDS, objects.missing
        )
        self._objects.keep_area(update.old, new, area)


def _inline_shares(pieces: Mapping[int, bytes]) -> dict[int, SlotShare]:
    shares = {}
    offset = 0
    for shnum, piece in pieces.items():
        shares[shnum] = SlotShare(shnum, len(piece), piece[:HEAD_BYTES], Inline(offset))
        offset += len(piece)
    return shares


def _header_leases(leases: tuple[Lease, ...], granted: Lease | None) -> list[Lease]:
    """The leases that a header repeats.

    :param leases: the latest to expire first.
    """
    if granted is None:
        return list(leases[:HEADER_LEASES])
    others = [lease for lease in leases if lease.renew_digest != granted.renew_digest]
    return [granted, *others[:HEADER_LEASES]]


class NewObjects:
    """The objects that an update has written so far."""

    def __init__(self, provider: IStorageProvider, index: IIndex) -> None:
        self._provider = provider
        self._index = index
        self._may_land_later: dict[str, bool] = {}
        self.missing: list[str] = []

    async def put(self, key: str, data: bytes) -> None:
        """Store an object, noting beforehand that it may come to be."""
        await self._index.reserve([key])
        self._may_land_later[key] = True
        try:
            stored = await self._provider.put_object(key, data)
        except ProviderError as error:
            self._may_land_later[key] = isinstance(error, OutcomeUnknown)
            raise
        self._may_land_later[key] = False
        self.missing.extend(stored.missing)

    async def discard(self, now: int) -> None:
        """Have all of them deleted."""
        garbage = [
            Garbage(key, now + REQUEST_SECONDS, 2) if later else Garbage(key, now)
            for key, later in self._may_land_later.items()
        ]
        if garbage:
            # The error that led here matters more, and the intents remain.  Above all, an index
            # that has stopped refuses this: a commit that failed may yet turn out to stand.
            with suppress(IndexFailure):
                await self._index.release(garbage)


class _Chunking:
    """The shares of one update, in chunks."""

    def __init__(
        self, readable: SlotObjects, objects: NewObjects, update: Update, version: Version
    ) -> None:
        self._readable = readable
        self._objects = objects
        self._update = update
        self._version = version

    async def shares(self) -> dict[int, SlotShare]:
        """Write the chunks that change; the shares, made of them and of the others."""
        layout = {
            shnum: [_kept_chunk(outcome, begin) for begin in range(0, outcome.length, CHUNK_BYTES)]
            for shnum, outcome in self._update.outcomes.items()
        }
        await _run_some(self._writes(layout), PARALLEL_CHUNKS)
        return {
            shnum: SlotShare(
                shnum,
                outcome.length,
                _new_head(outcome),
                tuple(chunk for chunk in layout[shnum] if chunk is not None),
            )
            for shnum, outcome in self._update.outcomes.items()
        }

    def _writes(
        self, layout: Mapping[int, list[Chunk | None]]
    ) -> Iterator[Coroutine[Deferred[Any], Any, None]]:
        """For each chunk that is not yet known, what finds and places it."""
        for shnum, outcome in self._update.outcomes.items():
            chunks = layout[shnum]
            touched = by_chunk(outcome.writes, CHUNK_BYTES)
            for position in range(len(chunks)):
                writes = touched.get(position, [])
                if writes or chunks[position] is None:
                    yield self._place(outcome, chunks, position, writes)

    async def _place(
        self,
        outcome: Outcome,
        chunks: list[Chunk | None],
        position: int,
        writes: list[WriteVector],
    ) -> None:
        begin = position * CHUNK_BYTES
        end = min(begin + CHUNK_BYTES, outcome.length)
        old_end = min(end, outcome.old_length)
        base = None
        if old_end > begin and not cover(writes, begin, old_end):
            assert self._update.old is not None
            assert outcome.old is not None
            base = await self._readable.read(self._update.old, outcome.old, begin, old_end - begin)
        data = overlay(base or b"", begin, end, writes)
        if chunks[position] is None or data != base:
            chunks[position] = await self._store(data)

    async def _store(self, data: bytes) -> Chunk:
        if data == bytes(len(data)):
            return Chunk(None, len(data))
        index = self._update.storage_index
        key = str(ChunkKey(index, self._version, new_transaction_id(), len(data)))
        await self._objects.put(key, data)
        return Chunk(key, len(data))


def _kept_chunk(outcome: Outcome, begin: int) -> Chunk | None:
    """The chunk at ``begin`` as it is if nothing is written to it; None where it must be made."""
    length = min(CHUNK_BYTES, outcome.length - begin)
    if begin >= outcome.old_length:
        return Chunk(None, length)
    assert outcome.old is not None
    if isinstance(outcome.old.content, Inline):
        return None
    chunk = outcome.old.content[begin // CHUNK_BYTES]
    return chunk if chunk.length == length else None


def _new_head(outcome: Outcome) -> bytes:
    old = b"" if outcome.old is None else outcome.old.head
    return overlay(old, 0, min(HEAD_BYTES, outcome.length), outcome.writes)


async def _run_some(jobs: Iterable[Coroutine[Deferred[Any], Any, None]], width: int) -> None:
    """Run coroutines, at most ``width`` at once.

    :raises Exception: what a job raised; the others under way have then ended, and no more were
        begun.
    """
    failures: list[Exception] = []
    waiting = iter(jobs)

    async def work() -> None:
        for job in waiting:
            try:
                await job
            except Exception as error:  # noqa: BLE001 (raised below, when all have ended)
                failures.append(error)
            if failures:
                return

    await gatherResults([Deferred.fromCoroutine(work()) for _ in range(width)])
    if failures:
        raise failures[0]
