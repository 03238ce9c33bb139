"""Starting the members of an array, and those again that did not start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from raic.backends.array.acknowledging import Acknowledgement, Waiting
from raic.backends.array.members import Member
from raic.backends.array.settings import ArraySettings
from raic.backends.array.unwritten import too_few, translated
from raic.errors import ProviderError, ProviderTimedOut, ProviderUnreachable


class Starter:
    """Starts members until each has been started once.

    :param needed: how many must stand before the array does.
    """

    _log = Logger()

    def __init__(
        self,
        name: str,
        members: Sequence[Member],
        needed: int,
        clock: IReactorTime,
        settings: ArraySettings,
    ) -> None:
        self._name = name
        self._members = members
        self._needed = needed
        self._clock = clock
        self._settings = settings
        self._running = False
        self._waiting: Acknowledgement | None = None
        self._errors: dict[str, ProviderError] = {}
        self._retries: dict[str, Any] = {}
        self._forgotten: set[str] = set()
        self._awaited = {member.name for member in members}
        self._calls: dict[str, list[Callable[[], None]]] = {}

    @property
    def errors(self) -> dict[str, ProviderError]:
        """Why members do not stand yet, by name."""
        return dict(self._errors)

    def stands(self, name: str) -> bool:
        """Whether a member has been started, by this or before."""
        return name not in self._awaited

    def why_not(self, name: str) -> ProviderError | None:
        """Why a member does not stand yet; None if it does."""
        if self.stands(name):
            return None
        return self._errors.get(name) or ProviderUnreachable(
            name, "start", "it has not been started yet"
        )

    def when_it_stands(self, name: str, function: Callable[[], None]) -> None:
        """Call as soon as a member that does not stand has been started."""
        self._calls.setdefault(name, []).append(function)

    def start(self) -> Deferred[None]:
        """Start all members at once.

        :return: fires when all have answered, or a little after enough stand; the others are
            started again and again.  Fails when too few stand, with one error for all of them.
        """
        self._running = True
        settings = self._settings
        waiting = self._waiting = Acknowledgement(
            range(len(self._members)),
            self._needed,
            self._clock,
            Waiting(settings.start_grace, settings.straggler_seconds, settings.write_seconds),
        )
        for number in range(len(self._members)):
            self._begin(number, settings.first_retry)
        return waiting.wait().addCallback(self._begun, waiting)

    def forget(self, name: str) -> None:
        """Do not start this member any more."""
        self._forgotten.add(name)
        self._errors.pop(name, None)
        self._calls.pop(name, None)
        call = self._retries.pop(name, None)
        if call is not None:
            call.cancel()

    def stop(self) -> None:
        """Start nobody any more."""
        self._running = False
        self._calls.clear()
        retries, self._retries = self._retries, {}
        for call in retries.values():
            call.cancel()

    def _begin(self, number: int, pause: float) -> None:
        member = self._members[number]
        self._retries.pop(member.name, None)
        starting = maybeDeferred(member.provider.start)
        starting.addCallbacks(
            self._stands, self._failed, callbackArgs=(number,), errbackArgs=(number, pause)
        )

    def _stands(self, _: None, number: int) -> Any:
        member = self._members[number]
        if not self._running:
            return member.provider.stop()  # it was stopped before it had started
        if self._errors.pop(member.name, None) is not None:
            self._log.info("{array}: {member} has started", array=self._name, member=member.name)
        self._awaited.discard(member.name)
        assert self._waiting is not None
        self._waiting.succeed(number)
        for function in self._calls.pop(member.name, ()):
            function()
        return None

    def _failed(self, failure: Failure, number: int, pause: float) -> None:
        member = self._members[number]
        error = translated(member.name, "start", failure)
        if not self._running or member.name in self._forgotten:
            return
        known = self._errors.get(member.name)
        if known is None or type(known) is not type(error):
            self._log.warn(
                "{array}: {member} does not start; the others go on, and it is tried again:"
                " {error}; {remedy}",
                array=self._name,
                member=member.name,
                error=error,
                remedy=error.remedy,
            )
        self._errors[member.name] = error
        longer = min(2 * pause, self._settings.last_retry)
        self._retries[member.name] = self._clock.callLater(pause, self._begin, number, longer)
        assert self._waiting is not None
        self._waiting.fail(number, error)

    def _begun(self, enough: bool, waiting: Acknowledgement) -> None:
        if enough:
            return
        self.stop()
        errors = {self._members[number].name: error for number, error in waiting.errors.items()}
        for number in waiting.pending:
            name = self._members[number].name
            errors[name] = ProviderTimedOut(name, "start", "no answer in time")
        for number in waiting.done:
            self._members[number].provider.stop()
        total = len(self._members)
        what = f"fewer than {self._needed} of {total} providers could be started"
        raise too_few(self._name, "start", what, errors, total - self._needed)
