"""A vocabulary for what can go wrong with a provider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, fail

from raic.errors import OutcomeUnknown, ProviderError, ProviderUnreachable

READS = frozenset({"get_object", "stream_object", "read_now"})
WRITES = frozenset({"put_object", "finish"})
OPERATIONS = READS | WRITES | {"start", "write", "list_objects", "delete_objects", "get_space"}


@frozen
class Call:
    """A call on its way to the inner provider.

    :ivar forward: makes the call.
    :ivar delete: deletes the object that it is about.
    """

    provider: str
    operation: str
    forward: Callable[[], Deferred[Any]]
    delete: Callable[[], Deferred[Any]]

    def refuse(self, kind: type[ProviderError]) -> Deferred[Any]:
        """What a failed call answers."""
        return fail(kind(self.provider, self.operation, "as the fault plan says"))


Fault: TypeAlias = Callable[[Call], Deferred[Any]]


class Gate:
    """Holds calls until :meth:`release`.

    :ivar waiting: how many it holds.
    """

    def __init__(self) -> None:
        self._open = False
        self._held: list[Deferred[None]] = []

    @property
    def waiting(self) -> int:
        """How many calls are held."""
        return len(self._held)

    def release(self) -> None:
        """Let go of what is held, and hold nothing from now on."""
        self._open = True
        held, self._held = self._held, []
        for call in held:
            call.callback(None)

    def passed(self) -> Deferred[None]:
        """Fires once the gate is open."""
        waiting: Deferred[None] = Deferred()
        if self._open:
            waiting.callback(None)
        else:
            self._held.append(waiting)
        return waiting


@frozen
class Alteration:
    """A fault of what is read.

    :ivar alter: called with the position of a piece in what was asked for, and the piece.
    """

    alter: Callable[[int, bytes], bytes]

    def __call__(self, call: Call) -> Deferred[Any]:
        """Alter the whole answer of a call."""
        return call.forward().addCallback(lambda data: self.alter(0, data))


@define
class _Rule:
    operation: str
    fault: Fault
    skip: int
    times: int | None
    chance: float = 1.0


@define
class FaultPlan:
    """What goes wrong, and when.  Empty, nothing does.

    Every method takes an operation: a method of ``IStorageProvider``, ``read_now``, or of an
    upload ``write`` or ``finish``.  The fault strikes the ``nth`` call from now, and ``times``
    calls in all; None for ever after.

    :ivar calls: how often each operation was called.
    """

    seed: int = 0
    calls: Counter[str] = field(factory=Counter, init=False)
    _rules: list[_Rule] = field(factory=list, init=False)
    _random: Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        # Repeatable on purpose: it decides what a test does, and no secret.
        self._random = Random(self.seed)  # noqa: S311

    def fail(
        self,
        operation: str,
        kind: type[ProviderError] = ProviderUnreachable,
        nth: int = 1,
        times: int | None = 1,
    ) -> None:
        """The call fails and does nothing."""
        self._add(operation, lambda call: call.refuse(kind), nth, times)

    def sometimes(
        self, operation: str, chance: float, kind: type[ProviderError] = ProviderUnreachable
    ) -> None:
        """Each call fails with this probability and does nothing."""
        self._add(operation, lambda call: call.refuse(kind), 1, None, chance=chance)

    def hang(self, operation: str, nth: int = 1, times: int | None = 1) -> Gate:
        """The call is made only when the gate opens."""
        gate = Gate()

        def held(call: Call) -> Deferred[Any]:
            return gate.passed().addCallback(lambda _: call.forward())

        self._add(operation, held, nth, times)
        return gate

    def lose_answer(self, operation: str, nth: int = 1, times: int | None = 1) -> None:
        """The write is done, but its outcome is unknown."""

        def lost(call: Call) -> Deferred[Any]:
            return call.forward().addCallback(lambda _: call.refuse(OutcomeUnknown))

        self._add(operation, lost, nth, times, among=WRITES)

    def land_later(self, operation: str, nth: int = 1, times: int | None = 1) -> Gate:
        """The outcome of the write is unknown; it is done when the gate opens."""
        gate = Gate()

        def late(call: Call) -> Deferred[Any]:
            landing = gate.passed().addCallback(lambda _: call.forward())
            landing.addErrback(lambda _: None)  # nobody waits for it any more
            return call.refuse(OutcomeUnknown)

        self._add(operation, late, nth, times, among=WRITES)
        return gate

    def forget(self, operation: str, nth: int = 1, times: int | None = 1) -> None:
        """The write succeeds, and the object is gone at once."""

        def forgotten(call: Call) -> Deferred[Any]:
            def stored(answer: object) -> Deferred[Any]:
                return call.delete().addCallback(lambda _: answer)

            return call.forward().addCallback(stored)

        self._add(operation, forgotten, nth, times, among=WRITES)

    def truncate(self, operation: str, keep: int, nth: int = 1, times: int | None = 1) -> None:
        """Only the first ``keep`` bytes of what is read arrive."""
        alteration = Alteration(lambda at, piece: piece[: max(0, keep - at)])
        self._add(operation, alteration, nth, times, among=READS)

    def corrupt(self, operation: str, position: int, nth: int = 1, times: int | None = 1) -> None:
        """A bit of the byte at this position of what is read arrives wrong."""

        def flip(at: int, piece: bytes) -> bytes:
            if not at <= position < at + len(piece):
                return piece
            flipped = bytearray(piece)
            flipped[position - at] ^= 1
            return bytes(flipped)

        self._add(operation, Alteration(flip), nth, times, among=READS)

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self._rules.clear()

    def next_fault(self, operation: str) -> Fault | None:
        """What goes wrong with a call that is about to be made."""
        self.calls[operation] += 1
        for rule in self._rules:
            if rule.operation != operation:
                continue
            if rule.skip:
                rule.skip -= 1
            elif self._strikes(rule):
                return rule.fault
        return None

    def _strikes(self, rule: _Rule) -> bool:
        if rule.times == 0 or (rule.chance < 1.0 and self._random.random() >= rule.chance):
            return False
        if rule.times is not None:
            rule.times -= 1
        return True

    def _add(
        self,
        operation: str,
        fault: Fault,
        nth: int,
        times: int | None,
        *,
        among: frozenset[str] = OPERATIONS,
        chance: float = 1.0,
    ) -> None:
        if operation not in among or nth < 1:
            raise ValueError(f"this cannot happen to call {nth} of {operation}")
        self._rules.append(_Rule(operation, fault, nth - 1, times, chance))
