"""Operations go on after the process was killed, whenever that is."""

from __future__ import annotations

import os

from raic.backends.array.upkeep.service import ArrayMaintenance
from raic.errors import ConfigurationError
from tests.backends.array.upkeep.processes import Process
from tests.backends.array.upkeep.rigs import UpkeepRig
from tests.backends.array.upkeep.test_moving import MovingCase, ignore

STEP = 1 if "RAIC_LONG" in os.environ else 9
"""How many of the instants are left out, and one."""


class KilledTests(MovingCase):
    def kill_each_time(self, kind: str, *names: str) -> None:
        """Kill at each call of an operation, before and after it has an effect."""
        last = 1
        while self.kill_once(kind, names, last, done=bool(last // STEP % 2)):
            last += STEP
        self.assertGreater(last, 20)

    def kill_once(self, kind: str, names: tuple[str, ...], last: int, *, done: bool) -> bool:
        """Kill at one call; tells whether there were as many."""
        self.rig = rig = UpkeepRig()
        self.least = {}
        self.successResultOf(rig.array.start())
        self.write(*"abc")
        if kind == "replace":
            rig.alter("b2", sorted(rig.held("b2"))[2])
        rig.forget("aws", sorted(rig.held("aws"))[1])
        self.most = 3 if kind == "drain" else 99
        self.assert_no_fewer()
        rig.boot(process := Process())
        maintenance = self.boot()
        process._last, process._done = process.calls + last, done
        doing = getattr(maintenance, kind)(*names, ignore)
        doing.addErrback(lambda _: None)
        self.pump()
        ended = not process.is_dead
        rig.boot(Process())
        maintenance = self.boot()
        self.pump()
        if not doing.called:
            # It may not even have begun.
            again = getattr(maintenance, kind)(*names, ignore)
            again.addErrback(lambda failure: failure.trap(ConfigurationError))
        for _ in range(5):
            self.pump()
        if kind != "drain":
            maintenance.scrub(False, ignore)
            self.pump()
        self.check(kind, names)
        maintenance.stop()
        return not ended

    def boot(self) -> ArrayMaintenance:
        self.successResultOf(self.rig.array.start())
        maintenance = self.rig.upkeep()
        self.successResultOf(maintenance.start())
        return maintenance

    def pump(self) -> None:
        for _ in range(40):
            self.rig.clock.advance(10.0)
            self.assert_no_fewer()
        self.rig.collect()

    def check(self, kind: str, names: tuple[str, ...]) -> None:
        self.assert_all_whole()
        self.assertNotIn("operation", self.rig.ledger.notes)
        placement = self.rig.array.placement()
        homes = {placement.home(number).name for number in placement.numbers()}
        self.assertEqual(placement.partial, frozenset())
        self.assertEqual({m.name for m in placement.members()}, homes)
        if kind != "add":
            self.assertNotIn(names[0], homes)
            self.assertEqual(self.rig.fragments(names[0]), {})
        if kind != "drain":
            self.assertIn(names[-1], homes)
        for name in homes:
            self.assertEqual(len(self.rig.held(name)), len(self.rig.data), name)

    def test_a_replacement_goes_on(self) -> None:
        self.kill_each_time("replace", "b2", "new")

    def test_an_addition_goes_on(self) -> None:
        self.kill_each_time("add", "new")

    def test_a_drain_goes_on(self) -> None:
        self.kill_each_time("drain", "ovh")

    def test_a_repair_that_was_killed_leaves_nothing(self) -> None:
        """Without a scrub, as after a stop on clouds, where intents are on disk."""
        for last in range(1, 14):
            for done in (False, True):
                self.rig = rig = UpkeepRig()
                self.successResultOf(rig.array.start())
                self.write(*"ab")
                text = sorted(rig.held("b2"))[1]
                rig.forget("b2", text)
                self.successResultOf(rig.ledger.note_missing([text], "gone"))
                rig.boot(process := Process())
                self.successResultOf(rig.array.start())
                process._last, process._done = process.calls + last, done
                maintenance = rig.upkeep()
                maintenance.start()
                rig.pump(1.0, 5)
                rig.boot(Process())
                self.boot()
                for _ in range(12):
                    rig.pump(20.0, 10)
                    rig.collect()
                self.assert_all_whole()
                self.assertEqual(len(rig.fragments("b2")), 2, (last, done))
