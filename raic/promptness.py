"""Calls that are as a rule too short to be worth another thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime

T = TypeVar("T")

SLOW_SECONDS = 0.05
PAUSE_SECONDS = 10.0


class Promptness:
    """Makes calls in the reactor's own thread, as long as they are short.

    To hand a call to a thread, and its result back, takes longer than to write a small file that
    the kernel keeps in memory.  But a kernel that cannot keep up with its disk makes writers wait:
    after a call that took long, the next ones had better be made elsewhere for a while, so that
    everything else goes on.

    :param slow: how many seconds are long.
    :param pause: for how many seconds after such a call others are made elsewhere.
    """

    def __init__(
        self, clock: IReactorTime, slow: float = SLOW_SECONDS, pause: float = PAUSE_SECONDS
    ) -> None:
        self._clock = clock
        self._slow = slow
        self._pause = pause
        self._elsewhere_until = float("-inf")

    def is_expected(self) -> bool:
        """Whether a call may be made here."""
        return self._clock.seconds() >= self._elsewhere_until

    def call(self, function: Callable[[], T]) -> T:
        """Make a call here, and note how long it took."""
        began = self._clock.seconds()
        try:
            return function()
        finally:
            ended = self._clock.seconds()
            if ended - began > self._slow:
                self._elsewhere_until = ended + self._pause
