"""Fragments that are missing are made anew."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.upkeep.repairing import Repairer
from raic.errors import NoSpace, ObjectNotFound
from tests.backends.array.upkeep.rigs import UpkeepRig

KEY = "shares/aa/one"
DATA = bytes(range(250)) * 20


class RepairingTests(SynchronousTestCase):
    """2 of 4 needed, 3 happy."""

    def setUp(self) -> None:
        self.rig = UpkeepRig()
        self.successResultOf(self.rig.array.start())

    def repairer(self) -> Repairer:
        repairer = self.rig.repairer()
        repairer.start()
        self.addCleanup(repairer.stop)
        return repairer

    def write(self, key: str = KEY, data: bytes = DATA) -> None:
        writing = self.rig.write(key, data)
        self.rig.pump(0.1, 10)
        self.successResultOf(writing)

    def assert_whole(self, key: str = KEY) -> None:
        self.assertEqual(self.rig.whole(key), set(self.rig.array.placement().lasting()))
        self.assertEqual(self.rig.ledger.repairs, {})

    def test_a_member_that_returns_gets_its_fragments_within_seconds(self) -> None:
        repairer = self.repairer()
        self.rig.lose("ovh")
        for number in range(5):
            self.write(f"shares/aa/{number}", DATA[: 700 * number])
        self.rig.pump(10.0, 100)
        self.assertEqual(len(self.rig.ledger.repairs), 5)
        self.assertEqual(repairer.done, 0)
        self.rig.heal("ovh")
        self.rig.pump(1.0, 13)
        for number in range(5):
            self.assert_whole(f"shares/aa/{number}")
        self.assertEqual(repairer.done, 5)

    def test_a_member_is_found_to_be_well_again_though_nobody_reads(self) -> None:
        self.write()
        maintenance = self.rig.upkeep()
        self.successResultOf(maintenance.start())
        self.addCleanup(maintenance.stop)
        self.rig.lose("aws")
        self.successResultOf(self.rig.array.get_object(KEY, 0, 5000))

        def state() -> str:
            status = self.successResultOf(maintenance.status())
            return {each.name: each.state for each in status.members}["aws"]

        self.rig.pump(1.0, 120)
        self.assertEqual(state(), "failing")
        self.rig.heal("aws")
        self.rig.pump(1.0, 80)
        self.assertEqual(state(), "well")

    def test_a_fragment_that_is_there_after_all_is_not_made_again(self) -> None:
        self.write()
        (text,) = self.rig.held("aws")
        self.rig.ledger.note_missing([text], "said so")
        before = self.rig.fragments("aws")
        self.repairer()
        self.rig.pump()
        self.assert_whole()
        self.assertEqual(self.rig.fragments("aws"), before)
        self.assertEqual(self.rig.ledger.attempts, {})

    def test_an_altered_fragment_is_replaced_and_deleted(self) -> None:
        self.write()
        (text,) = self.rig.held("aws")
        self.rig.alter("aws", text)
        self.rig.ledger.note_missing([text], "altered")
        self.repairer()
        self.rig.pump()
        self.assert_whole()
        self.rig.pump(200, 5)
        self.rig.collect()
        self.rig.pump(200, 5)
        self.rig.collect()
        self.assertNotIn(text, self.rig.fragments("aws"))
        self.assert_whole()
        self.assertEqual(self.rig.ledger.garbage, {})

    def test_a_fragment_that_is_altered_between_its_ends_is_replaced(self) -> None:
        self.write()
        (text,) = self.rig.held("aws")
        altered = bytearray(self.rig.inner["aws"]._objects[text])
        altered[500] ^= 1
        self.rig.inner["aws"]._objects[text] = bytes(altered)
        self.rig.ledger.note_missing([text], "altered")
        self.repairer()
        self.rig.pump()
        self.assert_whole()

    def test_an_object_with_too_few_fragments_stays_noted(self) -> None:
        self.write()
        for name in ("aws", "ovh", "b2"):
            (text,) = self.rig.held(name)
            self.rig.forget(name, text)
            self.rig.ledger.note_missing([text], "gone")
        repairer = self.repairer()
        self.rig.pump(60, 100)
        self.assertEqual(repairer.lost, {KEY})
        self.assertEqual(len(self.rig.ledger.repairs), 3)
        self.assertEqual(repairer.done, 0)
        self.assertEqual(self.rig.ledger.intended, set())

    def test_an_object_that_is_deleted_meanwhile_leaves_nothing(self) -> None:
        self.write()
        (text,) = self.rig.held("attic")
        self.rig.forget("attic", text)
        self.rig.ledger.note_missing([text], "gone")
        gate = self.rig.plans["attic"].hang("put_object")
        self.repairer()
        self.rig.pump(1, 3)
        self.assertEqual(gate.waiting, 1)
        self.rig.delete(KEY)
        gate.release()
        for _ in range(5):
            self.rig.pump(200, 5)
            self.rig.collect()
        self.assertEqual([self.rig.fragments(name) for name in self.rig.names], [{}] * 4)
        self.failureResultOf(self.rig.array.get_object(KEY, 0, 5), ObjectNotFound)

    def test_who_asks_for_repairs_waits_for_those_under_way(self) -> None:
        self.write()
        (text,) = self.rig.held("aws")
        self.rig.forget("aws", text)
        self.rig.ledger.note_missing([text], "gone")
        gate = self.rig.plans["aws"].hang("put_object")
        repairer = self.repairer()
        self.rig.pump(1, 3)
        self.assertEqual(gate.waiting, 1)
        asked = Deferred.fromCoroutine(repairer.repair_all(lambda: None))
        self.rig.pump(1, 3)
        self.assertNoResult(asked)
        gate.release()
        self.rig.pump(1, 3)
        self.assertEqual(self.successResultOf(asked), (1, 0))
        self.assert_whole()

    def test_repairs_keep_to_their_rate(self) -> None:
        self.rig.rate = 2000
        self.rig.lose("attic")
        for number in range(10):
            self.write(f"shares/aa/{number}")
        self.rig.heal("attic")
        repairer = self.repairer()
        self.rig.pump(0.5, 20)
        self.assertLess(repairer.done, 6)
        self.rig.pump(0.5, 120)
        self.assertEqual(repairer.done, 10)

    def test_a_member_that_is_full_is_left_alone_for_longer(self) -> None:
        self.write()
        (text,) = self.rig.held("b2")
        self.rig.forget("b2", text)
        self.rig.ledger.note_missing([text], "gone")
        self.rig.plans["b2"].fail("put_object", NoSpace, times=None)
        self.repairer()
        self.rig.pump(1.0, 600)
        self.assertLess(self.rig.plans["b2"].calls["put_object"], 20)
        self.rig.heal("b2")
        self.rig.pump(10.0, 200)
        self.assert_whole()

    def test_large_fragments_are_streamed(self) -> None:
        self.rig = UpkeepRig(block_size=4096)
        self.successResultOf(self.rig.array.start())
        data = bytes(range(256)) * 9000
        self.rig.lose("b2")
        self.write(data=data)
        self.rig.heal("b2")
        self.repairer()
        self.rig.pump()
        self.assert_whole()
        self.assertGreater(self.rig.plans["b2"].calls["finish"], 0)
