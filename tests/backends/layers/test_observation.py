from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent

from raic.backends.layers.figures import LATENCY_BOUNDS, OperationFigures
from raic.backends.layers.observation import ObservationLayer
from raic.errors import ObjectNotFound, ProviderBusy, ProviderUnreachable
from tests.backends.layers.worlds import LayerCase, StreamsThatBreak
from tests.contracts.consumer import Collector
from tests.contracts.provider import KEY, TEN, pattern


class ObservationTests(LayerCase):
    def setUp(self) -> None:
        super().setUp()
        self.put(KEY, TEN)
        self.layer = ObservationLayer(self.leaf, self.clock)

    def figures(self, operation: str) -> OperationFigures:
        return self.layer.snapshot().operations[operation]

    def read(self) -> Deferred[bytes]:
        return self.layer.get_object(KEY, 2, 100)

    def test_calls_and_bytes_are_counted(self) -> None:
        self.successResultOf(self.layer.start())
        self.successResultOf(self.layer.put_object(KEY + "0", TEN))
        self.successResultOf(self.layer.put_object(KEY + "1", TEN))
        self.successResultOf(self.read())
        upload = self.layer.open_upload(KEY + "2", 10)
        self.successResultOf(upload.write(TEN))
        self.successResultOf(upload.finish())
        self.successResultOf(self.layer.list_objects("", None))
        self.successResultOf(self.layer.delete_objects([KEY]))
        found = self.layer.snapshot()
        self.assertEqual(found.provider, "cloud")
        self.assertEqual(
            {name: (f.calls, f.bytes_up, f.bytes_down) for name, f in found.operations.items()},
            {
                "start": (1, 0, 0),
                "put_object": (2, 20, 0),
                "get_object": (1, 0, 8),
                "write": (1, 10, 0),
                "finish": (1, 0, 0),
                "list_objects": (1, 0, 0),
                "delete_objects": (1, 0, 0),
            },
        )
        self.assertIsNone(found.requests)

    def test_a_snapshot_stays_as_it_was(self) -> None:
        self.successResultOf(self.read())
        self.plan.fail("get_object")
        before = self.layer.snapshot()
        self.failureResultOf(self.read())
        self.assertEqual(before.operations["get_object"].calls, 1)
        self.assertEqual(before.operations["get_object"].errors, {})

    def test_errors_are_counted_by_kind(self) -> None:
        for kind in (ProviderBusy, ProviderUnreachable, ProviderBusy):
            self.plan.fail("put_object", kind)
            self.failureResultOf(self.layer.put_object(KEY + "0", TEN), kind)
        figures = self.figures("put_object")
        self.assertEqual(figures.errors, {"ProviderBusy": 2, "ProviderUnreachable": 1})
        self.assertEqual((figures.calls, figures.bytes_up), (3, 0))

    def test_what_has_not_ended_is_in_flight(self) -> None:
        gate = self.plan.hang("get_object")
        reading = self.read()
        self.assertEqual(
            (self.figures("get_object").in_flight, self.figures("get_object").calls), (1, 0)
        )
        reading.cancel()
        self.failureResultOf(reading)
        self.assertEqual(self.figures("get_object").in_flight, 0)
        gate.release()

    def test_latencies_fall_into_fixed_buckets(self) -> None:
        seconds = (0, 0.0009, 0.0017, 0.3, 100)
        for taken in seconds:
            gate = self.plan.hang("get_object")
            reading = self.read()
            self.clock.advance(taken)
            gate.release()
            self.successResultOf(reading)
        figures = self.figures("get_object")
        self.assertAlmostEqual(figures.seconds, sum(seconds), places=3)
        self.assertEqual(len(figures.latencies), len(LATENCY_BOUNDS) + 1)
        self.assertEqual(sum(figures.latencies), 5)
        held = {LATENCY_BOUNDS[at]: n for at, n in enumerate(figures.latencies[:-1]) if n}
        self.assertEqual(held, {0.000125: 1, 0.001: 1, 0.002: 1, 0.512: 1})
        self.assertEqual(figures.latencies[-1], 1)

    def test_what_somebody_else_tells_is_counted_and_not_logged(self) -> None:
        self.layer = ObservationLayer(self.leaf, self.clock, untold=(ObjectNotFound,))
        with capturedLogs() as logs:
            self.failureResultOf(self.layer.get_object(KEY + "0", 0, 1), ObjectNotFound)
            self.plan.fail("get_object", ProviderBusy)
            self.failureResultOf(self.read(), ProviderBusy)
        self.assertEqual([str(event["kind"]) for event in logs], ["ProviderBusy"])
        self.assertEqual(
            self.figures("get_object").errors, {"ObjectNotFound": 1, "ProviderBusy": 1}
        )

    def test_a_stream_is_counted_by_its_first_byte(self) -> None:
        data = pattern(3_000_000)
        self.put(KEY + "0", data)
        collector = Collector(pausing=True)
        streaming = self.layer.stream_object(KEY + "0", 0, len(data), collector)
        self.assertEqual(self.figures("stream_object").in_flight, 1)
        while not streaming.called:
            self.clock.advance(0.25)
            collector.resume()
        figures = self.figures("stream_object")
        self.assertEqual((figures.bytes_down, figures.seconds), (len(data), 0.25))
        self.assertEqual((figures.in_flight, figures.calls), (0, 1))

    def test_the_bytes_of_a_stream_that_broke_are_counted(self) -> None:
        breaking = StreamsThatBreak(self.memory)
        breaking.after = [1]
        self.layer = ObservationLayer(breaking, self.clock)
        self.put(KEY + "0", bytes(3_000_000))
        streaming = self.layer.stream_object(KEY + "0", 0, 3_000_000, Collector())
        self.failureResultOf(streaming, ProviderUnreachable)
        figures = self.figures("stream_object")
        self.assertEqual(figures.bytes_down, 524_288)
        self.assertEqual(figures.errors, {"ProviderUnreachable": 1})

    def test_a_cancelled_stream_is_counted(self) -> None:
        streaming = self.layer.stream_object(KEY, 0, 10, Collector(pausing=True))
        streaming.cancel()
        self.failureResultOf(streaming)
        self.assertEqual(self.figures("stream_object").errors, {"CancelledError": 1})

    def test_requests_are_those_of_the_leaf(self) -> None:
        layer = ObservationLayer(self.leaf, self.clock)
        self.assertIsNone(layer.snapshot().total_requests)
        sent = {"get_object": 70, "abort": 7}
        layer = ObservationLayer(self.leaf, self.clock, requests=lambda: sent)
        self.assertEqual(layer.snapshot().requests, sent)
        self.assertEqual(layer.snapshot().total_requests, 77)


class LogTests(LayerCase):
    def setUp(self) -> None:
        super().setUp()
        self.layer = ObservationLayer(self.leaf, self.clock)

    def fail_once(self, kind: type[Exception] = ObjectNotFound) -> None:
        self.failureResultOf(self.layer.get_object(KEY, 0, 10), kind)

    def test_a_failure_is_logged_with_its_remedy(self) -> None:
        with capturedLogs() as events:
            self.fail_once()
        (event,) = events
        self.assertEqual(
            formatEvent(event),
            f"ObjectNotFound: cloud: get_object: there is no {KEY}; {ObjectNotFound.remedy}",
        )
        self.assertEqual((event["provider"], event["operation"]), ("cloud", "get_object"))

    def test_a_trouble_is_told_once_and_when_it_is_over(self) -> None:
        with capturedLogs() as events:
            for _ in range(3):
                self.plan.fail("get_object", ProviderBusy)
                self.fail_once(ProviderBusy)
            self.put(KEY, TEN)
            self.pass_time(10, 1)
            self.successResultOf(self.layer.get_object(KEY, 0, 10))
        told = [formatEvent(each) for each in events if each["log_level"] >= LogLevel.info]
        self.assertEqual(len(told), 2)
        self.assertTrue(told[0].startswith("ProviderBusy: cloud: get_object: "))
        self.assertTrue(told[1].startswith("cloud answers again: get_object succeeded"))

    def test_so_is_that_of_a_stream(self) -> None:
        with capturedLogs() as events:
            streaming = self.layer.stream_object(KEY, 0, 10, Collector())
            self.failureResultOf(streaming, ObjectNotFound)
        self.assertEqual(len(events), 1)

    def test_who_starts_it_says_that_it_does_not_start(self) -> None:
        self.plan.fail("start", ProviderUnreachable)
        with capturedLogs() as events:
            self.failureResultOf(self.layer.start(), ProviderUnreachable)
        self.assertEqual(events, [])

    def test_what_is_no_failure_of_the_provider_is_not_logged(self) -> None:
        upload = self.layer.open_upload(KEY, 10)
        with capturedLogs() as events:
            self.failureResultOf(upload.finish(), ValueError)
        self.assertEqual(events, [])
