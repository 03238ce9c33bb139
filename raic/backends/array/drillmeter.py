"""Measuring how an array serves its callers, while a drill wants to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from math import ceil
from random import Random
from typing import Any, TypeVar

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.python.failure import Failure

from raic.backends.layers.forwarding import CallLayer
from raic.backends.layers.observation import ObservedStream
from raic.errors import ObjectNotFound
from raic.interfaces import IStorageProvider

T = TypeVar("T")

SAMPLES = 10_000
"""How many latencies are kept of each kind of operation."""

READS = frozenset({"get_object", "stream_object"})
WRITES = frozenset({"put_object", "finish"})


@frozen
class Served:
    """How operations of one kind went.

    :ivar served: how many succeeded.
    :ivar failed: how many did not.
    :ivar errors: how many of those, by the name of the error's class.
    :ivar p50: the seconds that half of them did not exceed; None when there were none.
    :ivar p99: the seconds that 99 in 100 did not exceed.
    """

    served: int = 0
    failed: int = 0
    errors: Mapping[str, int] = field(factory=dict)
    p50: float | None = None
    p99: float | None = None


@define
class Tally:
    """What :class:`Served` is made of; an even sample when there are very many."""

    served: int = 0
    errors: Counter[str] = field(factory=Counter)
    _latencies: list[float] = field(factory=list)
    _random: Random = field(factory=partial(Random, 0))

    def took(self, seconds: float) -> None:
        """One succeeded."""
        self.served += 1
        if len(self._latencies) < SAMPLES:
            self._latencies.append(seconds)
        elif (place := self._random.randrange(self.served)) < SAMPLES:
            self._latencies[place] = seconds

    def summary(self) -> Served:
        """What was found."""
        ascending = sorted(self._latencies)
        failed = sum(self.errors.values())
        errors = dict(self.errors)
        return Served(self.served, failed, errors, _part(ascending, 0.5), _part(ascending, 0.99))


@define
class Measured:
    """What was measured since a moment."""

    reads: Tally = field(factory=Tally)
    writes: Tally = field(factory=Tally)

    def of(self, operation: str) -> Tally | None:
        """Where an operation belongs."""
        if operation in READS:
            return self.reads
        return self.writes if operation in WRITES else None


class DrillMeter(CallLayer):
    """Passes everything on, and measures when it is told to.

    Of an upload its end is measured, of a stream the time to its first byte.  That there is no
    such object, or that nobody wants it any more, is no failure.
    """

    def __init__(self, inner: IStorageProvider, clock: IReactorTime) -> None:
        super().__init__(inner)
        self._clock = clock
        self._measured: Measured | None = None

    def begin(self) -> Measured:
        """Measure what begins from now on, up to the next call or to :meth:`end`."""
        self._measured = Measured()
        return self._measured

    def end(self) -> None:
        """Measure no more; what is under way still counts."""
        self._measured = None

    def call(
        self, operation: str, size: int, function: Callable[..., Deferred[T]], *args: Any
    ) -> Deferred[T]:
        """Make a call, and note how it went."""
        tally = None if self._measured is None else self._measured.of(operation)
        if tally is None:
            return function(*args)
        clock, began = self._clock, self._clock.seconds()
        return function(*args).addBoth(_note, tally, lambda: clock.seconds() - began)

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        stream = self._inner.stream_object
        if self._measured is None:
            return stream(key, offset, length, consumer)
        observed = ObservedStream(self._clock, consumer)
        streaming = observed.begin(partial(stream, key, offset, length))
        return streaming.addBoth(_note, self._measured.reads, observed.latency)


def _note(result: T, tally: Tally, latency: Callable[[], float]) -> T:
    if not isinstance(result, Failure):
        tally.took(latency())
    elif not isinstance(result.value, (ObjectNotFound, CancelledError)):
        tally.errors[type(result.value).__name__] += 1
    return result


def _part(ascending: list[float], part: float) -> float | None:
    return ascending[ceil(len(ascending) * part) - 1] if ascending else None
