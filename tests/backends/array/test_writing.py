"""What becomes of a write when some of the members misbehave."""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.settings import ArraySettings
from raic.backends.faults import Gate
from raic.errors import (
    AccessDenied,
    IndexBusy,
    IndexStopped,
    KeyTaken,
    NoSpace,
    ObjectNotFound,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    ProviderUnreachable,
    StorageUnusable,
)
from raic.fragmentkeys import parse_fragment_key
from raic.interfaces import IObjectUpload
from raic.values import Stored
from tests.backends.array.arrays import Rig

KEY = "shares/aa/one"
DATA = bytes(range(250)) * 4
E = TypeVar("E", bound=ProviderError)


class WritingCase(SynchronousTestCase):
    """Tests of an array with 2 needed, of 4 members, 3 of which make a write happy."""

    def begin(self, **options: object) -> Rig:
        settings: dict[str, object] = {"needed": 2, "happy": 3, "total": 4, **options}
        rig = Rig(**settings)  # type: ignore[arg-type]
        self.successResultOf(rig.array.start())
        return rig

    def setUp(self) -> None:
        self.rig = self.begin()

    def put(self) -> Deferred[Stored]:
        self.rig.ledger.reserve([KEY])
        return self.rig.array.put_object(KEY, DATA)

    def upload(self) -> IObjectUpload:
        self.rig.ledger.reserve([KEY])
        upload = self.rig.array.open_upload(KEY, len(DATA))
        self.successResultOf(upload.write(DATA))
        return upload

    def holders(self) -> list[str]:
        """Who has a fragment of anything."""
        return [name for name in self.rig.names if self.rig.fragments(name)]

    def numbers(self, stored: Stored) -> list[int]:
        """The numbers of the fragments that are missing."""
        keys = [parse_fragment_key(text) for text in stored.missing]
        self.assertTrue(all(key is not None and key.object_key == KEY for key in keys))
        return [key.number for key in keys if key is not None]

    def assert_nothing_shows(self) -> None:
        self.failureResultOf(self.rig.array.get_object(KEY, 0, 10), ObjectNotFound)
        page = self.successResultOf(self.rig.array.list_objects("", None))
        self.assertEqual(page.objects, ())

    def assert_readable(self) -> None:
        read = self.rig.array.get_object(KEY, 0, 10_000)
        self.rig.clock.pump([0.1] * 50)
        self.assertEqual(self.successResultOf(read), DATA)

    def error(self, failing: Deferred[Any], kind: type[E]) -> E:
        error = self.failureResultOf(failing, kind).value
        assert isinstance(error, kind)
        self.assertIs(type(error), kind)
        self.assertEqual(error.provider, "clouds")
        return error


class TestPutting(WritingCase):
    def test_each_member_gets_a_fragment_of_its_own(self) -> None:
        stored = self.successResultOf(self.put())
        self.assertEqual(stored, Stored(KEY, len(DATA)))
        for number, name in enumerate(self.rig.names):
            ((key, fragment),) = self.rig.fragments(name).items()
            self.assertEqual(key, f"{KEY}--2.6.1000.{number}.0")
            self.assertEqual(len(fragment), self.rig.code.fragment_size(len(DATA)))
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])

    def test_a_member_that_is_down_costs_no_time_and_its_fragment_is_missing(self) -> None:
        self.rig.plans["b2"].fail("put_object")
        stored = self.successResultOf(self.put())
        self.assertEqual(self.numbers(stored), [2])
        self.assert_readable()

    def test_too_few_members_make_a_clean_failure_that_names_each(self) -> None:
        self.rig.plans["b2"].fail("put_object")
        self.rig.plans["attic"].fail("put_object", AccessDenied)
        error = self.error(self.put(), ProviderUnreachable)
        self.assertIn("b2: ProviderUnreachable: as the fault plan says", str(error))
        self.assertIn("attic: AccessDenied", str(error))
        self.assertEqual(self.holders(), [])
        self.assert_nothing_shows()

    def test_what_no_waiting_helps_against_is_said(self) -> None:
        for name in ("b2", "attic"):
            self.rig.plans[name].fail("put_object", AccessDenied)
        error = self.error(self.put(), StorageUnusable)
        self.assertFalse(error.temporary)
        self.assertIn("credentials", error.remedy)

    def test_a_lack_of_space_is_told_when_it_is_the_reason(self) -> None:
        self.rig.plans["aws"].fail("put_object")
        self.rig.plans["b2"].fail("put_object", NoSpace)
        self.error(self.put(), NoSpace)

    def test_a_lack_of_space_is_not_told_when_others_fail_as_well(self) -> None:
        self.rig.plans["aws"].fail("put_object")
        self.rig.plans["ovh"].fail("put_object", ProviderBusy)
        self.rig.plans["b2"].fail("put_object", NoSpace)
        self.error(self.put(), ProviderUnreachable)

    def test_an_outcome_that_is_unknown_makes_all_of_it_unknown(self) -> None:
        self.rig.plans["aws"].lose_answer("put_object")
        self.rig.plans["b2"].fail("put_object", NoSpace)
        error = self.error(self.put(), OutcomeUnknown)
        self.assertIn("b2: NoSpace", str(error))
        self.assert_nothing_shows()
        self.successResultOf(self.rig.array.delete_objects([KEY]))
        self.assertEqual(self.holders(), [])
        self.successResultOf(self.put())
        self.assert_readable()

    def test_an_unknown_outcome_does_no_harm_when_enough_have_stored_it(self) -> None:
        self.rig.plans["aws"].lose_answer("put_object")
        self.assertEqual(self.numbers(self.successResultOf(self.put())), [0])

    def test_one_that_hangs_is_waited_for_a_little(self) -> None:
        self.rig.plans["ovh"].hang("put_object")
        putting = self.put()
        self.rig.clock.advance(0.019)
        self.assertNoResult(putting)
        self.rig.clock.advance(0.002)
        self.assertEqual(self.numbers(self.successResultOf(putting)), [1])

    def test_the_last_are_waited_for_as_long_again_as_the_others_took(self) -> None:
        slow = self.rig.plans["aws"].hang("put_object")
        self.rig.plans["ovh"].hang("put_object")
        putting = self.put()
        self.rig.clock.advance(2)
        slow.release()
        self.rig.clock.advance(1.9)
        self.assertNoResult(putting)
        self.rig.clock.advance(0.2)
        self.assertEqual(self.numbers(self.successResultOf(putting)), [1])

    def test_a_straggler_that_arrives_needs_no_repair(self) -> None:
        straggler = self.rig.plans["ovh"].hang("put_object")
        putting = self.put()
        self.rig.clock.advance(0.1)
        stored = self.successResultOf(putting)
        self.rig.ledger.commit([KEY], stored.missing)
        self.assertEqual(list(self.rig.ledger.repairs), list(stored.missing))
        straggler.release()
        self.rig.clock.pump([1, 60])
        self.assertEqual(self.rig.ledger.repairs, {})
        self.assertEqual(self.holders(), list(self.rig.names))
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])

    def test_a_straggler_that_arrives_before_the_commit_needs_no_repair(self) -> None:
        straggler = self.rig.plans["ovh"].hang("put_object")
        putting = self.put()
        self.rig.clock.advance(0.1)
        stored = self.successResultOf(putting)
        straggler.release()
        self.rig.clock.advance(1)
        self.rig.ledger.commit([KEY], stored.missing)
        self.rig.clock.advance(60)
        self.assertEqual(self.rig.ledger.repairs, {})

    def test_a_straggler_of_an_object_that_is_gone_becomes_garbage(self) -> None:
        straggler = self.rig.plans["ovh"].hang("put_object")
        putting = self.put()
        self.rig.clock.advance(0.1)
        (missing,) = self.successResultOf(putting).missing
        self.rig.ledger.intended.clear()
        straggler.release()
        self.rig.clock.advance(1)
        self.assertIn(missing, self.rig.ledger.garbage)
        left = self.successResultOf(self.rig.array.delete_objects([missing]))
        self.assertEqual(left, frozenset())
        self.assertEqual(self.holders(), ["aws", "b2", "attic"])

    def test_a_straggler_that_fails_stays_to_be_repaired(self) -> None:
        straggler = self.rig.plans["ovh"].hang("put_object")
        putting = self.put()
        self.rig.clock.advance(0.1)
        stored = self.successResultOf(putting)
        self.rig.ledger.commit([KEY], stored.missing)
        self.successResultOf(self.rig.inner["ovh"].stop())
        straggler.release()
        self.rig.clock.advance(61)
        self.assertEqual(list(self.rig.ledger.repairs), list(stored.missing))

    def test_a_ledger_that_fails_is_told_no_more_and_does_no_harm(self) -> None:
        straggler = self.rig.plans["ovh"].hang("put_object")
        putting = self.put()
        self.rig.clock.advance(0.1)
        self.successResultOf(putting)
        busy: Any = lambda _: fail(IndexBusy("locked"))  # noqa: E731 (it replaces a method)
        self.patch(self.rig.ledger, "settle", busy)
        straggler.release()
        self.rig.clock.advance(1)
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])

    def test_what_can_be_neither_deleted_nor_noted_is_hidden(self) -> None:
        for name in ("b2", "attic"):
            self.rig.plans[name].fail("put_object")
        self.rig.plans["aws"].fail("delete_objects")
        busy: Any = lambda _: fail(IndexBusy("locked"))  # noqa: E731 (it replaces a method)
        self.patch(self.rig.ledger, "release", busy)
        self.error(self.put(), ProviderUnreachable)
        self.assert_nothing_shows()

    def test_no_answer_at_all_ends_in_time(self) -> None:
        gates = [plan.hang("put_object") for plan in self.rig.plans.values()]
        putting = self.put()
        self.rig.clock.advance(39.9)
        self.assertNoResult(putting)
        self.rig.clock.advance(0.2)
        self.error(putting, OutcomeUnknown)
        for gate in gates:
            gate.release()
        # What lands all the same is deleted at once.
        self.assertEqual(self.holders(), [])

    def test_a_failure_waits_a_little_for_those_whose_outcome_is_open(self) -> None:
        gate = self.rig.plans["aws"].hang("put_object")
        for name in ("b2", "attic"):
            self.rig.plans[name].fail("put_object", NoSpace)
        putting = self.put()
        self.assertNoResult(putting)
        gate.release()
        self.error(putting, NoSpace)
        self.assertEqual(self.holders(), [])

    def test_a_member_that_is_far_behind_is_passed_by(self) -> None:
        self.rig = self.begin(settings=ArraySettings(backlog=1000))
        gate = self.rig.plans["ovh"].hang("put_object", times=None)
        for number in range(4):
            putting = self.rig.array.put_object(f"{KEY}{number}", DATA)
            self.rig.clock.advance(0.1)
            self.successResultOf(putting)
        self.assertEqual(gate.waiting, 2)
        stored = self.successResultOf(self.rig.array.put_object(KEY, DATA))
        self.assertEqual(self.numbers(stored), [1])
        gate.release()
        self.assertEqual(
            self.successResultOf(self.rig.array.put_object(f"{KEY}5", DATA)).missing, ()
        )

    def fail_while_deletions_hang(self) -> list[Gate]:
        """A write that fails; what it left is being deleted."""
        for name in ("aws", "ovh"):
            self.rig.plans[name].fail("put_object")
        gates = [self.rig.plans[name].hang("delete_objects") for name in ("b2", "attic")]
        self.failureResultOf(self.put(), ProviderUnreachable)
        return gates

    def test_what_is_not_deleted_by_the_stop_is_garbage(self) -> None:
        gates = self.fail_while_deletions_hang()
        self.assertEqual(self.rig.ledger.garbage, {})
        self.successResultOf(self.rig.array.stop())
        self.assertEqual(len(self.rig.ledger.garbage), 2)
        for gate in gates:
            gate.release()

    def test_the_stop_waits_until_leftovers_are_noted(self) -> None:
        self.fail_while_deletions_hang()
        noting: Deferred[None] = Deferred()
        self.patch(self.rig.ledger, "release", lambda _: noting)
        stopping = self.rig.array.stop()
        self.assertNoResult(stopping)
        noting.callback(None)
        self.successResultOf(stopping)

    def test_what_a_write_leaves_while_members_stop_is_garbage(self) -> None:
        for name in ("aws", "ovh"):
            self.rig.plans[name].fail("put_object")
        slow = self.rig.plans["b2"].hang("put_object")
        failing = self.put()
        self.rig.clock.advance(6)
        self.failureResultOf(failing)
        member = self.rig.members[2].provider
        stop = member.stop

        def stop_late() -> Deferred[None]:
            slow.release()
            return stop()

        self.patch(member, "stop", stop_late)
        noting: Deferred[None] = Deferred()
        self.patch(self.rig.ledger, "release", lambda _: noting)
        stopping = self.rig.array.stop()
        self.assertNoResult(stopping)
        noting.callback(None)
        self.successResultOf(stopping)

    def test_what_arrives_when_all_is_closed_is_not_complained_about(self) -> None:
        for name in ("aws", "ovh"):
            self.rig.plans[name].fail("put_object")
        slow = self.rig.plans["b2"].hang("put_object")
        failing = self.put()
        self.rig.clock.advance(6)
        self.failureResultOf(failing)
        self.successResultOf(self.rig.array.stop())
        self.patch(self.rig.ledger, "release", lambda _: fail(IndexStopped("closed")))
        self.patch(self.rig.members[2].provider, "delete_objects", self.fail)
        with capturedLogs() as events:
            slow.release()
        self.assertEqual(events, [])

    def test_an_array_that_was_stopped_and_started_deletes_again(self) -> None:
        self.successResultOf(self.rig.array.stop())
        self.successResultOf(self.rig.array.start())
        for name in ("aws", "ovh"):
            self.rig.plans[name].fail("put_object")
        self.failureResultOf(self.put(), ProviderUnreachable)
        self.assertEqual((self.holders(), self.rig.ledger.garbage), ([], {}))

    def test_what_cannot_be_deleted_after_a_failure_is_hidden_and_garbage(self) -> None:
        for name in ("b2", "attic"):
            self.rig.plans[name].fail("put_object")
        self.rig.plans["aws"].fail("delete_objects")
        self.error(self.put(), ProviderUnreachable)
        self.assertEqual(self.holders(), ["aws"])
        self.assertEqual(list(self.rig.ledger.garbage), [f"{KEY}--2.6.1000.0.0"])
        self.assert_nothing_shows()

    def test_a_key_can_be_used_again_after_a_failure(self) -> None:
        for name in ("b2", "attic"):
            self.rig.plans[name].fail("put_object")
        deleting = self.rig.plans["aws"].hang("delete_objects")
        self.error(self.put(), ProviderUnreachable)
        putting = self.put()
        uploading = self.rig.array.open_upload(KEY, len(DATA)).write(DATA)
        self.assertNoResult(putting)
        self.assertNoResult(uploading)
        deleting.release()
        self.assertEqual(self.successResultOf(putting).missing, ())
        self.assertEqual(self.holders(), list(self.rig.names))
        self.assert_readable()

    def test_an_object_that_names_other_bytes_of_the_same_length_is_left_alone(self) -> None:
        self.successResultOf(self.put())
        other = DATA[:-1] + b"x"  # its fragment 0 is the same
        self.error(self.rig.array.put_object(KEY, other), KeyTaken)
        self.assertEqual(self.holders(), list(self.rig.names))
        self.assert_readable()


class TestUploading(WritingCase):
    def test_a_member_that_fails_while_writing_is_left_out(self) -> None:
        self.rig.plans["aws"].fail("write")
        stored = self.successResultOf(self.upload().finish())
        self.assertEqual(self.numbers(stored), [0])
        self.assert_readable()

    def test_too_few_members_make_the_write_fail_and_nothing_is_left(self) -> None:
        self.rig.plans["aws"].fail("write")
        upload = self.rig.array.open_upload(KEY, len(DATA))
        self.successResultOf(upload.write(DATA[:200]))
        self.rig.plans["b2"].fail("write", NoSpace)
        self.error(upload.write(DATA[200:]), NoSpace)
        self.error(upload.finish(), NoSpace)
        self.successResultOf(upload.abort())
        self.assertEqual(self.holders(), [])
        self.assert_nothing_shows()
        self.assertEqual([self.rig.inner[name]._used for name in self.rig.names], [0] * 4)

    def test_too_few_that_finish_leave_nothing(self) -> None:
        upload = self.upload()
        for name in ("aws", "b2"):
            self.rig.plans[name].fail("finish")
        self.error(upload.finish(), ProviderUnreachable)
        self.successResultOf(upload.abort())
        self.assertEqual(self.holders(), [])
        self.assert_nothing_shows()

    def test_an_unknown_outcome_is_told(self) -> None:
        upload = self.upload()
        self.rig.plans["aws"].lose_answer("finish")
        self.rig.plans["b2"].fail("finish")
        self.error(upload.finish(), OutcomeUnknown)
        self.assert_nothing_shows()

    def test_a_caller_waits_until_all_members_have_room(self) -> None:
        self.rig = self.begin(settings=ArraySettings(lane_buffer=200))
        gate = self.rig.plans["aws"].hang("write")
        upload = self.rig.array.open_upload(KEY, len(DATA))
        self.successResultOf(upload.write(DATA[:128]))
        writing = upload.write(DATA[128:])
        self.assertNoResult(writing)
        self.rig.clock.advance(4.9)
        self.assertNoResult(writing)
        gate.release()
        self.successResultOf(writing)
        self.assertEqual(self.successResultOf(upload.finish()).missing, ())
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])

    def test_one_that_holds_up_the_others_for_long_is_dropped(self) -> None:
        self.rig = self.begin(settings=ArraySettings(lane_buffer=100))
        gate = self.rig.plans["aws"].hang("write")
        upload = self.rig.array.open_upload(KEY, len(DATA))
        writing = upload.write(DATA)
        self.rig.clock.advance(4.9)
        self.assertNoResult(writing)
        self.rig.clock.advance(0.2)
        self.successResultOf(writing)
        self.assertEqual(self.numbers(self.successResultOf(upload.finish())), [0])
        gate.release()
        self.assertEqual(self.holders(), ["ovh", "b2", "attic"])

    def test_when_too_many_hang_none_is_dropped_until_time_is_up(self) -> None:
        self.rig = self.begin(settings=ArraySettings(lane_buffer=100))
        for name in ("aws", "b2"):
            self.rig.plans[name].hang("write")
        upload = self.rig.array.open_upload(KEY, len(DATA))
        writing = upload.write(DATA)
        self.rig.clock.advance(39.9)
        self.assertNoResult(writing)
        self.rig.clock.advance(0.2)
        self.error(writing, ProviderTimedOut)
        self.assertEqual(self.holders(), [])

    def test_a_member_that_hangs_when_finishing_is_waited_for_a_little(self) -> None:
        upload = self.upload()
        straggler = self.rig.plans["attic"].hang("finish")
        finishing = upload.finish()
        self.assertNoResult(finishing)
        self.rig.clock.advance(0.1)
        stored = self.successResultOf(finishing)
        self.assertEqual(self.numbers(stored), [3])
        self.successResultOf(upload.abort())
        self.rig.ledger.commit([KEY], stored.missing)
        straggler.release()
        self.rig.clock.pump([1, 60])
        self.assertEqual(self.rig.ledger.repairs, {})
        self.assertEqual(self.holders(), list(self.rig.names))

    def test_a_member_that_hangs_for_ever_is_given_up_after_a_while(self) -> None:
        upload = self.upload()
        self.rig.plans["attic"].hang("finish")
        finishing = upload.finish()
        self.rig.clock.advance(0.1)
        self.successResultOf(finishing)
        self.rig.clock.advance(61)
        self.assertEqual(self.rig.inner["attic"]._used, 0)

    def test_a_member_that_is_behind_goes_on_after_the_others_have_finished(self) -> None:
        gate = self.rig.plans["attic"].hang("write")
        upload = self.upload()
        finishing = upload.finish()
        self.rig.clock.advance(0.1)
        self.assertEqual(self.numbers(self.successResultOf(finishing)), [3])
        gate.release()
        self.assertEqual(self.holders(), list(self.rig.names))

    def test_an_abort_while_some_have_finished_leaves_nothing(self) -> None:
        upload = self.upload()
        for name in ("aws", "ovh"):
            self.rig.plans[name].hang("finish")
        finishing = upload.finish()
        self.assertEqual(self.holders(), ["b2", "attic"])
        aborting = upload.abort()
        self.error(finishing, StorageUnusable)
        self.successResultOf(aborting)
        self.assertEqual(self.holders(), [])
        self.assert_nothing_shows()

    def test_a_failure_does_not_wait_for_those_that_hang(self) -> None:
        upload = self.upload()
        self.rig.plans["aws"].hang("finish")
        for name in ("b2", "attic"):
            self.rig.plans[name].fail("finish", NoSpace)
        finishing = upload.finish()
        self.rig.clock.advance(0.1)
        self.error(finishing, OutcomeUnknown)
        self.assertEqual(self.holders(), [])

    def test_memory_is_bounded_by_what_was_announced(self) -> None:
        array = self.rig.array
        inner = 4 * self.rig.inner["aws"].buffer_size(self.rig.code.fragment_size(10**6))
        self.assertGreater(array.buffer_size(10**6), inner)
        for provider in self.rig.inner.values():
            provider.buffer_size = lambda size: 0
        self.assertEqual(array.buffer_size(10**9), array.buffer_size(10**10))
