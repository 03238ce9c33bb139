"""Deferreds as interfaces promise them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred

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
