"""How fast background work goes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

_WINDOW = 10.0  # seconds, over which the present rate is told
_LEAST_PAUSE = 0.02
_MOST_PAUSE = 1.0
_REMEMBERED = 10_000


def sleep(clock: IReactorTime, seconds: float) -> Deferred[None]:
    """Fires after so many seconds; may be cancelled."""
    return deferLater(clock, seconds, lambda: None)


class Pace:
    """Keeps work within a rate, and has it give way to the array's clients.

    :param limit: bytes a second, read and written; None for any number.
    :param calls: tells how many calls clients have made so far.
    :ivar bytes: how many were read and written so far.
    """

    def __init__(self, clock: IReactorTime, limit: int | None, calls: Callable[[], int]) -> None:
        self.limit = limit
        self.bytes = 0
        self._clock = clock
        self._calls = calls
        self._seen = calls()
        self._free = 0.0  # from when on there may be more
        self._window = (clock.seconds(), 0)
        self._rate = 0.0

    def adjust(self, limit: int | None) -> None:
        """Keep within another rate, after the pause under way."""
        if limit != self.limit:
            self.limit = limit
            self._free = 0.0

    def spend(self, size: int) -> float:
        """Note bytes that were read or written.

        :return: the seconds to wait before there are more.
        """
        self.rate()
        self.bytes += size
        if self.limit is None:
            return 0.0
        now = self._clock.seconds()
        self._free = max(now, self._free) + size / self.limit
        return self._free - now

    def turn(self, took: float) -> Deferred[None] | None:
        """To be waited for between two pieces of work, if it is not None.

        While clients read or write, a pause is as long as the work before it was.
        """
        calls = self._calls()
        if calls == self._seen:
            return None
        self._seen = calls
        return sleep(self._clock, min(_MOST_PAUSE, max(_LEAST_PAUSE, took)))

    def rate(self) -> float:
        """Bytes a second, lately."""
        now = self._clock.seconds()
        began, before = self._window
        if now - began >= _WINDOW:
            self._rate = (self.bytes - before) / (now - began)
            self._window = (now, self.bytes)
        return self._rate


@define
class _Failures:
    count: int = 0
    until: float = 0.0


class Backoff:
    """When what has failed is tried again: ever later, with full jitter.

    :param first: the longest pause after the first failure, in seconds.
    :param most: the longest of all.
    """

    def __init__(self, clock: IReactorTime, random: Random, first: float, most: float) -> None:
        self._clock = clock
        self._random = random
        self._first = first
        self._most = most
        self._failures: dict[str, _Failures] = {}

    def is_ready(self, name: str) -> bool:
        """Whether it may be tried."""
        failures = self._failures.get(name)
        return failures is None or failures.until <= self._clock.seconds()

    def failed(self, name: str) -> bool:
        """It was tried in vain.

        :return: whether that is news.
        """
        if len(self._failures) >= _REMEMBERED and name not in self._failures:
            self._failures.clear()
        failures = self._failures.setdefault(name, _Failures())
        pause = min(self._most, self._first * 2 ** min(failures.count, 30))
        failures.count += 1
        failures.until = self._clock.seconds() + self._random.uniform(0.0, pause)
        return failures.count == 1

    def succeeded(self, name: str) -> None:
        """It was tried, and all was well."""
        self._failures.pop(name, None)
