"""Counting calls, and how long they take."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence

from attrs import define, field, frozen

LATENCY_BOUNDS: tuple[float, ...] = tuple(math.ldexp(0.000125, power) for power in range(20))
"""Upper bounds, in seconds, of a latency histogram's buckets but the last: 125 us to 65 s."""


@frozen
class OperationFigures:
    """What happened in one operation since the start.

    :ivar calls: how many ended, in whatever way.
    :ivar errors: how many failed, by the name of the error's class.
    :ivar in_flight: how many have not ended.
    :ivar bytes_up: bytes sent to a provider, or received from clients, by calls that succeeded.
    :ivar bytes_down: bytes received from a provider, or sent to clients.
    :ivar seconds: the sum of all latencies.
    :ivar latencies: how many calls took at most as long as each of ``LATENCY_BOUNDS`` and longer
        than the bound before it, and last how many took longer than all.  A stream's latency is
        the time to its first byte.
    """

    calls: int
    errors: Mapping[str, int]
    in_flight: int
    bytes_up: int
    bytes_down: int
    seconds: float
    latencies: tuple[int, ...]


@define
class Tally:
    """The counters behind :class:`OperationFigures`."""

    begun: int = 0
    ended: int = 0
    errors: Counter[str] = field(factory=Counter)
    bytes_up: int = 0
    bytes_down: int = 0
    seconds: float = 0.0
    latencies: list[int] = field(factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))

    def took(self, seconds: float) -> None:
        """Note that a call ended, and its latency."""
        self.ended += 1
        self.seconds += seconds
        self.latencies[bisect_left(LATENCY_BOUNDS, seconds)] += 1

    def figures(self) -> OperationFigures:
        """What was counted so far."""
        return OperationFigures(
            calls=self.ended,
            errors=dict(self.errors),
            in_flight=self.begun - self.ended,
            bytes_up=self.bytes_up,
            bytes_down=self.bytes_down,
            seconds=self.seconds,
            latencies=tuple(self.latencies),
        )


def percentile(latencies: Sequence[int], part: float) -> float | None:
    """The latency that about this part of the calls did not exceed.

    Within a bucket calls are taken to be spread evenly over its logarithm, so the answer is off
    by less than the bucket is wide, a factor of two.

    :param latencies: as :class:`OperationFigures` has them.
    :param part: above 0, at most 1.
    :return: None when there were no calls.
    """
    wanted = part * sum(latencies)
    if not wanted:
        return None
    for number, count in enumerate(latencies):
        if count and wanted <= count:
            bound = LATENCY_BOUNDS[min(number, len(LATENCY_BOUNDS) - 1)]
            return bound * math.pow(2.0, wanted / count - 1)
        wanted -= count
    return LATENCY_BOUNDS[-1]
