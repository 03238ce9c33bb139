"""Waiting for no longer than a deadline."""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

T = TypeVar("T")


class TookTooLong(Exception):
    """An answer did not come in time; what was asked may still be under way."""


def within(asked: Deferred[T], clock: IReactorTime, seconds: float) -> Deferred[T]:
    """The same result, or a failure with :class:`TookTooLong`.

    What was asked is not cancelled: a thread that hangs cannot be, and a provider that is
    cancelled waits for its threads.  A result that comes late is dropped.
    """
    answer: Deferred[T] = Deferred()
    end = clock.callLater(
        seconds, lambda: answer.errback(TookTooLong(f"no answer within {seconds:g} s"))
    )

    def came(result: T | Failure) -> None:
        if end.active():
            end.cancel()
            answer.callback(result)  # a Failure makes it fail

    asked.addBoth(came)
    return answer
