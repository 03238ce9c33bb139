"""Mutable slots: reading, and the atomic read-test-write."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from raic.budget import MemoryBudget
from raic.deferreds import async_to_deferred
from raic.errors import BadWriteEnabler, NoSuchShare, StorageUnusable
from raic.interfaces import IIndex, IShareReader, IStorageProvider
from raic.shares.pins import Pins
from raic.shares.sealing import Sealer
from raic.shares.secrets import is_write_enabler, keep_write_enabler, new_lease
from raic.shares.slot_cache import AreaCache
from raic.shares.slot_locks import SlotLocks
from raic.shares.slot_reader import SlotObjects, SlotShareReader, object_keys
from raic.shares.slot_writer import SlotWriter, Update
from raic.shares.vectors import (
    available,
    check_message,
    check_read_size,
    check_reads,
    may_hold,
    outcomes,
)
from raic.values import (
    UNRESOLVED,
    LeaseSecrets,
    ReadTestWriteResult,
    ReadVector,
    SlotShare,
    SlotVersion,
    TestVector,
    TestWriteVectors,
)

CACHE_BYTES = 16 * 1024 * 1024
"""How many bytes of recently used small slots are kept in memory."""

FREE_BYTES = 64 * 1024
"""Reads up to this size do not count against the budget."""

_RESOLVE = "when all providers can be reached, stop the node and run 'raic restore' again"


class Slots:
    """The mutable shares of a node.

    :param nodeid: the node's 20-byte tub id, recorded with the write enablers of new slots.
    :param max_share_size: no share may grow beyond it, in bytes.
    :param max_read: how many bytes one answer may carry.
    :param budget: the memory for what is read, until it is handed over.
    """

    def __init__(
        self,
        provider: IStorageProvider,
        index: IIndex,
        sealer: Sealer,
        pins: Pins,
        clock: IReactorTime,
        *,
        nodeid: bytes,
        max_share_size: int,
        max_read: int,
        budget: MemoryBudget,
    ) -> None:
        if len(nodeid) != 20:
            raise ValueError("a node id has 20 bytes")
        self._index = index
        self._sealer = sealer
        self._pins = pins
        self._clock = clock
        self._nodeid = nodeid
        self._max_share_size = max_share_size
        self._max_read = max_read
        self._budget = budget
        self._objects = SlotObjects(provider, AreaCache(CACHE_BYTES))
        self._writer = SlotWriter(provider, index, sealer, clock, self._objects)
        self._locks = SlotLocks()

    @async_to_deferred
    async def shnums(self, storage_index: bytes) -> frozenset[int]:
        """The numbers of the slot's shares; fails with an ``IndexFailure``."""
        version = await self._index.get_slot(storage_index)
        return frozenset() if version is None else frozenset(version.shares)

    @async_to_deferred
    async def open(self, storage_index: bytes, shnum: int) -> IShareReader:
        """A share as it is now, whatever happens to the slot later; fails with ``NoSuchShare``."""
        version = await self._index.get_slot(storage_index)
        share = None if version is None else version.shares.get(shnum)
        if version is None or share is None:
            raise NoSuchShare("no such share")
        return SlotShareReader(self._objects, self._pins, version, share)

    @async_to_deferred
    async def read(
        self, storage_index: bytes, shnums: Collection[int], vectors: Sequence[ReadVector]
    ) -> Mapping[int, tuple[bytes, ...]]:
        """See :meth:`raic.interfaces.IStorageService.read_slot`."""
        check_reads(vectors)
        version = await self._index.get_slot(storage_index)
        if version is None:
            return {}
        wanted = frozenset(shnums)
        shares = version.shares.values()
        chosen = [share for share in shares if not wanted or share.shnum in wanted]
        keys = frozenset[str]().union(*(object_keys(version, share) for share in chosen))
        held = self._hold(chosen, vectors)
        self._pins.pin(keys)
        try:
            return await self._read_shares(version, chosen, vectors)
        finally:
            self._pins.unpin(keys)
            self._budget.give_back(held)

    def read_test_write(
        self,
        storage_index: bytes,
        write_enabler: bytes,
        secrets: LeaseSecrets,
        vectors: Mapping[int, TestWriteVectors],
        reads: Sequence[ReadVector],
    ) -> Deferred[ReadTestWriteResult]:
        """See :meth:`raic.interfaces.IStorageService.read_test_write`.

        Cancelling the Deferred stops nothing: an update that has begun goes on to its end.
        """
        result: Deferred[ReadTestWriteResult] = Deferred()
        work = self._in_turn(storage_index, write_enabler, secrets, vectors, reads)
        Deferred.fromCoroutine(work).chainDeferred(result)
        return result

    async def _in_turn(
        self,
        storage_index: bytes,
        write_enabler: bytes,
        secrets: LeaseSecrets,
        vectors: Mapping[int, TestWriteVectors],
        reads: Sequence[ReadVector],
    ) -> ReadTestWriteResult:
        await self._locks.acquire(storage_index)
        pinned: frozenset[str] = frozenset()
        held = 0
        try:
            version = await self._index.get_slot(storage_index)
            data: Mapping[int, tuple[bytes, ...]] = {}
            if version is not None:
                self._check_enabler(version, write_enabler)
            else:
                await self._check_resolved(storage_index)
            check_message(vectors, reads)
            if version is not None:
                held = self._hold(version.shares.values(), reads)
                # an expiry may drop the slot meanwhile: it does not take turns
                pinned = version.keys()
                self._pins.pin(pinned)
                data = await self._read_shares(version, version.shares.values(), reads)
            success = await self._tests_hold(version, vectors)
            if success:
                await self._write(storage_index, version, write_enabler, secrets, vectors)
            return ReadTestWriteResult(success, data)
        finally:
            self._pins.unpin(pinned)
            self._locks.release(storage_index)
            self._budget.give_back(held)

    def _hold(self, shares: Iterable[SlotShare], vectors: Sequence[ReadVector]) -> int:
        """Take memory for what is to be read, unless it is little; how much was taken."""
        size = check_read_size((share.length for share in shares), vectors, self._max_read)
        if size <= FREE_BYTES:
            return 0
        self._budget.take(size)
        return size

    async def _check_resolved(self, storage_index: bytes) -> None:
        """Refuse to write a slot anew of which there is a version that could not be read."""
        reason = await self._index.why_set_aside(storage_index)
        if reason is not None and reason.startswith(UNRESOLVED):
            raise StorageUnusable("index", "read_test_write", reason, _RESOLVE)

    def _check_enabler(self, version: SlotVersion, secret: bytes) -> None:
        if not is_write_enabler(self._sealer, version.write_enabler, secret):
            raise BadWriteEnabler(version.write_enabler.nodeid)

    async def _read_shares(
        self, version: SlotVersion, shares: Collection[SlotShare], vectors: Sequence[ReadVector]
    ) -> dict[int, tuple[bytes, ...]]:
        return {share.shnum: await self._read_share(version, share, vectors) for share in shares}

    async def _read_share(
        self, version: SlotVersion, share: SlotShare, vectors: Sequence[ReadVector]
    ) -> tuple[bytes, ...]:
        texts = []
        for vector in vectors:
            size = available(share.length, vector.offset, vector.size)
            texts.append(await self._objects.read(version, share, vector.offset, size))
        return tuple(texts)

    async def _tests_hold(
        self, version: SlotVersion | None, vectors: Mapping[int, TestWriteVectors]
    ) -> bool:
        shares: Mapping[int, SlotShare] = {} if version is None else version.shares
        for shnum, asked in vectors.items():
            length = shares[shnum].length if shnum in shares else 0
            if not all(may_hold(test, length) for test in asked.tests):
                return False
        if version is None:
            return True
        for shnum, asked in vectors.items():
            share = shares.get(shnum)
            if share is not None and not await self._share_holds(version, share, asked.tests):
                return False
        return True

    async def _share_holds(
        self, version: SlotVersion, share: SlotShare, tests: Iterable[TestVector]
    ) -> bool:
        for test in tests:
            size = len(test.specimen)
            data = await self._objects.read(version, share, test.offset, size)
            if data != test.specimen:
                return False
        return True

    async def _write(
        self,
        storage_index: bytes,
        version: SlotVersion | None,
        secret: bytes,
        secrets: LeaseSecrets,
        vectors: Mapping[int, TestWriteVectors],
    ) -> None:
        shares: Mapping[int, SlotShare] = {} if version is None else version.shares
        after = outcomes(shares, vectors, self._max_share_size)
        lease = None
        if any(shnum in after for shnum in vectors):
            lease = new_lease(secrets, self._clock.seconds())
        changed = False
        if _may_change(version, vectors):
            if version is not None:
                enabler = version.write_enabler
            else:
                enabler = keep_write_enabler(self._sealer, storage_index, secret, self._nodeid)
            update = Update(storage_index, version, after, enabler, secret, lease)
            changed = await self._writer.write(update)
        if lease is not None and not changed:
            await self._index.renew_lease(storage_index, lease)


def _may_change(version: SlotVersion | None, vectors: Mapping[int, TestWriteVectors]) -> bool:
    """Whether the update must be tried: False when it only reads, tests or renews the lease."""
    held = frozenset() if version is None else version.shares.keys()
    return any(
        shnum in held if asked.new_length == 0 else shnum not in held or _alters(asked)
        for shnum, asked in vectors.items()
    )


def _alters(asked: TestWriteVectors) -> bool:
    return bool(asked.writes) or asked.new_length is not None
