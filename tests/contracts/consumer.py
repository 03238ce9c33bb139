"""A consumer that checks the manners of its producer."""

from __future__ import annotations

from typing import cast

from twisted.internet.interfaces import IConsumer, IProducer, IPushProducer
from zope.interface import implementer

from raic.interfaces import IInspectingConsumer

MAX_PIECE_BYTES = 1024 * 1024


@implementer(IConsumer)
class Collector:
    """Keeps what it is given.

    :ivar pieces: what was written, in order.
    :ivar registered: whether a producer is registered now.
    :param pausing: whether it pauses after every piece, until :meth:`resume`.
    :param stop_after: after how many pieces it stops the producer; 0 for at registration.
    """

    def __init__(self, *, pausing: bool = False, stop_after: int | None = None) -> None:
        self.pieces: list[bytes] = []
        self.registered = False
        self.paused = False
        self.stopped = False
        self._pausing = pausing
        self._stop_after = stop_after
        self._producer: IPushProducer | None = None

    @property
    def data(self) -> bytes:
        """All that was written."""
        return b"".join(self.pieces)

    def registerProducer(self, given: IProducer, streaming: bool) -> None:
        """See ``IConsumer``."""
        assert not self.registered, "a producer is registered already"
        assert streaming, "a push producer was promised"
        self.registered = True
        producer = self._producer = cast(IPushProducer, given)
        if self._stop_after == 0:
            self._stop(producer)
        elif self._pausing:
            self._pause(producer)

    def unregisterProducer(self) -> None:
        """See ``IConsumer``."""
        assert self.registered, "no producer is registered"
        self.registered = False
        self._producer = None

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""
        assert self.registered, "written to without a producer"
        assert not self.paused, "written to while paused"
        assert not self.stopped, "written to after stopping"
        assert 0 < len(data) <= MAX_PIECE_BYTES, f"a piece of {len(data)} bytes"
        assert self._producer is not None
        self.pieces.append(data)
        if self._stop_after == len(self.pieces):
            self._stop(self._producer)
        elif self._pausing:
            self._pause(self._producer)

    def resume(self) -> None:
        """Let the producer go on."""
        if self.paused and self._producer is not None:
            self.paused = False
            self._producer.resumeProducing()

    def pause(self) -> None:
        """Want nothing for now."""
        if not self.paused and self._producer is not None:
            self._pause(self._producer)

    def stop(self) -> None:
        """Want no more."""
        if self._producer is not None:
            self._stop(self._producer)

    def _pause(self, producer: IPushProducer) -> None:
        self.paused = True
        producer.pauseProducing()

    def _stop(self, producer: IPushProducer) -> None:
        self.stopped = True
        producer.stopProducing()


@implementer(IInspectingConsumer)
class Inspector(Collector):
    """A collector that looks at what it gets beforehand.

    :ivar inspected: what was, in order, and is not written yet.
    :ivar seen: how many pieces were.
    """

    piece_bytes = 700
    at_once = 2

    def __init__(self, *, pausing: bool = False, stop_after: int | None = None) -> None:
        super().__init__(pausing=pausing, stop_after=stop_after)
        self.inspected: list[bytes] = []
        self.seen = 0

    def inspect(self, piece: bytes) -> None:
        """See ``IInspectingConsumer``."""
        assert 0 < len(piece) <= MAX_PIECE_BYTES, f"a piece of {len(piece)} bytes"
        self.inspected.append(piece)
        self.seen += 1

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""
        if self.inspected:
            assert data == self.inspected.pop(0), "something else was inspected"
        super().write(data)
