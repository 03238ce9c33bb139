from __future__ import annotations

from twisted.internet.defer import Deferred

from raic.backends.layers.concurrency import ConcurrencyLayer
from raic.errors import ObjectNotFound, ProviderUnreachable, QueueTooLong, StorageUnusable
from tests.backends.layers.worlds import LayerCase
from tests.contracts.consumer import Collector
from tests.contracts.provider import KEY, TEN


class ConcurrencyTests(LayerCase):
    def setUp(self) -> None:
        super().setUp()
        self.put(KEY, TEN)
        self.layer = ConcurrencyLayer(self.leaf, self.clock, 2)
        self.done: list[int] = []

    def read(self, number: int = 0) -> Deferred[bytes]:
        def note(data: bytes) -> bytes:
            self.done.append(number)
            return data

        return self.layer.get_object(KEY, 0, 10).addCallback(note)

    def test_so_many_calls_are_under_way_and_the_others_wait_in_order(self) -> None:
        gates = [self.plan.hang("get_object") for _ in range(5)]
        reads = [self.read(number) for number in range(6)]
        self.assertEqual((self.layer.under_way, self.layer.waiting), (2, 4))
        self.assertEqual([gate.waiting for gate in gates], [1, 1, 0, 0, 0])
        gates[1].release()
        self.assertEqual([gate.waiting for gate in gates], [1, 0, 1, 0, 0])
        for gate in (gates[2], gates[0], gates[3], gates[4]):
            gate.release()
        for reading in reads:
            self.assertEqual(self.successResultOf(reading), TEN)
        self.assertEqual(self.done, [1, 2, 0, 5, 3, 4])  # 5 began and ended as 3 made room
        self.assertEqual((self.layer.under_way, self.layer.waiting), (0, 0))

    def test_a_long_queue_of_calls_that_end_at_once_is_no_recursion(self) -> None:
        gates = [self.plan.hang("get_object") for _ in range(2)]
        self.plan.fail("get_object", times=None)
        reads = [self.read() for _ in range(5_000)]
        for gate in gates:
            gate.release()
        for reading in reads[:2]:
            self.successResultOf(reading)
        for reading in reads[2:]:
            self.failureResultOf(reading, ProviderUnreachable)

    def test_who_comes_while_places_are_given_out_waits_behind_the_others(self) -> None:
        gates = [self.plan.hang("get_object") for _ in range(2)]
        for number in range(2):
            self.read(number)
        self.read(2).addCallback(lambda _: self.read(4))
        self.read(3)
        gates[0].release()
        self.assertEqual(self.done, [2, 3, 4, 0])
        gates[1].release()

    def test_who_waits_too_long_is_refused(self) -> None:
        gate = self.plan.hang("get_object", times=2)
        reads = [self.read() for _ in range(2)]
        self.pass_time(5)
        waiting = self.read()
        self.pass_time(19.9)
        self.assertNoResult(waiting)
        self.pass_time(0.2)
        refused = self.failureResultOf(waiting, QueueTooLong).value
        self.assertEqual(refused.operation, "get_object")
        gate.release()
        for reading in reads:
            self.successResultOf(reading)
        self.assertEqual(self.plan.calls["get_object"], 2)

    def test_a_cancelled_call_leaves_the_queue(self) -> None:
        gate = self.plan.hang("get_object", times=2)
        reads = [self.read() for _ in range(4)]
        reads[2].cancel()
        self.failureResultOf(reads[2], QueueTooLong)
        reads[0].cancel()
        self.failureResultOf(reads[0])
        self.assertEqual(self.successResultOf(reads[3]), TEN)
        gate.release()
        self.successResultOf(reads[1])
        self.assertEqual(self.layer.under_way, 0)

    def test_a_failed_call_gives_its_place_back(self) -> None:
        for _ in range(3):
            self.plan.fail("get_object")
            self.failureResultOf(self.read(), ProviderUnreachable)
            self.failureResultOf(self.layer.get_object("other", 0, 1), ObjectNotFound)
            self.assertRaises(ValueError, self.layer.get_object, KEY, -1, 1)
        self.successResultOf(self.read())

    def test_a_stream_keeps_its_place_to_its_end(self) -> None:
        collector = Collector(pausing=True)
        streaming = self.layer.stream_object(KEY, 0, 10, collector)
        self.assertEqual(self.layer.under_way, 1)
        collector.resume()
        self.successResultOf(streaming)
        self.assertEqual(self.layer.under_way, 0)

    def test_uploads_written_in_turns_do_not_wait_for_each_other(self) -> None:
        uploads = [self.layer.open_upload(f"{KEY}{n}", 10) for n in range(10)]
        for at in (0, 5):
            for upload in uploads:
                self.successResultOf(upload.write(TEN[at : at + 5]))
        for upload in uploads:
            self.successResultOf(upload.finish())

    def test_stopping_refuses_who_waits(self) -> None:
        gate = self.plan.hang("get_object", times=2)
        reads = [self.read() for _ in range(4)]
        self.successResultOf(self.layer.stop())
        for reading in reads[2:]:
            self.failureResultOf(reading, StorageUnusable)
        gate.release()
        for reading in reads[:2]:
            self.failureResultOf(reading, StorageUnusable)

    def test_a_limit_of_nothing_is_refused(self) -> None:
        self.assertRaises(ValueError, ConcurrencyLayer, self.leaf, self.clock, 0)

    def test_more_are_let_through_at_once(self) -> None:
        gates = [self.plan.hang("get_object") for _ in range(4)]
        reads = [self.read(number) for number in range(4)]
        self.layer.adjust(3)
        self.assertEqual((self.layer.under_way, self.layer.waiting), (3, 1))
        self.layer.adjust(1)
        gates[0].release()
        gates[1].release()
        self.assertEqual((self.layer.under_way, self.layer.waiting), (1, 1))
        gates[2].release()
        gates[3].release()
        for reading in reads:
            self.successResultOf(reading)
        self.assertRaises(ValueError, self.layer.adjust, 0)
