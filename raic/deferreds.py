"""Deferreds as interfaces promise them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

P = ParamSpec("P")
T = TypeVar("T")


def async_to_deferred(
    function: Callable[P, Coroutine[Deferred[Any], Any, T]],
) -> Callable[P, Deferred[T]]:
    """Make a coroutine function return a Deferred, started at once.

    The Deferred fires with what the coroutine returns and fails with what it raises.
    """

    @wraps(function)
    def started(*args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        return Deferred.fromCoroutine(function(*args, **kwargs))

    return started


def apart(deferred: Deferred[T]) -> Deferred[T]:
    """Another Deferred with the same result, for someone who may stop waiting for it.

    :return: fires and fails as ``deferred`` does, unless it is cancelled before: what ``deferred``
        waits for goes on all the same, and its callbacks run when it has ended.
    """
    waiting: Deferred[T] = Deferred()
    deferred.addCallbacks(waiting.callback, waiting.errback)
    return waiting


def after_answers(clock: IReactorTime, function: Callable[[], None]) -> None:
    """Call a function when the connections' answers of this turn of the reactor are on their way.

    TLS gathers them until the next turn, at the end of which the socket takes them.
    """
    clock.callLater(0, clock.callLater, 0, function)


class Shared(Generic[T]):
    """A call that is made once for all who ask for it while it is under way."""

    def __init__(self) -> None:
        self._waiting: list[Deferred[T]] = []

    def ask(self, call: Callable[[], Deferred[T]]) -> Deferred[T]:
        """Make the call unless it is under way.

        :return: fires and fails as the call does; may be cancelled, which does not end the call.
        """
        waiting: Deferred[T] = Deferred()
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            call().addBoth(self._ended)
        return waiting

    def _ended(self, outcome: T | Failure) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if isinstance(outcome, Failure):
                each.errback(outcome)
            else:
                each.callback(outcome)
