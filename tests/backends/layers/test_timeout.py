from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer

from raic.backends.layers.circuit import CircuitState
from raic.backends.layers.concurrency import ConcurrencyLayer
from raic.backends.layers.stack import LayerSettings, wrap_in_layers
from raic.backends.layers.timeout import TimeoutLayer, Timeouts
from raic.errors import OutcomeUnknown, ProviderTimedOut
from raic.interfaces import IObjectUpload
from tests.backends.layers.worlds import Idle, LayerCase, Remote
from tests.contracts.consumer import Collector
from tests.contracts.provider import KEY, TEN, pattern

DATA = pattern(3_000_000)


class TimeoutCase(LayerCase):
    def setUp(self) -> None:
        super().setUp()
        self.layer = TimeoutLayer(self.leaf, self.clock)


class CallTests(TimeoutCase):
    def test_nothing_is_waited_for_too_long(self) -> None:
        calls: tuple[tuple[str, Any, Any], ...] = (
            ("put_object", OutcomeUnknown, lambda: self.layer.put_object(KEY, TEN)),
            ("get_object", ProviderTimedOut, lambda: self.layer.get_object(KEY, 0, 10)),
            ("list_objects", ProviderTimedOut, lambda: self.layer.list_objects("", None)),
            ("delete_objects", OutcomeUnknown, lambda: self.layer.delete_objects([KEY])),
            ("get_space", ProviderTimedOut, self.layer.get_space),
        )
        for operation, kind, call in calls:
            gate = self.plan.hang(operation)
            calling = call()
            # A deletion may take a request for each object.
            self.pass_time(44.9 if operation == "delete_objects" else 19.9)
            self.assertNoResult(calling)
            self.pass_time(0.2)
            refused = self.failureResultOf(calling, kind).value
            self.assertEqual((refused.provider, refused.operation), ("cloud", operation))
            self.assertEqual(self.layer.hung, 1)
            gate.release()
            self.assertEqual(self.layer.hung, 0)

    def test_a_late_failure_is_dropped(self) -> None:
        gate = self.plan.hang("get_object")
        reading = self.layer.get_object(KEY, 0, 10)
        self.pass_time(20.1)
        self.failureResultOf(reading, ProviderTimedOut)
        gate.release()  # there is no such object
        self.assertEqual(self.layer.hung, 0)

    def test_an_answer_in_time_is_passed_on(self) -> None:
        self.put(KEY, TEN)
        gate = self.plan.hang("get_object")
        reading = self.layer.get_object(KEY, 0, 10)
        self.pass_time(19)
        gate.release()
        self.assertEqual(self.successResultOf(reading), TEN)

    def test_bytes_are_given_time_up_to_a_limit(self) -> None:
        timeouts = Timeouts(answer=10.0, rate=1000.0, longest=30.0)
        self.assertEqual(timeouts.of(0), 10.0)
        self.assertEqual(timeouts.of(5_000), 15.0)
        self.assertEqual(timeouts.of(10**9), 30.0)
        self.layer = TimeoutLayer(self.leaf, self.clock, timeouts)
        self.plan.hang("put_object")
        putting = self.layer.put_object(KEY, bytes(5_000))
        self.pass_time(14.9)
        self.assertNoResult(putting)
        self.pass_time(0.2)
        self.failureResultOf(putting, OutcomeUnknown)

    def test_a_start_that_hangs_fails(self) -> None:
        self.plan.hang("start")
        starting = self.layer.start()
        self.pass_time(45.1)
        self.failureResultOf(starting, ProviderTimedOut)

    def test_a_cancelled_call_counts_as_hung_until_it_ends(self) -> None:
        gate = self.plan.hang("put_object")
        putting = self.layer.put_object(KEY, TEN)
        putting.cancel()
        self.failureResultOf(putting, OutcomeUnknown)
        self.assertEqual(self.layer.hung, 1)
        gate.release()
        self.assertEqual(self.layer.hung, 0)

    def test_that_a_read_is_cancelled_is_no_failure_of_the_provider(self) -> None:
        self.put(KEY, TEN)
        gate = self.plan.hang("get_object", times=None)
        layers = wrap_in_layers(self.leaf, LayerSettings(cache=None), self.clock, Random(1))
        for _ in range(20):
            reading = layers.provider.get_object(KEY, 0, 10)
            self.pass_time(0.05)
            reading.cancel()
            self.failureResultOf(reading, CancelledError)
        assert layers.circuit is not None
        self.assertIs(layers.circuit.state, CircuitState.CLOSED)
        gate.release()

    def test_a_hung_call_gives_its_place_back(self) -> None:
        self.put(KEY, TEN)
        limited = ConcurrencyLayer(self.layer, self.clock, 1, patience=60)
        self.plan.hang("get_object")
        hanging = limited.get_object(KEY, 0, 10)
        waiting = limited.get_object(KEY, 0, 10)
        self.pass_time(20.1)
        self.failureResultOf(hanging, ProviderTimedOut)
        self.assertEqual(self.successResultOf(waiting), TEN)
        self.assertEqual((self.layer.hung, limited.under_way), (1, 0))


class UploadTests(TimeoutCase):
    def setUp(self) -> None:
        super().setUp()
        self.upload = self.layer.open_upload(KEY, 10)

    def test_a_write_that_hangs_leaves_nothing_that_could_appear(self) -> None:
        self.plan.hang("write")
        writing = self.upload.write(TEN)
        self.pass_time(20.1)
        self.failureResultOf(writing, ProviderTimedOut)
        self.successResultOf(self.upload.abort())

    def test_an_end_that_hangs_has_an_unknown_outcome(self) -> None:
        self.successResultOf(self.upload.write(TEN))
        gate = self.plan.hang("finish")
        finishing = self.upload.finish()
        self.pass_time(20.1)
        self.failureResultOf(finishing, OutcomeUnknown)
        gate.release()
        self.assertEqual(self.successResultOf(self.memory.get_object(KEY, 0, 10)), TEN)

    def test_what_an_upload_holds_back_is_given_time(self) -> None:
        self.layer = TimeoutLayer(self.leaf, self.clock, Timeouts(rate=1_000_000))
        upload = self.layer.open_upload(KEY, 10_000_000)  # memory holds all of it
        self.plan.hang("write")
        writing = upload.write(TEN)
        self.pass_time(29.9)
        self.assertNoResult(writing)
        self.pass_time(0.2)
        self.failureResultOf(writing, ProviderTimedOut)

    def test_an_abort_that_hangs_is_left_to_itself(self) -> None:
        layer = TimeoutLayer(Unabortable(self.memory), self.clock)
        aborting = layer.open_upload(KEY, 10).abort()
        self.pass_time(20.1)
        self.assertIsNone(self.successResultOf(aborting))


class Unabortable(Remote):
    def open_upload(self, key: str, size: int) -> IObjectUpload:
        upload = super().open_upload(key, size)
        upload.abort = Deferred  # type: ignore[method-assign]  # never fires
        return upload


class Silent(Remote):
    """Streams of one piece, and then nothing."""

    producing = True
    writing = True

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        self.consumer = consumer
        collector = Collector()
        super().stream_object(key, offset, 10, collector)
        if self.producing:
            consumer.registerProducer(Idle(), True)
        if self.producing and self.writing:
            consumer.write(b"".join(collector.pieces))
        self.ending: Deferred[int] = Deferred()
        return self.ending


class StreamTests(TimeoutCase):
    def setUp(self) -> None:
        super().setUp()
        self.data = DATA
        self.put(KEY, self.data)
        self.silent = Silent(self.memory)
        self.layer = TimeoutLayer(self.silent, self.clock)

    def test_a_silent_stream_ends(self) -> None:
        collector = Collector()
        streaming = self.layer.stream_object(KEY, 0, 100, collector)
        self.pass_time(19.9)
        self.assertNoResult(streaming)
        self.pass_time(0.2)
        self.failureResultOf(streaming, ProviderTimedOut)
        self.assertEqual(collector.data, self.data[:10])
        self.assertFalse(collector.registered)
        self.assertEqual(self.layer.hung, 1)
        self.silent.ending.callback(10)
        self.assertEqual(self.layer.hung, 0)

    def test_a_stream_that_never_begins_ends(self) -> None:
        self.silent.producing = False
        streaming = self.layer.stream_object(KEY, 0, 100, Collector())
        self.pass_time(20.1)
        self.failureResultOf(streaming, ProviderTimedOut)

    def test_every_piece_starts_the_time_anew(self) -> None:
        streaming = self.layer.stream_object(KEY, 0, 100, Collector())
        self.pass_time(15)
        self.silent.consumer.write(b"more")
        self.pass_time(15)
        self.assertNoResult(streaming)
        self.pass_time(5.1)
        self.failureResultOf(streaming, ProviderTimedOut)

    def test_a_paused_consumer_may_take_its_time(self) -> None:
        self.layer = TimeoutLayer(self.memory, self.clock)
        collector = Collector(pausing=True)
        streaming = self.layer.stream_object(KEY, 0, len(self.data), collector)
        while not streaming.called:
            self.pass_time(50)
            collector.resume()
        self.assertEqual(self.successResultOf(streaming), len(self.data))
        self.assertEqual(collector.data, self.data)

    def test_after_a_pause_the_time_counts_again(self) -> None:
        self.silent.writing = False
        collector = Collector(pausing=True)
        streaming = self.layer.stream_object(KEY, 0, 100, collector)
        self.pass_time(50)
        self.assertNoResult(streaming)
        collector.resume()
        self.pass_time(19.9)
        self.assertNoResult(streaming)
        self.pass_time(0.2)
        self.failureResultOf(streaming, ProviderTimedOut)

    def test_a_stopped_stream_is_over_though_the_provider_hangs(self) -> None:
        for stop_after in (0, 1):
            collector = Collector(stop_after=stop_after)
            streaming = self.layer.stream_object(KEY, 0, 100, collector)
            self.assertEqual(self.successResultOf(streaming), 10 * stop_after)
        self.assertEqual(self.layer.hung, 2)

    def test_a_cancelled_stream_is_over(self) -> None:
        streaming = self.layer.stream_object(KEY, 0, 100, Collector())
        streaming.cancel()
        self.failureResultOf(streaming, CancelledError)
        self.assertEqual(self.layer.hung, 1)
