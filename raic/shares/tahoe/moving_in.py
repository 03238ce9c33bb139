"""Share files of Tahoe's become shares and slots of a node."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from attrs import evolve, frozen
from twisted.internet.interfaces import IReactorTime

from raic.interfaces import IIndex, IShareReader, IStorageProvider, IWorkers
from raic.shares.ages import GARBAGE_SECONDS
from raic.shares.keys import ChunkKey, ShareKey, VersionKey, new_transaction_id
from raic.shares.layout import share_header, slot_header
from raic.shares.pins import Pins
from raic.shares.reader import BucketReader
from raic.shares.recovery import NOBODY
from raic.shares.sealing import Sealer
from raic.shares.secrets import keep_write_enabler
from raic.shares.slot_cache import AreaCache
from raic.shares.slot_reader import CHUNK_BYTES, SlotObjects, SlotShareReader
from raic.shares.slot_writer import HEADER_LEASES, INLINE_BYTES
from raic.shares.tahoe.checked import CheckedObjects, Digesting
from raic.shares.tahoe.containers import Kind, NotAContainer, merged
from raic.shares.tahoe.folder import FoundSet, LeftAlone
from raic.shares.tahoe.source import PIECE_BYTES, IShareSource, open_source
from raic.values import (
    HEAD_BYTES,
    LEASE_SECONDS,
    Chunk,
    Inline,
    Lease,
    SlotShare,
    SlotVersion,
    StoredShare,
    Version,
)

assert PIECE_BYTES == CHUNK_BYTES, "a slot's chunks are the pieces of its files"


@frozen
class MovedSet:
    """What became of the files of one storage index.

    :ivar shares: immutable shares that were copied.
    :ivar slots: 1 if a slot was; :ivar slot_shares: of how many shares.
    :ivar bytes: how long the copied shares are together.
    :ivar there: how many shares the node had already.
    :ivar settled: the files that the node has, for certain: they may be deleted.
    :ivar left: the others.
    """

    shares: int = 0
    slots: int = 0
    slot_shares: int = 0
    bytes: int = 0
    there: int = 0
    settled: tuple[Path, ...] = ()
    left: tuple[LeftAlone, ...] = ()


class MovingIn:
    """Copies share files into a provider and its index, which nobody else changes meanwhile.

    :param surely: whether what the node has already is read and compared, too, so that its files
        may be deleted.
    """

    def __init__(
        self,
        provider: IStorageProvider,
        index: IIndex,
        sealer: Sealer,
        workers: IWorkers,
        clock: IReactorTime,
        *,
        surely: bool,
    ) -> None:
        self._provider = provider
        self._index = index
        self._sealer = sealer
        self._workers = workers
        self._clock = clock
        self._surely = surely
        self._pins = Pins()
        self._objects = SlotObjects(provider, AreaCache(0))

    async def move(self, found: FoundSet) -> MovedSet:
        """Copy what the node does not have yet.

        Each object is read back before the index refers to it.

        :raises ProviderError: or :class:`IndexFailure`; what was copied until then counts, and the
            call may simply be repeated.
        """
        with ExitStack() as stack:
            sources: list[IShareSource] = []
            moved = MovedSet()
            for file in found.files:
                try:
                    source = await open_source(file, self._workers)
                except NotAContainer as problem:
                    moved = _leaving(moved, LeftAlone(file.path, str(problem)))
                    continue
                stack.callback(source.close)
                sources.append(source)
            return await self.take(found.storage_index, sources, moved)

    async def take(
        self, storage_index: bytes, sources: Sequence[IShareSource], moved: MovedSet
    ) -> MovedSet:
        """As :meth:`move`, of shares that are open.

        :param moved: what became of others of the storage index.
        :return: that and these.
        """
        immutable = [one for one in sources if one.container.kind is Kind.IMMUTABLE]
        mutable = [one for one in sources if one.container.kind is Kind.MUTABLE]
        if immutable:
            moved = await self._move_bucket(storage_index, immutable, moved)
        if mutable:
            moved = await self._move_slot(storage_index, mutable, moved)
        return moved

    # Immutable shares

    async def _move_bucket(
        self, storage_index: bytes, sources: Sequence[IShareSource], moved: MovedSet
    ) -> MovedSet:
        bucket = await self._index.get_bucket(storage_index)
        for source in sources:
            share = bucket.get(source.shnum)
            leases = self._leases([source])
            if share is None:
                try:
                    share = await self._copy_share(storage_index, source, leases)
                except NotAContainer as problem:
                    moved = _leaving(moved, LeftAlone(source.path, str(problem)))
                    continue
                moved = evolve(
                    moved, shares=moved.shares + 1, bytes=moved.bytes + source.container.length
                )
                moved = _settling(moved, source)
            else:
                reader = BucketReader(share, self._provider, self._pins)
                moved = await self._compare(source, reader, moved)
            if await self._lack(storage_index, leases):
                await self._index.load([(share, leases)], [])
        return moved

    async def _copy_share(
        self, storage_index: bytes, source: IShareSource, leases: Sequence[Lease]
    ) -> StoredShare:
        length = source.container.length
        header = share_header(
            storage_index, source.shnum, length, source.modified, leases[:HEADER_LEASES]
        )
        size = header.length + length
        key = str(ShareKey(storage_index, source.shnum, new_transaction_id(), length, size))
        share = StoredShare(storage_index, source.shnum, key, header.length, length)
        begin = header.sealed_for(key, self._sealer)
        objects = CheckedObjects(self._provider, self._index)
        try:
            if length <= PIECE_BYTES:
                await objects.put(key, begin + await source.next_piece())
            else:
                await objects.stream(key, size, begin, source.next_piece)
            await self._index.commit_share(share, leases[0], objects.missing)
        except Exception:
            await objects.discard(int(self._clock.seconds()))
            raise
        return share

    # Slots

    async def _move_slot(
        self, storage_index: bytes, sources: Sequence[IShareSource], moved: MovedSet
    ) -> MovedSet:
        first = sources[0].container
        same: list[IShareSource] = []
        others: list[IShareSource] = []
        for source in sources:
            container = source.container
            is_same = (container.write_enabler, container.nodeid) == (
                first.write_enabler,
                first.nodeid,
            )
            (same if is_same else others).append(source)
        for source in others:
            why = f"its write enabler is not that of {sources[0].path}"
            moved = _leaving(moved, LeftAlone(source.path, why))
        leases = self._leases(same)
        version = await self._index.get_slot(storage_index)
        if version is None:
            try:
                version = await self._copy_slot(storage_index, same, leases)
            except NotAContainer as problem:
                # which file it is does not matter: half a slot is not moved
                left = (LeftAlone(source.path, f"of its slot: {problem}") for source in same)
                return evolve(moved, left=(*moved.left, *left))
            length = sum(source.container.length for source in same)
            moved = evolve(moved, slots=1, slot_shares=len(same), bytes=moved.bytes + length)
            moved = _settling(moved, *same)
        else:
            for source in same:
                moved = await self._compare_with_slot(source, version, moved)
        if await self._lack(storage_index, leases):
            await self._index.load([], [(version, leases)])
        return moved

    async def _copy_slot(
        self, storage_index: bytes, sources: Sequence[IShareSource], leases: Sequence[Lease]
    ) -> SlotVersion:
        objects = CheckedObjects(self._provider, self._index)
        number = self._index.next_version()
        now = int(self._clock.seconds())
        try:
            area = b""
            if sum(source.container.length for source in sources) > INLINE_BYTES:
                shares = [
                    await _in_chunks(storage_index, number, source, objects) for source in sources
                ]
            else:
                shares, area = await _inline(sources)
            said = sources[0].container
            header = slot_header(
                storage_index,
                number,
                shares,
                now,
                said.write_enabler,
                said.nodeid,
                leases[:HEADER_LEASES],
            )
            size = header.length + len(area)
            key = str(VersionKey(storage_index, number, new_transaction_id(), size))
            await objects.put(key, header.sealed_for(key, self._sealer) + area)
            enabler = keep_write_enabler(
                self._sealer, storage_index, said.write_enabler, said.nodeid
            )
            by_number = {share.shnum: share for share in shares}
            version = SlotVersion(
                storage_index, number, key, header.length, size, by_number, enabler
            )
            await self._index.commit_slot(
                version, None, leases[0], now + GARBAGE_SECONDS, objects.missing
            )
        except Exception:
            await objects.discard(now)
            raise
        return version

    # What is there already

    async def _compare_with_slot(
        self, source: IShareSource, version: SlotVersion, moved: MovedSet
    ) -> MovedSet:
        share = version.shares.get(source.shnum)
        if share is None:
            why = "the node has its slot already, without this share"
            return _leaving(moved, LeftAlone(source.path, why))
        reader = SlotShareReader(self._objects, self._pins, version, share)
        return await self._compare(source, reader, moved)

    async def _compare(
        self, source: IShareSource, reader: IShareReader, moved: MovedSet
    ) -> MovedSet:
        try:
            if reader.length != source.container.length or (
                self._surely and not await _are_equal(source, reader)
            ):
                why = "the node has another share under this number already"
                return _leaving(moved, LeftAlone(source.path, why))
        except NotAContainer as problem:
            return _leaving(moved, LeftAlone(source.path, str(problem)))
        finally:
            reader.close()
        return _settling(evolve(moved, there=moved.there + 1), source)

    async def _lack(self, storage_index: bytes, leases: Sequence[Lease]) -> bool:
        """Whether the index has fewer, or shorter ones: a commit for each share takes time."""
        known = {one.renew_digest: one for one in await self._index.get_leases(storage_index)}
        return any(
            one.renew_digest not in known or known[one.renew_digest].expires < one.expires
            for one in leases
        )

    def _leases(self, sources: Sequence[IShareSource]) -> tuple[Lease, ...]:
        """Their leases; one that nobody can renew for what has none."""
        leases = merged(lease for source in sources for lease in source.container.leases)
        return leases or (Lease(NOBODY, NOBODY, int(self._clock.seconds()) + LEASE_SECONDS),)


def _leaving(moved: MovedSet, left: LeftAlone) -> MovedSet:
    return evolve(moved, left=(*moved.left, left))


def _settling(moved: MovedSet, *sources: IShareSource) -> MovedSet:
    return evolve(moved, settled=(*moved.settled, *(source.path for source in sources)))


async def _are_equal(source: IShareSource, reader: IShareReader) -> bool:
    digesting = Digesting()
    await reader.stream(0, reader.length, digesting)
    return await source.digest() == digesting.digest()


async def _in_chunks(
    storage_index: bytes, number: Version, source: IShareSource, objects: CheckedObjects
) -> SlotShare:
    chunks = []
    head = b""
    while piece := await source.next_piece():
        head = head or piece[:HEAD_BYTES]
        key = None
        if piece.count(0) != len(piece):
            key = str(ChunkKey(storage_index, number, new_transaction_id(), len(piece)))
            await objects.put(key, piece)
        chunks.append(Chunk(key, len(piece)))
    return SlotShare(source.shnum, source.container.length, head, tuple(chunks))


async def _inline(sources: Sequence[IShareSource]) -> tuple[list[SlotShare], bytes]:
    shares, area = [], b""
    for source in sources:
        data = await source.next_piece()
        shares.append(SlotShare(source.shnum, len(data), data[:HEAD_BYTES], Inline(len(area))))
        area += data
    return shares, area
