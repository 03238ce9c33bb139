"""What is counted of a provider, and how it is shown to others."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

from attrs import define, field, frozen

LATENCY_BOUNDS = tuple(0.001 * 2**power for power in range(17))
"""Upper bounds, in seconds, of a latency histogram's buckets but the last: 1 ms to 65 s."""


@frozen
class OperationFigures:
    """What happened in one operation of one provider since the start.

    :ivar calls: how many ended, in whatever way.
    :ivar errors: how many failed, by the name of the error's class.
    :ivar in_flight: how many have not ended.
    :ivar bytes_up: object bytes sent by calls that succeeded.
    :ivar bytes_down: object bytes received.
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


@frozen
class ProviderFigures:
    """What happened with one provider since the start.

    :ivar operations: by name: methods of ``IStorageProvider``; of uploads ``write`` and
        ``finish``.
    :ivar requests: how many requests the provider says it sent, by the operation of its own that
        needed them (``abort`` and ``clear_interrupted_uploads`` among them); None if it does not.
    """

    provider: str
    operations: Mapping[str, OperationFigures]
    requests: Mapping[str, int] | None

    @property
    def total_requests(self) -> int | None:
        """All requests, whatever needed them."""
        return None if self.requests is None else sum(self.requests.values())


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
