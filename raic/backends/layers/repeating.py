"""One call, or one stream, made of several attempts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure

from raic.backends.layers.circuit import NOT_ASKED
from raic.backends.layers.late import UNWANTED, late
from raic.backends.layers.relay import Relay
from raic.backends.layers.retries import Retries
from raic.errors import OutcomeUnknown
from raic.interfaces import IStorageProvider


class RepeatedCall:
    """A call that has not succeeded at once.

    :param again: makes another attempt.
    """

    def __init__(
        self, retries: Retries, operation: str, again: Callable[[], Deferred[Any]]
    ) -> None:
        self._retries = retries
        self._operation = operation
        self._again = again
        self._attempts = 1
        self._over = False  # no time is left
        self._is_late = True  # if it is over
        self._unknown: OutcomeUnknown | None = None
        self._last: Failure | None = None
        self._attempt: Deferred[Any] | None = None
        self._timer: Any = None
        self._end = retries.now() + retries.budget
        self._deadline = retries.after(retries.budget, self._expire)
        self._outcome: Deferred[Any] = Deferred(lambda _: self._cancelled())

    def begin(self, first: Deferred[Any]) -> Deferred[Any]:
        """Wait for the first attempt.

        :return: fires as the call's caller expects.
        """
        self._wait_for(first)
        return self._outcome

    def give_up(self, error: Exception) -> None:
        """Make no further attempt; called between two attempts."""
        self._timer.cancel()
        self._fail(Failure(error))

    def _wait_for(self, attempt: Deferred[Any]) -> None:
        self._attempt = attempt
        attempt.addCallbacks(self._succeeded, self._failed)

    def _succeeded(self, result: Any) -> None:
        self._settle()
        self._outcome.callback(result)

    def _failed(self, failure: Failure) -> None:
        self._attempt = None
        if self._over and self._is_late and failure.check(CancelledError):
            failure = Failure(late(self._retries.provider, self._operation, self._retries.budget))
        if isinstance(failure.value, OutcomeUnknown):
            self._unknown = failure.value
        self._last = telling(failure, self._last)
        if isinstance(failure.value, NOT_ASKED):
            self._attempts -= 1
        pause = None
        if not self._over:
            left = self._end - self._retries.now()
            pause = self._retries.pause_before(self._operation, failure.value, self._attempts, left)
        if pause is None:
            self._fail(self._last)
        else:
            self._timer = self._retries.after(pause, self._repeat)
            self._retries.sleeps(self)

    def _repeat(self) -> None:
        self._retries.wakes(self)
        self._timer = None
        self._attempts += 1
        self._wait_for(maybeDeferred(self._again))

    def _expire(self) -> None:
        """The time is over: the attempt under way is the last."""
        self._over = True
        if self._attempt is not None:
            self._attempt.cancel()
        elif self._last is not None:
            self._timer.cancel()
            self._fail(self._last)

    def _cancelled(self) -> None:
        self._is_late = self._operation not in UNWANTED
        self._expire()

    def _fail(self, failure: Failure) -> None:
        self._settle()
        if self._unknown is not None and failure.value is not self._unknown:
            first = self._unknown
            detail = f"{first.detail}; then {failure.getErrorMessage()}"
            failure = Failure(OutcomeUnknown(first.provider, first.operation, detail))
        self._outcome.errback(failure)

    def _settle(self) -> None:
        self._retries.wakes(self)
        if self._deadline.active():
            self._deadline.cancel()


class ResumedStream(Relay):
    """A stream that goes on where it broke off.

    The bytes that were delivered were right, so nothing is asked for twice.  Attempts, and the
    time since the last byte, count from the last piece delivered; while the consumer pauses there
    is no such time.
    """

    def __init__(
        self,
        retries: Retries,
        inner: IStorageProvider,
        key: str,
        offset: int,
        length: int,
        consumer: IConsumer,
    ) -> None:
        super().__init__(consumer)
        self._retries = retries
        self._inner = inner
        self._key = key
        self._offset = offset
        self._length = length
        self._attempts = 0
        self._last: Failure | None = None
        self._timer: Any = None
        self._end = retries.now() + retries.budget
        self._deadline: Any = retries.after(retries.budget, self._expire)

    def begin(self) -> Deferred[int]:
        """See :meth:`raic.interfaces.IStorageProvider.stream_object`."""
        try:
            self._wait_for(self._open())
        except BaseException:
            self._ending()
            raise
        return self._done

    def give_up(self, error: Exception) -> None:
        """Make no further attempt; called between two attempts."""
        self._finish(error)

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""
        self._attempts = 1
        self._last = None
        self._retries.earn()
        super().write(data)
        self._restart()

    def pauseProducing(self) -> None:
        """See ``IPushProducer``."""
        self._stop_deadline()
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """See ``IPushProducer``."""
        super().resumeProducing()
        self._restart()

    def _restart(self) -> None:
        """Give the next piece its time."""
        budget = self._retries.budget
        self._end = self._retries.now() + budget
        if self._finished or self._paused:
            return
        if self._deadline is None:
            self._deadline = self._retries.after(budget, self._expire)
        else:
            self._deadline.reset(budget)

    def _stop_deadline(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.cancel()

    def _expire(self) -> None:
        """The time is over, in the midst of an attempt or between two."""
        self._deadline = None
        seconds = self._retries.budget
        self._finish(self._last or late(self._retries.provider, "stream_object", seconds))
        if self._streaming is not None:
            self._streaming.cancel()

    def _open(self) -> Deferred[int]:
        self._attempts += 1
        at = self.delivered
        return self._inner.stream_object(self._key, self._offset + at, self._length - at, self)

    def _wait_for(self, streaming: Deferred[int]) -> None:
        self._streaming = streaming
        streaming.addCallbacks(lambda _: self._finish(self.delivered), self._failed)

    def _failed(self, failure: Failure) -> None:
        if self._finished:
            return
        if self.delivered == self._length and self.delivered:
            self._finish(self.delivered)  # it had all that was asked for
            return
        self._last = telling(failure, self._last)
        if isinstance(failure.value, NOT_ASKED):
            self._attempts -= 1
        left = self._end - self._retries.now()
        pause = self._retries.pause_before("stream_object", failure.value, self._attempts, left)
        if pause is None:
            self._finish(self._last)
        else:
            self._timer = self._retries.after(pause, self._resume)
            self._retries.sleeps(self)

    def _resume(self) -> None:
        self._retries.wakes(self)
        self._timer = None
        self._wait_for(maybeDeferred(self._open))

    def _ending(self) -> None:
        self._retries.wakes(self)
        self._stop_deadline()
        if self._timer is not None:
            self._timer.cancel()


def telling(failure: Failure, before: Failure | None) -> Failure:
    """Of two failures of a call, the one that tells more: what the provider itself said."""
    if before is not None and isinstance(failure.value, NOT_ASKED):
        return before
    return failure
