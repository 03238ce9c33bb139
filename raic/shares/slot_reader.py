"""Reading the shares of a slot version: heads, inline data, chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer

from raic.deferreds import async_to_deferred
from raic.errors import ObjectCorrupt
from raic.interfaces import IImmediateReads, IShareReader, IStorageProvider
from raic.shares.pins import Pins
from raic.shares.slot_cache import AreaCache
from raic.shares.vectors import available
from raic.values import Chunk, Inline, SlotShare, SlotVersion

CHUNK_BYTES = 1024 * 1024
"""The length of every chunk of a share but its last."""

PIECE_BYTES = 256 * 1024
"""How much a stream writes to its consumer at once."""


class SlotObjects:
    """Reads the objects of slot versions, with as few requests as can be.

    Ranges must lie within the share.
    """

    def __init__(self, provider: IStorageProvider, cache: AreaCache) -> None:
        self._provider = provider
        self._immediate: IImmediateReads | None = IImmediateReads(provider, None)
        self._cache = cache

    def read_now(
        self, version: SlotVersion, share: SlotShare, offset: int, length: int
    ) -> bytes | None:
        """The bytes of a range, if they can be had without waiting."""
        if offset + length <= len(share.head) or length == 0:
            return share.head[offset : offset + length]
        if isinstance(share.content, Inline):
            begin = share.content.offset + offset
            area = self._cache.get(version.key)
            if area is not None:
                return area[begin : begin + length]
            return self._object_now(version.key, version.header_length + begin, length)
        pieces = []
        for chunk, begin, size in _extents(share.content, offset, length):
            piece = bytes(size) if chunk.key is None else self._object_now(chunk.key, begin, size)
            if piece is None:
                return None
            pieces.append(piece)
        return b"".join(pieces)

    async def read(self, version: SlotVersion, share: SlotShare, offset: int, length: int) -> bytes:
        """The bytes of a range.

        :raises ProviderError: it could not be read.
        """
        data = self.read_now(version, share, offset, length)
        if data is not None:
            return data
        if isinstance(share.content, Inline):
            begin = share.content.offset + offset
            return (await self.read_area(version))[begin : begin + length]
        pieces = []
        for chunk, begin, size in _extents(share.content, offset, length):
            if chunk.key is None:
                pieces.append(bytes(size))
            else:
                pieces.append(await self._read_object(chunk.key, begin, size))
        return b"".join(pieces)

    def area_now(self, version: SlotVersion) -> bytes | None:
        """All inline bytes of a version, if they can be had without waiting."""
        area = self._cache.get(version.key)
        if area is None:
            size = version.size - version.header_length
            area = self._object_now(version.key, version.header_length, size)
        return area

    async def read_area(self, version: SlotVersion) -> bytes:
        """All inline bytes of a version.

        A client that reads a small slot mostly writes it next, hence they are kept.

        :raises ProviderError: they could not be read.
        """
        area = self.area_now(version)
        if area is None:
            size = version.size - version.header_length
            area = await self._read_object(version.key, version.header_length, size)
        self._cache.put(version.key, area)
        return area

    def keep_area(self, replaced: SlotVersion | None, version: SlotVersion, area: bytes) -> None:
        """Remember the inline bytes just written, in place of those of the version before."""
        if replaced is not None:
            self._cache.drop(replaced.key)
        if area:
            self._cache.put(version.key, area)

    def _object_now(self, key: str, offset: int, length: int) -> bytes | None:
        if self._immediate is None:
            return None
        data = self._immediate.read_now(key, offset, length)
        # the slow way will complain of what is short
        return data if data is not None and len(data) == length else None

    async def _read_object(self, key: str, offset: int, length: int) -> bytes:
        data = await self._provider.get_object(key, offset, length)
        if len(data) != length:
            detail = f"{key} is shorter than its key and the index say"
            raise ObjectCorrupt(self._provider.name, "get_object", detail)
        return data


def _extents(chunks: Sequence[Chunk], offset: int, length: int) -> Iterator[tuple[Chunk, int, int]]:
    """The pieces of chunks that make up a range: chunk, offset within it, size."""
    end = offset + length
    while offset < end:
        position, begin = divmod(offset, CHUNK_BYTES)
        size = min(CHUNK_BYTES - begin, end - offset)
        yield chunks[position], begin, size
        offset += size


@implementer(IPushProducer)
class _Flow:
    """A consumer's wishes."""

    def __init__(self) -> None:
        self.stopped = False
        self._paused = False
        self._waiting: Deferred[None] | None = None

    def ready(self) -> Deferred[None]:
        """Fires when the consumer takes more, or nothing ever again."""
        if self.stopped or not self._paused:
            return succeed(None)
        self._waiting = Deferred()
        return self._waiting

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._wake()

    def stopProducing(self) -> None:
        self.stopped = True
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)


@implementer(IShareReader)
class SlotShareReader:
    """One share of one slot version."""

    def __init__(
        self, objects: SlotObjects, pins: Pins, version: SlotVersion, share: SlotShare
    ) -> None:
        self.length = share.length
        self._objects = objects
        self._version = version
        self._share = share
        self._pins = pins
        self._pinned = object_keys(version, share)
        pins.pin(self._pinned)

    def read_now(self, offset: int, length: int) -> bytes | None:
        """See :class:`raic.interfaces.IShareReader`."""
        size = available(self.length, offset, length)
        return self._objects.read_now(self._version, self._share, offset, size)

    def read(self, offset: int, length: int) -> Deferred[bytes]:
        """See :class:`raic.interfaces.IShareReader`."""
        size = available(self.length, offset, length)
        return Deferred.fromCoroutine(self._objects.read(self._version, self._share, offset, size))

    @async_to_deferred
    async def stream(self, offset: int, length: int, consumer: IConsumer) -> int:
        """See :class:`raic.interfaces.IShareReader`."""
        end = offset + available(self.length, offset, length)
        flow = _Flow()
        consumer.registerProducer(flow, True)
        delivered = 0
        try:
            while offset < end and not flow.stopped:
                # up to the end of this chunk
                size = min(CHUNK_BYTES - offset % CHUNK_BYTES, end - offset)
                data = await self.read(offset, size)
                delivered += await _deliver(data, consumer, flow)
                offset += size
        finally:
            consumer.unregisterProducer()
        return delivered

    def close(self) -> None:
        """See :class:`raic.interfaces.IShareReader`."""
        pinned, self._pinned = self._pinned, frozenset()
        self._pins.unpin(pinned)


async def _deliver(data: bytes, consumer: IConsumer, flow: _Flow) -> int:
    """Write to the consumer at its pace; how much it took."""
    for begin in range(0, len(data), PIECE_BYTES):
        await flow.ready()
        if flow.stopped:
            return begin
        consumer.write(data[begin : begin + PIECE_BYTES])
    return len(data)


def object_keys(version: SlotVersion, share: SlotShare) -> frozenset[str]:
    """The objects that hold a share's bytes."""
    if isinstance(share.content, Inline):
        return frozenset([version.key])
    return frozenset(chunk.key for chunk in share.content if chunk.key is not None)
