"""The layers around a leaf, in their order."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from attrs import evolve, field, frozen
from twisted.internet.interfaces import IReactorTime

from raic.backends.layers.circuit import CircuitBreaker, CircuitSettings
from raic.backends.layers.concurrency import ConcurrencyLayer
from raic.backends.layers.observation import ObservationLayer
from raic.backends.layers.rate import RateLayer, Rates
from raic.backends.layers.readcache import CacheSettings, ReadCacheLayer
from raic.backends.layers.retries import RetryPolicy
from raic.backends.layers.retry import RetryLayer
from raic.backends.layers.timeout import TimeoutLayer, Timeouts
from raic.backends.layers.troubles import Troubles
from raic.errors import CircuitOpen, ProviderError
from raic.interfaces import ILocalListing, IRequestCounts, IStorageProvider

SECONDS_OF_SILENCE = 60.0
"""Between two log events of one kind, where nothing else is said."""

Wrap = Callable[[IStorageProvider], IStorageProvider]


@frozen
class LayerSettings:
    """Which layers there are, and how they are set.  The defaults suit a residential uplink.

    :ivar cache: None for no read cache.
    :ivar log_interval: seconds between two log events of one kind; None for no observation.
    :ivar untold: failures that are not logged here; a circuit says itself that it opened, and why.
    :ivar retry: None to call once.
    :ivar circuit: None to ask a provider that is down every time.
    :ivar rates: None for as fast as it goes, for ever; with all its limits None it goes so until
        it is adjusted.
    :ivar connections: how many calls are under way at most; None for no limit.
    :ivar queue_seconds: how long a call waits for one of them.
    :ivar timeouts: None to wait for ever.
    """

    cache: CacheSettings | None = field(factory=CacheSettings)
    log_interval: float | None = 60.0
    untold: tuple[type[ProviderError], ...] = (CircuitOpen,)
    retry: RetryPolicy | None = field(factory=RetryPolicy)
    circuit: CircuitSettings | None = field(factory=CircuitSettings)
    rates: Rates | None = None
    connections: int | None = 8
    queue_seconds: float = 20.0
    timeouts: Timeouts | None = field(factory=Timeouts)


NO_LAYERS = LayerSettings(
    cache=None, log_interval=None, retry=None, circuit=None, connections=None, timeouts=None
)


SILENT = frozenset({"get_space"})
"""What most clouds answer without being asked: it says nothing of them."""


def suitable_settings(leaf: IStorageProvider) -> LayerSettings:
    """The settings for a leaf of which nothing is configured: a local disk needs no layer."""
    return NO_LAYERS if ILocalListing.providedBy(leaf) else LayerSettings()


@frozen
class Layers:
    """A leaf and the layers around it.

    :ivar provider: the outermost; what is stored and read goes through it.
    :ivar troubles: tells of those of the provider, by whichever of them they are noticed.
    """

    provider: IStorageProvider
    cache: ReadCacheLayer | None = None
    observation: ObservationLayer | None = None
    retry: RetryLayer | None = None
    circuit: CircuitBreaker | None = None
    rate: RateLayer | None = None
    concurrency: ConcurrencyLayer | None = None
    timeout: TimeoutLayer | None = None
    troubles: Troubles | None = None


def wrap_in_layers(
    leaf: IStorageProvider,
    settings: LayerSettings,
    clock: IReactorTime,
    random: Random,
    *,
    protect: Wrap | None = None,
    length_of: Callable[[str], int | None] = lambda key: None,
) -> Layers:
    """Put the layers that are configured around a leaf; from the outside inwards:

    - *cache*: what it has needs nothing else, and it holds only what passed ``protect``;
    - *observation*: sees each call as its caller does, retries and waiting included;
    - ``protect``: so that what it finds out is observed;
    - *retry*: its budget of time bounds everything below;
    - *circuit*: below retry, so that it counts attempts and opens within seconds; it looks at
      nothing that waits for its turn;
    - *rate*, then *concurrency*: who waits for bandwidth takes no place from who needs none;
    - *timeout*: next to the leaf, so that waiting for a turn does not count, and a hung call
      gives its place back.

    :param protect: puts a layer of the caller's own between cache and provider: the tags.
    :param length_of: an object's length, if its key tells it, for the read cache.
    """
    layers = _limited(leaf, settings, clock)
    provider = layers.provider
    circuit = retry = observation = cache = None
    troubles = Troubles(leaf.name, clock, settings.log_interval or SECONDS_OF_SILENCE)
    if settings.circuit is not None:
        silent = frozenset() if ILocalListing.providedBy(leaf) else SILENT
        provider = circuit = CircuitBreaker(provider, clock, settings.circuit, silent, troubles)
    if settings.retry is not None:
        provider = retry = RetryLayer(provider, clock, random, settings.retry)
    if protect is not None:
        provider = protect(provider)
    if settings.log_interval is not None:
        requests = IRequestCounts(leaf).requests_made if IRequestCounts.providedBy(leaf) else None
        provider = observation = ObservationLayer(
            provider, clock, settings.log_interval, requests, troubles, settings.untold
        )
    if settings.cache is not None:
        provider = cache = ReadCacheLayer(provider, settings.cache, length_of)
    return evolve(
        layers,
        provider=provider,
        cache=cache,
        observation=observation,
        retry=retry,
        circuit=circuit,
        troubles=troubles,
    )


def _limited(leaf: IStorageProvider, settings: LayerSettings, clock: IReactorTime) -> Layers:
    """The layers of which the others know nothing but that a call may take longer or fail."""
    provider = leaf
    timeout = concurrency = rate = None
    if settings.timeouts is not None:
        provider = timeout = TimeoutLayer(provider, clock, settings.timeouts)
    if settings.connections is not None:
        limits = (settings.connections, settings.queue_seconds)
        provider = concurrency = ConcurrencyLayer(provider, clock, *limits)
    if settings.rates is not None:
        provider = rate = RateLayer(provider, clock, settings.rates)
    return Layers(provider, rate=rate, concurrency=concurrency, timeout=timeout)


def build_stack(
    leaf: IStorageProvider, settings: LayerSettings, clock: IReactorTime, random: Random
) -> IStorageProvider:
    """A leaf with the layers that are configured, see :func:`wrap_in_layers`."""
    return wrap_in_layers(leaf, settings, clock, random).provider
