"""Leaving a provider alone that is down."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from raic.backends.layers.forwarding import CallLayer, has_succeeded
from raic.backends.layers.troubles import AWAY, Troubles
from raic.errors import CircuitOpen, ProviderError, QueueTooLong
from raic.interfaces import IStorageProvider

T = TypeVar("T")

NOT_ASKED = (CircuitOpen, QueueTooLong)
"""What says nothing about the provider, because it was not asked."""

PROBING_SECONDS = 0.5
"""When to come back while a call is finding out; most do so sooner."""


class CircuitState(Enum):
    """Whether calls are let through."""

    CLOSED = "closed"
    """All are."""

    OPEN = "open"
    """None is."""

    HALF_OPEN = "half-open"
    """One at a time is, to find out."""


CircuitObserver = Callable[[CircuitState, "ProviderError | None"], None]
"""Called with the new state and the last error."""


@frozen
class CircuitSettings:
    """When a circuit opens, and for how long.

    :ivar failures: so many in a row open it.
    :ivar ratio: so does this share of the calls of the last ``window`` to ``2 * window`` seconds
    :ivar least_calls: if there were at least so many.
    :ivar pause: after how many seconds a call is let through to find out; doubled every time that
        it fails.
    :ivar longest_pause: the pause never becomes longer than this.
    :ivar patience: for so many seconds from the first opening on, whoever is refused is told when
        to come back; after that the provider is down rather than in trouble.
    """

    failures: int = 5
    ratio: float = 0.5
    window: float = 30.0
    least_calls: int = 20
    pause: float = 5.0
    longest_pause: float = 20.0
    patience: float = 45.0


_DEFAULT = CircuitSettings()


class CircuitBreaker(CallLayer):
    """Fails calls at once with ``CircuitOpen`` while the provider is known to be down.

    :param silent: operations whose success says nothing of the provider, because it need not be
        asked for them.
    :param troubles: is told of an opening.
    :ivar state: whether calls are let through.
    :ivar last_error: the trouble that the provider was in last; None if it never was.
    """

    _log = Logger()

    def __init__(
        self,
        inner: IStorageProvider,
        clock: IReactorTime,
        settings: CircuitSettings = _DEFAULT,
        silent: frozenset[str] = frozenset(),
        troubles: Troubles | None = None,
    ) -> None:
        super().__init__(inner)
        self._troubles = troubles or Troubles(self.name, clock)
        self._silent = silent
        self._clock = clock
        self._settings = settings
        self._observers: list[CircuitObserver] = []
        self._in_a_row = 0
        self._window_ends = clock.seconds() + settings.window
        self._calls = self._failed = 0  # in this window
        self._calls_before = self._failed_before = 0  # in the one before
        self._pause = settings.pause
        self._closed_to = 0.0
        self._down_since = 0.0
        self._next_probe = 0.0
        self._period = 0  # counts the changes of state
        self.state = CircuitState.CLOSED
        self.last_error: ProviderError | None = None

    def observe(self, observer: CircuitObserver) -> None:
        """Have ``observer`` called at every change of state."""
        self._observers.append(observer)

    def call(
        self, operation: str, size: int, function: Callable[..., Deferred[T]], *args: Any
    ) -> Deferred[T]:
        """Make a call, or fail at once."""
        if operation in self._silent:
            return function(*args)
        if self.state is not CircuitState.CLOSED and not self._may_probe():
            return fail(self._refusal(operation))
        period = self._period
        try:
            made = function(*args)
        except BaseException:
            self._next_probe = 0.0
            raise
        if has_succeeded(made):
            self._answered(None, period)
            return made
        return made.addCallbacks(self._succeeded, self._did_not, (period,), errbackArgs=(period,))

    def _succeeded(self, result: T, period: int) -> T:
        self._answered(None, period)
        return result

    def _did_not(self, failure: Failure, period: int) -> Failure:
        error = failure.value
        if isinstance(error, NOT_ASKED) or not isinstance(error, ProviderError):
            self._next_probe = 0.0  # this one found out nothing
        elif isinstance(error, AWAY):
            self._answered(error, period)
        else:
            self._answered(None, period)
        return failure

    def _answered(self, trouble: ProviderError | None, period: int) -> None:
        """Note how a call ended that began in this period, or in an earlier one."""
        if trouble is not None:
            self.last_error = trouble
        if period != self._period:
            return  # what began before the state changed says nothing about it
        if self.state is CircuitState.CLOSED:
            self._count(trouble)
        elif trouble is None:
            self._pause = self._settings.pause
            self._change(CircuitState.CLOSED)
        else:
            self._pause = min(self._settings.longest_pause, 2 * self._pause)
            self._open()

    def _count(self, trouble: ProviderError | None) -> None:
        if self._clock.seconds() >= self._window_ends:
            self._next_window()
        self._calls += 1
        if trouble is None:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        self._failed += 1
        calls = self._calls + self._calls_before
        failed = self._failed + self._failed_before
        too_many = calls >= self._settings.least_calls and failed >= self._settings.ratio * calls
        if too_many or self._in_a_row >= self._settings.failures:
            self._open()

    def _next_window(self) -> None:
        now = self._clock.seconds()
        recent = now < self._window_ends + self._settings.window
        self._calls_before = self._calls if recent else 0
        self._failed_before = self._failed if recent else 0
        self._calls = self._failed = 0
        self._window_ends = now + self._settings.window

    def _open(self) -> None:
        now = self._clock.seconds()
        self._closed_to = now + self._pause
        if self.state is CircuitState.CLOSED:
            self._down_since = now
        self._change(CircuitState.OPEN)

    def _may_probe(self) -> bool:
        if self.state is CircuitState.OPEN and self._clock.seconds() >= self._closed_to:
            self._change(CircuitState.HALF_OPEN)
        now = self._clock.seconds()
        if self.state is not CircuitState.HALF_OPEN or now < self._next_probe:
            return False
        # Should this one never be answered, another may follow.
        self._next_probe = now + self._settings.longest_pause
        return True

    def _change(self, state: CircuitState) -> None:
        self.state = state
        self._period += 1
        self._next_probe = 0.0
        self._in_a_row = 0
        self._calls = self._failed = self._calls_before = self._failed_before = 0
        self._tell()
        for observer in self._observers:
            observer(state, self.last_error)

    def _tell(self) -> None:
        error = self.last_error
        if self.state is CircuitState.OPEN and error is not None:
            self._troubles.failed(error.operation, error)
            self._log.debug(
                "{provider} is left alone for {seconds:g} seconds",
                provider=self.name,
                seconds=self._pause,
            )

    def _refusal(self, operation: str) -> CircuitOpen:
        error = self.last_error
        cause = f"it is left alone for a while, because {error}"
        remedy = error.remedy if error is not None else ""
        refusal = CircuitOpen(self.name, operation, cause, remedy)
        now = self._clock.seconds()
        if now < self._down_since + self._settings.patience:
            opens = self._closed_to - now if self.state is CircuitState.OPEN else PROBING_SECONDS
            refusal.probe_in = opens
        return refusal
