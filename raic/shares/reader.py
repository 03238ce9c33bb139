"""One immutable share, open for reading."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IProducer, IPushProducer
from zope.interface import implementer

from raic.errors import ObjectCorrupt
from raic.interfaces import IImmediateReads, IShareReader, IStorageProvider
from raic.shares.pins import Pins
from raic.values import StoredShare


@implementer(IShareReader)
class BucketReader:
    """See :class:`raic.interfaces.IShareReader`.

    Whoever opened it closes it: until then its object is pinned.
    """

    def __init__(self, share: StoredShare, provider: IStorageProvider, pins: Pins) -> None:
        self._share = share
        self._provider = provider
        self._immediate: IImmediateReads | None = IImmediateReads(provider, None)
        self._pins = pins
        self._open = True
        self.length = share.length
        pins.pin([share.key])

    def read_now(self, offset: int, length: int) -> bytes | None:
        """See :class:`raic.interfaces.IShareReader`."""
        length = self._clipped(offset, length)
        if not length:
            return b""
        if self._immediate is None:
            return None
        data = self._immediate.read_now(self._share.key, self._share.header_length + offset, length)
        # A short answer is an error, and errors are what read() reports.
        return data if data is not None and len(data) == length else None

    def read(self, offset: int, length: int) -> Deferred[bytes]:
        """See :class:`raic.interfaces.IShareReader`.

        Fails with ``ObjectCorrupt`` when the object was cut short.
        """
        length = self._clipped(offset, length)
        if not length:
            return succeed(b"")

        def check(data: bytes) -> bytes:
            if len(data) != length:
                raise self._cut_short("get_object")
            return data

        start = self._share.header_length + offset
        return self._provider.get_object(self._share.key, start, length).addCallback(check)

    def stream(self, offset: int, length: int, consumer: IConsumer) -> Deferred[int]:
        """See :class:`raic.interfaces.IShareReader`.

        Fails with ``ObjectCorrupt`` when the object was cut short.
        """
        length = self._clipped(offset, length)
        if not length:
            return succeed(0)
        watched = _WatchedConsumer(consumer)

        def check(delivered: int) -> int:
            if delivered != length and not watched.stopped:
                raise self._cut_short("stream_object")
            return delivered

        start = self._share.header_length + offset
        streamed = self._provider.stream_object(self._share.key, start, length, watched)
        return streamed.addCallback(check)

    def close(self) -> None:
        """See :class:`raic.interfaces.IShareReader`."""
        if self._open:
            self._open = False
            self._pins.unpin([self._share.key])

    def _clipped(self, offset: int, length: int) -> int:
        if offset < 0 or length < 0:
            raise ValueError("neither an offset nor a length is negative")
        return max(0, min(length, self.length - offset))

    def _cut_short(self, operation: str) -> ObjectCorrupt:
        return ObjectCorrupt(
            self._provider.name, operation, f"{self._share.key} is shorter than it was written"
        )


@implementer(IConsumer, IPushProducer)
class _WatchedConsumer:
    """Stands between a provider and a consumer to note that the consumer stopped the stream.

    Bytes go straight to the consumer.
    """

    def __init__(self, consumer: IConsumer) -> None:
        self._consumer = consumer
        self._producer: IPushProducer | None = None
        self.stopped = False
        self.write = consumer.write

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        self._producer = cast(IPushProducer, producer)
        self._consumer.registerProducer(self, streaming)

    def unregisterProducer(self) -> None:
        self._consumer.unregisterProducer()

    def pauseProducing(self) -> None:
        self._current().pauseProducing()

    def resumeProducing(self) -> None:
        self._current().resumeProducing()

    def stopProducing(self) -> None:
        self.stopped = True
        self._current().stopProducing()

    def _current(self) -> IPushProducer:
        assert self._producer is not None
        return self._producer
