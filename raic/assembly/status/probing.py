"""Noticing that a provider is away although nobody uses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from raic.assembly.members import MemberStack
from raic.deferreds import async_to_deferred
from raic.errors import ObjectNotFound, ProviderError, ProviderTimedOut
from raic.interfaces import IStorageProvider
from raic.values import Space

LOOK_SECONDS = 2.0
"""How often it is seen whether a provider gave signs of life by itself, which costs nothing."""

INTERVAL_SECONDS = 10.0
"""How long after the last sign of life a provider is asked for one."""

AGAIN_SECONDS = 1.5
"""How soon it is asked again when there was none: one lost packet says nothing."""

ANSWER_SECONDS = 5.0
"""How long it may take."""

NOT_ASKED = frozenset({"get_space", "start"})
"""Operations that succeed, or are made again and again, whoever uses the provider: a cloud answers
the first without a request."""

NO_OBJECT = "probe/nothing"
"""The key of no object: to be told so costs the cheapest of requests, wherever it is."""


class Probe:
    """Asks one provider for a sign of life, whenever it has given none by itself for a while.

    A folder is asked for its space, which costs nothing and tells how much there is; a cloud for an
    object that is not there.  A call that succeeded meanwhile is as good.

    :ivar answered: when the provider last answered something; None when it never did.
    :ivar problem: what is wrong with it: it failed twice in a row; None when nothing is.
    :ivar space: what a folder told last.
    """

    _log = Logger()

    def __init__(self, member: MemberStack, clock: IReactorTime, away: Callable[[], bool]) -> None:
        self.name = member.settings.name
        self._member = member
        self._away = away
        self._clock = clock
        self._next: IDelayedCall | None = None
        self._asking: Deferred[None] | None = None
        self._successes = 0
        self._ask_at = 0.0
        self._suspect = False
        self.answered: float | None = None
        self.problem: ProviderError | None = None
        self.space: Space | None = None

    def start(self) -> None:
        """Ask from now on."""
        self._begin()

    def stop(self) -> None:
        """Ask no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()

    def _begin(self) -> None:
        self._asking = self._once()

    @async_to_deferred
    async def _once(self) -> None:
        """One sign of life, and the call for the next; never fails."""
        try:
            pause = await self._look()
        except CancelledError:
            return
        self._next = self._clock.callLater(pause, self._begin)

    async def _look(self) -> float:
        """See how it is; returns how long until the next time."""
        if self._away():
            return LOOK_SECONDS
        successes = self._count_successes()
        used, self._successes = successes > self._successes, successes
        if used and not self._is_local() and self.problem is None:
            self._is_well()
        early = self._ask_at - self._clock.seconds()
        if early > 0:
            return min(LOOK_SECONDS, early)
        try:
            await self._ask()
        except ObjectNotFound:
            self._is_well()
        except ProviderError as error:
            return self._did_not(error)
        else:
            self._is_well()
        return LOOK_SECONDS

    def _is_local(self) -> bool:
        return self._member.settings.cloud is None

    def _ask(self) -> Deferred[Any]:
        provider = self._provider()
        if self._is_local():
            asking: Deferred[Any] = provider.get_space().addCallback(self._note_space)
        else:
            asking = provider.get_object(NO_OBJECT, 0, 1)

        def timed_out(_: object, seconds: float) -> None:
            detail = f"no answer within {seconds:.0f} s"
            raise ProviderTimedOut(self.name, "probe", detail)

        return asking.addTimeout(ANSWER_SECONDS, self._clock, timed_out)

    def _provider(self) -> IStorageProvider:
        """Below the retries, which would wait; above the circuit, which learns from it."""
        layers = self._member.layers
        return layers.circuit or self._member.untagged

    def _note_space(self, space: Space) -> None:
        self.space = space

    def _is_well(self) -> None:
        self.answered = self._clock.seconds()
        self._ask_at = self.answered + INTERVAL_SECONDS
        self._suspect = False
        if self.problem is not None:
            self.problem = None
            self._log.info("{provider} gives signs of life again", provider=self.name)

    def _did_not(self, error: ProviderError) -> float:
        if not self._suspect and self.problem is None:
            self._suspect = True
            return AGAIN_SECONDS
        if self.problem is None:
            self._log.warn(
                "{provider} gives no sign of life: {error}; {remedy}",
                provider=self.name,
                operation="probe",
                error=error,
                remedy=error.remedy,
            )
        self.problem = error
        self._ask_at = self._clock.seconds() + INTERVAL_SECONDS
        return LOOK_SECONDS

    def _count_successes(self) -> int:
        observation = self._member.layers.observation
        if observation is None:
            return 0
        operations = observation.snapshot().operations.items()
        return sum(
            each.calls - sum(each.errors.values())
            for name, each in operations
            if name not in NOT_ASKED
        )
