"""What is there is compared with what should be."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve
from twisted.internet.defer import Deferred, succeed

from raic.backends.array.maintenance import Operation, Outcome, Progress
from raic.backends.array.upkeep import reached, scrubbing
from raic.backends.array.upkeep.verifying import fragment_size
from raic.errors import ServiceStopping
from raic.fragmentkeys import new_attempt, parse_fragment_key
from raic.values import Garbage, ListedObject
from tests.backends.array.upkeep.processes import Process
from tests.backends.array.upkeep.test_moving import MovingCase, ignore

DAY = 24 * 60 * 60


class ScrubbingTests(MovingCase):
    def setUp(self) -> None:
        super().setUp()
        self.maintenance.stop()  # nothing is repaired behind the test's back
        self.maintenance = self.rig.upkeep()
        self.write(*"abcdef")

    def scrub(self, *, deep: bool = False) -> Outcome:
        return self.finish(self.maintenance.scrub(deep, ignore))

    def text(self, name: str, place: int) -> str:
        return sorted(self.rig.held(name))[place]

    def test_all_is_well(self) -> None:
        told: list[Progress] = []
        scrubbing = self.maintenance.scrub(False, told.append)
        outcome = self.finish(scrubbing)
        expected = Outcome(Operation("scrub"), objects=6, fragments=24)
        self.assertEqual(outcome, expected)
        self.assertEqual(self.rig.ledger.repairs, {})
        self.assertEqual(self.rig.ledger.garbage, {})
        self.assertEqual(self.rig.ledger.verified, {})
        status = self.successResultOf(self.maintenance.status())
        self.assertEqual(status.scrub.finished, int(self.rig.clock.seconds()))
        self.assertEqual((told[-1].done, told[-1].total), (6, 6))
        first, last = self.successResultOf(self.maintenance.history(10))[::-1]
        self.assertEqual(first.detail, "began")
        self.assertEqual(
            last.detail, "ended: 24 fragments of 6 objects are well, 0 missing, 0 altered"
        )

    def test_one_that_was_cut_short_goes_on_where_it_was(self) -> None:
        self.patch(scrubbing, "DEEP_BATCH", 2)
        self.patch(reached, "_SECONDS", 0.0)
        self.rig.forget("b2", self.text("b2", 0))
        self.rig.plans["aws"].hang("stream_object", nth=4)
        cut = self.maintenance.scrub(True, ignore)
        self.rig.pump(1.0, 5)
        before = dict(self.rig.ledger.verified)
        self.assertEqual(len(before), 2)
        self.maintenance.stop()
        self.failureResultOf(cut, ServiceStopping)
        self.rig.boot(Process())
        self.successResultOf(self.rig.array.start())
        self.rig.pump(1.0, 5)
        self.maintenance = self.begin()
        self.rig.pump(1.0, 5)
        told = [each.detail for each in self.rig.ledger.events if each.what == "scrub"]
        self.assertEqual(told[0], "began; every byte is read")
        self.assertEqual(
            told[1:], ["ended: 23 fragments of 6 objects are well, 1 missing, 0 altered"]
        )
        # What was done with was not read again.
        after = self.rig.ledger.verified
        self.assertEqual(after[min(before)], min(before.values()))
        self.assertEqual(len(after), 5)
        self.assertEqual(set(self.rig.ledger.notes), {"codes", "scrub"})

    def test_what_is_drained_meanwhile_is_not_missed(self) -> None:
        self.patch(scrubbing, "DEEP_BATCH", 2)
        gate = self.rig.plans["aws"].hang("stream_object", nth=3)
        deep = self.maintenance.scrub(True, ignore)
        self.finish(self.maintenance.drain("ovh", ignore))
        self.assertNoResult(deep)
        gate.release()
        outcome = self.finish(deep)
        self.assertEqual((outcome.objects, outcome.missing, outcome.left), (6, 0, 0))

    def inspect(self, object_key: str) -> tuple[str, ...]:
        inspecting = self.maintenance.inspect(object_key)
        self.rig.pump()
        return self.successResultOf(inspecting)

    def test_one_object_is_inspected_as_a_whole(self) -> None:
        first = min(self.rig.data)
        self.assertEqual(self.inspect(first), ())
        self.assertEqual(list(self.rig.ledger.verified), [first])
        altered, gone = self.text("ovh", 0), self.text("b2", 0)
        self.rig.alter("ovh", altered)
        self.rig.forget("b2", gone)
        self.rig.alter("ovh", self.text("ovh", 1))
        self.rig.lose("aws")
        problems = self.inspect(first)
        self.assertEqual(len(problems), 2)
        self.assertIn("ovh has altered fragment 1", problems[0])
        self.assertIn("b2 does not have fragment 2", problems[1])
        self.assertEqual(sorted(self.rig.ledger.repairs), sorted([altered, gone]))
        self.assertEqual(self.inspect(first), ())

    def test_what_is_not_listed_is_noted(self) -> None:
        gone = [self.text("aws", 1), self.text("b2", 5)]
        self.rig.forget("aws", gone[0])
        self.rig.forget("b2", gone[1])
        outcome = self.scrub()
        self.assertEqual(sorted(self.rig.ledger.repairs), gone)
        self.assertEqual((outcome.fragments, outcome.missing, outcome.left), (22, 2, 0))
        self.assertEqual(self.scrub().missing, 2)

    def test_what_has_another_size_is_noted(self) -> None:
        text = self.text("aws", 3)
        self.rig.inner["aws"]._objects[text] += b"x"
        self.assertEqual(self.scrub().missing, 1)
        self.assertEqual(list(self.rig.ledger.repairs), [text])

    def test_a_fragment_of_another_length_does_not_count(self) -> None:
        text = self.text("aws", 3)
        key = parse_fragment_key(text)
        assert key is not None
        self.rig.forget("aws", text)
        other = evolve(key, length=key.length + 1)
        data = b"x" * fragment_size(other)
        self.successResultOf(self.rig.inner["aws"].put_object(str(other), data))
        self.assertEqual(self.scrub().missing, 1)
        self.assertEqual(list(self.rig.ledger.repairs), [text])

    def test_a_member_that_cannot_be_listed_is_not_accused(self) -> None:
        self.rig.lose("ovh")
        outcome = self.scrub()
        self.assertEqual(self.rig.ledger.repairs, {})
        self.assertEqual((outcome.missing, outcome.left), (0, 6))
        (last, _) = self.successResultOf(self.maintenance.history(2))
        self.assertIn("ovh: list_objects", last.detail)

    def test_a_deep_scrub_finds_what_is_altered(self) -> None:
        text = self.text("attic", 2)
        self.rig.alter("attic", text)
        self.assertEqual(self.scrub().altered, 0)
        outcome = self.scrub(deep=True)
        self.assertEqual((outcome.altered, outcome.fragments), (1, 23))
        self.assertEqual(list(self.rig.ledger.repairs), [text])
        key = parse_fragment_key(text)
        assert key is not None
        self.assertEqual(set(self.rig.ledger.verified), set(self.rig.data) - {key.object_key})
        self.assertGreater(outcome.bytes, 6 * 4 * 96)

    def test_a_deep_scrub_keeps_to_its_rate(self) -> None:
        self.rig.rate = 500
        self.maintenance = self.rig.upkeep()
        scrubbing = self.maintenance.scrub(True, ignore)
        self.rig.pump(1.0, 20)
        self.assertNoResult(scrubbing)
        self.finish(scrubbing)

    def test_what_nobody_knows_goes_after_a_day(self) -> None:
        key = parse_fragment_key(self.text("aws", 0))
        assert key is not None
        superseded = str(key.sibling(0, new_attempt()))
        unknown = superseded.replace("/a-", "/zz-").replace("/a--", "/zz--")
        for text in (superseded, unknown):
            self.successResultOf(self.rig.inner["aws"].put_object(text, b"whatever"))
        intended = str(key.sibling(0, new_attempt()))
        self.rig.ledger.reserve([intended])
        self.successResultOf(self.rig.inner["aws"].put_object(intended, b"whatever"))
        self.scrub()
        now = int(self.rig.clock.seconds())
        self.assertEqual(set(self.rig.ledger.garbage), {superseded, unknown})
        for one in self.rig.ledger.garbage.values():
            self.assertGreaterEqual(one.not_before, now + DAY - 60)

    def test_unknown_objects_are_handed_on(self) -> None:
        seen: list[ListedObject] = []

        def discard(objects: Sequence[ListedObject]) -> Deferred[int]:
            seen.extend(objects)
            return succeed(len(objects))

        self.rig.discard = discard
        self.maintenance = self.rig.upkeep()
        self.rig.ledger.referred.discard("shares/aa/c")
        self.scrub()
        self.assertEqual(seen, [ListedObject("shares/aa/c", 2000)])
        self.assertEqual(self.rig.ledger.garbage, {})

    def test_a_later_attempt_is_adopted_when_the_first_is_gone(self) -> None:
        text = self.text("b2", 4)
        key = parse_fragment_key(text)
        assert key is not None
        repairer = self.rig.repairer()
        self.rig.forget("b2", text)
        self.successResultOf(self.rig.ledger.note_missing([text], "gone"))
        self.successResultOf(Deferred.fromCoroutine(repairer.make_good(text)))
        place = (key.object_key, key.number)
        attempt = self.rig.ledger.attempts.pop(place)  # as in an index that was made anew
        self.rig.ledger.garbage.clear()
        self.assertEqual(self.scrub().missing, 0)
        self.assertEqual(self.rig.ledger.attempts, {place: attempt})
        self.assertEqual(self.rig.ledger.repairs, {})
        self.assert_all_whole()

    def test_a_later_attempt_that_is_altered_is_not_adopted(self) -> None:
        text = self.text("b2", 4)
        key = parse_fragment_key(text)
        assert key is not None
        later = str(key.sibling(key.number, new_attempt()))
        data = self.rig.inner["b2"]._objects[text]
        self.rig.forget("b2", text)
        self.successResultOf(self.rig.inner["b2"].put_object(later, data))
        self.assertEqual(self.scrub().missing, 1)
        self.assertEqual(list(self.rig.ledger.repairs), [text])

    def test_fragments_where_they_do_not_belong_go_only_if_they_are_at_home(self) -> None:
        here, there = self.text("aws", 0), self.text("aws", 1)
        objects = self.rig.inner["aws"]._objects
        for text in (here, there):
            self.successResultOf(self.rig.inner["ovh"].put_object(text, objects[text]))
        self.rig.forget("aws", there)
        self.scrub()
        self.assertIn(there, self.rig.fragments("ovh"))
        self.assertNotIn(here, self.rig.fragments("ovh"))
        self.assertIn(here, self.rig.fragments("aws"))
        self.assertEqual(self.rig.ledger.garbage, {})

    def test_what_is_written_meanwhile_is_not_taken_for_missing(self) -> None:
        gate = self.rig.plans["ovh"].hang("list_objects")
        scrubbing = self.maintenance.scrub(False, ignore)
        self.assertEqual(gate.waiting, 1)
        self.write("g")
        gate.release()
        self.assertEqual(self.finish(scrubbing).missing, 0)
        self.assertEqual(self.rig.ledger.repairs, {})


class StatusTests(MovingCase):
    def test_objects_are_counted_by_what_they_lack(self) -> None:
        self.maintenance.stop()
        self.maintenance = self.rig.upkeep()
        self.write(*"abcdef")
        for name, places in (("aws", (0, 1, 2)), ("ovh", (0, 1)), ("b2", (0,))):
            some = [sorted(self.rig.held(name))[place] for place in places]
            self.successResultOf(self.rig.ledger.note_missing(some, "gone"))
        status = self.successResultOf(self.maintenance.status())
        counts = (status.objects, status.full, status.degraded, status.at_risk)
        self.assertEqual(counts, (6, 3, 1, 2))
        self.assertEqual([each.name for each in status.members], ["aws", "ovh", "b2", "attic"])
        self.assertEqual([each.missing for each in status.members], [3, 2, 1, 0])
        self.assertEqual([each.held for each in status.members], [3, 4, 5, 6])
        self.assertEqual(status.repair.queued, 6)

    def test_what_is_under_way_is_told(self) -> None:
        self.write(*"abcdef")
        replacing = self.maintenance.replace("b2", "new", ignore)
        status = self.successResultOf(self.maintenance.status())
        new = next(each for each in status.members if each.name == "new")
        old = next(each for each in status.members if each.name == "b2")
        self.assertEqual((new.numbers, new.former, new.held), ((2,), (), None))
        self.assertEqual((old.numbers, old.former), ((), (2,)))
        (doing,) = status.under_way
        self.assertEqual(doing.operation, Operation("replace", ("b2", "new")))
        self.finish(replacing)

    def test_plans_tell_the_traffic(self) -> None:
        self.write(*"abcdef")
        stored = sum(len(data) for data in self.rig.fragments("b2").values())
        plan = self.maintenance.plan
        replace = self.successResultOf(plan(Operation("replace", ("b2", "new"))))
        self.assertEqual((replace.objects, replace.fragments), (6, 6))
        self.assertEqual(replace.traffic["b2"].downloaded, stored)
        self.assertEqual(replace.traffic["b2"].stored, -stored)
        self.assertEqual(replace.traffic["new"].uploaded, stored)
        deep = self.successResultOf(plan(Operation("scrub", deep=True)))
        self.assertEqual(deep.fragments, 24)
        self.assertEqual({each.downloaded for each in deep.traffic.values()}, {stored})
        add = self.successResultOf(plan(Operation("add", ("new",))))
        self.assertEqual(add.traffic["aws"].downloaded, stored)
        drain = self.successResultOf(plan(Operation("drain", ("b2",))))
        self.assertEqual(drain.traffic["b2"].stored, -stored)
        text = sorted(self.rig.held("aws"))[5]
        self.rig.lose("aws")
        self.successResultOf(self.rig.ledger.note_missing([text], "gone"))
        repair = self.successResultOf(plan(Operation("repair")))
        self.assertEqual(repair.fragments, 1)
        self.assertEqual(repair.traffic["aws"].uploaded, len(self.rig.fragments("aws")[text]))

    def test_repairs_can_be_hurried(self) -> None:
        self.maintenance.stop()
        self.maintenance = self.rig.upkeep()
        self.write(*"abc")
        gone = sorted(self.rig.held("aws"))[1]
        self.rig.forget("aws", gone)
        self.successResultOf(self.rig.ledger.note_missing([gone], "gone"))
        outcome = self.finish(self.maintenance.repair(ignore))
        self.assertEqual((outcome.fragments, outcome.left), (1, 0))
        self.assert_all_whole()
        self.assertEqual(Garbage(gone, 0).key, next(iter(self.rig.ledger.garbage)))
