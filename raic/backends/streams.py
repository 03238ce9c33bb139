"""Delivering a range to a consumer piece by piece, the next ones read ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.interfaces import IInspectingConsumer

PIECE_BYTES = 512 * 1024


@frozen
class Looks:
    """How a stream's pieces are read, as its consumer wants it.

    :ivar inspect: is to be called with each.
    """

    piece_bytes: int = PIECE_BYTES
    at_once: int = 1
    inspect: Callable[[bytes], None] | None = None

    @classmethod
    def of(cls, consumer: IConsumer) -> Looks:
        """How it is for a consumer, which may want to inspect them."""
        if not IInspectingConsumer.providedBy(consumer):
            return cls()
        return cls(consumer.piece_bytes, consumer.at_once, consumer.inspect)

    def read(self, read: Callable[[int, int], bytes], position: int, size: int) -> list[bytes]:
        """Read some pieces, one after the other; fewer bytes than asked for at the end.

        :param read: reads a range of at most a piece.
        """
        pieces: list[bytes] = []
        for begin in range(position, position + size, self.piece_bytes) or (position,):
            wanted = min(self.piece_bytes, position + size - begin)
            piece = read(begin, wanted)
            if piece:
                if self.inspect is not None:
                    self.inspect(piece)
                pieces.append(piece)
            if len(piece) < wanted:
                break
        return pieces


@implementer(IPushProducer)
class PieceStream:
    """Reads a range in pieces and writes them to a consumer.

    While the consumer takes one piece the next ones are being read; while it pauses at most as many
    are held as were to be read at once, and one less than that.

    :param read: called with an offset and a size, one call at a time; its Deferred fires with
        the bytes there in pieces of ``piece_bytes``, fewer only at the object's end.
    :param piece_bytes: the size of a piece: larger ones cost less where each read is a call to a
        worker, and delay the first byte.
    :param at_once: how many pieces are read in one call, from the second call on.
    """

    def __init__(
        self,
        consumer: IConsumer,
        read: Callable[[int, int], Deferred[Sequence[bytes]]],
        offset: int,
        length: int,
        piece_bytes: int = PIECE_BYTES,
        at_once: int = 1,
    ) -> None:
        self._piece_bytes = piece_bytes
        self._at_once = at_once
        self._next_size = piece_bytes
        self._consumer = consumer
        self._read = read
        self._position = offset
        self._end = offset + length
        self._delivered = 0
        self._held: deque[bytes] = deque()
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
        size = min(self._next_size, self._end - self._position)
        self._next_size = self._at_once * self._piece_bytes
        position = self._position
        self._position += size
        self._reading = True
        self._read(position, size).addCallback(self._arrived, size).addErrback(self._failed)

    def _arrived(self, pieces: Sequence[bytes], asked: int) -> None:
        self._reading = False
        self._at_end = sum(map(len, pieces)) < asked or self._position == self._end
        self._held += pieces
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
            while self._held and not self._paused and not self._finished:
                self._deliver()
        finally:
            self._pumping = False
        if self._at_end and not self._held and not self._reading:
            self._finish()

    def _deliver(self) -> None:
        piece = self._held.popleft()
        if not (self._at_end or self._reading) and len(self._held) < self._at_once:
            self._read_ahead()
        if piece:
            self._delivered += len(piece)
            self._consumer.write(piece)

    def _finish(self) -> None:
        if self._finished:
            return
        self._finished = True
        self._held.clear()
        self._consumer.unregisterProducer()
        if self._failure is None:
            self._done.callback(self._delivered)
        else:
            self._done.errback(self._failure)
