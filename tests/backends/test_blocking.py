"""What providers over blocking SDKs share, with a store in a dictionary."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.backends import partupload
from raic.backends.blocking import BlockingProvider
from raic.backends.blockingstore import PartPlan
from raic.backends.patience import Patience
from raic.backends.uplink import Uplink
from raic.errors import (
    AccessDenied,
    OutcomeUnknown,
    ProviderBusy,
    ProviderTimedOut,
    ProviderUnreachable,
    StorageUnusable,
)
from raic.interfaces import IStorageProvider
from raic.values import Stored
from raic.workers import InlineWorkers, ThreadWorkers
from tests.backends.blocked import NAME, Broken, DictionaryStore, HeldWorkers
from tests.contracts.consumer import Collector
from tests.contracts.driving import ReactorSuite, SynchronousSuite, reactor
from tests.contracts.provider import ProviderContract, pattern
from tests.contracts.provider_model import ModelContract

KEY = "a/b"
PART = 100
PLAN = PartPlan(PART, in_flight=2)
MIB = 1024 * 1024


class InlineTests(ProviderContract, ModelContract, SynchronousSuite):
    """The contract, without threads, with parts so small that most objects need some."""

    def make_provider(self) -> IStorageProvider:
        self.store = DictionaryStore()
        return self.restarted(None)

    def restarted(self, provider: IStorageProvider | None) -> IStorageProvider:
        plan = PartPlan(64, in_flight=2)
        store = DictionaryStore(self.store.objects) if provider else self.store
        return BlockingProvider(NAME, store, InlineWorkers, Clock(), plan)


class ThreadTests(ProviderContract, ReactorSuite):
    """The contract, with threads."""

    many = 101

    def make_provider(self) -> IStorageProvider:
        def workers() -> ThreadWorkers:
            return ThreadWorkers(reactor, 3, NAME)

        plan = PartPlan(200_000, in_flight=2)
        return BlockingProvider(NAME, DictionaryStore(most=70_000), workers, reactor, plan)


class PlanTests(SynchronousTestCase):
    def test_parts_grow_when_there_would_be_too_many(self) -> None:
        plan = PartPlan(8 * MIB, in_flight=3)
        for size in (0, 1, 8 * MIB, 80_000 * MIB, 80_000 * MIB + 1, 2**42, 5 * 2**40):
            part = plan.part_size_of(size)
            self.assertLessEqual(-(-size // part), 10_000)
            self.assertEqual(part % MIB, 0)
        self.assertEqual(plan.part_size_of(80_000 * MIB), 8 * MIB)
        self.assertEqual(plan.part_size_of(80_000 * MIB + 1), 9 * MIB)

    def test_a_buffer_is_never_larger_than_the_object(self) -> None:
        plan = PartPlan(8 * MIB, in_flight=3)
        self.assertEqual(plan.buffer_size(0), 0)
        self.assertEqual(plan.buffer_size(10 * MIB), 10 * MIB)
        self.assertEqual(plan.buffer_size(1000 * MIB), 32 * MIB)


class HeldCase(SynchronousTestCase):
    """Every call of the store waits for the test."""

    patience = 20.0

    def setUp(self) -> None:
        self.store = DictionaryStore()
        self.workers = HeldWorkers()
        self.clock = Clock()
        self.provider = BlockingProvider(
            NAME,
            self.store,
            self.make_workers,
            self.clock,
            PLAN,
            Patience(NAME, self.clock, self.patience),
        )
        starting = self.provider.start()
        self.workers.run_all()
        self.successResultOf(starting)
        self.store.calls.clear()
        # The line is known to be quick.
        self.provider.uplink.began()
        self.provider.uplink.ended(1)

    def make_workers(self) -> HeldWorkers:
        self.workers = HeldWorkers()
        return self.workers

    def settle(self) -> None:
        """Let everything happen that can, in as much time as it takes."""
        for _ in range(20):
            self.workers.run_all()
            self.clock.advance(5)

    def done(self, answer: Deferred[Stored]) -> Stored:
        self.settle()
        return self.successResultOf(answer)


class UploadTests(HeldCase):
    def test_no_more_is_held_and_under_way_than_was_said(self) -> None:
        data = pattern(1000)
        upload = self.provider.open_upload(KEY, len(data))
        written, most_held, most_under_way = 0, 0, 0
        while written < len(data):
            writing = upload.write(data[written : written + 7])
            written += len(data[written : written + 7])
            while not writing.called:
                most_under_way = max(most_under_way, len(self.workers.held))
                sent = (len(part) for each in self.store.parts.values() for part in each.values())
                most_held = max(most_held, written - sum(sent))
                self.workers.step()
            self.successResultOf(writing)
        self.assertEqual(most_under_way, 2)
        # What is written last waits outside until there is room for it.
        self.assertLessEqual(most_held, self.provider.buffer_size(len(data)) + 7)
        self.assertEqual(self.provider.buffer_size(len(data)), 300)
        self.assertEqual(self.done(upload.finish()), Stored(KEY, 1000))
        self.assertEqual(self.store.objects[KEY], data)

    def test_parts_may_arrive_in_any_order(self) -> None:
        upload = self.provider.open_upload(KEY, 200)
        writing = upload.write(pattern(200))
        self.workers.step()  # begin
        self.successResultOf(writing)
        finishing = upload.finish()
        self.workers.step(1)
        self.workers.step(0)
        self.assertNoResult(finishing)
        self.done(finishing)
        self.assertEqual(self.store.objects[KEY], pattern(200))

    def test_an_attempt_waits_for_as_long_as_the_provider_asks(self) -> None:
        busy = ProviderBusy(NAME, "finish", "slow down")
        busy.retry_after = 7.0
        self.store.wrong = {"put": [busy]}
        upload = self.provider.open_upload(KEY, 3)
        upload.write(b"abc")
        finishing = upload.finish()
        self.workers.step()
        self.clock.advance(6.9)
        self.assertEqual(self.workers.held, [])
        self.clock.advance(0.2)
        self.done(finishing)

    def test_no_attempt_begins_too_late(self) -> None:
        busy = ProviderBusy(NAME, "finish", "slow down")
        busy.retry_after = 21.0
        self.store.wrong = {"put": [busy]}
        upload = self.provider.open_upload(KEY, 3)
        upload.write(b"abc")
        finishing = upload.finish()
        self.workers.step()
        self.failureResultOf(finishing, ProviderBusy)

    def test_attempts_are_few(self) -> None:
        self.patch(partupload, "RETRY_SECONDS", 1000.0)
        self.store.wrong = {"put": [Broken("no")] * 20}
        upload = self.provider.open_upload(KEY, 3)
        upload.write(b"abc")
        finishing = upload.finish()
        self.settle()
        self.failureResultOf(finishing, ProviderUnreachable)
        self.assertEqual(self.store.calls, ["put"] * partupload.ATTEMPTS)

    def test_a_completion_is_told_that_an_earlier_one_may_have_succeeded(self) -> None:
        lost = OutcomeUnknown(NAME, "finish", "no answer")
        self.store.wrong = {"complete_parts": [Broken("no"), lost]}
        upload = self.provider.open_upload(KEY, 200)
        upload.write(pattern(200))
        self.settle()
        self.done(upload.finish())
        calls = [call for call in self.store.calls if call.startswith("complete")]
        self.assertEqual(calls, ["complete_parts", "complete_parts", "complete_parts again"])

    def test_what_may_have_happened_stays_unknown_whatever_follows(self) -> None:
        lost = OutcomeUnknown(NAME, "finish", "no answer")
        self.store.wrong = {"put": [lost, AccessDenied(NAME, "finish", "no")]}
        upload = self.provider.open_upload(KEY, 3)
        upload.write(b"abc")
        finishing = upload.finish()
        self.settle()
        self.failureResultOf(finishing, OutcomeUnknown)

    def test_a_part_that_fails_ends_the_upload_and_the_other_attempts(self) -> None:
        denied = AccessDenied(NAME, "write", "no")
        self.store.wrong = {"put_part": [Broken("no"), denied]}
        upload = self.provider.open_upload(KEY, 400)
        upload.write(pattern(200))
        self.settle()
        writing = upload.write(pattern(50))
        self.failureResultOf(writing, AccessDenied)
        self.failureResultOf(upload.finish(), AccessDenied)
        self.assertEqual(self.store.calls.count("put_part"), 3)
        self.abort_leaves_nothing(upload.abort())

    def test_a_writer_that_waits_learns_of_the_failure(self) -> None:
        self.store.wrong = {"put_part": [AccessDenied(NAME, "write", "no")]}
        upload = self.provider.open_upload(KEY, 400)
        writing = upload.write(pattern(400))
        self.workers.step()
        self.assertNoResult(writing)
        self.workers.step()
        self.failureResultOf(writing, AccessDenied)
        self.abort_leaves_nothing(upload.abort())

    def abort_leaves_nothing(self, aborting: Deferred[None]) -> None:
        self.settle()
        self.successResultOf(aborting)
        self.assertEqual(self.store.parts, {})
        self.assertEqual(self.store.objects, {})

    def test_an_abort_waits_for_what_is_under_way(self) -> None:
        upload = self.provider.open_upload(KEY, 400)
        writing = upload.write(pattern(400))
        aborting = upload.abort()
        self.assertNoResult(aborting)
        self.workers.step()  # begin, after all
        self.failureResultOf(writing, StorageUnusable)
        self.abort_leaves_nothing(aborting)
        self.assertEqual(self.store.calls, ["begin_parts", "discard_parts"])

    def test_an_abort_stops_a_writer_that_waits(self) -> None:
        upload = self.provider.open_upload(KEY, 400)
        writing = upload.write(pattern(400))
        self.workers.step()
        aborting = upload.abort()
        self.failureResultOf(writing, StorageUnusable)
        self.assertNoResult(aborting)
        self.abort_leaves_nothing(aborting)

    def test_an_abort_while_parts_are_awaited_ends_the_finish(self) -> None:
        upload = self.provider.open_upload(KEY, 200)
        upload.write(pattern(200))
        self.workers.step()
        finishing = upload.finish()
        aborting = upload.abort()
        self.failureResultOf(finishing, StorageUnusable)
        self.abort_leaves_nothing(aborting)

    def test_an_abort_while_the_object_is_completed_comes_too_late(self) -> None:
        upload = self.provider.open_upload(KEY, 200)
        upload.write(pattern(200))
        self.settle()
        finishing = upload.finish()
        aborting = upload.abort()
        self.assertEqual(self.done(finishing), Stored(KEY, 200))
        self.successResultOf(aborting)
        self.assertNotIn("discard_parts", self.store.calls)

    def test_an_error_that_is_nobodys_is_passed_on(self) -> None:
        for name, size in (("begin_parts", 200), ("put_part", 200), ("put", 3)):
            self.store.wrong = {name: [ZeroDivisionError()]}
            upload = self.provider.open_upload(KEY, size)
            writing = upload.write(pattern(size))
            self.settle()
            if name == "begin_parts":
                self.failureResultOf(writing, ZeroDivisionError)
            finishing = upload.finish()
            self.settle()
            self.failureResultOf(finishing, ZeroDivisionError)


class SlowLineTests(HeldCase):
    """What is still on its way in the end is through in time."""

    patience = 1e9  # one worker sends all parts, in turns, as the line does

    def setUp(self) -> None:
        super().setUp()
        self.provider.uplink = Uplink(self.clock)

    def upload(self, parts: int, seconds: float) -> tuple[float, float]:
        """Upload parts, each of which takes so long, one after the other.

        :return: the longest time that a write took, and what the end did.
        """
        upload = self.provider.open_upload(KEY, parts * PART)
        longest = 0.0
        for _ in range(parts):
            writing = upload.write(pattern(PART))
            longest = max(longest, self.passed(writing, seconds))
            self.successResultOf(writing)
        finishing = upload.finish()
        took = self.passed(finishing, seconds)
        self.successResultOf(finishing)
        self.provider.delete_objects([KEY])
        self.workers.run_all()
        return longest, took

    def passed(self, waiting: Deferred[Any], seconds: float) -> float:
        began = self.clock.seconds()
        while not waiting.called:
            self.clock.advance(seconds)
            self.workers.step()
        return self.clock.seconds() - began

    def test_no_request_waits_for_more_than_the_line_carries(self) -> None:
        for seconds in (1.0, 5.0, 9.0, 12.0, 20.0):
            self.provider.uplink = Uplink(self.clock)
            for _ in range(3):
                longest, took = self.upload(8, seconds)
                # And what it takes to begin or to complete.
                self.assertLessEqual(longest, 45.0, seconds)
                self.assertLessEqual(took, 45.0, seconds)

    def test_the_first_part_is_waited_for_and_a_quick_line_is_filled(self) -> None:
        upload = self.provider.open_upload(KEY, 5 * PART)
        writing = upload.write(pattern(PART))
        self.workers.step()
        self.assertNoResult(writing)
        self.clock.advance(0.1)
        self.workers.step()
        self.successResultOf(writing)
        for _ in range(2):
            self.successResultOf(upload.write(pattern(PART)))
        self.assertEqual(len(self.workers.held), 2)
        aborting = upload.abort()
        self.settle()
        self.successResultOf(aborting)

    def test_uploads_share_the_line(self) -> None:
        uplink = Uplink(self.clock)
        uplink.began()
        self.clock.advance(10)
        uplink.ended(1000)
        self.assertEqual(uplink.may_wait(500, 1), 4.0)
        self.assertEqual(uplink.may_wait(500, 2), 1.5)
        self.assertEqual(uplink.may_wait(500, 10), 0.0)

    def test_a_line_that_becomes_slow_is_known_as_such_soon(self) -> None:
        uplink = Uplink(self.clock)
        for size in (100_000, 100, 100):
            for _ in range(4):
                uplink.began()
                self.clock.advance(40)
                uplink.ended(size)
        self.assertLess(uplink.may_wait(500, 1), 10)


class PatienceTests(HeldCase):
    def test_what_waited_too_long_for_a_thread_is_not_sent(self) -> None:
        calls = (
            self.provider.put_object(KEY, b"abc"),
            self.provider.get_object(KEY, 0, 1),
            self.provider.delete_objects([KEY]),
        )
        self.clock.advance(20.1)
        self.workers.run_all()
        for call in calls:
            late = self.failureResultOf(call, ProviderTimedOut)
            self.assertIn("no time was left", str(late.value))
        self.assertEqual(self.store.calls, [])

    def test_what_no_client_waits_for_may_take_its_time(self) -> None:
        clearing = self.provider.clear_interrupted_uploads("")
        self.clock.advance(1000)
        self.workers.run_all()
        self.assertEqual(self.successResultOf(clearing), 0)


class LifeTests(HeldCase):
    def test_a_failed_start_lets_go_of_everything(self) -> None:
        provider = BlockingProvider(NAME, self.store, self.make_workers, self.clock, PLAN)
        self.store.wrong = {"open": [Broken("no")]}
        starting = provider.start()
        self.workers.run_all()
        self.failureResultOf(starting, ProviderUnreachable)
        self.assertTrue(self.workers.stopped)
        self.assertEqual(self.store.calls, ["open", "close"])

    def test_a_second_start_does_nothing(self) -> None:
        self.successResultOf(self.provider.start())
        self.assertEqual(self.workers.held, [])

    def test_starts_at_once_end_as_the_first_does(self) -> None:
        self.successResultOf(self.provider.stop())
        self.store.wrong["open"] = [Broken("cut off")]
        for end in (self.failureResultOf, self.successResultOf):
            starts = [self.provider.start() for _ in range(3)]
            for start in starts:
                self.assertNoResult(start)
            starts[0].cancel()
            self.failureResultOf(starts[0], CancelledError)
            self.workers.run_all()
            for start in starts[1:]:
                end(start)

    def test_what_is_being_stopped_cannot_be_started(self) -> None:
        self.provider.get_space()
        stopping = self.provider.stop()
        self.failureResultOf(self.provider.start(), StorageUnusable)
        self.workers.run_all()
        self.successResultOf(stopping)

    def test_a_stop_overtakes_a_start(self) -> None:
        provider = BlockingProvider(NAME, self.store, self.make_workers, self.clock, PLAN)
        starting = provider.start()
        stopping = [provider.stop(), provider.stop()]
        for each in stopping:
            self.assertNoResult(each)
        self.workers.run_all()
        self.failureResultOf(starting, StorageUnusable)
        for each in stopping:
            self.successResultOf(each)
        self.assertTrue(self.workers.stopped)
        self.failureResultOf(provider.get_space(), StorageUnusable)

    def test_a_stop_waits_for_what_is_under_way(self) -> None:
        putting = self.provider.put_object(KEY, b"abc")
        stopping = self.provider.stop()
        self.assertNoResult(stopping)
        self.workers.run_all()
        self.successResultOf(putting)
        self.successResultOf(stopping)
        self.assertEqual(self.store.calls, ["put", "close"])

    def test_leavings_are_the_stores_business(self) -> None:
        clearing = self.provider.clear_interrupted_uploads("a/")
        self.workers.run_all()
        self.assertEqual(self.successResultOf(clearing), 0)


class StreamTests(HeldCase):
    def setUp(self) -> None:
        super().setUp()
        self.data = pattern(6 * MIB)
        self.store.objects[KEY] = self.data

    def stream(self, collector: Collector) -> Deferred[int]:
        return self.provider.stream_object(KEY, 0, len(self.data), collector)

    def test_a_paused_stream_reads_one_piece_ahead_and_no_more(self) -> None:
        collector = Collector(pausing=True)
        streaming = self.stream(collector)
        self.workers.run_all()
        self.assertEqual(collector.pieces, [])
        collector.resume()
        self.workers.run_all()
        self.assertEqual(len(collector.pieces), 1)
        self.assertLessEqual(self.store.bodies[0].at, 2 * MIB)
        collector.stop()
        self.assertLess(self.successResultOf(streaming), len(self.data))
        self.assertTrue(self.store.bodies[0].closed)

    def test_a_body_is_closed_only_after_the_read_under_way(self) -> None:
        collector = Collector()
        streaming = self.stream(collector)
        self.workers.step()
        collector.stop()
        self.successResultOf(streaming)
        self.assertFalse(self.store.bodies[0].closed)
        self.workers.run_all()
        self.assertTrue(self.store.bodies[0].closed)

    def test_bodies_may_bring_little_at_a_time(self) -> None:
        self.store.most = 1000
        collector = Collector()
        streaming = self.stream(collector)
        self.workers.run_all()
        self.assertEqual(self.successResultOf(streaming), len(self.data))
        self.assertTrue(collector.data == self.data)
        reading = self.provider.get_object(KEY, 1, 5000)
        self.workers.run_all()
        self.assertEqual(self.successResultOf(reading), self.data[1:5001])

    def test_a_body_that_breaks_off_is_continued_as_long_as_it_brings_something(self) -> None:
        self.store.cuts = [2 * MIB + 1, MIB + 2]
        collector = Collector()
        streaming = self.stream(collector)
        self.workers.run_all()
        self.assertEqual(self.successResultOf(streaming), len(self.data))
        self.assertTrue(collector.data == self.data)
        self.assertTrue(all(body.closed for body in self.store.bodies))
        self.assertEqual(len(self.store.bodies), 3)

    def test_a_body_that_brings_nothing_is_a_failure(self) -> None:
        for cuts in ((0,), (MIB, 0)):
            self.store.cuts = list(cuts)
            collector = Collector()
            streaming = self.stream(collector)
            self.workers.run_all()
            self.failureResultOf(streaming, ProviderUnreachable)
            self.assertTrue(self.data.startswith(collector.data))
            self.assertFalse(collector.registered)
        self.assertTrue(all(body.closed for body in self.store.bodies))

    def test_a_short_answer_is_never_taken_for_a_whole_one(self) -> None:
        self.store.cuts = [4]
        reading = self.provider.get_object(KEY, 0, 10)
        self.workers.run_all()
        short = self.failureResultOf(reading, ProviderUnreachable)
        self.assertIn("6 bytes too early", str(short.value))

    def test_stopping_closes_paused_streams(self) -> None:
        collector = Collector(pausing=True)
        streaming = self.stream(collector)
        self.workers.run_all()
        stopping = self.provider.stop()
        self.successResultOf(stopping)
        self.assertTrue(self.store.bodies[0].closed)
        while not streaming.called:
            collector.resume()
        self.failureResultOf(streaming, StorageUnusable)
