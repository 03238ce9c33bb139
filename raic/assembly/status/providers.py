"""How the providers of a server are doing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from attrs import frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from raic.assembly.members import MemberStack
from raic.assembly.stack import ProviderStack
from raic.assembly.status.history import History, Key, total
from raic.assembly.status.probing import GONE_SECONDS, NOT_ASKED, SILENT_SECONDS, Probe
from raic.backends.array.drill import GONE
from raic.backends.array.maintenance import ArrayStatus, MemberStatus
from raic.backends.layers.circuit import CircuitState
from raic.errors import ProviderError, RaicError
from raic.interfaces import IReach
from raic.status import (
    Certification,
    OperationSummary,
    ProviderSpace,
    ProviderSummary,
)
from raic.status.hiding import without_indexes
from raic.status.values import AWAY, FAILING, SLOW, WELL
from raic.tally import OperationFigures

PROVIDER = "provider"
"""The first part of the keys of providers' figures."""

_SHAKY = {
    FAILING: "it failed lately, or what it answered was wrong",
    SLOW: "it answers more slowly than the others",
}
_WATCH = "nothing, unless it lasts: reads go around it, and what it lacks is made anew"


@frozen
class Health:
    """How a provider is.

    :ivar state: see ``ProviderSummary.health``.
    """

    state: str
    problem: str = ""
    remedy: str = ""


@implementer(IReach)
class Providers:
    """Watches the providers of one server.

    :param away: why the only provider could not be started yet; None when it was.
    """

    def __init__(
        self,
        stack: ProviderStack,
        history: History,
        clock: IReactorTime,
        away: Callable[[], BaseException | None],
    ) -> None:
        self._stack = stack
        self._history = history
        self._clock = clock
        self._why_away = away
        self._probes: dict[str, Probe] = {}
        self._since: dict[str, tuple[str, float]] = {}
        self._running = False

    def start(self) -> None:
        """Ask those that are not used for signs of life from now on."""
        self._running = True
        self._watch()

    def stop(self) -> None:
        """Ask no more."""
        self._running = False
        for probe in self._probes.values():
            probe.stop()

    def answers(self) -> bool:
        """Whether as many answer as a write needs, as far as is known; see
        :class:`raic.interfaces.IReach`.
        """
        return self._enough_within(SILENT_SECONDS)

    def is_gone(self) -> bool:
        """See :class:`raic.interfaces.IReach`."""
        return not self._enough_within(GONE_SECONDS)

    def _enough_within(self, seconds: float) -> bool:
        """Whether no more than can be spared owe an answer for so long."""
        array = self._stack.array
        least = 1 if array is None else array.array.happy
        there = 0
        for name in self._members():
            probe = self._probes.get(name)
            there += not (self._is_away(name) or (probe is not None and probe.is_silent(seconds)))
        return there >= least

    def ask(self) -> Deferred[bool]:
        """See :class:`raic.interfaces.IReach`.  An array goes around a member that is silent."""
        if self._stack.array is not None:
            return succeed(self.answers())
        (probe,) = self._probes.values()
        return probe.ask()

    def figures(self) -> Mapping[Key, OperationFigures]:
        """The figures of all operations of all of them."""
        return {
            (PROVIDER, name, operation): figures
            for name, member in self._members().items()
            if member.layers.observation is not None
            for operation, figures in member.layers.observation.snapshot().operations.items()
        }

    def writable(self) -> int:
        """How many can be written to, as far as is known."""
        return sum(self._reachable(name).state not in (AWAY, FAILING) for name in self._members())

    def healths(self) -> dict[str, Health]:
        """How each is, without what an array thinks of it."""
        return {name: self._reachable(name) for name in self._members()}

    def health(self, member: MemberStatus) -> Health | None:
        """How a member of the array is; None if nothing is known of it."""
        return self._health(member.name, member) if member.name in self._members() else None

    def summaries(
        self,
        status: ArrayStatus | None,
        spaces: Mapping[str, ProviderSpace],
        certified: Mapping[str, Certification],
    ) -> tuple[ProviderSummary, ...]:
        """How each is, in the order of the configuration.

        :param status: of the array.
        :param spaces: what is known of the space that each takes, by name.
        """
        self._watch()
        members = {} if status is None else {each.name: each for each in status.members}
        stacks = self._members()
        return tuple(
            self._summary(
                name,
                stacks[name],
                members.get(name),
                spaces.get(name, ProviderSpace()),
                certified.get(name),
            )
            for name in (members or stacks)
            if name in stacks
        )

    def space(self, name: str) -> ProviderSpace:
        """What the provider itself told of its space, if it did."""
        probe = self._probes.get(name)
        told = None if probe is None else probe.space
        if told is None:
            return ProviderSpace()
        return ProviderSpace(used=told.used, available=told.available)

    def _members(self) -> dict[str, MemberStack]:
        array = self._stack.array
        if array is None:
            return {each.settings.name: each for each in self._stack.members}
        present = [each.name for each in array.array.members()]
        return {name: array.stacks[name] for name in present if name in array.stacks}

    def _watch(self) -> None:
        """Have a probe for each that is there, and for no other."""
        members = self._members()
        for name in self._probes.keys() - members.keys():
            self._probes.pop(name).stop()
        for name in members.keys() - self._probes.keys():
            probe = Probe(members[name], self._clock, partial(self._is_away, name))
            self._probes[name] = probe
            if self._running:
                probe.start()

    def _is_away(self, name: str) -> bool:
        return self._away(name) is not None

    def _away(self, name: str) -> BaseException | None:
        """Why it could not be started yet."""
        array = self._stack.array
        return (None if array is None else array.array.membership.missing().get(name)) or (
            self._why_away() if array is None else None
        )

    def _reachable(self, name: str) -> Health:
        """How it is, without what an array thinks of it."""
        away = self._away(name)
        if away is not None:
            return Health(AWAY, *_told(away))
        array = self._stack.array
        if array is not None and name in array.drills and array.drills[name].how == GONE:
            return Health(FAILING, "a drill pretends that it is gone", "raic drill --end")
        probe = self._probes.get(name)
        trouble = None if probe is None else probe.trouble()
        if trouble is not None:
            return Health(FAILING, *_told(trouble))
        circuit = self._members()[name].layers.circuit
        if circuit is not None and circuit.state is not CircuitState.CLOSED:
            return Health(FAILING, *_told(circuit.last_error))
        return Health(WELL)

    def _health(self, name: str, member: MemberStatus | None) -> Health:
        health = self._reachable(name)
        if health.state != WELL or member is None or member.state not in _SHAKY:
            return health
        return Health(member.state, _SHAKY[member.state], _WATCH)

    def _summary(
        self,
        name: str,
        stack: MemberStack,
        member: MemberStatus | None,
        space: ProviderSpace,
        certified: Certification | None,
    ) -> ProviderSummary:
        health, layers = self._health(name, member), stack.layers
        figures = {key: each for key, each in self.figures().items() if key[1] == name}
        telling = [key for key in figures if key[2] not in NOT_ASKED]
        rates, summed = self._history.rates(telling), total(figures[key] for key in telling)
        probe = self._probes.get(name)
        observation = layers.observation
        return ProviderSummary(
            name=name,
            kind=stack.settings.kind,
            health=health.state,
            since=self._note(name, health.state),
            problem=health.problem,
            remedy=health.remedy,
            circuit=None if layers.circuit is None else layers.circuit.state.value,
            answered=None if probe is None else probe.answered,
            latency=rates.latency,
            up=rates.up,
            down=rates.down,
            calls=summed.calls,
            errors=summed.errors,
            requests=None if observation is None else observation.snapshot().requests,
            recent=self._history.recent(telling),
            operations=tuple(
                operation_summary(self._history, key, each, key[2], "")
                for key, each in sorted(figures.items(), key=str)
            ),
            space=space,
            certified=certified,
            numbers=() if member is None else member.numbers,
            held=None if member is None else member.held,
            missing=0 if member is None else member.missing,
        )

    def _note(self, name: str, state: str) -> float:
        """Since when it has been so."""
        known = self._since.get(name)
        if known is None or known[0] != state:
            known = self._since[name] = (state, self._clock.seconds())
        return known[1]


def operation_summary(
    history: History, key: Key, figures: OperationFigures, name: str, dialect: str
) -> OperationSummary:
    """What happened in one operation."""
    rates = history.rates([key])
    return OperationSummary(
        name=name,
        dialect=dialect,
        calls=figures.calls,
        errors=figures.errors,
        in_flight=figures.in_flight,
        seconds=figures.seconds,
        buckets=figures.latencies,
        bytes_up=figures.bytes_up,
        bytes_down=figures.bytes_down,
        per_second=rates.calls,
        latency=rates.latency,
    )


def _told(error: BaseException | None) -> tuple[str, str]:
    if error is None:
        return "it does not answer", ProviderError.remedy
    text = error.detail if isinstance(error, ProviderError) else str(error)
    return without_indexes(text), error.remedy if isinstance(error, RaicError) else ""
