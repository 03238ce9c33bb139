"""Members come and go while the array is used."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from raic.backends.array.maintenance import (
    ADD,
    REPLACE,
    IArrayMaintenance,
    Operation,
    Outcome,
    Progress,
)
from raic.backends.array.members import Placement
from raic.backends.array.upkeep import walking
from raic.backends.array.upkeep.clearing import Clearing
from raic.backends.array.upkeep.service import ArrayMaintenance
from raic.backends.faults import FaultPlan
from raic.backends.memory import MemoryProvider
from raic.errors import ConfigurationError, OperationRefused, ProviderUnreachable, ServiceStopping
from raic.values import ObjectPage
from tests.backends.array.upkeep.rigs import UpkeepRig

DATA = bytes(range(250)) * 20


def ignore(_: Progress) -> None:
    """Nobody looks."""


class LateListing(MemoryProvider):
    """Lists what there was a moment ago."""

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name)
        self.clock = clock

    def list_objects(self, prefix: str, token: str | None) -> Deferred[ObjectPage]:
        listing = super().list_objects(prefix, token)
        return listing.addCallback(lambda page: deferLater(self.clock, 2.5, lambda: page))


class MovingCase(SynchronousTestCase):
    """2 of 4 needed, 3 happy."""

    def setUp(self) -> None:
        self.rig = UpkeepRig()
        self.successResultOf(self.rig.array.start())
        self.maintenance = self.begin()
        self.least: dict[str, int] = {}
        self.most = 99  # more than so many are not missed

    def begin(self) -> ArrayMaintenance:
        maintenance = self.rig.upkeep()
        self.successResultOf(maintenance.start())
        self.addCleanup(maintenance.stop)
        return maintenance

    def write(self, *names: str) -> None:
        for number, name in enumerate(names):
            writing = self.rig.write(f"shares/aa/{name}", DATA[: 1000 * number])
            self.rig.pump(0.1, 10)
            self.successResultOf(writing)

    def finish(self, doing: Deferred[Outcome], look: Callable[[], None] | None = None) -> Outcome:
        """Let time pass until an operation has ended."""
        for _ in range(4000):
            if doing.called:
                break
            self.rig.clock.advance(1.0)
            if look is not None:
                look()
            if int(self.rig.clock.seconds()) % 50 == 0:
                self.rig.collect()
        return self.successResultOf(doing)

    def assert_all_whole(self) -> None:
        numbers = set(self.rig.array.placement().numbers())
        for key, data in self.rig.data.items():
            self.assertEqual(self.rig.whole(key), numbers, key)
            reading = self.rig.array.get_object(key, 0, 10**6)
            self.rig.pump(0.1, 20)
            self.assertEqual(self.successResultOf(reading), data)
        self.assertEqual(self.rig.ledger.repairs, {})

    def assert_no_fewer(self) -> None:
        for key in self.rig.data:
            now = min(self.most, len(self.rig.whole(key)))
            self.assertGreaterEqual(now, self.least.get(key, 0), key)
            self.least[key] = now

    def homes(self) -> list[str]:
        placement = self.rig.array.placement()
        return [placement.home(number).name for number in placement.numbers()]


class ReplacingTests(MovingCase):
    def replace(self) -> Deferred[Outcome]:
        return self.maintenance.replace("b2", "new", ignore)

    def test_it_provides_the_interface(self) -> None:
        verifyObject(IArrayMaintenance, self.maintenance)

    def test_the_fragments_are_copied_as_they_are_and_then_deleted(self) -> None:
        self.write(*"abcdefg")
        before = self.rig.fragments("b2")
        outcome = self.finish(self.replace(), self.assert_no_fewer)
        self.assertEqual(self.rig.fragments("new"), before)
        self.assertEqual(self.rig.fragments("b2"), {})
        self.assertEqual(outcome.providers, ("aws", "ovh", "new", "attic"))
        self.assertEqual(outcome.fragments, 7)
        self.assertEqual(outcome.left, 0)
        self.assertEqual(self.homes(), ["aws", "ovh", "new", "attic"])
        self.assertEqual(set(self.rig.ledger.notes), {"codes"})
        self.assert_all_whole()
        kinds = [(each.what, each.detail) for each in self.rig.ledger.events]
        self.assertEqual(kinds[0], ("replace", "b2 is being replaced by new"))
        self.assertIn("b2 was replaced by new; set 'providers = aws, ovh, new", kinds[1][1])

    def test_a_member_that_is_gone_for_good_is_replaced(self) -> None:
        self.write(*"abcdefg")
        before = self.rig.fragments("b2")
        self.rig.lose("b2")
        self.finish(self.replace())
        self.assertEqual(self.rig.fragments("new"), before)
        self.assertEqual(self.rig.ledger.attempts, {})
        self.assert_all_whole()

    def test_one_that_a_lost_index_has_forgotten_is_finished_before_anything_else(self) -> None:
        self.write(*"abc")
        moving = self.rig.array.placement().moving(2, self.rig.known_member("new"))
        self.finish(self.maintenance.add("new", ignore))
        # As a restore finds it: the old member has most, and the new one has some.
        home, also = moving.also(2), moving.home(2)
        assert home is not None
        places = {n: (moving.home(n), moving.also(n)) for n in (0, 1, 3)}
        place = Placement({**places, 2: (home, also)})
        self.successResultOf(self.rig.array.place(place))
        for refused in (
            self.maintenance.add("other", ignore),
            self.maintenance.drain("b2", ignore),
        ):
            failure = self.failureResultOf(refused, OperationRefused)
            self.assertIn("raic array replace b2 new", failure.value.remedy)
        self.finish(self.replace())
        self.assertEqual(self.homes(), ["aws", "ovh", "new", "attic"])
        self.assertEqual(self.rig.fragments("b2"), {})
        self.assert_all_whole()

    def test_altered_and_missing_fragments_are_made_anew(self) -> None:
        self.write(*"abcdefg")
        altered, missing = sorted(self.rig.held("b2"))[2:4]
        self.rig.alter("b2", altered)
        self.rig.forget("b2", missing)
        self.finish(self.replace())
        self.assert_all_whole()
        self.assertEqual(self.rig.fragments("b2"), {})

    def test_what_is_written_meanwhile_is_complete(self) -> None:
        self.write(*"abc")
        upload = self.rig.array.open_upload("shares/aa/early", len(DATA))
        self.rig.ledger.reserve(["shares/aa/early"])
        self.successResultOf(upload.write(DATA[:2000]))
        replacing = self.replace()
        self.rig.pump(1.0, 400)
        self.assertNoResult(replacing)
        self.write("late")
        self.successResultOf(upload.write(DATA[2000:]))
        stored = self.successResultOf(upload.finish())
        self.rig.pump(1.0, 3)
        self.rig.ledger.commit(["shares/aa/early"], stored.missing)
        self.rig.data["shares/aa/early"] = DATA
        self.finish(replacing, self.assert_no_fewer)
        self.assert_all_whole()
        self.assertEqual(self.rig.fragments("b2"), {})

    def test_it_ends_although_somebody_writes_all_the_time(self) -> None:
        self.patch(walking, "_OBJECTS", 2)
        self.write(*(f"{number:03}" for number in range(0, 400, 100)))
        self.rig.inner["new"] = LateListing("new", self.rig.clock)
        self.rig.plans["new"] = FaultPlan()
        count = itertools.count()

        def write() -> None:
            key = f"shares/aa/{next(count) * 37 % 400:03}w{int(self.rig.clock.seconds())}"
            self.rig.write(key, DATA[:100])

        outcome = self.finish(self.replace(), write)
        self.assertEqual(self.homes(), ["aws", "ovh", "new", "attic"])
        self.assertLess(outcome.fragments, 400)
        self.assertLess(next(count), 400)
        self.rig.pump(1.0, 100)
        self.assert_all_whole()

    def test_an_object_that_is_deleted_while_it_is_copied_leaves_nothing(self) -> None:
        self.write(*"abc")
        self.rig.known_member("new")
        gate = self.rig.plans["new"].hang("put_object")
        replacing = self.replace()
        self.rig.pump(1.0, 3)
        for key in list(self.rig.data):
            self.rig.delete(key)
        self.rig.collect()
        gate.release()
        self.finish(replacing)
        for _ in range(8):
            self.rig.pump(200.0, 2)
            self.rig.collect()
        for name in self.rig.inner:
            self.assertEqual(self.rig.fragments(name), {}, name)

    def test_garbage_that_is_too_young_to_be_deleted_is_not_waited_for(self) -> None:
        self.write(*"abc")
        for key in list(self.rig.data)[1:]:
            self.rig.delete(key)
        self.assertEqual(len(self.rig.ledger.garbage), 2)  # and nobody collects it meanwhile
        began = self.rig.clock.seconds()
        outcome = self.finish(self.replace(), self.assert_no_fewer)
        self.assertLess(self.rig.clock.seconds() - began, 20)
        self.assertEqual((outcome.left, self.rig.fragments("b2")), (0, {}))
        self.rig.pump(200.0, 2)
        self.rig.collect()
        self.assert_all_whole()
        self.assertEqual(len(self.rig.fragments("aws")), 1)

    def test_what_may_still_be_committed_is_waited_for(self) -> None:
        self.write("a")
        self.rig.ledger.reserve(["shares/aa/slow"])
        stored = self.rig.array.put_object("shares/aa/slow", DATA)
        self.rig.pump(0.1, 10)
        told: list[str] = []
        replacing = self.maintenance.replace("b2", "new", lambda each: told.append(each.text))
        self.rig.pump(1.0, 400)
        self.assertNoResult(replacing)
        self.assertIn("for 1 objects on b2 that are being written", told[-1])
        self.rig.ledger.commit(["shares/aa/slow"], self.successResultOf(stored).missing)
        self.rig.data["shares/aa/slow"] = DATA
        self.finish(replacing, self.assert_no_fewer)
        self.assert_all_whole()
        self.assertEqual(self.rig.fragments("b2"), {})

    def test_what_the_new_member_has_lost_is_not_deleted_from_the_old_one(self) -> None:
        self.write(*"abc")
        array, home = self.rig.array, self.rig.make_member("new")
        self.successResultOf(array.membership.add(home))
        self.successResultOf(array.place(array.placement().moving(2, home)))
        first, second, third = sorted(self.rig.held("b2"))
        objects = self.rig.inner["b2"]._objects
        self.successResultOf(self.rig.inner["new"].put_object(first, objects[first]))
        self.successResultOf(self.rig.inner["new"].put_object(second, objects[second][:-1]))
        old = next(member for member in array.members() if member.name == "b2")
        clearing = Clearing(self.rig.handler(), self.rig.unknown_keys, old, lambda _: None)
        clearing_all = Deferred.fromCoroutine(clearing.of_moved(2, home))
        self.assertFalse(self.successResultOf(clearing_all))
        self.assertEqual(set(self.rig.held("b2")), {second, third})

    def test_a_new_member_that_fails_is_waited_for(self) -> None:
        self.write(*"abcdefghijklmnop")
        replacing = self.replace()
        self.rig.lose("new")
        self.rig.pump(1.0, 500)
        self.assertNoResult(replacing)
        self.rig.heal("new")
        self.finish(replacing, self.assert_no_fewer)
        self.assert_all_whole()

    def test_whoever_asks_again_follows(self) -> None:
        self.write(*"abc")
        told: list[Progress] = []
        first = self.replace()
        second = self.maintenance.replace("b2", "new", told.append)
        third = self.maintenance.replace("b2", "new", told.append)
        third.cancel()
        self.failureResultOf(third)
        self.failureResultOf(self.maintenance.add("other", ignore), OperationRefused)
        self.assertEqual(self.finish(first), self.finish(second))
        self.assertGreater(len(told), 3)
        self.assertEqual(told[-1].done, 3)

    def test_names_that_cannot_be_used_are_refused(self) -> None:
        for old, new in (("b3", "new"), ("b2", "aws"), ("b2", "b2"), ("b2", "unknown")):
            self.failureResultOf(self.maintenance.replace(old, new, ignore), ConfigurationError)
        self.failureResultOf(self.maintenance.drain("new", ignore), ConfigurationError)
        self.assertEqual(self.rig.ledger.events, [])

    def test_no_domain_may_come_to_hold_more_than_may_be_lost(self) -> None:
        self.rig.labels = {name: {"site": "here"} for name in ("aws", "ovh", "new")}
        for operation in (
            self.maintenance.replace("b2", "new", ignore),
            self.maintenance.drain("attic", ignore),
        ):
            failure = self.failureResultOf(operation, OperationRefused)
            self.assertIn("site here would hold", str(failure.value))
            self.assertIn("allow_shared_domain = true", failure.value.remedy)
        self.finish(self.maintenance.replace("aws", "new", ignore))
        self.finish(self.maintenance.drain("new", ignore))

    def test_nothing_is_told_of_what_cannot_be(self) -> None:
        told: list[Progress] = []
        self.failureResultOf(self.maintenance.add("unknown", told.append), ConfigurationError)
        self.assertEqual(told, [])
        for operation in (Operation(ADD, ("unknown",)), Operation(REPLACE, ("b2", "unknown"))):
            failure = self.failureResultOf(self.maintenance.plan(operation), ConfigurationError)
            self.assertIn("unknown is no provider: add a section", str(failure.value))

    def test_a_new_member_that_does_not_start_changes_nothing(self) -> None:
        self.rig.make_member("new")
        self.rig.plans["new"].fail("start", ProviderUnreachable)
        self.failureResultOf(self.replace(), ProviderUnreachable)
        self.assertEqual(self.homes(), ["aws", "ovh", "b2", "attic"])
        self.assertEqual(set(self.rig.ledger.notes), {"codes"})
        self.assertEqual([member.name for member in self.rig.array.members()], self.homes())


class AddingTests(MovingCase):
    def test_every_object_gets_a_fragment(self) -> None:
        self.write(*"abcdefg")
        adding = self.maintenance.add("new", ignore)
        self.rig.pump(1.0, 3)
        self.write("late")
        outcome = self.finish(adding, self.assert_no_fewer)
        self.assertEqual(self.homes(), ["aws", "ovh", "b2", "attic", "new"])
        self.assertEqual(outcome.fragments, 7)
        self.assert_all_whole()
        self.assertEqual(self.rig.ledger.attempts, {})
        self.assertEqual(self.rig.array.placement().partial, frozenset())
        self.assertEqual(self.rig.ledger.notes["number"], "5")

    def test_it_takes_no_longer_than_what_is_under_way(self) -> None:
        self.write(*"abc")
        adding = self.maintenance.add("new", ignore)
        self.rig.pump(1.0, 5)
        self.successResultOf(adding)
        self.assert_all_whole()

    def test_what_began_before_and_is_committed_late_gets_its_fragment_too(self) -> None:
        self.write(*"abc")
        self.rig.plans["aws"].hang("put_object")
        self.rig.ledger.reserve(["shares/aa/early"])
        putting = self.rig.array.put_object("shares/aa/early", DATA)
        adding = self.maintenance.add("new", ignore)
        self.rig.pump(1.0, 10)
        stored = self.successResultOf(putting)
        self.rig.pump(1.0, 50)
        self.assertNoResult(adding)
        self.rig.ledger.commit(["shares/aa/early"], stored.missing)
        self.rig.data["shares/aa/early"] = DATA
        self.finish(adding)
        self.rig.pump(1.0, 100)
        self.assert_all_whole()

    def test_reading_meanwhile_notes_no_repairs(self) -> None:
        self.write(*"abc")
        adding = self.maintenance.add("new", ignore)
        self.rig.lose("new")
        self.rig.lose("aws")
        self.rig.lose("ovh")
        for key, data in self.rig.data.items():
            reading = self.rig.array.get_object(key, 0, 10**6)
            self.rig.pump(0.1, 50)
            self.assertEqual(self.successResultOf(reading), data)
        self.assertEqual(self.rig.ledger.repairs, {})
        self.maintenance.stop()
        self.failureResultOf(adding, ServiceStopping)


class DrainingTests(MovingCase):
    def test_a_member_that_is_drained_has_nothing_left(self) -> None:
        self.write(*"abcdefg")
        text = sorted(self.rig.held("aws"))[3]
        self.rig.forget("aws", text)
        outcome = self.finish(self.maintenance.drain("ovh", ignore))
        self.assertEqual(outcome.providers, ("aws", "b2", "attic"))
        self.assertEqual(self.rig.fragments("ovh"), {})
        self.assert_all_whole()
        self.write("late")
        self.assert_all_whole()

    def test_what_is_still_on_its_way_there_is_waited_for(self) -> None:
        gate = self.rig.plans["ovh"].hang("put_object")
        writing = self.rig.write("shares/aa/a", DATA)
        self.rig.pump(0.1, 60)
        self.successResultOf(writing)
        draining = self.maintenance.drain("ovh", ignore)
        self.rig.pump(1.0, 30)
        self.assertNoResult(draining)
        gate.release()
        self.finish(draining)
        self.assertEqual(self.rig.fragments("ovh"), {})
        self.assert_all_whole()

    def test_it_says_what_it_repairs_before(self) -> None:
        self.rig.lose("aws")
        self.write(*"abc")
        self.rig.heal("aws")
        told: list[Progress] = []
        outcome = self.finish(self.maintenance.drain("ovh", told.append))
        self.assertIn((3, "repairing what is missing"), [(each.total, each.text) for each in told])
        self.assertFalse([each for each in told if each.total is not None and each.total > 3])
        self.assertEqual((outcome.fragments, outcome.left), (3, 0))

    def test_nothing_is_deleted_before_all_others_are_whole(self) -> None:
        self.write(*"abcdefg")
        self.rig.lose("aws")
        self.write("h")
        draining = self.maintenance.drain("ovh", ignore)
        self.rig.pump(1.0, 1000)
        self.assertNoResult(draining)
        self.assertEqual(len(self.rig.held("ovh")), 8)
        self.rig.heal("aws")
        self.finish(draining)
        self.assert_all_whole()

    def test_too_few_members_must_not_be_left(self) -> None:
        self.finish(self.maintenance.drain("ovh", ignore))
        refused = self.failureResultOf(self.maintenance.drain("aws", ignore), OperationRefused)
        self.assertIn("2 providers would be left, and a write needs 3", str(refused.value))
        self.finish(self.maintenance.add("ovh", ignore))
        self.assertEqual(self.homes(), ["aws", "b2", "attic", "ovh"])
        self.assertEqual(self.rig.array.placement().numbers(), (0, 2, 3, 4))
