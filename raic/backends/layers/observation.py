"""Counting what happens, and saying what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.python.failure import Failure

from raic.backends.layers.figures import ProviderFigures, Tally
from raic.backends.layers.forwarding import CallLayer, has_succeeded
from raic.backends.layers.relay import PassingRelay
from raic.backends.layers.troubles import Troubles
from raic.errors import ProviderError
from raic.interfaces import IStorageProvider

T = TypeVar("T")

_UPWARDS = frozenset({"put_object", "write"})


class ObservationLayer(CallLayer):
    """Counts the calls, and tells how they end to whoever tells of troubles.

    :param interval: see :class:`~raic.backends.layers.troubles.Troubles`.
    :param requests: asks how many requests the leaf sent so far for each operation, where it
        counts them: all that the layers between made of calls, such as repeated ones, included.
    :param untold: failures that are counted, but not logged: somebody else says what they mean.
    """

    def __init__(
        self,
        inner: IStorageProvider,
        clock: IReactorTime,
        interval: float = 60.0,
        requests: Callable[[], Mapping[str, int]] | None = None,
        troubles: Troubles | None = None,
        untold: tuple[type[ProviderError], ...] = (),
    ) -> None:
        super().__init__(inner)
        self._clock = clock
        self._requests = requests
        self._untold = untold
        self._tallies: dict[str, Tally] = {}
        self.troubles = troubles or Troubles(self.name, clock, interval)

    def snapshot(self) -> ProviderFigures:
        """The figures so far."""
        return ProviderFigures(
            provider=self.name,
            operations={name: tally.figures() for name, tally in self._tallies.items()},
            requests=None if self._requests is None else self._requests(),
        )

    def start(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`.  Who starts it says if it fails."""
        return self.call("start", 0, self._inner.start)

    def call(
        self, operation: str, size: int, function: Callable[..., Deferred[T]], *args: Any
    ) -> Deferred[T]:
        """Make a call and note how it ends."""
        tally = self._tally(operation)
        began = self._clock.seconds()
        made = function(*args)
        tally.begun += 1
        up = size if operation in _UPWARDS else 0
        if has_succeeded(made):
            self._succeeded(made.result, operation, tally, began, up)
            return made
        return made.addCallbacks(
            self._succeeded,
            self._failed,
            (operation, tally, began, up),
            errbackArgs=(operation, tally, began),
        )

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        tally = self._tally("stream_object")
        observed = ObservedStream(self._clock, consumer)
        streaming = observed.begin(partial(self._inner.stream_object, key, offset, length))
        tally.begun += 1
        return streaming.addBoth(self._streamed, tally, observed)

    def _tally(self, operation: str) -> Tally:
        tally = self._tallies.get(operation)
        if tally is None:
            tally = self._tallies[operation] = Tally()
        return tally

    def _succeeded(self, result: T, operation: str, tally: Tally, began: float, up: int) -> T:
        self.troubles.succeeded(operation)
        tally.took(self._clock.seconds() - began)
        tally.bytes_up += up
        if isinstance(result, bytes):
            tally.bytes_down += len(result)
        return result

    def _failed(self, failure: Failure, operation: str, tally: Tally, began: float) -> Failure:
        tally.took(self._clock.seconds() - began)
        tally.errors[failure.value.__class__.__name__] += 1
        self._report(operation, failure.value)
        return failure

    def _streamed(
        self, result: int | Failure, tally: Tally, observed: ObservedStream
    ) -> int | Failure:
        tally.took(observed.latency())
        tally.bytes_down += observed.delivered
        if isinstance(result, Failure):
            tally.errors[result.value.__class__.__name__] += 1
            self._report("stream_object", result.value)
        elif result:
            self.troubles.succeeded("stream_object")
        return result

    def _report(self, operation: str, error: BaseException | None) -> None:
        if not isinstance(error, ProviderError) or isinstance(error, self._untold):
            return
        if operation != "start":
            self.troubles.failed(operation, error)


class ObservedStream(PassingRelay):
    """Notes when the first byte came, and how many did."""

    def __init__(self, clock: IReactorTime, consumer: IConsumer) -> None:
        super().__init__(consumer)
        self._clock = clock
        self._began = clock.seconds()
        self._first: float | None = None

    def begin(self, stream: Callable[[IConsumer], Deferred[int]]) -> Deferred[int]:
        """See :meth:`raic.interfaces.IStorageProvider.stream_object`."""
        return self._follow(stream(self))

    def latency(self) -> float:
        """The seconds to the first byte, or to the end if there was none."""
        first = self._clock.seconds() if self._first is None else self._first
        return first - self._began

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""
        if self._first is None:
            self._first = self._clock.seconds()
        super().write(data)
