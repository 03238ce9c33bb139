"""One server's status, and that of the process with all its servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from attrs import evolve, frozen
from twisted.internet.defer import Deferred

from raic import __version__
from raic.assembly.certified import certifications
from raic.assembly.members import Reactor
from raic.assembly.stack import ProviderStack
from raic.assembly.status.arrays import array_summary
from raic.assembly.status.cached import Cached
from raic.assembly.status.history import History, Key
from raic.assembly.status.holdings import Holdings
from raic.assembly.status.providers import Providers, operation_summary
from raic.assembly.status.readiness import readiness
from raic.assembly.status.warnings import WarningBook
from raic.backends.array.maintenance import ArrayStatus, IArrayMaintenance
from raic.config.addresses import Addresses as NodeAddresses
from raic.config.identity import Identity
from raic.config.model import Config
from raic.deferreds import async_to_deferred
from raic.errors import ProviderError
from raic.interfaces import IIndex, IWorkers
from raic.server.announcer import IntroducerState
from raic.server.operations import OperationMeter
from raic.server.service import StorageService
from raic.shares.collector import Collector
from raic.status import (
    Addresses,
    Certification,
    IntroducerSummary,
    NodeStatus,
    OperationSummary,
    ServerStatus,
)
from raic.tally import OperationFigures

OPERATION = "operation"
"""The first part of the keys of protocol operations' figures."""

ARRAY_SECONDS = 2.0
CERTIFIED_SECONDS = 30.0
GATHER_SECONDS = 1.0
"""How long what was gathered is good for."""


@frozen
class Gathered:
    """What a server's status is gathered from.

    :ivar configured: what is in force.
    :ivar hints: where clients connect to, ``AUTO`` resolved.
    :ivar maintenance: None without an array.
    :ivar ownership_problem: why the node may not write under its prefix; None when it may.
    :ivar away: why the only provider could not be started yet; None when it was.
    """

    configured: Callable[[], Config]
    identity: Identity
    addresses: NodeAddresses
    hints: tuple[str, ...]
    stack: ProviderStack
    index: IIndex
    service: StorageService
    meter: OperationMeter
    collector: Collector
    maintenance: IArrayMaintenance | None
    introducers: Callable[[], tuple[IntroducerState, ...]]
    ownership_problem: Callable[[], ProviderError | None]
    away: Callable[[], BaseException | None]
    workers: IWorkers

    @property
    def config(self) -> Config:
        """What is in force."""
        return self.configured()


class ServerStatusGatherer:
    """Gathers one server's status.

    :param name: of its section; empty when the process runs no other.
    :ivar parts: what it is gathered from.
    :ivar providers: watches these.
    """

    def __init__(self, parts: Gathered, clock: Reactor, name: str = "") -> None:
        self.parts = parts
        self._clock = clock
        self._name = name
        self._started = clock.seconds()
        self._history = History(self._figures, clock)
        self.providers = Providers(parts.stack, self._history, clock, parts.away)
        self._holdings = Holdings(parts, clock)
        self._array = Cached(self._ask_array, ARRAY_SECONDS, clock)
        self._certified = Cached(self._ask_certified, CERTIFIED_SECONDS, clock)
        self._status = Cached(self._gather, GATHER_SECONDS, clock)

    def start(self) -> None:
        """Remember what happens, and look after providers that nobody uses, from now on."""
        self._history.start()
        self.providers.start()

    def stop(self) -> None:
        """Do so no more."""
        self.providers.stop()
        self._history.stop()

    @async_to_deferred
    async def gather(self, *, reveal: bool = False) -> ServerStatus:
        """Its status as of now, or of a second ago.

        :param reveal: with the addresses, which are the right to use the node, and the storage
            indexes of advisories.
        :return: fires with it; fails with an ``IndexFailure``.
        """
        status = await self._status.get()
        if not reveal:
            return status
        addresses = self.parts.addresses
        return evolve(
            status,
            addresses=Addresses(addresses.furl, addresses.nurls),
            advisories=await self._holdings.advisories(reveal=True),
        )

    def _figures(self) -> Mapping[Key, OperationFigures]:
        protocol: dict[Key, OperationFigures] = {
            (OPERATION, *key): figures for key, figures in self.parts.meter.figures().items()
        }
        return {**protocol, **self.providers.figures()}

    @async_to_deferred
    async def _gather(self) -> ServerStatus:
        parts = self.parts
        config, array = parts.config, await self._array.get()
        held = await self._holdings.gather()
        spaces = {
            name: self._holdings.space_of(name, self.providers.space(name), held)
            for name in self.providers.healths()
        }
        keys = [key for key in self._history.figures() if key[0] == OPERATION]
        providers = self.providers.summaries(array, spaces, await self._certified.get())
        return ServerStatus(
            name=self._name,
            server_id=parts.identity.server_id,
            nickname=config.node.nickname,
            started=self._started,
            ports=config.node.ports,
            hints=parts.hints,
            dialects=("foolscap",) if config.storage.force_foolscap else ("http", "foolscap"),
            addresses=None,
            introducers=tuple(map(_introducer, parts.introducers())),
            readonly=config.storage.readonly,
            clean=parts.index.was_clean(),
            readiness=readiness(
                config.backend,
                self.providers,
                parts.ownership_problem(),
                parts.service.get_sizes().available_space,
                readonly=config.storage.readonly,
            ),
            backend=config.backend.name,
            available=parts.service.get_sizes().available_space,
            providers=providers,
            array=None
            if array is None
            else array_summary(array, self.providers.writable(), self._array.asked),
            holding=held.holding,
            expiry=held.expiry,
            collection=self._holdings.collection(),
            operations=tuple(self._operation(key) for key in sorted(keys)),
            recent=self._history.recent(keys),
            advisories=await self._holdings.advisories(reveal=False),
        )

    def _operation(self, key: Key) -> OperationSummary:
        _, dialect, name = key
        return operation_summary(self._history, key, self._history.figures()[key], name, dialect)

    @async_to_deferred
    async def _ask_array(self) -> ArrayStatus | None:
        maintenance = self.parts.maintenance
        return None if maintenance is None else await maintenance.status()

    def _ask_certified(self) -> Deferred[Mapping[str, Certification]]:
        parts = self.parts
        return parts.workers.run(partial(certifications, parts.config, parts.identity))


def _introducer(state: IntroducerState) -> IntroducerSummary:
    return IntroducerSummary(state.tub_id, state.connected, state.problem or "")


class NodeStatusGatherer:
    """Gathers the status of a process.

    :param servers: of those servers that have started; asked every time.
    """

    def __init__(
        self,
        servers: Callable[[], Sequence[ServerStatusGatherer]],
        warnings: WarningBook,
        clock: Reactor,
    ) -> None:
        self._servers = servers
        self._warnings = warnings
        self._clock = clock
        self._started = clock.seconds()

    @async_to_deferred
    async def gather(self, *, reveal: bool = False) -> NodeStatus:
        """The status of all servers; fails with an ``IndexFailure``."""
        servers = [await each.gather(reveal=reveal) for each in self._servers()]
        return NodeStatus(
            version=__version__,
            time=self._clock.seconds(),
            started=self._started,
            servers=tuple(servers),
            warnings=self._warnings.newest(),
        )
