"""Uploads that are held up, aborted, or fail."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred, fail
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher

from raic.errors import (
    IndexFull,
    IndexStopped,
    NoSpace,
    NoSuchShare,
    OutcomeUnknown,
    ProviderBusy,
)
from raic.shares.ages import REQUEST_SECONDS
from raic.shares.collector import Collector
from raic.shares.upload import BucketUpload
from raic.values import Garbage
from tests.shares.slot_machine_world import Held, Send, Unanswered, busy
from tests.shares.stores import NOW, pattern
from tests.shares.upload_world import UploadTestCase

MIB = 1024 * 1024
FULL = NoSpace("attic", "write", "no room")


def never(send: Send) -> Deferred[object]:
    """Nothing is heard of it again."""
    return Deferred()


def stopped(send: Send) -> Deferred[object]:
    """The index can no longer say what is true."""
    return fail(IndexStopped("the disk failed"))


def full(send: Send) -> Deferred[object]:
    return fail(IndexFull("no room on the disk"))


class BackPressureTests(UploadTestCase):
    def test_one_batch_is_under_way_while_the_next_gathers(self) -> None:
        held = Held()
        self.remote.steps["write"] = [held, held, held]
        upload = self.start(8 * MIB)
        data = pattern(8 * MIB)
        self.successResultOf(upload.write(0, data[:MIB]))
        second = upload.write(MIB, data[MIB : 2 * MIB])
        self.assertNoResult(second)
        self.assertEqual(len(held), 1)
        held.let_go()
        self.successResultOf(second)
        third = upload.write(2 * MIB, data[2 * MIB : 3 * MIB])
        self.assertNoResult(third)
        self.assertEqual(len(held), 1)
        held.let_go()
        self.successResultOf(third)
        held.let_go()
        self.successResultOf(upload.write(3 * MIB, data[3 * MIB :]))
        self.successResultOf(upload.close())
        self.assertEqual(self.held(), data)

    def test_small_writes_gather_while_a_batch_is_under_way(self) -> None:
        held = Held()
        self.remote.steps["write"] = [held]
        upload = self.start(2 * MIB)
        data = pattern(2 * MIB)
        self.successResultOf(upload.write(0, data[:MIB]))
        pieces = [
            upload.write(begin, data[begin : begin + 64 * 1024])
            for begin in range(MIB, 2 * MIB, 64 * 1024)
        ]
        for piece in pieces[:-1]:
            self.successResultOf(piece)
        self.assertNoResult(pieces[-1])
        self.calls()
        held.let_go()
        self.successResultOf(pieces[-1])
        self.successResultOf(upload.close())
        self.assertEqual(self.calls(), ["write"] * 4 + ["finish"])
        self.assertEqual(self.held(), data)

    def test_nothing_is_sent_before_the_intent_is_noted(self) -> None:
        held = Held()
        self.let_index("reserve", held)
        large, small = self.start(2 * MIB, 0), self.start(5, 1)
        writing = large.write(0, pattern(MIB))
        closing = small.close()
        self.assertNoResult(writing)
        self.assertEqual(self.calls(), [])
        held.let_go()
        held.let_go()
        self.successResultOf(writing)
        self.successResultOf(closing)
        self.assertEqual(self.calls(), ["write", "put_object"])

    def test_closing_waits_for_what_is_under_way(self) -> None:
        held = Held()
        self.remote.steps["write"] = [held]
        upload = self.start(2 * MIB)
        upload.write(0, pattern(MIB))
        closing = upload.close()
        self.assertNoResult(closing)
        self.assertEqual(self.calls(), ["write"])
        held.let_go()
        self.successResultOf(closing)
        self.assertEqual(self.held(), pattern(MIB) + bytes(MIB))


class FailureTestCase(UploadTestCase):
    def assert_nothing_left(self, *garbage: Garbage) -> None:
        """Nothing is visible, no memory is held, and the garbage is this."""
        self.assertIsNone(self.held())
        self.assertEqual(self.budget.taken, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.garbage(), garbage)
        self.assertEqual(self.intents(), 0)

    def key(self, upload: BucketUpload) -> str:
        (key,) = {key for _, key in self.remote.calls}
        return key

    def started(self, size: int = 4 * MIB) -> BucketUpload:
        upload = self.start(size)
        self.successResultOf(upload.write(0, pattern(min(size, MIB))))
        return upload


class ProviderFailureTests(FailureTestCase):
    def test_a_failing_write_ends_the_upload_and_everyone_who_waits(self) -> None:
        held = Held()
        self.remote.steps["write"] = [held]
        upload = self.started()
        waiting = [upload.write(MIB, bytes(MIB)), upload.close(), upload.close()]
        held.refuse(FULL)
        for one in waiting:
            self.assertIs(self.failureResultOf(one).value, FULL)
        key = self.key(upload)
        self.assertEqual(self.calls(), ["write", "abort"])
        self.assert_nothing_left(Garbage(key, NOW))
        self.assertEqual(self.ended, [upload])
        self.assertFalse(upload.is_complete())
        self.assertEqual(upload.required_ranges(), ())
        self.assertIs(self.failureResultOf(upload.write(0, b"")).value, FULL)
        self.assertIs(self.failureResultOf(upload.close()).value, FULL)
        self.successResultOf(upload.abort())

    def test_a_write_that_fails_at_once_says_so_at_once(self) -> None:
        self.remote.steps["write"] = [busy]
        upload = self.start(4 * MIB)
        self.failureResultOf(upload.write(0, bytes(MIB)), ProviderBusy)
        self.assertTrue(upload.ended)

    def test_a_failing_put_leaves_nothing(self) -> None:
        self.remote.fates = [busy]
        upload = self.started(100)
        self.failureResultOf(upload.close(), ProviderBusy)
        self.assert_nothing_left(Garbage(self.key(upload), NOW))

    def test_a_failing_finish_leaves_nothing(self) -> None:
        self.remote.steps["finish"] = [busy]
        upload = self.started(2 * MIB)
        self.failureResultOf(upload.close(), ProviderBusy)
        key = self.key(upload)
        self.assertNotIn("abort", self.calls())
        self.assert_nothing_left(Garbage(key, NOW))

    def test_an_object_that_lands_late_is_deleted_late(self) -> None:
        unanswered = Unanswered(lands=False)
        self.remote.fates = [unanswered]
        upload = self.started(100)
        self.failureResultOf(upload.close(), OutcomeUnknown)
        self.assert_nothing_left(Garbage(self.key(upload), NOW + REQUEST_SECONDS, passes=2))
        collector = Collector(self.remote, self.index, self.pins, self.clock)
        self.clock.advance(REQUEST_SECONDS)
        self.assertEqual(self.successResultOf(collector.collect_once()), 1)
        unanswered.land()
        self.assertEqual(len(self.objects()), 1)
        self.clock.advance(REQUEST_SECONDS)
        self.assertEqual(self.successResultOf(collector.collect_once()), 1)
        self.assertEqual(self.objects(), {})
        self.assertEqual(self.garbage(), ())

    def test_an_unexpected_error_ends_the_upload_too(self) -> None:
        def wrong(send: Send) -> Deferred[object]:
            return fail(ZeroDivisionError("a mistake"))

        self.remote.fates = [wrong]
        upload = self.started(100)
        self.failureResultOf(upload.close(), ZeroDivisionError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assert_nothing_left(Garbage(self.key(upload), NOW + REQUEST_SECONDS, passes=2))


class AbortTests(FailureTestCase):
    def test_before_anything_was_written(self) -> None:
        upload = self.start(4 * MIB)
        self.successResultOf(upload.abort())
        self.assertEqual(self.calls(), [])
        self.assertEqual(len(self.garbage()), 1)
        self.assert_nothing_left(*self.garbage())

    def test_while_a_write_is_under_way(self) -> None:
        self.remote.steps["write"] = [never]
        upload = self.started()
        waiting = upload.write(MIB, bytes(MIB))
        closing = upload.close()
        self.successResultOf(upload.abort())
        self.failureResultOf(waiting, NoSuchShare)
        self.failureResultOf(closing, NoSuchShare)
        key = self.key(upload)
        self.assertEqual(self.calls(), ["write", "abort"])
        self.assert_nothing_left(Garbage(key, NOW))
        self.assertEqual(self.ended, [upload])

    def test_a_write_that_ends_after_the_abort_changes_nothing(self) -> None:
        for settle in (Held.let_go, lambda held: held.refuse(FULL)):
            held = Held()
            self.remote.steps["write"] = [held]
            upload = self.started()
            self.successResultOf(upload.abort())
            settle(held)
            self.assertEqual(self.budget.taken, 0)
            self.assertEqual(self.objects(), {})

    def test_while_the_object_is_stored(self) -> None:
        for size, step in ((100, self.remote.fates), (2 * MIB, self.remote.steps["finish"])):
            held = Held()
            step.append(held)
            upload = self.started(size)
            closing = upload.close()
            aborting = upload.abort()
            self.failureResultOf(closing, NoSuchShare)
            self.assertEqual(self.ended.pop(), upload)
            self.assertNoResult(aborting)
            held.let_go()
            self.successResultOf(aborting)
            (stored,) = self.objects()
            self.assert_nothing_left(Garbage(stored, NOW))
            self.assertNotIn("abort", self.calls())
            collector = Collector(self.remote, self.index, self.pins, self.clock)
            self.successResultOf(collector.collect_once())
            self.assertEqual(self.objects(), {})

    def test_while_the_object_is_stored_in_vain(self) -> None:
        held = Held()
        self.remote.fates = [held]
        upload = self.started(100)
        upload.close().addErrback(lambda failure: failure.trap(NoSuchShare))
        aborting = upload.abort()
        held.refuse(OutcomeUnknown("attic", "put_object", "no answer"))
        self.successResultOf(aborting)
        key = self.key(upload)
        self.assert_nothing_left(Garbage(key, NOW + REQUEST_SECONDS, passes=2))

    def test_while_the_share_is_committed_comes_too_late(self) -> None:
        held = Held()
        self.let_index("commit_share", held)
        upload = self.started(100)
        closing = upload.close()
        aborting = upload.abort()
        self.assertNoResult(aborting)
        held.let_go()
        self.successResultOf(aborting)
        self.successResultOf(closing)
        self.assertEqual(self.held(), pattern(100))
        self.successResultOf(upload.abort())
        self.assertEqual(self.held(), pattern(100))

    def test_before_the_intent_is_noted(self) -> None:
        held = Held()
        self.let_index("reserve", held)
        upload = self.start(100)
        aborting = upload.abort()
        self.assertEqual(self.ended, [upload])
        self.assertNoResult(aborting)
        held.let_go()
        self.successResultOf(aborting)
        self.assert_nothing_left(*self.garbage())


class IndexFailureTests(FailureTestCase):
    def test_a_full_index_at_the_start(self) -> None:
        self.let_index("reserve", full)
        upload = self.start(100)
        self.assertFalse(upload.ended)
        self.failureResultOf(upload.close(), IndexFull)
        self.assertEqual(self.calls(), [])
        self.assert_nothing_left()

    def test_a_full_index_at_the_commit(self) -> None:
        self.let_index("commit_share", full)
        upload = self.started(100)
        self.failureResultOf(upload.close(), IndexFull)
        (stored,) = self.objects()
        self.assert_nothing_left(Garbage(stored, NOW))

    def test_no_object_is_touched_once_the_index_has_stopped(self) -> None:
        self.let_index("commit_share", stopped)
        upload = self.started(2 * MIB)
        self.failureResultOf(upload.close(), IndexStopped)
        self.assertEqual(self.calls()[-1], "finish")
        self.assertEqual(len(self.objects()), 1)
        self.assertEqual(self.garbage(), ())
        self.assertEqual(self.budget.taken, 0)
        self.assertEqual(self.ended, [upload])

    def test_an_unexpected_error_at_the_commit_leaves_the_object_alone(self) -> None:
        def wrong(send: Send) -> Deferred[object]:
            return fail(ZeroDivisionError("a mistake"))

        self.let_index("commit_share", wrong)
        upload = self.started(100)
        self.failureResultOf(upload.close(), ZeroDivisionError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.garbage(), ())
        self.assertEqual(len(self.objects()), 1)

    def test_an_intent_that_cannot_be_ended_stays(self) -> None:
        self.let_index("release", full)
        upload = self.started()
        told: list[LogEvent] = []
        observer = cast(ILogObserver, told.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.successResultOf(upload.abort())
        self.assertEqual(self.intents(), 1)
        self.assertEqual(self.budget.taken, 0)
        self.assertEqual(
            [formatEvent(event) for event in told],
            ["an upload's intent stays: no room on the disk"],
        )
        self.assertNotIn("failure", told[0], "only a Failure may be called so")
