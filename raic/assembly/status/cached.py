"""Asking no more often than is good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from raic.deferreds import Shared, async_to_deferred

T = TypeVar("T")

PART = 20
"""An answer that took long is kept this many times as long."""


class Cached(Generic[T]):
    """Remembers an answer for a while; who asks while one is awaited gets the same.

    :param seconds: how long an answer is good for, at least.
    :ivar asked: when the answer was asked for.
    """

    def __init__(
        self, function: Callable[[], Deferred[T]], seconds: float, clock: IReactorTime
    ) -> None:
        self._function = function
        self._seconds = seconds
        self._clock = clock
        self._asking: Shared[T] = Shared()
        self._answer: list[T] = []
        self._good_to = 0.0
        self.asked = 0.0

    @async_to_deferred
    async def get(self) -> T:
        """The answer; fails as the function does."""
        if not self._answer or self._clock.seconds() >= self._good_to:
            await self._asking.ask(self._ask)
        return self._answer[0]

    @async_to_deferred
    async def _ask(self) -> T:
        began = self._clock.seconds()
        answer = await self._function()
        now = self._clock.seconds()
        self._answer, self.asked = [answer], began
        self._good_to = now + max(self._seconds, PART * (now - began))
        return answer
