"""The contract of providers, by each layer and by the whole stack, around memory."""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import alsoProvides

from raic.backends.abilities import abilities
from raic.backends.array.drill import DrillLayer
from raic.backends.array.drillmeter import DrillMeter
from raic.backends.faults import FaultPlan
from raic.backends.faulty import FaultyProvider
from raic.backends.layers.circuit import CircuitBreaker, CircuitSettings
from raic.backends.layers.concurrency import ConcurrencyLayer
from raic.backends.layers.forwarding import ForwardingProvider
from raic.backends.layers.observation import ObservationLayer
from raic.backends.layers.rate import RateLayer, Rates
from raic.backends.layers.readcache import CacheSettings, ReadCacheLayer
from raic.backends.layers.retries import RetryPolicy
from raic.backends.layers.retry import RetryLayer
from raic.backends.layers.stack import LayerSettings, build_stack
from raic.backends.layers.timeout import TimeoutLayer
from raic.backends.memory import MemoryProvider
from raic.backends.tagging import TaggingProvider
from raic.errors import ProviderBusy
from raic.interfaces import IImmediateReads, IInterruptedUploads, ILocalListing, IStorageProvider
from tests.backends.layers.worlds import Clocked, ClockedSuite, Remote
from tests.contracts.driving import SynchronousSuite
from tests.contracts.provider import ProviderContract
from tests.contracts.provider_model import ModelContract

AT_ONCE = RetryPolicy(missing=0.0)
"""What is missing is not asked for again: the clock does not go on."""

SMALL_CACHE = CacheSettings(capacity=512, read_ahead=64, block=8, request=32)


class LayerContract(ProviderContract, ModelContract, SynchronousSuite):
    """Every layer; around a provider with abilities and around one without."""

    makes = inspects = True

    def wrap(self, inner: IStorageProvider) -> IStorageProvider:
        return ForwardingProvider(inner)

    def make_provider(self) -> IStorageProvider:
        return self.wrap(MemoryProvider("memory"))

    def test_has_the_abilities_of_the_inner_provider(self) -> None:
        remote = Remote(MemoryProvider("memory"))
        own = set(abilities(self.wrap(remote)))
        for ability in (IImmediateReads, ILocalListing, IInterruptedUploads):
            inner = Remote(MemoryProvider("memory"))
            alsoProvides(inner, ability)
            self.assertEqual(set(abilities(self.wrap(inner))), own | {ability})

    def test_passes_the_clearing_of_uploads_on(self) -> None:
        layer = self.wrap(Cleared("memory"))
        cleared = IInterruptedUploads(layer).clear_interrupted_uploads("shares/")
        self.assertEqual(self.successResultOf(cleared), 7)


class Cleared(MemoryProvider):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        alsoProvides(self, IInterruptedUploads)

    def clear_interrupted_uploads(self, prefix: str) -> Deferred[int]:
        return succeed(7)


class RetryContract(LayerContract):
    makes = inspects = False

    def wrap(self, inner: IStorageProvider) -> IStorageProvider:
        return RetryLayer(inner, Clock(), Random(1), AT_ONCE)


class TimeoutContract(LayerContract):
    def wrap(self, inner: IStorageProvider) -> IStorageProvider:
        return TimeoutLayer(inner, Clock())


class ConcurrencyContract(LayerContract):
    def wrap(self, inner: IStorageProvider) -> IStorageProvider:
        return ConcurrencyLayer(inner, Clock(), 1)


class UnlimitedRateContract(Clocked, LayerContract):
    """Limits that are not felt, but for a clock that must go on after every burst."""

    makes = inspects = False

    def __init__(self, method: str = "runTest") -> None:
        super().__init__(method)
        self.clock = Clock()

    def wrap(self, inner: IStorageProvider) -> IStorageProvider:
        rates = Rates(upload=2.0**50, download=2.0**50, requests=2.0**50)
        return RateLayer(inner, self.clock, rates)


class CircuitContract(LayerContract):
    def wrap(self, inner: IStorageProvider) -> IStorageProvider:
        return CircuitBreaker(inner, Clock())


class DrillContract(LayerContract):
    def wrap(self, inner: IStorageProvider) -> IStorageProvider:
        return DrillLayer(inner, Clock())


class MeterContract(LayerContract):
    def wrap(self, inner: IStorageProvider) -> IStorageProvider:
        meter = DrillMeter(inner, Clock())
        meter.begin()
        return meter


class ObservationContract(LayerContract):
    def wrap(self, inner: IStorageProvider) -> IStorageProvider:
        return ObservationLayer(inner, Clock())


class CacheContract(LayerContract):
    def wrap(self, inner: IStorageProvider) -> IStorageProvider:
        return ReadCacheLayer(inner, SMALL_CACHE)


class StackContract(LayerContract):
    makes = inspects = False

    def wrap(self, inner: IStorageProvider) -> IStorageProvider:
        return build_stack(inner, LayerSettings(retry=AT_ONCE), Clock(), Random(1))


class TaggedStackContract(LayerContract):
    makes = inspects = False

    def wrap(self, inner: IStorageProvider) -> IStorageProvider:
        stack = build_stack(inner, LayerSettings(retry=AT_ONCE), Clock(), Random(1))
        return TaggingProvider(stack, bytes(range(32)))


class SlowRateContract(ProviderContract, ClockedSuite):
    """Limits that are felt: everything comes to pass all the same."""

    many = 1_001
    step = 0.5

    def make_provider(self) -> IStorageProvider:
        rates = Rates(upload=300_000, download=500_000, requests=5_000, patience=1_000)
        return RateLayer(MemoryProvider("memory"), self.clock, rates)


class FlakyStackContract(ProviderContract, ClockedSuite):
    """Every tenth request fails, and nobody outside notices."""

    step = 0.5

    def make_provider(self) -> IStorageProvider:
        plan = FaultPlan(seed=1)
        for operation in (
            *("put_object", "get_object", "stream_object", "list_objects"),
            *("delete_objects", "get_space"),
        ):
            plan.sometimes(operation, 0.1, ProviderBusy)
        leaf = Remote(FaultyProvider(MemoryProvider("memory"), plan))
        retry = RetryPolicy(ratio=1.0, attempts=20)
        settings = LayerSettings(retry=retry, circuit=CircuitSettings(failures=50))
        return build_stack(leaf, settings, self.clock, Random(1))
