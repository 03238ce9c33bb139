"""No waiting for ever."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.backends.layers.forwarding import CalledUpload, CallLayer, Piece, has_succeeded
from raic.backends.layers.late import UNWANTED, late
from raic.backends.layers.relay import PassingRelay
from raic.errors import ProviderTimedOut
from raic.interfaces import IMadeUpload, IObjectUpload, IStorageProvider
from raic.values import Stored

T = TypeVar("T")


@frozen
class Timeouts:
    """How long a request may take.

    :ivar answer: seconds for any request, besides what its bytes are allowed; for a stream, the
        longest silence while the consumer is ready.
    :ivar rate: bytes a second, in which a request's bytes must be able to pass.
    :ivar longest: seconds that no request may exceed.
    """

    answer: float = 20.0
    rate: float = 32 * 1024
    longest: float = 45.0

    def of(self, size: int) -> float:
        """The seconds allowed to a request that moves so many bytes."""
        return min(self.longest, self.answer + size / self.rate)


_DEFAULT = Timeouts()


class TimeoutLayer(CallLayer):
    """Ends the wait for a call that takes too long, or that is cancelled.

    A thread in a blocking call cannot be ended.  So the inner call is left to itself: it counts as
    hung until it ends, and its late result is dropped.  A put, a deletion or the end of an upload
    fails with ``OutcomeUnknown``, everything else with ``ProviderTimedOut``; but a read that is
    cancelled with ``CancelledError``, because it was not the provider that failed.

    :ivar hung: how many calls were given up and have not ended yet.
    """

    def __init__(
        self,
        inner: IStorageProvider,
        clock: IReactorTime,
        timeouts: Timeouts = _DEFAULT,
    ) -> None:
        super().__init__(inner)
        self._clock = clock
        self._timeouts = timeouts
        self.hung = 0

    def adjust(self, timeouts: Timeouts) -> None:
        """Wait for so long from the next call on."""
        self._timeouts = timeouts

    def start(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._watched("start", self._timeouts.longest, self._inner.start())

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        """See :class:`raic.interfaces.IStorageProvider`."""
        held = min(size, self._inner.buffer_size(size))
        inner = self._inner.open_upload(key, size)
        making: IMadeUpload | None = IMadeUpload(inner, None)
        if making is None:
            return TimedUpload(self, inner, held)
        return TimedMadeUpload(self, inner, held, making)

    def call(
        self, operation: str, size: int, function: Callable[..., Deferred[T]], *args: Any
    ) -> Deferred[T]:
        """Make a call, and wait no longer than it may take."""
        return self._watched(operation, self._timeouts.of(size), function(*args))

    def delete_objects(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        """See :class:`raic.interfaces.IStorageProvider`.

        No client waits for it, and it may take a request for each object.
        """
        return self._watched(
            "delete_objects", self._timeouts.longest, self._inner.delete_objects(keys)
        )

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        watched = WatchedStream(self, self._clock, self._timeouts.answer, consumer)
        return watched.begin(partial(self._inner.stream_object, key, offset, length))

    def abandon(self, inner: Deferred[Any]) -> None:
        """Count a call as hung until it ends, and drop its result."""
        self.hung += 1
        inner.addBoth(self._ended)

    def _ended(self, _: object) -> None:
        self.hung -= 1

    def _watched(self, operation: str, seconds: float, inner: Deferred[T]) -> Deferred[T]:
        if has_succeeded(inner):
            return inner
        return _Watch(self, self._clock, operation, seconds, inner).outcome


class _Watch:
    """The wait for one call."""

    def __init__(
        self,
        layer: TimeoutLayer,
        clock: IReactorTime,
        operation: str,
        seconds: float,
        inner: Deferred[Any],
    ) -> None:
        self._layer = layer
        self._clock = clock
        self._operation = operation
        self._began = clock.seconds()
        self._given_up = False
        self._inner = inner
        self._timer = clock.callLater(seconds, self._give_up)
        self.outcome: Deferred[Any] = Deferred(lambda _: self._not_wanted())
        inner.addBoth(self._answered)

    def _answered(self, result: Any) -> None:
        if not self._given_up:
            self._timer.cancel()
            self.outcome.callback(result)

    def _give_up(self) -> None:
        waited = self._clock.seconds() - self._began
        self._end(late(self._layer.name, self._operation, waited))

    def _not_wanted(self) -> None:
        """That nobody waits for an answer says nothing of the provider."""
        if self._operation in UNWANTED:
            self._end(CancelledError())
        else:
            self._give_up()

    def _end(self, error: Exception) -> None:
        self._given_up = True
        if self._timer.active():
            self._timer.cancel()
        self._layer.abandon(self._inner)
        self.outcome.errback(error)


class TimedUpload(CalledUpload):
    """An upload that waits no longer for anything than it may take.

    A write may have to wait for everything that the provider holds back, and the end does, not
    just for the bytes that came last.

    :param held: how many bytes that is at most.
    """

    def __init__(self, layer: TimeoutLayer, inner: IObjectUpload, held: int) -> None:
        super().__init__(layer, inner)
        self._held = held

    def write(self, data: bytes) -> Deferred[None]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        return self._layer.call("write", len(data) + self._held, self._inner.write, data)

    def finish(self) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        return self._layer.call("finish", self._held, self._inner.finish)

    def abort(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IObjectUpload`.

        What cannot be discarded in time is left behind.
        """
        return self._layer.call("abort", 0, self._inner.abort).addErrback(_left)


@implementer(IMadeUpload)
class TimedMadeUpload(TimedUpload):
    """The same, of an upload whose bytes can be made where they are written."""

    def __init__(
        self, layer: TimeoutLayer, inner: IObjectUpload, held: int, making: IMadeUpload
    ) -> None:
        super().__init__(layer, inner, held)
        self._making = making

    def write_made(self, size: int, make: Callable[[], Sequence[Piece]]) -> Deferred[None]:
        """See :class:`raic.interfaces.IMadeUpload`."""
        waited_for = size + self._held
        return self._layer.call("write", waited_for, self._making.write_made, size, make)


def _left(failure: Failure) -> None:
    failure.trap(ProviderTimedOut)


class WatchedStream(PassingRelay):
    """A stream that may not be silent for long while its consumer is ready."""

    def __init__(
        self, layer: TimeoutLayer, clock: IReactorTime, seconds: float, consumer: IConsumer
    ) -> None:
        super().__init__(consumer)
        self._layer = layer
        self._seconds = seconds
        self._clock = clock
        self._timer: Any = None

    def begin(self, stream: Callable[[IConsumer], Deferred[int]]) -> Deferred[int]:
        """See :meth:`raic.interfaces.IStorageProvider.stream_object`."""
        streaming = stream(self)
        self._follow(streaming)
        if self._finished and not streaming.called:
            self._layer.abandon(streaming)  # the consumer stopped it before it was under way
        elif not self._finished and not self._paused:
            self._watch()
        return self._done

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""
        super().write(data)
        if self._timer is not None:
            self._timer.reset(self._seconds)

    def pauseProducing(self) -> None:
        """See ``IPushProducer``."""
        self._ending()
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """See ``IPushProducer``."""
        super().resumeProducing()
        if self._streaming is not None and not self._finished and not self._paused:
            self._watch()

    def _watch(self) -> None:
        self._ending()
        self._timer = self._clock.callLater(self._seconds, self._silent)

    def _silent(self) -> None:
        self._timer = None
        self._finish(late(self._layer.name, "stream_object", self._seconds))

    def _finish(self, outcome: int | Failure | Exception) -> None:
        if self._finished:
            return
        super()._finish(outcome)
        if self._streaming is not None and not self._streaming.called:
            self._layer.abandon(self._streaming)

    def _ending(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _cancelled(self) -> None:
        self._finish(CancelledError())  # the inner stream is left to itself
