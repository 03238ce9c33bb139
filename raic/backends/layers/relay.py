"""Standing between a provider's stream and its consumer."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IProducer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from raic.interfaces import IInspectingConsumer


@implementer(IConsumer, IPushProducer)
class Relay:
    """The inner provider's consumer, and the outer consumer's producer.

    The outer consumer has one producer, this one, from the first byte of the first stream to the
    end of the last, however many streams come after each other.

    :ivar delivered: how many bytes the outer consumer was given.
    """

    def __init__(self, consumer: IConsumer) -> None:
        self._consumer = consumer
        self._producer: IPushProducer | None = None
        self._streaming: Deferred[int] | None = None  # the inner stream
        self._registered = False
        self._paused = False
        self._finished = False
        self._done: Deferred[int] = Deferred(lambda _: self._cancelled())
        self.delivered = 0

    # As the inner provider's consumer

    def registerProducer(self, given: IProducer, streaming: bool) -> None:
        """See ``IConsumer``."""
        producer = self._producer = cast(IPushProducer, given)
        if not self._registered and not self._finished:
            self._registered = True
            self._consumer.registerProducer(self, True)
        if self._finished:
            producer.stopProducing()
        elif self._paused:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """See ``IConsumer``: this one stays registered with the outer consumer."""
        self._producer = None

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""
        if not self._finished:
            self.delivered += len(data)
            self._consumer.write(data)

    # As the outer consumer's producer

    def pauseProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = True
        if self._producer is not None:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = False
        if self._producer is not None:
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """See ``IPushProducer``: the bytes delivered so far are all there will be."""
        self._finish(self.delivered)

    def _finish(self, outcome: int | Failure | Exception) -> None:
        """End the stream, once: stop what is still coming, and fire."""
        if self._finished:
            return
        self._finished = True
        self._ending()
        if self._producer is not None:
            self._producer.stopProducing()
        if self._registered:
            self._consumer.unregisterProducer()
        if isinstance(outcome, int):
            self._done.callback(outcome)
        else:
            self._done.errback(outcome)

    def _ending(self) -> None:
        """Release what a subclass holds."""

    def _follow(self, streaming: Deferred[int]) -> Deferred[int]:
        """End as the inner stream ends."""
        self._streaming = streaming
        streaming.addCallbacks(lambda _: self._finish(self.delivered), self._finish)
        return self._done

    def _cancelled(self) -> None:
        """Who waited for the end does not want it any more."""
        self._finish(CancelledError())
        if self._streaming is not None:
            self._streaming.cancel()


class PassingRelay(Relay):
    """A relay that gives every byte on as it comes, until it is over.

    So a consumer that inspects what it is given can do so through it.
    """

    def __init__(self, consumer: IConsumer) -> None:
        super().__init__(consumer)
        self._inspecting: IInspectingConsumer | None = IInspectingConsumer(consumer, None)
        if self._inspecting is not None:
            alsoProvides(self, IInspectingConsumer)

    @property
    def piece_bytes(self) -> int:
        """See :class:`raic.interfaces.IInspectingConsumer`; provided if the consumer does."""
        return int(self._given().piece_bytes)

    @property
    def at_once(self) -> int:
        """See :class:`raic.interfaces.IInspectingConsumer`; provided if the consumer does."""
        return int(self._given().at_once)

    def inspect(self, piece: bytes) -> None:
        """See :class:`raic.interfaces.IInspectingConsumer`; provided if the consumer does."""
        self._given().inspect(piece)

    def _given(self) -> IInspectingConsumer:
        assert self._inspecting is not None
        return self._inspecting
