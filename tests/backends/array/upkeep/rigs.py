"""Arrays with upkeep for tests."""

from __future__ import annotations

from collections.abc import Collection
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from raic.backends.array.members import Member
from raic.backends.array.upkeep.handling import Handler
from raic.backends.array.upkeep.pacing import Pace
from raic.backends.array.upkeep.repairing import Repairer
from raic.backends.array.upkeep.scrubbing import Discard
from raic.backends.array.upkeep.service import ArrayMaintenance
from raic.backends.array.upkeep.verifying import FragmentVerifier
from raic.backends.faults import FaultPlan
from raic.backends.faulty import FaultyProvider
from raic.backends.memory import MemoryProvider
from raic.backends.tags import TagMismatch
from raic.errors import ProviderUnreachable
from raic.fragmentkeys import FragmentKey, parse_fragment_key
from raic.values import Garbage
from tests.backends.array.arrays import ARRAY_KEY, Rig
from tests.backends.array.upkeep.processes import MortalProvider, Process

OPERATIONS = (
    "get_object",
    "stream_object",
    "put_object",
    "finish",
    "write",
    "list_objects",
    "delete_objects",
    "read_now",
)


class UpkeepRig(Rig):
    """An array whose members can be lost, and what looks after it.

    :ivar data: what was acknowledged, by key.
    """

    def __init__(self, needed: int = 2, happy: int = 3, total: int = 4, **more: Any) -> None:
        super().__init__(needed, happy, total, make_member=self.make_member, **more)
        self.data: dict[str, bytes] = {}
        self.process = Process()
        self._good: dict[tuple[str, bytes], bool] = {}
        self.rate: int | None = None
        self.discard: Discard | None = None
        self.labels: dict[str, dict[str, str]] = {}

    def make_member(self, name: str) -> Member:
        if name not in self.inner:
            self.inner[name] = MemoryProvider(name)
            self.plans[name] = FaultPlan()
        faulty = FaultyProvider(self.inner[name], self.plans[name])
        return Member(name, MortalProvider(self.process, faulty))

    def boot(self, process: Process) -> None:
        """Have another process take the place of the one that there was, which is dead."""
        self.process.kill()
        self.process = process
        self.ledger.restart(int(self.clock.seconds()), clean=False)
        self.members = [self.make_member(name) for name in self.names]
        memory, self.ledger = self.ledger, process.ledger(self.ledger)
        self.array = self.make()
        self.ledger = memory

    def handler(self) -> Handler:
        pace = Pace(self.clock, self.rate, lambda: self.array.calls)
        return Handler(self.array, self.ledger, self.clock, Random(1), pace)

    def repairer(self) -> Repairer:
        return Repairer(self.handler())

    def upkeep(self) -> ArrayMaintenance:
        """What looks after the array as it is now."""
        return ArrayMaintenance(
            self.array,
            self.process.ledger(self.ledger),
            self.clock,
            Random(1),
            self.known_member,
            self.rate,
            unknown_keys=self.unknown_keys,
            discard=self.discard,
            known=self.known,
        )

    def known_member(self, name: str) -> Member:
        if name == "unknown":
            raise LookupError(name)
        return self.make_member(name)

    def known(self) -> dict[str, dict[str, str]]:
        names = (*self.names, "new", "newer", "other", *self.labels)
        return {name: self.labels.get(name, {}) for name in names}

    def unknown_keys(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        """As an index answers."""
        return succeed(frozenset(key for key in keys if not self.is_known(key)))

    def is_known(self, text: str) -> bool:
        ledger = self.ledger
        if text in ledger.intended or text in ledger.garbage or text in ledger.repairs:
            return True
        key = parse_fragment_key(text)
        assert key is not None
        counts = ledger.attempts.get((key.object_key, key.number), "0") == key.attempt
        named = {*ledger.referred, *ledger.intended, *ledger.garbage}
        return counts and key.object_key in named

    def write(self, key: str, data: bytes) -> Deferred[None]:
        """Store and commit an object, as ``shares`` do."""
        self.ledger.reserve([key])

        def stored(answer: Any) -> None:
            self.ledger.commit([key], answer.missing)
            self.data[key] = data

        def failed(failure: Failure) -> Failure:
            self.ledger.release([Garbage(key, int(self.clock.seconds()), 2)])
            return failure

        return self.array.put_object(key, data).addCallbacks(stored, failed)

    def delete(self, key: str) -> None:
        """Drop an object; it is garbage at once."""
        del self.data[key]
        self.ledger.commit([], dropped=[key], not_before=int(self.clock.seconds()))

    def lose(self, name: str) -> None:
        """A member does not answer any more."""
        for operation in OPERATIONS:
            self.plans[name].fail(operation, ProviderUnreachable, times=None)

    def heal(self, name: str) -> None:
        self.plans[name].heal()

    def held(self, name: str) -> dict[str, FragmentKey]:
        """The fragments that a member has."""
        found = {text: parse_fragment_key(text) for text in self.fragments(name)}
        return {text: key for text, key in found.items() if key is not None}

    def alter(self, name: str, text: str) -> None:
        """Change a byte in the middle of a fragment."""
        old = self.inner[name]._objects[text]
        middle = len(old) - 20
        self.inner[name]._objects[text] = (
            old[:middle] + bytes([old[middle] ^ 1]) + old[middle + 1 :]
        )

    def forget(self, name: str, text: str) -> None:
        """Lose a fragment."""
        self.inner[name]._delete([text])

    def whole(self, key: str) -> set[int]:
        """The numbers of the good fragments that count and are where they should be."""
        numbers = set()
        placement = self.array.placement()
        for number in placement.numbers():
            attempt = self.ledger.attempts.get((key, number), "0")
            for member in placement.where(number):
                for text, found in self.held(member.name).items():
                    wanted = (found.object_key, found.number, found.attempt)
                    if wanted == (key, number, attempt) and self.is_good(member.name, text, found):
                        numbers.add(number)
        return numbers

    def is_good(self, name: str, text: str, key: FragmentKey) -> bool:
        """Whether what a member has of a fragment is right."""
        data = self.inner[name]._objects[text]
        known = self._good.get((text, data))
        if known is None:
            known = self._good[text, data] = _is_right(data, key)
        return known

    def collect(self) -> None:
        """Delete the garbage whose time has come."""
        now = int(self.clock.seconds())
        due = [one for one in self.ledger.garbage.values() if one.not_before <= now]
        left: list[frozenset[str]] = []
        self.array.delete_objects([one.key for one in due]).addCallbacks(
            left.append, lambda _: left.append(frozenset(one.key for one in due))
        )
        for one in due:
            if left and one.key not in left[0]:
                later = Garbage(
                    one.key, now + 300 if one.passes > 1 else one.not_before, one.passes
                )
                self.ledger.settle_garbage([later])

    def pump(self, seconds: float = 1.0, times: int = 60) -> None:
        """Let time pass."""
        self.clock.pump([seconds] * times)


def _is_right(data: bytes, key: FragmentKey) -> bool:
    verifier = FragmentVerifier(ARRAY_KEY, key)
    try:
        verifier.add(data)
        verifier.end()
    except TagMismatch:
        return False
    return True
