"""Noticing that a provider is away although nobody uses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from raic.assembly.members import MemberStack
from raic.backends.layers.circuit import CircuitState
from raic.backends.layers.troubles import Troubles
from raic.deferreds import async_to_deferred
from raic.errors import ObjectNotFound, ProviderError, ProviderTimedOut
from raic.values import Space

LOOK_SECONDS = 2.0
"""How often it is seen whether a provider gave signs of life by itself, which costs nothing."""

INTERVAL_SECONDS = 10.0
"""How long after the last sign of life a provider is asked for one."""

AGAIN_SECONDS = 1.5
"""How soon it is asked again when there was none: one lost packet says nothing."""

SOON_SECONDS = 3.0
SOON_FOR = 60.0
"""How often, and for how long, a provider is asked that gives no sign of life; then less often."""

ANSWER_SECONDS = 5.0
"""How long it may take."""

SILENT_SECONDS = 4.0
"""A provider that owes an answer for longer is given nothing new to store."""

GONE_SECONDS = 20.0
"""Nobody is made to wait for one that owes an answer for longer."""

FRESH_SECONDS = 1.0
"""An answer so young says that the provider is there."""

WAITED_SECONDS = 0.5
"""How soon it is asked again while somebody waits for it."""

NOT_ASKED = frozenset({"get_space", "start"})
"""Operations that succeed, or are made again and again, whoever uses the provider: a cloud answers
the first without a request."""

BUFFERED = frozenset({"write"})
"""Operations that may succeed before the provider is asked."""

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

    def __init__(self, member: MemberStack, clock: IReactorTime, away: Callable[[], bool]) -> None:
        self.name = member.settings.name
        self._member = member
        self._troubles = member.layers.troubles or Troubles(self.name, clock)
        self._away = away
        self._clock = clock
        self._running = False
        self._next: IDelayedCall | None = None
        self._asking: Deferred[None] | None = None
        self._successes = 0
        self._ask_at = 0.0
        self._suspect = False
        self._owing: float | None = None  # since when it owes an answer
        self._lapse: IDelayedCall | None = None
        self._waiting: list[Deferred[bool]] = []
        self.answered: float | None = None
        self.problem: ProviderError | None = None
        self.space: Space | None = None

    def start(self) -> None:
        """Ask from now on."""
        self._running = True
        self._begin()

    def stop(self) -> None:
        """Ask no more."""
        self._running = False
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
        self._owe_nothing()
        self._tell(False)

    def is_silent(self, seconds: float = SILENT_SECONDS) -> bool:
        """Whether it owes an answer for so long; then it should be given nothing to store."""
        if self._owing is None:
            return False
        return self._clock.seconds() - self._owing >= seconds

    def trouble(self) -> ProviderError | None:
        """What is wrong with it, or may be: :attr:`problem`, or that it is silent."""
        if self.problem is not None or not self.is_silent():
            return self.problem
        return ProviderTimedOut(self.name, "probe", f"no answer for {SILENT_SECONDS:.0f} s")

    def ask(self) -> Deferred[bool]:
        """Whether it is there: at once if that is known, else by asking it.

        :return: fires within some seconds; never fails.
        """
        if self.is_silent():
            return succeed(False)
        if not self._running or self._is_local() or self._is_fresh():
            return succeed(True)
        waiting: Deferred[bool] = Deferred()
        self._waiting.append(waiting)
        self._ask_at = 0.0
        if self._next is not None and self._next.active():
            self._next.cancel()
            self._begin()
        return waiting

    def _is_fresh(self) -> bool:
        if self._owing is not None or self.problem is not None:
            return False
        if self._count_successes() > self._successes:
            return True
        return self.answered is not None and self._clock.seconds() - self.answered < FRESH_SECONDS

    def _begin(self) -> None:
        self._asking = self._once()

    @async_to_deferred
    async def _once(self) -> None:
        """One sign of life, and the call for the next; never fails."""
        try:
            pause = await self._look()
        except CancelledError:
            return
        if self._running:
            self._next = self._clock.callLater(pause, self._begin)

    async def _look(self) -> float:
        """See how it is; returns how long until the next time."""
        if self._away():
            self._owe_nothing()
            self._tell(False)
            return LOOK_SECONDS
        successes = self._count_successes()
        used, self._successes = successes > self._successes, successes
        if used and not self._is_local() and self.problem is None:
            self._is_well()
        early = self._ask_at - self._clock.seconds()
        if early > 0:
            return min(LOOK_SECONDS, early)
        self._owe()
        try:
            await self._ask()
        except ObjectNotFound:
            self._is_well()
        except ProviderError as error:
            return self._did_not(error)
        else:
            self._is_well()
        return LOOK_SECONDS

    def _owe(self) -> None:
        if self._owing is None:
            self._owing = self._clock.seconds()
            self._lapse = self._clock.callLater(SILENT_SECONDS, self._tell, False)

    def _owe_nothing(self) -> None:
        self._owing = None
        if self._lapse is not None and self._lapse.active():
            self._lapse.cancel()

    def _tell(self, is_there: bool) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(is_there)

    def _is_local(self) -> bool:
        return self._member.settings.cloud is None

    def _ask(self) -> Deferred[Any]:
        """Ask beside the limits, behind which others wait, and below the retries, which would wait
        too; but by the circuit, which learns from it, unless somebody waits: asked as often as
        then, it would open for longer than he does.
        """
        layers = self._member.layers
        if self._is_local():
            return (
                (layers.circuit or self._member.untagged).get_space().addCallback(self._note_space)
            )
        circuit = layers.circuit
        if circuit is None or (self._waiting and circuit.state is CircuitState.CLOSED):
            return self._ask_cloud()
        return circuit.call("get_object", 1, self._ask_cloud)

    def _ask_cloud(self) -> Deferred[bytes]:
        provider = self._member.layers.timeout or self._member.leaf
        asking = provider.get_object(NO_OBJECT, 0, 1)

        def timed_out(_: object, seconds: float) -> NoReturn:
            detail = f"no answer within {seconds:.0f} s"
            raise ProviderTimedOut(self.name, "probe", detail)

        return asking.addTimeout(ANSWER_SECONDS, self._clock, timed_out)

    def _note_space(self, space: Space) -> None:
        self.space = space

    def _is_well(self) -> None:
        self.answered = self._clock.seconds()
        self._ask_at = self.answered + INTERVAL_SECONDS
        self._suspect = False
        self._owe_nothing()
        self._tell(True)
        if self.problem is not None:
            self.problem = None
        self._troubles.succeeded("probe")

    def _did_not(self, error: ProviderError) -> float:
        now = self._clock.seconds()
        owing = 0.0 if self._owing is None else now - self._owing
        if self.problem is None and (not self._suspect or owing < AGAIN_SECONDS):
            self._suspect = True
            return WAITED_SECONDS if self._waiting else AGAIN_SECONDS
        self._troubles.failed("probe", error)
        self.problem = error
        if self._waiting:
            return WAITED_SECONDS
        self._ask_at = now + (SOON_SECONDS if owing < SOON_FOR else INTERVAL_SECONDS)
        return LOOK_SECONDS

    def _count_successes(self) -> int:
        observation = self._member.layers.observation
        if observation is None:
            return 0
        operations = observation.snapshot().operations.items()
        return sum(
            each.calls - sum(each.errors.values())
            for name, each in operations
            if name not in NOT_ASKED | BUFFERED
        )
