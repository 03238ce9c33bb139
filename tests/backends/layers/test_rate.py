from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from raic.backends.layers.rate import RateLayer, Rates
from raic.backends.layers.retry import RetryLayer
from raic.errors import ObjectNotFound, ProviderUnreachable, QueueTooLong, StorageUnusable
from tests.backends.layers.worlds import LayerCase, StreamsThatBreak
from tests.contracts.consumer import Collector
from tests.contracts.provider import KEY, TEN, pattern

RATE = 1_000_000
DATA = pattern(3 * RATE)


class RateCase(LayerCase):
    def setUp(self) -> None:
        super().setUp()
        self.layer = self.limited(Rates(upload=RATE, download=RATE))

    def limited(self, rates: Rates) -> RateLayer:
        return RateLayer(self.leaf, self.clock, rates)

    def seconds_of(self, waiting: Deferred[Any]) -> float:
        """How long it takes until something fires."""
        began = self.clock.seconds()
        while not waiting.called:
            self.clock.advance(0.01)
        self.successResultOf(waiting)
        return self.clock.seconds() - began


class CallTests(RateCase):
    def test_a_small_put_passes_at_once(self) -> None:
        self.successResultOf(self.layer.put_object(KEY, TEN))

    def test_puts_take_the_time_of_their_bytes(self) -> None:
        putting = self.layer.put_object(KEY, bytes(3 * RATE))
        self.assertAlmostEqual(self.seconds_of(putting), 2.6, delta=0.1)

    def test_reads_take_the_time_of_their_bytes(self) -> None:
        self.put(KEY, bytes(3 * RATE))
        reading = self.layer.get_object(KEY, 0, 3 * RATE)
        self.assertAlmostEqual(self.seconds_of(reading), 2.6, delta=0.1)

    def test_one_way_does_not_wait_for_the_other(self) -> None:
        self.put(KEY, TEN)
        putting = self.layer.put_object(KEY + "0", bytes(3 * RATE))
        self.assertEqual(self.successResultOf(self.layer.get_object(KEY, 0, 10)), TEN)
        self.successResultOf(self.layer.list_objects("", None))
        self.seconds_of(putting)

    def test_uploads_take_the_time_of_their_bytes(self) -> None:
        data = DATA
        upload = self.layer.open_upload(KEY, len(data))
        self.assertAlmostEqual(self.seconds_of(upload.write(data[:RATE])), 0.6, delta=0.1)
        self.assertAlmostEqual(self.seconds_of(upload.write(data[RATE:])), 2.0, delta=0.1)
        self.successResultOf(upload.finish())
        self.assertTrue(self.successResultOf(self.memory.get_object(KEY, 0, 3 * RATE)) == data)
        self.assertEqual(self.plan.calls["write"], 30)

    def test_a_large_object_does_not_keep_a_small_one_waiting(self) -> None:
        large = self.layer.put_object(KEY, bytes(10 * RATE))
        self.pass_time(1)
        small = self.layer.put_object(KEY + "0", TEN)
        self.assertLess(self.seconds_of(small), 0.3)
        self.seconds_of(large)

    def test_what_did_not_come_is_not_counted(self) -> None:
        self.put(KEY, TEN)
        for _ in range(100):
            reading = self.layer.get_object(KEY, 0, RATE // 4)
            self.assertEqual(self.successResultOf(reading), TEN)
            reading = self.layer.get_object("missing", 0, RATE // 4)
            self.failureResultOf(reading, ObjectNotFound)

    def test_requests_are_limited(self) -> None:
        self.layer = self.limited(Rates(requests=10))
        self.put(KEY, TEN)
        for _ in range(10):
            self.successResultOf(self.layer.get_object(KEY, 0, 10))
        reads = [self.layer.get_object(KEY, 0, 10) for _ in range(5)]
        streaming = self.layer.stream_object(KEY, 0, 10, Collector())
        upload = self.layer.open_upload(KEY, 10)
        self.successResultOf(upload.write(TEN))
        self.assertAlmostEqual(self.seconds_of(upload.finish()), 0.7, delta=0.02)
        for reading in reads:
            self.successResultOf(reading)
        self.successResultOf(streaming)

    def test_a_request_whose_bytes_must_wait_counts_once(self) -> None:
        self.layer = self.limited(Rates(requests=10, upload=RATE))
        putting = self.layer.put_object(KEY, bytes(RATE // 4))
        self.successResultOf(putting)
        waiting = self.layer.put_object(KEY + "0", bytes(RATE // 2))
        self.seconds_of(waiting)
        self.pass_time(10)
        for number in range(10):
            self.successResultOf(self.layer.get_object(KEY, number, 1))
        reading = self.layer.get_object(KEY, 0, 1)
        self.assertNoResult(reading)
        self.seconds_of(reading)

    def test_a_request_whose_bytes_are_there_but_promised_counts_once(self) -> None:
        self.layer = self.limited(Rates(requests=10, download=RATE))
        self.put(KEY, TEN)
        gate = self.plan.hang("get_object")
        first = self.layer.get_object(KEY, 0, 400_000)
        second = self.layer.get_object(KEY, 0, 100_000)
        gate.release()  # its bytes are given back, and promised to the second
        third = self.layer.get_object(KEY, 0, 10)
        self.assertNoResult(third)
        self.clock.advance(0)
        for reading in (first, second, third):
            self.assertEqual(self.successResultOf(reading), TEN)
        for _ in range(7):
            self.successResultOf(self.layer.get_object(KEY, 0, 10))
        last = self.layer.get_object(KEY, 0, 10)
        self.assertNoResult(last)
        self.seconds_of(last)

    def test_what_would_wait_too_long_is_refused_at_once(self) -> None:
        refused = self.layer.put_object(KEY, bytes(31 * RATE))
        self.failureResultOf(refused, QueueTooLong)
        self.assertEqual(self.plan.calls["put_object"], 0)

    def test_a_long_queue_takes_no_more(self) -> None:
        puts = [self.layer.put_object(f"{KEY}{n}", bytes(14 * RATE)) for n in range(2)]
        refused = self.layer.put_object(KEY, bytes(3 * RATE))
        self.failureResultOf(refused, QueueTooLong)
        for putting in puts:
            self.seconds_of(putting)
        self.seconds_of(self.layer.put_object(KEY, bytes(3 * RATE)))

    def test_who_is_overtaken_for_too_long_is_refused(self) -> None:
        large = self.layer.put_object(KEY, bytes(28 * RATE))
        for number in range(15):
            small = self.layer.put_object(f"{KEY}{number}", bytes(RATE))
            self.assertLess(self.seconds_of(small), 2.5)
        self.pass_time(2)
        self.failureResultOf(large, QueueTooLong)

    def test_a_cancelled_call_was_not_made(self) -> None:
        putting = self.layer.put_object(KEY, bytes(RATE))
        putting.cancel()
        self.failureResultOf(putting, QueueTooLong)
        self.assertEqual(self.plan.calls["put_object"], 0)

    def test_stopping_refuses_who_waits(self) -> None:
        putting = self.layer.put_object(KEY, bytes(RATE))
        self.successResultOf(self.layer.stop())
        self.failureResultOf(putting, StorageUnusable)


class StreamTests(RateCase):
    def setUp(self) -> None:
        super().setUp()
        self.data = DATA
        self.put(KEY, self.data)

    def stream(self, collector: Collector) -> Deferred[int]:
        return self.layer.stream_object(KEY, 0, len(self.data), collector)

    def test_a_stream_is_smooth(self) -> None:
        collector = Collector()
        streaming = self.stream(collector)
        began = self.clock.seconds()
        while not streaming.called:
            self.clock.advance(0.05)
            came = sum(map(len, collector.pieces))
            passed = self.clock.seconds() - began
            self.assertLessEqual(came, RATE * (0.4 + passed) + 1)
            if not streaming.called:
                self.assertGreaterEqual(came, RATE * (0.2 + passed))
        self.assertEqual(self.successResultOf(streaming), len(self.data))
        self.assertTrue(collector.data == self.data)

    def test_two_streams_share_fairly(self) -> None:
        first, second = Collector(), Collector()
        streams = [self.stream(first), self.stream(second)]
        self.pass_time(2)
        difference = abs(len(first.data) - len(second.data))
        self.assertLessEqual(difference, RATE * 0.5)
        for streaming in streams:
            self.seconds_of(streaming)

    def test_a_stopped_stream_leaves_the_queue(self) -> None:
        collector = Collector()
        streaming = self.stream(collector)
        self.pass_time(1)
        collector.stop()
        self.assertEqual(self.successResultOf(streaming), len(collector.data))

    def test_a_paused_stream_keeps_its_turn(self) -> None:
        collector = Collector(pausing=True)
        streaming = self.stream(collector)
        while not streaming.called:
            pieces = len(collector.pieces)
            collector.resume()
            self.pass_time(1)
            self.assertLessEqual(len(collector.pieces), pieces + 1)
        self.assertTrue(collector.data == self.data)

    def test_a_turn_that_is_not_taken_is_given_back(self) -> None:
        collector = Collector(pausing=True)
        streaming = self.stream(collector)
        collector.resume()
        for _ in range(4):
            collector.resume()  # the burst is used up: the next one must wait
        collector.resume()
        self.assertFalse(collector.paused)
        collector.pause()
        self.clock.advance(0.102)  # it has its turn, while the consumer pauses
        collector.stop()
        self.assertEqual(self.successResultOf(streaming), 400_000)
        self.successResultOf(self.layer.get_object(KEY, 0, 90_000))

    def test_what_came_before_a_break_is_delivered(self) -> None:
        breaking = StreamsThatBreak(self.memory)
        breaking.after = [1]
        self.layer = RateLayer(breaking, self.clock, Rates(download=RATE))
        collector = Collector()
        streaming = self.stream(collector)
        self.assertNoResult(streaming)
        self.pass_time(1)
        self.failureResultOf(streaming, ProviderUnreachable)
        self.assertEqual(len(collector.data), 524_288)

    def test_a_paced_stream_can_be_resumed(self) -> None:
        breaking = StreamsThatBreak(self.memory)
        breaking.after = [1, 0, 2]
        limited = RateLayer(breaking, self.clock, Rates(download=RATE))
        retrying = RetryLayer(limited, self.clock, self.random)
        collector = Collector()
        streaming = retrying.stream_object(KEY, 0, len(self.data), collector)
        self.seconds_of(streaming)
        self.assertTrue(collector.data == self.data)

    def test_stopping_ends_a_stream(self) -> None:
        streaming = self.stream(Collector())
        self.successResultOf(self.layer.stop())
        self.failureResultOf(streaming, StorageUnusable)

    def test_a_cancelled_stream_ends(self) -> None:
        streaming = self.stream(Collector())
        streaming.cancel()
        self.failureResultOf(streaming, CancelledError)


class Adjusting(RateCase):
    def test_the_next_call_has_the_new_limit(self) -> None:
        self.layer.adjust(Rates(upload=RATE / 2))
        putting = self.layer.put_object(KEY, bytes(3 * RATE))
        self.assertAlmostEqual(self.seconds_of(putting), 5.6, delta=0.1)
        self.layer.adjust(Rates())
        self.successResultOf(self.layer.put_object(f"{KEY}0", bytes(3 * RATE)))

    def test_a_limit_can_come_to_where_there_was_none(self) -> None:
        layer = self.limited(Rates())
        layer.adjust(Rates(requests=1))
        self.successResultOf(layer.list_objects("", None))
        self.assertAlmostEqual(self.seconds_of(layer.list_objects("", None)), 1.0, delta=0.1)

    def test_an_upload_under_way_goes_on_at_the_new_pace(self) -> None:
        upload = self.layer.open_upload(KEY, 3 * RATE)
        self.seconds_of(upload.write(DATA[:RATE]))
        # So little that slices are smaller than those of before.
        self.layer.adjust(Rates(upload=RATE / 10))
        self.assertApproximates(self.seconds_of(upload.write(DATA[RATE : 2 * RATE])), 9.4, 0.3)
        self.layer.adjust(Rates())
        self.successResultOf(upload.write(DATA[2 * RATE :]))
        self.successResultOf(upload.finish())
        self.assertEqual(self.successResultOf(self.leaf.get_object(KEY, 0, 3 * RATE)), DATA)

    def test_what_waits_by_the_old_limit_is_not_forgotten(self) -> None:
        self.put(KEY, DATA)
        stream = self.layer.stream_object(KEY, 0, 3 * RATE, Collector())
        waiting = self.layer.put_object(f"{KEY}0", bytes(3 * RATE))
        self.layer.adjust(Rates(download=1, upload=1))
        self.assertAlmostEqual(self.seconds_of(waiting), 2.6, delta=0.1)
        self.seconds_of(stream)
        slow = self.limited(Rates(upload=RATE / 10))
        stuck = slow.put_object(f"{KEY}1", bytes(RATE))
        slow.adjust(Rates())
        self.successResultOf(slow.stop())
        self.failureResultOf(stuck, StorageUnusable)
