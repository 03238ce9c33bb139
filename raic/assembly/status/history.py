"""Figures of the recent past, from counters that only ever grow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from attrs import frozen
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from raic.status import Latency, Recent
from raic.tally import LATENCY_BOUNDS, OperationFigures, percentile

STEP_SECONDS = 10.0
"""How often a sample is taken."""

KEPT = 60
"""How many steps are remembered: ten minutes."""

RATE_SECONDS = 60.0
"""Over how long rates are told: of more, a load that has just begun would not be seen."""

Key = tuple[str, ...]
Figures = Mapping[Key, OperationFigures]

NOTHING = OperationFigures(0, {}, 0, 0, 0, 0.0, (0,) * (len(LATENCY_BOUNDS) + 1))


@frozen
class Rates:
    """What happened recently.

    :ivar calls: a second.
    :ivar up: bytes a second.
    :ivar down: bytes a second.
    """

    calls: float
    up: float
    down: float
    latency: Latency


def total(figures: Iterable[OperationFigures]) -> OperationFigures:
    """The sum of figures."""
    calls = in_flight = up = down = 0
    seconds, errors, latencies = 0.0, dict[str, int](), list(NOTHING.latencies)
    for each in figures:
        calls, in_flight = calls + each.calls, in_flight + each.in_flight
        up, down, seconds = up + each.bytes_up, down + each.bytes_down, seconds + each.seconds
        latencies = [a + b for a, b in zip(latencies, each.latencies, strict=True)]
        for kind, count in each.errors.items():
            errors[kind] = errors.get(kind, 0) + count
    return OperationFigures(calls, errors, in_flight, up, down, seconds, tuple(latencies))


class History:
    """Takes samples of some figures, while it runs.

    :param figures: asks for them.
    """

    def __init__(self, figures: Callable[[], Figures], clock: IReactorTime) -> None:
        self._figures = figures
        self._clock = clock
        self._samples: deque[tuple[float, Figures]] = deque(maxlen=KEPT + 1)
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Take samples from now on."""
        self._samples.append((self._clock.seconds(), self._figures()))
        self._next = self._clock.callLater(STEP_SECONDS, self.start)

    def stop(self) -> None:
        """Take no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def figures(self) -> Figures:
        """What they are now."""
        return self._figures()

    def rates(self, keys: Iterable[Key]) -> Rates:
        """What happened recently in these, together."""
        now, keys = self._clock.seconds(), tuple(keys)
        current = _of(self._figures(), keys)
        began, first = self._since(now - RATE_SECONDS)
        early = _of(first, keys)
        seconds = max(1.0, now - began)
        oldest = _of(self._samples[0][1] if self._samples else {}, keys)
        latencies = [a - b for a, b in zip(current.latencies, oldest.latencies, strict=True)]
        return Rates(
            (current.calls - early.calls) / seconds,
            (current.bytes_up - early.bytes_up) / seconds,
            (current.bytes_down - early.bytes_down) / seconds,
            Latency(*(percentile(latencies, part) for part in (0.5, 0.95, 0.99))),
        )

    def recent(self, keys: Iterable[Key]) -> Recent:
        """What happened in each step that is remembered, in these together."""
        keys = tuple(keys)
        samples = [_of(figures, keys) for _, figures in self._samples]
        steps = list(zip(samples[1:], samples[:-1], strict=True))
        return Recent(
            STEP_SECONDS,
            tuple(after.calls - before.calls for after, before in steps),
            tuple(_failed(after) - _failed(before) for after, before in steps),
            tuple(_median(after, before) for after, before in steps),
            tuple(after.bytes_up - before.bytes_up for after, before in steps),
            tuple(after.bytes_down - before.bytes_down for after, before in steps),
        )

    def _since(self, moment: float) -> tuple[float, Figures]:
        """The oldest sample that is not older, or the newest one."""
        for sample in self._samples:
            if sample[0] >= moment:
                return sample
        return self._samples[-1] if self._samples else (moment, {})


def _of(figures: Figures, keys: tuple[Key, ...]) -> OperationFigures:
    return total(figures.get(key, NOTHING) for key in keys)


def _failed(figures: OperationFigures) -> int:
    return sum(figures.errors.values())


def _median(after: OperationFigures, before: OperationFigures) -> float | None:
    pairs = zip(after.latencies, before.latencies, strict=True)
    return percentile([a - b for a, b in pairs], 0.5)
