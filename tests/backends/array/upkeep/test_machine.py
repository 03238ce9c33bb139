"""Random operations of an array, its members' troubles, and its upkeep, against a dictionary."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings, strategies
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.maintenance import Outcome, Progress
from raic.backends.array.upkeep.service import ArrayMaintenance
from tests.backends.array.upkeep.processes import Process
from tests.backends.array.upkeep.rigs import UpkeepRig

EXAMPLES = 400 if "RAIC_LONG" in os.environ else 12
STEPS = 40 if "RAIC_LONG" in os.environ else 25
PLACES = strategies.integers(0, 1000)


def ignore(_: Progress) -> None:
    """Nobody looks."""


class ArrayMachine(RuleBasedStateMachine):
    """2 of 4 needed, 3 happy.

    At most one member is away at a time, and nothing is damaged that could not be mended.

    :ivar let_go: the members that were to be replaced.
    :ivar uncleared: those of them that were away meanwhile: they may keep what they have.
    """

    names = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.rig = UpkeepRig()
        self.count = 0
        self.away: str | None = None
        self.let_go: set[str] = set()
        self.uncleared: set[str] = set()
        self.doing: list[Deferred[Outcome]] = []
        self.maintenance: ArrayMaintenance
        self.boot()

    def boot(self) -> None:
        starting = self.rig.array.start()
        self.rig.pump(1.0, 5)
        assert starting.called
        self.maintenance = self.rig.upkeep()
        self.maintenance.start()

    def homes(self) -> list[str]:
        placement = self.rig.array.placement()
        return [placement.home(number).name for number in placement.numbers()]

    def a_fragment(self, place: int) -> tuple[str, str] | None:
        """A fragment that can be spared."""
        placement = self.rig.array.placement()
        spare = [
            (name, text)
            for name in self.homes()
            for text, key in sorted(self.rig.held(name).items())
            if key.object_key in self.rig.data
            and placement.also(key.number) is None
            and len(self.reachable(key.object_key)) > 2
        ]
        return spare[place % len(spare)] if spare else None

    def reachable(self, key: str) -> set[int]:
        """The good fragments that are not on the member that is away."""
        placement = self.rig.array.placement()
        return {
            number
            for number in self.rig.whole(key)
            if self.away not in {member.name for member in placement.where(number)}
        }

    @rule(size=strategies.integers(0, 2000))
    def write(self, size: int) -> None:
        self.count += 1
        key = f"shares/aa/{self.count % 7}-{self.count}"
        data = bytes((self.count + i) % 256 for i in range(size))
        writing = self.rig.write(key, data)
        writing.addErrback(lambda _: None)
        self.rig.pump(1.0, 10)
        assert writing.called

    @precondition(lambda self: self.rig.data)
    @rule(place=PLACES)
    def delete(self, place: int) -> None:
        keys = sorted(self.rig.data)
        self.rig.delete(keys[place % len(keys)])

    @precondition(lambda self: self.away is None)
    @rule(place=PLACES)
    def lose(self, place: int) -> None:
        name = self.homes()[place % 4]
        if all(len(self.rig.whole(key) - {self.homes().index(name)}) >= 2 for key in self.rig.data):
            self.away = name
            self.rig.lose(name)
            self.note_uncleared()

    @precondition(lambda self: self.away is not None)
    @rule()
    def come_back(self) -> None:
        assert self.away is not None
        self.rig.heal(self.away)
        self.away = None

    @rule(place=PLACES)
    def alter(self, place: int) -> None:
        found = self.a_fragment(place)
        if found is not None:
            self.rig.alter(*found)

    @rule(place=PLACES)
    def forget(self, place: int) -> None:
        found = self.a_fragment(place)
        if found is not None:
            self.rig.forget(*found)

    @rule(deep=strategies.booleans())
    def scrub(self, deep: bool) -> None:
        self.begin(self.maintenance.scrub(deep, ignore))

    @rule(place=PLACES)
    def replace(self, place: int) -> None:
        self.count += 1
        old, new = self.homes()[place % 4], f"new{self.count}"
        self.let_go.add(old)
        self.note_uncleared()
        self.begin(self.maintenance.replace(old, new, ignore))

    def note_uncleared(self) -> None:
        self.uncleared |= self.let_go & {self.away}

    def begin(self, doing: Deferred[Outcome]) -> None:
        doing.addErrback(lambda _: None)
        self.doing.append(doing)

    @rule(seconds=strategies.sampled_from([1, 20, 400]))
    def wait(self, seconds: int) -> None:
        self.rig.pump(seconds / 20, 20)
        self.rig.collect()

    @rule()
    def crash(self) -> None:
        self.rig.boot(Process())
        self.boot()

    @rule(seconds=strategies.integers(0, 5), calls=strategies.integers(1, 30))
    def crash_soon(self, seconds: int, calls: int) -> None:
        self.rig.process._last = self.rig.process.calls + calls
        self.rig.pump(1.0, seconds)
        self.crash()

    @invariant()
    def nothing_is_lost(self) -> None:
        for key in self.rig.data:
            assert len(self.rig.whole(key)) >= 2, key

    def teardown(self) -> None:
        for name in self.rig.plans:
            self.rig.heal(name)
        self.away = None
        for deep in (True, False):
            scrubbing = self.maintenance.scrub(deep, ignore)
            for _ in range(60):
                self.rig.pump(10.0, 10)
                self.rig.collect()
            assert scrubbing.called
        for _ in range(50):
            self.rig.pump(3000.0, 2)
            self.rig.collect()
        self.check()
        self.maintenance.stop()

    def check(self) -> None:
        rig = self.rig
        assert rig.ledger.repairs == {}
        assert "operation" not in rig.ledger.notes
        expected: dict[str, int] = {name: 0 for name in rig.inner}
        for key, data in rig.data.items():
            assert rig.whole(key) == {0, 1, 2, 3}, key
            reading = rig.array.get_object(key, 0, 10_000)
            rig.pump(0.1, 10)
            got: list[object] = []
            reading.addBoth(got.append)
            assert got == [data], key
        for name in self.homes():
            expected[name] = len(rig.data)
        for name in self.uncleared - set(self.homes()):
            expected[name] = len(rig.fragments(name))
        assert {name: len(rig.fragments(name)) for name in rig.inner} == expected


class MachineTests(SynchronousTestCase):
    def test_nothing_is_lost_and_nothing_is_left(self) -> None:
        run_state_machine_as_test(
            ArrayMachine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                phases=(Phase.explicit, Phase.reuse, Phase.generate),
                suppress_health_check=list(HealthCheck),
            ),
        )
