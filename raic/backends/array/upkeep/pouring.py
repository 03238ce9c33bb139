"""From a stream into something that takes its time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IProducer, IPushProducer
from zope.interface import implementer

from raic.backends.layers.forwarding import has_succeeded


@implementer(IConsumer)
class Pour:
    """Passes on each piece when the one before was taken, and pauses the producer meanwhile.

    :param take: its Deferred fires when the next piece may come.
    """

    def __init__(self, take: Callable[[bytes], Deferred[None]]) -> None:
        self._take = take
        self._queue: deque[bytes] = deque()
        self._producer: IPushProducer | None = None
        self._busy = False
        self._paused = False
        self._error: BaseException | None = None
        self._waiting: Deferred[None] | None = None
        self._taking: Deferred[None] | None = None

    async def run(self, stream: Callable[[IConsumer], Deferred[int]]) -> int:
        """Pour a whole stream.

        Raises what the stream fails with, or what the taking of a piece failed with.

        :param stream: begins it.
        :return: how many bytes there were.
        """
        try:
            count = await stream(self)
            if self._busy and self._error is None:
                self._waiting = Deferred()
                await self._waiting
        except Exception:
            self._queue.clear()
            if self._taking is not None:
                self._taking.cancel()
            raise
        if self._error is not None:
            raise self._error
        return count

    # As a consumer

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """See ``IConsumer``."""
        self._producer = cast(IPushProducer, producer)

    def unregisterProducer(self) -> None:
        """See ``IConsumer``."""
        self._producer = None

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""
        if self._error is None:
            self._queue.append(data)
            if not self._busy:
                self._go_on()

    def _go_on(self) -> None:
        self._busy = True
        while self._queue and self._error is None:
            taking = self._take(self._queue.popleft())
            if not has_succeeded(taking):
                self._pause()
                self._taking = taking
                taking.addCallbacks(lambda _: self._go_on(), lambda f: self._fail(f.value))
                return
        self._busy = False
        self._resume()
        self._wake()

    def _fail(self, error: BaseException) -> None:
        self._error = error
        self._busy = False
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        self._wake()

    def _pause(self) -> None:
        if self._producer is not None and not self._paused:
            self._paused = True
            self._producer.pauseProducing()

    def _resume(self) -> None:
        if self._paused and self._producer is not None:
            self._paused = False
            self._producer.resumeProducing()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)
