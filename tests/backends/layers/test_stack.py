from __future__ import annotations

from functools import partial

from attrs import evolve

from raic.backends.layers.circuit import CircuitState
from raic.backends.layers.rate import RateLayer, Rates
from raic.backends.layers.stack import (
    NO_LAYERS,
    Layers,
    LayerSettings,
    build_stack,
    suitable_settings,
    wrap_in_layers,
)
from raic.backends.tagging import TaggingProvider
from raic.errors import (
    CircuitOpen,
    ObjectCorrupt,
    OutcomeUnknown,
    ProviderUnreachable,
)
from raic.interfaces import IImmediateReads, IStorageProvider
from tests.backends.layers.worlds import LayerCase
from tests.contracts.provider import KEY, TEN

TAGGED = partial(TaggingProvider, key=bytes(range(32)))


class AssemblyTests(LayerCase):
    def wrap(self, settings: LayerSettings) -> Layers:
        return wrap_in_layers(self.leaf, settings, self.clock, self.random)

    def names(self, provider: IStorageProvider) -> list[str]:
        """The classes from the outside inwards."""
        names = [type(provider).__name__]
        inner = getattr(provider, "_inner", None)
        return names + (self.names(inner) if inner is not None else [])

    def test_layers_have_their_order(self) -> None:
        settings = LayerSettings(rates=Rates(upload=1000))
        layers = wrap_in_layers(self.leaf, settings, self.clock, self.random, protect=TAGGED)
        self.assertEqual(
            self.names(layers.provider)[:9],
            [
                *("ReadCacheLayer", "ObservationLayer", "TaggingProvider", "RetryLayer"),
                *("CircuitBreaker", "RateLayer", "ConcurrencyLayer", "TimeoutLayer", "Remote"),
            ],
        )

    def test_what_is_not_configured_is_not_there(self) -> None:
        self.assertIs(build_stack(self.leaf, NO_LAYERS, self.clock, self.random), self.leaf)
        for settings, layer in (
            (LayerSettings(cache=None), "ReadCacheLayer"),
            (LayerSettings(log_interval=None), "ObservationLayer"),
            (LayerSettings(retry=None), "RetryLayer"),
            (LayerSettings(circuit=None), "CircuitBreaker"),
            (LayerSettings(connections=None), "ConcurrencyLayer"),
            (LayerSettings(timeouts=None), "TimeoutLayer"),
        ):
            with_it = self.names(self.wrap(LayerSettings()).provider)
            without = self.names(self.wrap(settings).provider)
            self.assertEqual([name for name in with_it if name != layer], without)
        self.assertIsNone(self.wrap(LayerSettings(rates=None)).rate)
        limited = self.wrap(evolve(NO_LAYERS, rates=Rates(requests=5)))
        self.assertIsInstance(limited.provider, RateLayer)

    def test_a_local_disk_gets_no_layers_and_a_cloud_the_default_ones(self) -> None:
        self.assertEqual(suitable_settings(self.memory), NO_LAYERS)
        self.assertEqual(suitable_settings(self.leaf), LayerSettings())

    def test_a_leaf_that_counts_its_requests_is_asked(self) -> None:
        observation = self.wrap(LayerSettings()).observation
        assert observation is not None
        self.put(KEY, TEN)
        self.successResultOf(self.leaf.get_object(KEY, 0, 5))
        self.assertEqual(observation.snapshot().requests, {"get_object": 1})
        layers = wrap_in_layers(self.memory, LayerSettings(), self.clock, self.random)
        assert layers.observation is not None
        self.assertIsNone(layers.observation.snapshot().requests)


class ScenarioTests(LayerCase):
    """The default stack, and what its user notices."""

    def setUp(self) -> None:
        super().setUp()
        self.layers = wrap_in_layers(
            self.leaf, LayerSettings(), self.clock, self.random, protect=TAGGED
        )
        self.provider = self.layers.provider
        self.successResultOf(self.provider.start())
        self.successResultOf(self.provider.put_object(KEY, TEN))

    def test_the_beginning_of_a_share_is_one_request(self) -> None:
        for _ in range(3):
            reading = self.provider.get_object(KEY, 0, 5)
            self.assertEqual(self.successResultOf(reading), TEN[:5])
            self.assertEqual(IImmediateReads(self.provider).read_now(KEY, 2, 5), TEN[2:7])
        self.assertEqual(self.leaf.requests_made(), {"get_object": 1})

    def test_a_provider_that_is_down_is_left_alone(self) -> None:
        for operation in ("get_object", "put_object", "list_objects"):
            self.plan.fail(operation, times=None)
        reads = [self.provider.get_object(f"{KEY}{n}", 0, 5) for n in range(5)]
        self.pass_time(1)
        self.assertEqual(self.leaf.requests_made(), {"get_object": 5})
        assert self.layers.circuit is not None
        self.assertIs(self.layers.circuit.state, CircuitState.OPEN)
        self.pass_time(50)
        for reading in reads:
            # What the provider said is of more use than that it is left alone.
            failed = self.failureResultOf(reading, ProviderUnreachable)
            self.assertNotIsInstance(failed.value, CircuitOpen)
        before = sum(self.plan.calls.values())
        self.failureResultOf(self.provider.get_object(KEY, 0, 5), CircuitOpen)
        self.failureResultOf(self.provider.put_object(KEY, TEN), CircuitOpen)
        self.failureResultOf(self.provider.list_objects("", None), CircuitOpen)
        self.assertEqual(sum(self.plan.calls.values()), before)

    def test_a_provider_that_comes_back_is_used_again(self) -> None:
        self.test_a_provider_that_is_down_is_left_alone()
        self.plan.heal()
        self.pass_time(40)
        reading = self.provider.get_object(KEY, 0, 5)
        self.assertEqual(self.successResultOf(reading), TEN[:5])

    def test_a_provider_that_hangs_costs_no_more_than_the_budget(self) -> None:
        for operation in ("get_object", "put_object"):
            self.plan.hang(operation, times=None)
        reads = [self.provider.get_object(f"{KEY}{n}", 0, 5) for n in range(20)]
        putting = self.provider.put_object(KEY + "x", TEN)
        self.pass_time(45.1)
        for reading in reads:
            self.failureResultOf(reading)
        self.failureResultOf(putting)
        assert self.layers.timeout is not None
        assert self.layers.concurrency is not None
        self.assertGreater(self.layers.timeout.hung, 0)
        self.assertEqual(
            (self.layers.concurrency.under_way, self.layers.concurrency.waiting), (0, 0)
        )

    def test_one_hung_request_is_not_noticed_but_for_the_time(self) -> None:
        self.plan.hang("get_object")
        reading = self.provider.get_object(KEY, 0, 5)
        self.pass_time(24)
        self.assertEqual(self.successResultOf(reading), TEN[:5])

    def test_a_put_that_landed_late_is_put_again(self) -> None:
        gate = self.plan.hang("put_object")
        putting = self.provider.put_object(KEY + "x", TEN)
        self.pass_time(21)
        self.successResultOf(putting)
        gate.release()
        reading = self.provider.get_object(KEY + "x", 0, 10)
        self.assertEqual(self.successResultOf(reading), TEN)

    def test_an_end_of_an_upload_that_hangs_has_an_unknown_outcome(self) -> None:
        upload = self.provider.open_upload(KEY + "x", 10)
        self.successResultOf(upload.write(TEN))
        self.plan.hang("finish")
        finishing = upload.finish()
        self.pass_time(21)
        self.failureResultOf(finishing, OutcomeUnknown)

    def test_altered_bytes_are_noticed_counted_and_not_kept(self) -> None:
        self.plan.corrupt("get_object", 3)
        self.failureResultOf(self.provider.get_object(KEY, 0, 5), ObjectCorrupt)
        assert self.layers.observation is not None
        operations = self.layers.observation.snapshot().operations
        self.assertEqual(operations["get_object"].errors, {"ObjectCorrupt": 1})
        reading = self.provider.get_object(KEY, 0, 5)
        self.assertEqual(self.successResultOf(reading), TEN[:5])

    def test_a_stop_leaves_nothing_waiting(self) -> None:
        self.plan.fail("get_object", times=None)
        self.plan.hang("list_objects", times=None)
        reading = self.provider.get_object(KEY, 0, 5)
        lists = [self.provider.list_objects("", None) for _ in range(20)]
        self.successResultOf(self.provider.stop())
        self.failureResultOf(reading)
        self.pass_time(45.1)  # what was under way keeps its own time
        for listing in lists:
            self.failureResultOf(listing)
