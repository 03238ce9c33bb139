from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from raic.backends.layers.circuit import CircuitBreaker, CircuitSettings, CircuitState
from raic.backends.layers.concurrency import ConcurrencyLayer
from raic.backends.layers.retries import RetryPolicy
from raic.backends.layers.retry import RetryLayer
from raic.backends.layers.timeout import TimeoutLayer
from raic.errors import (
    AccessDenied,
    CircuitOpen,
    KeyTaken,
    NoSpace,
    ObjectNotFound,
    OutcomeUnknown,
    ProviderBusy,
    ProviderTimedOut,
    ProviderUnreachable,
    QueueTooLong,
    StorageUnusable,
)
from tests.backends.layers.worlds import ByHand, LayerCase, StreamsThatBreak, broken
from tests.contracts.consumer import Collector
from tests.contracts.provider import KEY, TEN, pattern

DATA = pattern(3_000_000)


class RetryCase(LayerCase):
    def setUp(self) -> None:
        super().setUp()
        self.layer = RetryLayer(self.leaf, self.clock, self.random)

    def read(self) -> Deferred[bytes]:
        return self.layer.get_object(KEY, 0, 10)


class RepeatedCallTests(RetryCase):
    def test_a_call_that_fails_for_a_while_succeeds(self) -> None:
        self.put(KEY, TEN)
        calls: tuple[tuple[str, Any], ...] = (
            ("put_object", lambda: self.layer.put_object(KEY, TEN)),
            ("get_object", self.read),
            ("list_objects", lambda: self.layer.list_objects("", None)),
            ("delete_objects", lambda: self.layer.delete_objects([])),
            ("get_space", self.layer.get_space),
            ("stream_object", lambda: self.layer.stream_object(KEY, 0, 10, Collector())),
        )
        for operation, call in calls:
            for kind in (ProviderUnreachable, ProviderTimedOut, ProviderBusy):
                self.plan.fail(operation, kind)
                calling = call()
                self.assertNoResult(calling)
                self.pass_time(1)
                self.successResultOf(calling)
        self.assertEqual(self.layer.retries, 18)

    def test_pauses_are_random_and_grow_up_to_a_limit(self) -> None:
        policy = RetryPolicy(attempts=10, first_pause=1.0, longest_pause=4.0, budget=1000.0)
        self.layer = RetryLayer(self.leaf, self.clock, self.random, policy)
        self.plan.fail("get_space", times=9)
        began = self.clock.seconds()
        times = []
        calling = self.layer.get_space()
        while not calling.called:
            pause = self.clock.getDelayedCalls()[0].getTime() - self.clock.seconds()
            times.append(pause)
            self.clock.advance(pause)
        self.successResultOf(calling)
        self.assertEqual(len(times), 9)
        for number, pause in enumerate(times):
            self.assertLessEqual(pause, min(4.0, 2.0**number))
        self.assertEqual(len(set(times)), 9)
        self.assertGreater(self.clock.seconds() - began, 4.0)

    def test_what_cannot_be_helped_is_not_repeated(self) -> None:
        for kind in (
            *(NoSpace, AccessDenied, ObjectNotFound, StorageUnusable, KeyTaken),
            *(CircuitOpen, QueueTooLong),
        ):
            self.plan.fail("put_object", kind)
            self.failureResultOf(self.layer.put_object(KEY, TEN), kind)
        self.assertEqual(self.layer.retries, 0)

    def test_a_provider_that_asks_for_time_gets_it(self) -> None:
        self.plan.fail("get_object", busy_for(7.0))
        self.put(KEY, TEN)
        reading = self.read()
        self.pass_time(6.9)
        self.assertNoResult(reading)
        self.pass_time(0.5)
        self.assertEqual(self.successResultOf(reading), TEN)

    def test_a_provider_that_asks_for_more_time_than_there_is_gets_no_retry(self) -> None:
        self.plan.fail("get_object", busy_for(60.0))
        self.failureResultOf(self.read(), ProviderBusy)

    def test_attempts_are_numbered(self) -> None:
        self.plan.fail("get_object", times=None)
        reading = self.read()
        self.pass_time(45)
        self.failureResultOf(reading, ProviderUnreachable)
        self.assertEqual(self.plan.calls["get_object"], 10)

    def test_retries_do_not_multiply_the_load(self) -> None:
        self.plan.fail("get_object", times=None)
        reads = [self.read() for _ in range(200)]
        self.pass_time(45, 0.5)
        for reading in reads:
            self.failureResultOf(reading, ProviderUnreachable)
        self.assertLessEqual(self.plan.calls["get_object"], 200 + 200 * 0.5 + 100 + 45)
        self.assertGreater(self.plan.calls["get_object"], 250)

    def test_a_node_with_little_to_do_gets_over_one_trouble_after_the_other(self) -> None:
        self.put(KEY, TEN)
        for _ in range(30):
            self.plan.fail("get_object", times=5)
            reading = self.read()
            self.pass_time(60, 0.5)
            self.assertEqual(self.successResultOf(reading), TEN)

    def test_a_call_takes_no_longer_than_its_budget(self) -> None:
        for operation, kind, call in (
            ("get_object", ProviderTimedOut, self.read),
            ("put_object", OutcomeUnknown, lambda: self.layer.put_object(KEY, TEN)),
        ):
            gate = self.plan.hang(operation)
            calling = call()
            self.pass_time(44.9)
            self.assertNoResult(calling)
            self.pass_time(0.2)
            self.failureResultOf(calling, kind)
            gate.release()  # the late result is dropped

    def test_a_pause_ends_with_the_budget(self) -> None:
        policy = RetryPolicy(first_pause=8.0, budget=9.0, ratio=1.0)
        self.layer = RetryLayer(self.leaf, self.clock, self.random, policy)
        self.plan.fail("get_object", times=None)
        reading = self.read()
        self.pass_time(9.1)
        self.failureResultOf(reading, ProviderUnreachable)

    def test_a_cancelled_call_ends(self) -> None:
        self.plan.hang("get_object")
        reading = self.read()
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        self.plan.fail("get_object")
        reading = self.read()
        reading.cancel()
        self.failureResultOf(reading, ProviderUnreachable)

    def test_stopping_ends_the_pauses(self) -> None:
        self.plan.fail("get_object")
        self.plan.fail("stream_object")
        reading = self.read()
        streaming = self.layer.stream_object(KEY, 0, 1, Collector())
        self.successResultOf(self.layer.stop())
        self.failureResultOf(reading, StorageUnusable)
        self.failureResultOf(streaming, StorageUnusable)

    def test_uploads_are_not_repeated(self) -> None:
        upload = self.layer.open_upload(KEY, 10)
        self.plan.fail("write", ProviderBusy)
        self.failureResultOf(upload.write(TEN), ProviderBusy)
        self.plan.lose_answer("finish")
        self.successResultOf(upload.write(TEN))
        self.failureResultOf(upload.finish(), OutcomeUnknown)


class LeftAloneTests(LayerCase):
    """What becomes of calls while a circuit between them and the provider is open."""

    def setUp(self) -> None:
        super().setUp()
        self.put(KEY, TEN)
        self.circuit = CircuitBreaker(self.leaf, self.clock)
        self.layer = RetryLayer(self.circuit, self.clock, self.random)

    def calls(self) -> list[Deferred[Any]]:
        """One of each kind, each of which the provider would answer."""
        layer = self.layer
        upload = layer.open_upload(f"{KEY}-{self.clock.seconds()}", 10)
        finishing = upload.write(TEN).addCallback(lambda _: upload.finish())
        streaming = layer.stream_object(KEY, 0, 10, Collector())
        return [layer.get_object(KEY, 0, 10), layer.put_object(KEY, TEN), finishing, streaming]

    def open(self) -> None:
        """Let the provider fail until it is left alone."""
        self.plan.fail("list_objects", times=5)
        for _ in range(5):
            self.failureResultOf(self.circuit.list_objects("", None), ProviderUnreachable)
        self.assertIs(self.circuit.state, CircuitState.OPEN)

    def test_they_wait_until_the_provider_may_be_asked(self) -> None:
        self.open()
        calls = self.calls()
        asked = sum(self.plan.calls.values())
        self.pass_time(4.9)
        for each in calls:
            self.assertNoResult(each)
        self.assertEqual(sum(self.plan.calls.values()), asked)
        self.pass_time(2)
        for each in calls:
            self.successResultOf(each)
        self.assertEqual(self.layer.retries, 0)

    def test_they_wait_again_when_it_is_still_in_trouble(self) -> None:
        self.open()
        reading = self.layer.get_object(KEY, 0, 10)
        self.plan.fail("get_object", times=2)
        self.pass_time(40)
        self.assertEqual(self.successResultOf(reading), TEN)

    def test_they_wait_while_one_finds_out(self) -> None:
        self.open()
        gate = self.plan.hang("get_object")
        self.pass_time(5.1)
        probing = self.circuit.get_object(KEY, 0, 1)
        calls = self.calls()
        self.pass_time(10)
        for each in calls:
            self.assertNoResult(each)
        gate.release()
        self.successResultOf(probing)
        self.pass_time(1)
        for each in calls:
            self.successResultOf(each)

    def test_they_fail_with_the_provider_s_own_error_when_it_lasts(self) -> None:
        self.plan.fail("get_object", times=None)
        reading = self.layer.get_object(KEY, 0, 10)
        self.pass_time(45.1)
        failed = self.failureResultOf(reading, ProviderUnreachable)
        self.assertNotIsInstance(failed.value, CircuitOpen)
        self.pass_time(5)
        self.assertIs(self.circuit.state, CircuitState.OPEN)
        # It is known to be down by now: there is no use in waiting.
        for each in self.calls():
            self.failureResultOf(each, CircuitOpen)

    def test_a_provider_that_others_stand_in_for_is_not_waited_for(self) -> None:
        self.circuit = CircuitBreaker(self.leaf, self.clock, CircuitSettings(patience=0.0))
        self.layer = RetryLayer(self.circuit, self.clock, self.random)
        self.open()
        for each in self.calls():
            self.failureResultOf(each, CircuitOpen)


class UnknownOutcomeTests(RetryCase):
    def test_a_put_whose_answer_was_lost_is_put_again(self) -> None:
        self.plan.lose_answer("put_object")
        putting = self.layer.put_object(KEY, TEN)
        self.pass_time(1)
        self.assertEqual(self.successResultOf(putting).size, 10)

    def test_a_put_that_may_yet_land_keeps_its_unknown_outcome(self) -> None:
        gate = self.plan.land_later("put_object")
        self.plan.fail("put_object", NoSpace)
        putting = self.layer.put_object(KEY, TEN)
        self.pass_time(1)
        failure = self.failureResultOf(putting, OutcomeUnknown)
        self.assertIn("then cloud: put_object", str(failure.value))
        gate.release()
        self.assertEqual(self.successResultOf(self.memory.get_object(KEY, 0, 10)), TEN)


class ResumedStreamTests(LayerCase):
    def setUp(self) -> None:
        super().setUp()
        self.data = DATA
        self.put(KEY, self.data)
        self.breaking = StreamsThatBreak(self.memory)
        self.layer = RetryLayer(self.breaking, self.clock, self.random)

    def stream(self, collector: Collector, offset: int = 0) -> Deferred[int]:
        return self.layer.stream_object(KEY, offset, len(self.data) - offset, collector)

    def test_a_stream_goes_on_where_it_broke_off(self) -> None:
        self.breaking.after = [0, 1, 2]
        collector = Collector()
        streaming = self.stream(collector, 7)
        self.pass_time(3)
        self.assertEqual(self.successResultOf(streaming), len(self.data) - 7)
        self.assertTrue(collector.data == self.data[7:])
        self.assertFalse(collector.registered)
        piece = len(collector.pieces[0])
        self.assertEqual(self.breaking.offsets, [7, 7, 7 + piece, 7 + 3 * piece])

    def test_a_stream_that_goes_on_ends_where_it_should(self) -> None:
        self.breaking.after = [1]
        collector = Collector()
        streaming = self.layer.stream_object(KEY, 10, 1_000_000, collector)
        self.pass_time(1)
        self.assertEqual(self.successResultOf(streaming), 1_000_000)
        self.assertTrue(collector.data == self.data[10:1_000_010])

    def test_a_long_pause_does_not_use_up_the_time(self) -> None:
        by_hand = ByHand(self.memory)
        self.layer = RetryLayer(by_hand, self.clock, self.random)
        collector = Collector()
        streaming = self.layer.stream_object(KEY, 0, 10, collector)
        by_hand.write(self.data[:4])
        collector.pause()
        self.pass_time(60)
        collector.resume()
        by_hand.end(broken("cloud"))
        self.pass_time(1)
        by_hand.write(self.data[4:10])
        by_hand.end(6)
        self.assertEqual(self.successResultOf(streaming), 10)
        self.assertEqual(by_hand.ranges, [(0, 10), (4, 6)])

    def test_a_stream_of_many_breaks_goes_on_while_bytes_come(self) -> None:
        self.layer = RetryLayer(
            self.breaking, self.clock, self.random, RetryPolicy(attempts=2, ratio=1.0)
        )
        self.breaking.after = [1] * 5
        collector = Collector()
        streaming = self.stream(collector)
        self.pass_time(3)
        self.assertEqual(self.successResultOf(streaming), len(self.data))
        self.assertTrue(collector.data == self.data)

    def test_a_stream_that_never_begins_fails(self) -> None:
        self.breaking.after = [0] * 20
        collector = Collector()
        streaming = self.stream(collector)
        self.pass_time(45)
        self.failureResultOf(streaming, ProviderUnreachable)
        self.assertEqual(len(self.breaking.offsets), 10)
        self.assertFalse(collector.registered)

    def test_a_stream_that_broke_after_its_last_byte_is_complete(self) -> None:
        self.breaking.after = [6]
        streaming = self.stream(Collector())
        self.assertEqual(self.successResultOf(streaming), len(self.data))

    def test_a_consumer_that_paused_is_still_paused_afterwards(self) -> None:
        self.breaking.after = [1]
        collector = Collector(pausing=True)
        streaming = self.stream(collector)
        self.pass_time(60)  # longer than the budget
        collector.resume()
        self.pass_time(60)
        self.assertEqual(len(collector.pieces), 1)
        while not streaming.called:
            collector.resume()
            self.pass_time(1)
        self.assertEqual(self.successResultOf(streaming), len(self.data))
        self.assertTrue(collector.data == self.data)

    def test_a_consumer_can_stop_between_two_attempts(self) -> None:
        self.breaking.after = [1]
        collector = Collector()
        streaming = self.stream(collector)
        collector.stop()
        self.assertEqual(self.successResultOf(streaming), len(collector.data))
        self.assertFalse(collector.registered)

    def test_a_cancelled_stream_ends(self) -> None:
        collector = Collector(pausing=True)
        streaming = self.stream(collector)
        streaming.cancel()
        self.failureResultOf(streaming)
        self.assertFalse(collector.registered)

    def test_what_is_missing_for_a_while_is_streamed_at_last(self) -> None:
        collector = Collector()
        streaming = self.layer.stream_object(KEY + "0", 0, 10, collector)
        self.assertNoResult(streaming)
        self.put(KEY + "0", TEN)
        self.pass_time(10)
        self.assertEqual(self.successResultOf(streaming), 10)
        self.assertEqual(collector.data, TEN)

    def test_what_stays_missing_is_not_found(self) -> None:
        streaming = self.layer.stream_object(KEY + "0", 0, 10, Collector())
        self.pass_time(10)
        self.failureResultOf(streaming, ObjectNotFound)

    def test_a_stream_that_stays_silent_takes_no_longer_than_its_budget(self) -> None:
        for before in ((), (broken("cloud"),)):
            by_hand = ByHand(self.memory)
            self.layer = RetryLayer(by_hand, self.clock, self.random)
            collector = Collector()
            streaming = self.layer.stream_object(KEY, 0, 10, collector)
            by_hand.write(TEN[:4])
            for error in before:
                by_hand.end(error)
            self.pass_time(44.9)
            self.assertNoResult(streaming)
            self.pass_time(0.2)
            self.failureResultOf(streaming, ProviderUnreachable if before else ProviderTimedOut)
            self.assertFalse(collector.registered)
            self.assertTrue(by_hand.ending.called)

    def test_a_stream_that_is_refused_in_the_end_says_what_was_wrong_first(self) -> None:
        by_hand = ByHand(self.memory)
        self.layer = RetryLayer(by_hand, self.clock, self.random)
        streaming = self.layer.stream_object(KEY, 0, 10, Collector())
        by_hand.end(broken("cloud"))
        self.pass_time(1)
        by_hand.end(CircuitOpen("cloud", "stream_object", "it is left alone"))
        failed = self.failureResultOf(streaming, ProviderUnreachable)
        self.assertNotIsInstance(failed.value, CircuitOpen)


class MissingTests(RetryCase):
    """Objects that exist, but that the provider does not know of everywhere yet."""

    def test_what_is_missing_for_a_while_is_read_at_last(self) -> None:
        reading = self.read()
        self.assertNoResult(reading)
        self.put(KEY, TEN)
        self.pass_time(10)
        self.assertEqual(self.successResultOf(reading), TEN)

    def test_what_stays_missing_is_not_found_after_ten_seconds_at_most(self) -> None:
        self.random.seed(2)
        reading = self.read()
        self.pass_time(10.1)
        self.failureResultOf(reading, ObjectNotFound)

    def test_who_is_not_to_wait_for_them_does_not_whatever_else_is_changed(self) -> None:
        self.layer = RetryLayer(self.leaf, self.clock, self.random, RetryPolicy(missing=0.0))
        for _ in range(2):
            self.failureResultOf(self.read(), ObjectNotFound)
            self.layer.adjust(RetryPolicy(attempts=3))

    def test_what_is_lost_for_good_does_not_use_up_the_retries_of_others(self) -> None:
        lost = [self.layer.get_object(f"{KEY}{number}", 0, 1) for number in range(50)]
        self.pass_time(10.1)
        for reading in lost:
            self.failureResultOf(reading, ObjectNotFound)
        self.assertLessEqual(self.plan.calls["get_object"], 50 + 50 * 0.5 + 100 + 11)
        self.put(KEY, TEN)
        self.plan.fail("get_object")
        reading = self.read()
        self.pass_time(1)
        self.assertEqual(self.successResultOf(reading), TEN)


class UploadTests(RetryCase):
    """Their calls are made once, and take no longer than others."""

    def test_nothing_of_an_upload_is_repeated(self) -> None:
        for operation in ("write", "finish"):
            upload = self.layer.open_upload(KEY, 10)
            self.plan.fail(operation)
            if operation == "finish":
                self.successResultOf(upload.write(TEN))
            calling = upload.write(TEN) if operation == "write" else upload.finish()
            self.failureResultOf(calling, ProviderUnreachable)
            self.successResultOf(upload.abort())

    def test_waiting_for_a_turn_counts(self) -> None:
        limited = ConcurrencyLayer(TimeoutLayer(self.leaf, self.clock), self.clock, 1, 1000)
        self.layer = RetryLayer(limited, self.clock, self.random)
        for operation, kind in (("write", ProviderTimedOut), ("finish", OutcomeUnknown)):
            upload = self.layer.open_upload(KEY, 2**20)
            if operation == "finish":
                self.successResultOf(upload.write(bytes(2**20)))
            self.put(KEY + operation, TEN)
            reads = self.plan.hang("get_object", times=None)
            readings = [limited.get_object(KEY + operation, 0, 1) for _ in range(2)]
            hung = self.plan.hang(operation)
            calling = upload.write(bytes(2**20)) if operation == "write" else upload.finish()
            self.pass_time(44.9)
            self.assertNoResult(calling)
            self.pass_time(0.2)
            self.failureResultOf(calling, kind)
            self.assertEqual(limited.under_way, 0)
            for reading in readings:
                self.failureResultOf(reading, ProviderTimedOut)
            reads.release()
            hung.release()
            self.plan.heal()


def busy_for(seconds: float) -> type[ProviderBusy]:
    class BusyForAWhile(ProviderBusy):
        retry_after = seconds

    return BusyForAWhile
