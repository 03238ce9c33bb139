"""Delivering a range to a consumer piece by piece, one piece read ahead."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

PIECE_BYTES = 512 * 1024


@implementer(IPushProducer)
class PieceStream:
    """Reads a range in pieces and writes them to a consumer.

    While the consumer takes one piece the next one is being read; while it pauses at most one
    piece is held.

    :param read: called with an offset and a size, one call at a time; its Deferred fires with
        the bytes there, fewer only at the object's end.
    :param piece_bytes: the size of a piece: larger ones cost less where each read is a call to a
        worker, and delay the first byte.
    """

    def __init__(
        self,
        consumer: IConsumer,
        read: Callable[[int, int], Deferred[bytes]],
        offset: int,
        length: int,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self._piece_bytes = piece_bytes
        self._consumer = consumer
        self._read = read
        self._position = offset
        self._end = offset + length
        self._delivered = 0
        self._held: bytes | None = None
        self._failure: Failure | None = None
        self._reading = False
        self._paused = False
        self._pumping = False
        self._at_end = False
        self._finished = False
        self._done: Deferred[int] = Deferred(lambda _: self._cancelled())

    def start(self) -> Deferred[int]:
        """See :meth:`raic.interfaces.IStorageProvider.stream_object`."""
        self._consumer.registerProducer(self, True)
        if not self._finished:
            # Even an empty range is read once: the object may be missing.
            self._read_ahead()
        return self._done

    def pauseProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = True

    def resumeProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = False
        self._pump()

    def stopProducing(self) -> None:
        """See ``IPushProducer``: the bytes delivered so far are all there will be."""
        # Unregistering waits for nothing: a consumer that has lost its connection may soon be
        # unable to.
        self._finish()

    def _read_ahead(self) -> None:
        size = min(self._piece_bytes, self._end - self._position)
        position = self._position
        self._position += size
        self._reading = True
        self._read(position, size).addCallback(self._arrived, size).addErrback(self._failed)

    def _arrived(self, piece: bytes, asked: int) -> None:
        self._reading = False
        self._at_end = len(piece) < asked or self._position == self._end
        self._held = piece
        self._pump()

    def _failed(self, failure: Failure) -> None:
        self._reading = False
        self._at_end = True
        self._failure = failure
        self._pump()

    def _cancelled(self) -> None:
        """Who waited for the end does not want it any more."""
        self._failure = Failure(CancelledError())
        self._finish()

    def _pump(self) -> None:
        if self._pumping:
            return  # the consumer resumed from within write, or a read was answered at once
        self._pumping = True
        try:
            while self._held is not None and not self._paused and not self._finished:
                self._deliver(self._held)
        finally:
            self._pumping = False
        if self._at_end and self._held is None and not self._reading:
            self._finish()

    def _deliver(self, piece: bytes) -> None:
        self._held = None
        if not self._at_end:
            self._read_ahead()
        if piece:
            self._delivered += len(piece)
            self._consumer.write(piece)

    def _finish(self) -> None:
        if self._finished:
            return
        self._finished = True
        self._held = None
        self._consumer.unregisterProducer()
        if self._failure is None:
            self._done.callback(self._delivered)
        else:
            self._done.errback(self._failure)
