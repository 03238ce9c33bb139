"""Recently read bytes in memory, and those that will be wanted next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from itertools import takewhile
from typing import cast

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.backends.keys import check_range
from raic.backends.layers.blocks import BlockStore
from raic.backends.layers.forwarding import ForwardingProvider
from raic.backends.layers.readahead import Reads
from raic.deferreds import async_to_deferred
from raic.interfaces import IImmediateReads, IStorageProvider

_OBJECTS = 4096
"""Of how many objects it is remembered how they are read."""


@frozen
class CacheSettings:
    """How much is kept.

    :ivar capacity: bytes of memory for what was read; what is being fetched ahead takes up to a
        quarter of it besides.
    :ivar read_ahead: how far ahead of a sequential reader is fetched, in bytes; 0 for not at all.
    :ivar block: the unit of what is kept, in bytes.  A read is rounded to whole blocks.
    :ivar request: the most that is fetched ahead in one request, in bytes.
    """

    capacity: int = 32 * 1024 * 1024
    read_ahead: int = 2 * 1024 * 1024
    block: int = 64 * 1024
    request: int = 1024 * 1024


_DEFAULT = CacheSettings()


@define(eq=False)
class _Fetch:
    """Blocks on their way here.

    :ivar stale: they may not be kept, because the object was deleted or the provider stopped.
    """

    key: str
    first: int
    count: int
    stale: bool = False
    waiting: list[Deferred[list[bytes]]] = field(factory=list)
    outcome: list[bytes] | Failure | None = None

    def arrival(self) -> Deferred[list[bytes]]:
        """Fires with the blocks that there are."""
        arrival: Deferred[list[bytes]] = Deferred()
        if self.outcome is None:
            self.waiting.append(arrival)
        else:
            arrival.callback(self.outcome)
        return arrival

    def end(self, outcome: list[bytes] | Failure) -> None:
        """Tell who waits."""
        self.outcome = outcome
        waiting, self.waiting = self.waiting, []
        for arrival in waiting:
            arrival.callback(outcome)


@implementer(IStorageProvider, IImmediateReads)
class ReadCacheLayer(ForwardingProvider):
    """Keeps blocks of what was read by ``get_object``, and fetches ahead of sequential readers.

    Objects never change, so what is kept is right until the object is deleted.  Large ranges and
    streams pass by.  What is kept can be read immediately.

    :param length_of: an object's length, if its key tells it: saves requests beyond its end.
    """

    def __init__(
        self,
        inner: IStorageProvider,
        settings: CacheSettings = _DEFAULT,
        length_of: Callable[[str], int | None] = lambda key: None,
    ) -> None:
        super().__init__(inner)
        self._immediate: IImmediateReads | None = IImmediateReads(inner, None)
        self._settings = settings
        self._block = settings.block
        self._largest = settings.capacity // 4
        self._length_of = length_of
        self._store = BlockStore(settings.capacity)
        self._reads: OrderedDict[str, Reads] = OrderedDict()
        self._fetches: set[_Fetch] = set()
        self._coming: dict[tuple[str, int], _Fetch] = {}
        self._ahead = 0  # bytes being fetched ahead
        self._stopped = False
        self.hits = 0
        self.misses = 0

    def adjust(self, settings: CacheSettings) -> None:
        """Keep another number of bytes from now on, and read ahead as far as is said there.

        An object that is being read sequentially is read ahead as before.
        """
        self._settings = evolve(self._settings, **_changeable(settings))
        self._largest = settings.capacity // 4
        self._store.resize(settings.capacity)

    @property
    def used(self) -> int:
        """How many bytes are kept."""
        return self._store.used

    def start(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        self._stopped = False
        return super().start()

    def stop(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        self._stopped = True
        self._forget([fetch.key for fetch in self._fetches])
        self._reads.clear()
        self._store.clear()
        return super().stop()

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_range(offset, length)
        if not 0 < length <= self._largest or self._stopped:
            return super().get_object(key, offset, length)
        data = self._kept(key, offset, length)
        if data is None:
            self.misses += 1
            return self._read(key, offset, length)
        return succeed(data)

    def read_now(self, key: str, offset: int, length: int) -> bytes | None:
        """See :class:`raic.interfaces.IImmediateReads`."""
        if offset >= 0 < length <= self._largest:
            data = self._kept(key, offset, length)
            if data is not None:
                return data
        return None if self._immediate is None else self._immediate.read_now(key, offset, length)

    def delete_objects(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        """See :class:`raic.interfaces.IStorageProvider`."""

        def forget(result: frozenset[str]) -> frozenset[str]:
            self._forget(keys)  # what was read while they were being deleted
            return result

        self._forget(keys)
        return super().delete_objects(keys).addBoth(forget)

    # What is here

    def _kept(self, key: str, offset: int, length: int) -> bytes | None:
        """A range whose blocks are all here, else None."""
        first, skip = divmod(offset, self._block)
        last = (offset + length - 1) // self._block
        blocks: list[bytes] = []
        for number in range(first, last + 1):
            block = self._store.peek((key, number))
            if block is None:
                if not blocks or not self._ends_by(key, number):
                    return None
                break
            blocks.append(block)
            if len(block) < self._block:
                break
        going_on = self._note(key, offset, length)
        for number in range(first, first + len(blocks)):
            if (key, number) in self._store:
                self._store.use((key, number), again=not going_on)
        self.hits += 1
        return _cut(blocks, skip, length)

    def _ends_by(self, key: str, number: int) -> bool:
        """Whether the object is known to have nothing in a block."""
        reads = self._reads.get(key)
        return reads is not None and reads.end is not None and reads.end <= number * self._block

    # What is not

    @async_to_deferred
    async def _read(self, key: str, offset: int, length: int) -> bytes:
        first, skip = divmod(offset, self._block)
        last = (offset + length - 1) // self._block
        numbers = range(first, last + 1)
        known = {number: self._store.peek((key, number)) for number in numbers}
        coming = {
            fetch
            for number in numbers
            if known[number] is None and (fetch := self._coming.get((key, number))) is not None
        }
        missing = [n for n in numbers if known[n] is None and (key, n) not in self._coming]
        own = None
        if missing:
            own = self._fetch(key, missing[0], missing[-1] - missing[0] + 1)
        self._note(key, offset, length)
        for fetch in coming:
            try:
                blocks = await fetch.arrival()
            except Exception:  # noqa: BLE001 - nobody asked for it; this reader asks for himself
                return await self._inner.get_object(key, offset, length)
            known.update(enumerate(blocks, fetch.first))
        if own is not None:
            known.update(enumerate(await own.arrival(), own.first))
        there = list(takewhile(lambda block: block is not None, map(known.get, numbers)))
        return _cut(cast("list[bytes]", there), skip, length)

    def _fetch(self, key: str, first: int, count: int) -> _Fetch:
        fetch = _Fetch(key, first, count)
        size = self._block
        reading = self._inner.get_object(key, first * size, count * size)
        self._fetches.add(fetch)
        for number in range(first, first + count):
            self._coming.setdefault((key, number), fetch)
        reading.addBoth(self._arrived, fetch)
        return fetch

    def _arrived(self, outcome: bytes | Failure, fetch: _Fetch) -> None:
        self._retire(fetch)
        if isinstance(outcome, Failure):
            fetch.end(outcome)
            return
        size = self._block
        blocks = [outcome[at : at + size] for at in range(0, len(outcome), size)]
        if not fetch.stale:
            for number, block in enumerate(blocks, fetch.first):
                self._store.add((fetch.key, number), block)
            if len(outcome) < fetch.count * size:
                self._reads_of(fetch.key).ends_by(fetch.first * size + len(outcome))
        fetch.end(blocks)

    def _retire(self, fetch: _Fetch) -> None:
        self._fetches.discard(fetch)
        for number in range(fetch.first, fetch.first + fetch.count):
            if self._coming.get((fetch.key, number)) is fetch:
                del self._coming[fetch.key, number]

    def _forget(self, keys: Iterable[str]) -> None:
        """Keep nothing of some objects, not even what is on its way."""
        doomed = frozenset(keys)
        self._store.drop(doomed)
        for key in doomed:
            self._reads.pop(key, None)
        for fetch in [fetch for fetch in self._fetches if fetch.key in doomed]:
            fetch.stale = True
            self._retire(fetch)

    # What comes next

    def _note(self, key: str, offset: int, length: int) -> bool:
        """Note a read and fetch ahead; return whether it goes on with an earlier one."""
        going_on, begin, end = self._reads_of(key).note(offset, length)
        if begin < end and not self._stopped:
            self._fetch_ahead(key, begin, end)
        return going_on

    def _fetch_ahead(self, key: str, begin: int, end: int) -> None:
        size = self._block
        most = max(1, self._settings.request // size)
        wanted = [
            number
            for number in range(begin // size, -(-end // size))
            if (key, number) not in self._store and (key, number) not in self._coming
        ]
        while wanted:
            count = 1
            while count < min(most, len(wanted)) and wanted[count] == wanted[0] + count:
                count += 1
            if self._ahead + count * size > self._largest:
                return
            self._start_ahead(key, wanted[0], count)
            wanted = wanted[count:]

    def _start_ahead(self, key: str, first: int, count: int) -> None:
        held = count * self._block
        self._ahead += held

        def over(_: object) -> None:
            self._ahead -= held

        # Who comes to need the bytes asks again if this failed.
        self._fetch(key, first, count).arrival().addBoth(over)

    def _reads_of(self, key: str) -> Reads:
        reads = self._reads.get(key)
        if reads is None:
            overlap = 2 * self._block
            reads = Reads(self._settings.read_ahead, overlap, self._length_of(key))
            self._reads[key] = reads
            if len(self._reads) > _OBJECTS:
                self._reads.popitem(last=False)
        else:
            self._reads.move_to_end(key)
        return reads


def _changeable(settings: CacheSettings) -> dict[str, int]:
    return {"capacity": settings.capacity, "read_ahead": settings.read_ahead}


def _cut(blocks: list[bytes], skip: int, length: int) -> bytes:
    """``length`` bytes, or as many as there are, after the first ``skip`` of some blocks."""
    if len(blocks) <= 1:
        return blocks[0][skip : skip + length] if blocks else b""
    first = memoryview(blocks[0])[skip:]
    middle = sum(map(len, blocks[1:-1]))
    last = memoryview(blocks[-1])[: length - len(first) - middle]
    return b"".join([first, *blocks[1:-1], last])
