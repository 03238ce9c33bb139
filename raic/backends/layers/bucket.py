"""Token buckets: so much a second, in turns."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

_ROUNDING = 1e-6
"""Tokens that may be missing: times are sums of floating point numbers."""

_TICK = 0.001
"""No wait is shorter: added to the time of day, a much smaller number would change nothing."""


class TokenBucket:
    """Gives out tokens at a rate; who wants some waits for those who came before.

    In any span of time, at most ``burst`` and what the rate yields are given out.

    :param rate: tokens a second.
    :param burst: how many tokens gather while none is wanted.
    :ivar expected: how many tokens somebody has yet to ask for, who was told how long it takes.
    """

    def __init__(self, clock: IReactorTime, rate: float, burst: float) -> None:
        if rate <= 0 or burst <= 0:
            raise ValueError("a rate and a burst are more than nothing")
        self.rate = rate
        self.burst = burst
        self.expected = 0.0
        self._clock = clock
        self._level = burst
        self._updated = clock.seconds()
        self._queue: deque[tuple[float, Deferred[None]]] = deque()
        self._wanted = 0.0  # by the whole queue
        self._timer: Any = None

    def take_now(self, amount: float) -> bool:
        """Take tokens if they are there and nobody waits.

        :return: whether they were taken.
        """
        if self._queue:
            return False
        self._fill()
        if self._level + _ROUNDING < amount:
            return False
        self._level -= amount
        return True

    def take(self, amount: float) -> Deferred[None]:
        """Take tokens, at most a burst.

        :return: fires when they were taken; may be cancelled.
        """
        if amount > self.burst:
            raise ValueError(f"{amount} tokens are more than the bucket ever holds")
        taken: Deferred[None] = Deferred(lambda _: self._leave(amount, taken))
        if self.take_now(amount):
            taken.callback(None)
        else:
            self._queue.append((amount, taken))
            self._wanted += amount
            self._schedule()
        return taken

    def give_back(self, amount: float) -> None:
        """Give back tokens that were not needed."""
        self._fill()
        self._level = min(self.burst, self._level + amount)
        if self._queue:
            self._schedule()

    def seconds_until(self, amount: float) -> float:
        """In how many seconds so many tokens will have been given out to who asks now."""
        self._fill()
        return max(0.0, self._wanted + self.expected + amount - self._level) / self.rate

    def refuse(self, error: Exception) -> None:
        """Let all who wait fail."""
        while self._queue:
            amount, taken = self._queue.popleft()
            self._wanted -= amount
            taken.errback(error)
        self._schedule()

    def _leave(self, amount: float, taken: Deferred[None]) -> None:
        self._queue.remove((amount, taken))
        self._wanted -= amount
        self._schedule()

    def _fill(self) -> None:
        now = self._clock.seconds()
        self._level = min(self.burst, self._level + (now - self._updated) * self.rate)
        self._updated = now

    def _schedule(self) -> None:
        """Wake up when the first in the queue can be served."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if self._queue:
            self._fill()
            missing = self._queue[0][0] - self._level
            delay = max(_TICK, missing / self.rate) if missing > _ROUNDING else 0.0
            self._timer = self._clock.callLater(delay, self._serve)

    def _serve(self) -> None:
        self._timer = None
        self._fill()
        while self._queue and self._level + _ROUNDING >= self._queue[0][0]:
            amount, taken = self._queue.popleft()
            self._wanted -= amount
            self._level -= amount
            taken.callback(None)
        self._schedule()
