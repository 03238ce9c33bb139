"""Saying once what a provider is in trouble with, and once when that is over."""

from __future__ import annotations

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from raic.errors import (
    KeyTaken,
    ObjectCorrupt,
    ObjectNotFound,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    ProviderUnreachable,
)

AWAY = (ProviderUnreachable, ProviderTimedOut, ProviderBusy, OutcomeUnknown)
"""What a provider that is down or overloaded fails with: one trouble, however it shows.

Every other ``ProviderError`` is an answer: there is no such object, the key is taken, there is no
space, the bytes are corrupt.  So are ``AccessDenied`` and ``StorageUnusable``: they come quickly,
for every call, with an exact remedy, which an open circuit would hide behind "unreachable".
"""

OF_OBJECTS = (ObjectNotFound, ObjectCorrupt, KeyTaken)
"""What is wrong with an object: that another one is in order says nothing of it."""

UNASKED = frozenset({"get_space", "start", "write"})
"""Operations that may succeed although a provider that is away was not asked."""

_WRITES = frozenset({"put_object", "finish", "delete_objects"})

REMINDER_SECONDS = 600.0
"""How often it is said again that a trouble lasts."""

CALM_SECONDS = 5.0
LONGEST_CALM_SECONDS = 600.0
"""A trouble is over with the first success so long after the last failure; twice as long each time
that it came back within ten minutes, so that one which comes and goes is one trouble.
"""


@define
class _Trouble:
    """One that lasts.

    :ivar operations: what failed by it.
    """

    since: float
    told: float
    last: float
    calm: float
    operations: set[str] = field(factory=set)
    failures: int = 1

    def is_ended_by(self, operation: str, kind: str) -> bool:
        """Whether the success of an operation says that it is over."""
        if kind != "away":
            return operation in self.operations
        if operation in UNASKED:
            return False
        writes = self.operations & _WRITES
        return bool(writes if operation in _WRITES else self.operations - writes)


@define
class _Silence:
    """A kind of failure that was told a moment ago.

    :ivar unsaid: how many more there were since.
    """

    until: float
    unsaid: int = 0


class Troubles:
    """Tells of one provider's troubles, whoever notices them.

    To be away is one trouble, however it shows, and over when a read or a listing succeeds, or,
    where only writes failed, a write.  Every other kind of error is one of its own, and over when
    an operation succeeds that failed by it.  What is wrong with single objects is told
    once in an interval for each kind and operation.

    :param provider: its name.
    :param interval: in seconds.
    """

    _log = Logger()

    def __init__(self, provider: str, clock: IReactorTime, interval: float = 60.0) -> None:
        self._provider = provider
        self._clock = clock
        self._interval = interval
        self._silences: dict[tuple[str, str], _Silence] = {}
        self._over: dict[str, tuple[float, float]] = {}  # when, and how long it had to be calm
        self._lasting: dict[str, _Trouble] = {}

    def failed(self, operation: str, error: ProviderError) -> None:
        """An operation failed."""
        now = self._clock.seconds()
        if isinstance(error, OF_OBJECTS):
            self._of_object(operation, error, now)
            return
        kind = "away" if isinstance(error, AWAY) else type(error).__name__
        trouble = self._lasting.get(kind)
        level, more = LogLevel.debug, ""
        if trouble is None:
            trouble = self._lasting[kind] = _Trouble(now, now, now, self._calm(kind, now))
            level = LogLevel.warn
        else:
            trouble.failures += 1
            trouble.last = now
            if now - trouble.told >= REMINDER_SECONDS:
                trouble.told = now
                minutes = (now - trouble.since) / 60
                level, more = LogLevel.warn, f" ({trouble.failures} times in {minutes:.0f} minutes)"
        trouble.operations.add(operation)
        self._say(level, operation, error, more)

    def succeeded(self, operation: str) -> None:
        """An operation succeeded; costs next to nothing while there is no trouble."""
        if self._lasting:
            self._end_what_is_over(operation, self._clock.seconds())

    def _end_what_is_over(self, operation: str, now: float) -> None:
        for kind, trouble in list(self._lasting.items()):
            if not trouble.is_ended_by(operation, kind) or now - trouble.last < trouble.calm:
                continue
            del self._lasting[kind]
            self._over[kind] = (now, trouble.calm)
            self._log.info(
                "{provider} answers again: {operation} succeeded (failures: {count} in"
                " {seconds:.0f} seconds)",
                provider=self._provider,
                operation=operation,
                seconds=now - trouble.since,
                count=trouble.failures,
            )

    def _calm(self, kind: str, now: float) -> float:
        over, calm = self._over.get(kind, (-REMINDER_SECONDS, 0.0))
        if now - over >= REMINDER_SECONDS:
            return CALM_SECONDS
        return min(2 * calm, LONGEST_CALM_SECONDS)

    def _of_object(self, operation: str, error: ProviderError, now: float) -> None:
        kind = (operation, type(error).__name__)
        silence = self._silences.get(kind)
        if silence is not None and now < silence.until:
            silence.unsaid += 1
            self._say(LogLevel.debug, operation, error, "")
            return
        self._silences[kind] = _Silence(now + self._interval)
        more = f" ({silence.unsaid} more like it before)" if silence and silence.unsaid else ""
        self._say(LogLevel.warn, operation, error, more)

    def _say(self, level: object, operation: str, error: ProviderError, more: str) -> None:
        self._log.emit(
            level,  # type: ignore[arg-type]
            "{kind}: {error}{more}; {remedy}",
            kind=type(error).__name__,
            provider=self._provider,
            operation=operation,
            error=error,
            more=more,
            remedy=error.remedy or "nothing needs doing",
        )
