"""One suite for providers that answer at once and for those that need the reactor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet import reactor as _reactor  # noqa: TID251  # real threads report to it
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

if TYPE_CHECKING:
    Suite = SynchronousTestCase
else:
    Suite = object  # a suite is collected only where it is mixed into a test case

__all__ = ["Driven", "ReactorSuite", "SynchronousSuite", "driven", "reactor"]

reactor: Any = _reactor
"""The global one, which has every reactor interface there is."""

E = TypeVar("E", bound=Exception)
S = TypeVar("S", bound="Driven")


class Driven(Suite):
    """Test methods that are coroutines, marked by :func:`driven`."""

    def drive(self, coroutine: Coroutine[Deferred[Any], Any, None]) -> Deferred[None] | None:
        """Run a test."""
        raise NotImplementedError

    def turn(self) -> Deferred[None]:
        """Let whatever is under way go on a little."""
        raise NotImplementedError

    async def refused(self, awaited: Awaitable[object], error: type[E]) -> E:
        """The exception of this class, with which something fails."""
        try:
            result = await awaited
        except error as caught:
            return caught
        raise self.failureException(f"{error.__name__} expected, not {result!r}")


def driven(
    test: Callable[[S], Coroutine[Deferred[Any], Any, None]],
) -> Callable[[S], Deferred[None] | None]:
    """Make a test of a coroutine."""

    @wraps(test)
    def run(self: S) -> Deferred[None] | None:
        return self.drive(test(self))

    return run


class Synchronous(Driven):
    """For what answers at once; what waits for something all the same fails.

    :cvar turns_at_most: how long a test may wait.
    """

    turns_at_most = 10_000
    _turns = 0

    def drive(self, coroutine: Coroutine[Deferred[Any], Any, None]) -> Deferred[None] | None:
        self.successResultOf(Deferred.fromCoroutine(coroutine))
        return None

    def turn(self) -> Deferred[None]:
        self._turns += 1
        if self._turns > self.turns_at_most:
            raise self.failureException("nothing goes on without a reactor or a clock")
        return succeed(None)


class SynchronousSuite(Synchronous, SynchronousTestCase):
    """What a suite for something that answers at once is mixed into."""


class WithReactor(Driven):
    """For what needs threads or sockets."""

    def drive(self, coroutine: Coroutine[Deferred[Any], Any, None]) -> Deferred[None] | None:
        return Deferred.fromCoroutine(coroutine)

    def turn(self) -> Deferred[None]:
        return deferLater(reactor, 0, lambda: None)


class ReactorSuite(WithReactor, TestCase):
    """What a suite for something with threads or sockets is mixed into."""
