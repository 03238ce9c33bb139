"""Arrays whose ``needed`` or block size was changed."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.code import Code
from raic.backends.array.codes import NOTE, Codes
from raic.backends.array.memoryledger import MemoryLedger
from raic.errors import ObjectCorrupt
from tests.backends.array.upkeep.rigs import UpkeepRig
from tests.contracts.consumer import Collector

DATA = bytes(range(250)) * 4
OLD, NEW = f"shares/aa/old.{len(DATA)}", f"shares/aa/new.{len(DATA)}"


def length_of(key: str) -> int:
    """An object's length, which its key tells."""
    return int(key.rpartition(".")[2])


class ChangedCode(SynchronousTestCase):
    """4 members; an object is written with 2 of them needed, then it is 3."""

    def setUp(self) -> None:
        self.rig = UpkeepRig(length_of=length_of)
        self.successResultOf(self.rig.array.start())
        self.write(OLD)
        self.change(3)

    def change(self, needed: int) -> None:
        self.successResultOf(self.rig.array.stop())
        self.rig.code = Code(needed, 64)
        self.rig.array = self.rig.make()
        self.successResultOf(self.rig.array.start())

    def write(self, key: str) -> None:
        writing = self.rig.write(key, DATA)
        self.rig.pump(0.1, 10)
        self.successResultOf(writing)

    def done(self, doing: Deferred[Any], seconds: float = 0.1, times: int = 50) -> Any:
        self.rig.pump(seconds, times)
        return self.successResultOf(doing)

    def test_old_objects_and_new_ones_are_read_and_nobody_is_blamed(self) -> None:
        self.write(NEW)
        for key in (OLD, NEW, OLD):
            reading = self.rig.array.get_object(key, 0, 2000)
            self.assertEqual(self.done(reading), DATA)
            consumer = Collector()
            self.done(self.rig.array.stream_object(key, 10, 2000, consumer))
            self.assertEqual(consumer.data, DATA[10:])
        self.assertEqual(self.rig.ledger.repairs, {})
        states = {figures.state for figures in self.rig.array.health.figures()}
        self.assertEqual(states, {"well"})

    def test_members_that_answer_late_are_waited_for(self) -> None:
        for operation in ("get_object", "stream_object"):
            self.change(3)  # a process that does not know better yet
            gates = [self.rig.plans[name].hang(operation) for name in ("b2", "attic")]
            consumer = Collector()
            if operation == "get_object":
                reading: Deferred[Any] = self.rig.array.get_object(OLD, 0, 2000)
            else:
                reading = self.rig.array.stream_object(OLD, 0, 2000, consumer)
            self.rig.pump(0.5, 20)
            for gate in gates:
                gate.release()
            self.done(reading)
            self.assertEqual(self.rig.ledger.repairs, {})

    def test_old_objects_are_deleted_with_all_that_there_is_of_them(self) -> None:
        self.write(NEW)
        self.change(1)
        self.assertEqual(self.done(self.rig.array.delete_objects([OLD, NEW])), frozenset())
        self.assertEqual([self.rig.fragments(name) for name in self.rig.names], [{}] * 4)

    def test_old_objects_get_their_fragments_when_members_come_and_go(self) -> None:
        self.write(NEW)
        maintenance = self.rig.upkeep()
        self.successResultOf(maintenance.start())
        self.addCleanup(maintenance.stop)
        replacing = maintenance.replace("b2", "new", lambda _: None)
        self.assertEqual(self.done(replacing, 1.0, 1000).missing, 0)
        adding = maintenance.add("newer", lambda _: None)
        self.assertEqual(self.done(adding, 1.0, 1000).missing, 0)
        counts = [len(self.rig.fragments(name)) for name in ("new", "newer", "b2")]
        self.assertEqual(counts, [2, 2, 0])
        for name in ("aws", "ovh", "attic"):
            self.rig.lose(name)
        self.assertEqual(self.done(self.rig.array.get_object(OLD, 0, 2000), 0.5), DATA)

    def test_what_is_really_damaged_is_said_to_be(self) -> None:
        for name in ("aws", "ovh", "attic"):
            (text,) = self.rig.held(name)
            self.rig.alter(name, text)
        reading = self.rig.array.get_object(OLD, 0, 2000)
        self.rig.pump(0.5, 50)
        self.failureResultOf(reading, ObjectCorrupt)


class NotedCodes(SynchronousTestCase):
    def load(self, codes: Codes, ledger: MemoryLedger) -> None:
        self.successResultOf(Deferred.fromCoroutine(codes.load(ledger)))

    def test_every_code_is_remembered(self) -> None:
        ledger = MemoryLedger()
        for needed in (2, 3, 2):
            codes = Codes(Code(needed))
            self.assertTrue(codes.is_sure)
            self.load(codes, ledger)
        self.assertEqual(codes.all(), (Code(2), Code(3)))
        self.assertFalse(codes.is_sure)

    def test_those_that_a_listing_shows_are_too(self) -> None:
        ledger, codes = MemoryLedger(), Codes(Code(2))
        self.load(codes, ledger)
        self.successResultOf(Deferred.fromCoroutine(codes.learn({Code(3, 4096)}, ledger)))
        again = Codes(Code(2))
        self.load(again, ledger)
        self.assertEqual(again.all(), (Code(2), Code(3, 4096)))
        self.assertEqual(list(ledger.notes), [NOTE])
