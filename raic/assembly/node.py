"""A whole storage node, from its provider to its port."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from attrs import astuple, frozen
from foolscap.api import Tub
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

import raic
from raic.assembly.owning import TakeOver, make_ownership, own_prefix
from raic.assembly.stack import (
    PROVIDER_THREADS,
    ProviderStack,
    Reactor,
    make_stack,
    open_or_create_index,
    renew_credentials,
    room_within,
)
from raic.backends.layers.owned import OwnedLayer
from raic.budget import MemoryBudget
from raic.config.addresses import Addresses, make_addresses, write_addresses
from raic.config.files import replace_file
from raic.config.identity import Identity
from raic.config.model import Config
from raic.config.tls import ServerTls
from raic.deferreds import async_to_deferred
from raic.errors import ProviderError, RaicError
from raic.interfaces import IIndex, IInterruptedUploads, IStorageProvider, IWorkers
from raic.server.announcer import Announcer, SequenceFile, make_announcement
from raic.server.foolscap.connection import ConnectionLimits
from raic.server.foolscap.storage import FoolscapStorageServer
from raic.server.foolscap.tub import make_tub
from raic.server.http.connections import Limits
from raic.server.http.site import make_site
from raic.server.listening import (
    I2pDestination,
    OnionService,
    describe_port,
    make_endpoint,
    resolve_location,
)
from raic.server.port import SharedPort
from raic.server.service import Permissions, StorageService
from raic.server.space import SpaceGauge
from raic.shares.buckets import Buckets
from raic.shares.collector import Collector
from raic.shares.orphans import OrphanReport, find_orphans
from raic.shares.pins import Pins
from raic.shares.sealing import Sealer
from raic.shares.slots import Slots
from raic.values import Space, Totals
from raic.workers import ThreadWorkers


@frozen
class NodeFacts:
    """What an operator needs to know of a node that has started.

    :ivar space: None when the provider did not say.
    :ivar clean: whether the run before this one ended as it should.
    """

    addresses: Addresses
    hints: tuple[str, ...]
    space: Space | None
    totals: Totals
    clean: bool


def make_node_addresses(config: Config, identity: Identity) -> tuple[tuple[str, ...], Addresses]:
    """Where clients find the node: the hints, ``AUTO`` resolved, and what is made of them.

    :raises ConfigurationError: ``AUTO`` has no port to go by.
    """
    hints = resolve_location(config.node.hints, config.node.ports)
    return hints, make_addresses(
        identity,
        hints,
        config.node.nickname,
        config.certificates,
        http=not config.storage.force_foolscap,
    )


async def _space_of(gauge: SpaceGauge) -> Space | None:
    try:
        return await gauge.ask()
    except ProviderError:
        return None


class StorageNode:
    """A storage node, from its provider to its port.

    :param on_fatal: called, in any thread, when the index cannot go on: the process must end at
        once and touch no object.
    :param take_over: to take the prefix over from whoever has it; None for not.
    """

    _log = Logger()

    def __init__(
        self,
        config: Config,
        identity: Identity,
        reactor: Reactor,
        on_fatal: Callable[[Exception], None],
        take_over: TakeOver | None = None,
    ) -> None:
        self._config = config
        self._identity = identity
        self._reactor = reactor
        self._on_fatal = on_fatal
        self._take_over = take_over
        self._undo: list[Callable[[], object]] = []
        self._renew: Callable[[], Deferred[bool]] | None = None

    @async_to_deferred
    async def start(self) -> NodeFacts:
        """Start everything, the port last.

        :return: fires when clients can come.  Fails with a ``RaicError`` or, when the port cannot
            be opened, with a ``CannotListenError``; then call :meth:`stop`.
        """
        config = self._config
        hints, addresses = make_node_addresses(config, self._identity)
        write_addresses(config.private, addresses)
        workers = ThreadWorkers(self._reactor, PROVIDER_THREADS, "raic-provider")
        self._undo.append(workers.stop)
        stack = make_stack(config, self._identity, workers, self._reactor)
        await stack.provider.start()
        self._undo.append(stack.provider.stop)
        self._renew = partial(renew_credentials, stack, workers)
        index = await open_or_create_index(
            config,
            self._identity,
            stack,
            self._reactor,
            self._on_fatal,
            take_over=self._take_over is not None,
        )
        self._undo.append(index.close)
        provider, may_write = await self._own(stack, index)
        gauge = SpaceGauge(provider, self._reactor, room_within(config, index))
        service = await self._start_service(provider, index, gauge, may_write)
        await self._listen(service, workers, hints, addresses)
        return NodeFacts(
            addresses,
            hints,
            await _space_of(gauge),
            await index.get_totals(),
            index.was_clean(),
        )

    @async_to_deferred
    async def stop(self) -> None:
        """Stop what was started, the port first; what fails on the way is logged.

        :return: fires when all is stopped; never fails.
        """
        while self._undo:
            undo = self._undo.pop()
            try:
                await maybeDeferred(undo)
            except Exception:  # noqa: BLE001 - the rest has to be stopped all the same
                self._log.failure("while stopping the node")

    @async_to_deferred
    async def reload_credentials(self) -> bool:
        """Read the secrets of the provider again, as after SIGHUP.

        :return: fires with whether they are others now; never fails: what can no longer be read
            stays as it was, and what goes wrong is logged.
        """
        if self._renew is None:
            return False
        try:
            changed = await self._renew()
        except RaicError as error:
            self._log.warn(
                "the new credentials cannot be used: {error}; {error.remedy}", error=error
            )
            return False
        self._log.info("credentials were read again; changed: {changed}", changed=changed)
        return changed

    async def _own(
        self, stack: ProviderStack, index: IIndex
    ) -> tuple[IStorageProvider, Callable[[], bool]]:
        """Claim the prefix of a cloud.

        Returns what writes only while the prefix is this node's, and whether it is.  A folder needs
        no claim: the node directory's lock guards it.
        """
        if self._config.provider.cloud is None:
            return stack.provider, lambda: True
        ownership = make_ownership(self._config, self._identity, stack, index, self._reactor)
        self._undo.append(ownership.stop)
        await own_prefix(ownership, self._config, self._take_over)
        ownership.watch()
        return OwnedLayer(stack.provider, ownership.raise_unless_owner), ownership.may_write

    async def _start_service(
        self,
        provider: IStorageProvider,
        index: IIndex,
        gauge: SpaceGauge,
        may_write: Callable[[], bool],
    ) -> StorageService:
        config, clock = self._config, self._reactor
        sealer, pins = Sealer(self._identity.seal_key), Pins()
        maximum = config.storage.max_mutable_message
        await gauge.start()
        self._undo.append(gauge.stop)
        self._start_cleaning(provider, index, pins)
        service = StorageService(
            index,
            Buckets(
                provider, index, sealer, pins, clock, MemoryBudget(config.storage.upload_memory)
            ),
            Slots(
                provider,
                index,
                sealer,
                pins,
                clock,
                nodeid=self._identity.nodeid,
                max_share_size=maximum,
                max_read=maximum,
            ),
            gauge,
            clock,
            maximum_mutable=maximum,
            permissions=Permissions(config.storage.readonly, config.storage.readonly_mutable),
            may_write=may_write,
        )
        self._undo.append(service.stop)
        return service

    def _start_cleaning(self, provider: IStorageProvider, index: IIndex, pins: Pins) -> None:
        collector = Collector(provider, index, pins, self._reactor)
        collector.start()
        self._undo.append(collector.stop)
        if not index.was_clean():
            self._undo.append(self._start_scan(provider, index).cancel)
        if IInterruptedUploads.providedBy(provider):
            self._undo.append(self._clear_uploads(IInterruptedUploads(provider)).cancel)

    def _clear_uploads(self, provider: IInterruptedUploads) -> Deferred[None]:
        """Discard in the background what uploads of earlier runs left behind."""

        def cleared(count: int) -> None:
            if count:
                self._log.info("{count} interrupted uploads were discarded", count=count)

        def failed(failure: Failure) -> None:
            if not isinstance(failure.value, CancelledError):
                self._log.warn(
                    "what interrupted uploads left behind stays for now: {error}",
                    error=failure.getErrorMessage(),
                )

        return provider.clear_interrupted_uploads("").addCallbacks(cleared, failed)

    def _start_scan(self, provider: IStorageProvider, index: IIndex) -> Deferred[None]:
        """Look in the background for what the last run left behind."""

        def found(report: OrphanReport) -> None:
            self._log.info(
                "of {report.listed} objects nothing refers to {report.orphans}; these will be"
                " deleted in a day",
                report=report,
            )

        def failed(failure: Failure) -> None:
            if not isinstance(failure.value, CancelledError):
                self._log.warn(
                    "could not look for objects that nothing refers to, they stay for now: {error}",
                    error=failure.getErrorMessage(),
                )

        return find_orphans(provider, index, self._reactor).addCallbacks(found, failed)

    async def _listen(
        self,
        service: StorageService,
        workers: IWorkers,
        hints: tuple[str, ...],
        addresses: Addresses,
    ) -> None:
        storage, node = self._config.storage, self._config.node
        bodies = MemoryBudget(storage.body_memory)
        tub = make_tub(
            self._identity.pem,
            ConnectionLimits(bodies, self._reactor, storage.max_mutable_message),
            keepalive=node.keepalive,
            disconnect=node.disconnect,
        )
        https = None
        if not storage.force_foolscap:
            https = self._https(service, workers, bodies)
        ports = [self._open(tub, description, https) for description in node.ports]
        tub.setLocation(*hints)
        tub.registerReference(FoolscapStorageServer(service, bodies), self._identity.swissnum)
        tub.startService()
        self._undo.append(tub.stopService)
        for port in ports:
            await port.listening
        self._announce(tub, addresses)

    def _https(
        self, service: StorageService, workers: IWorkers, bodies: MemoryBudget
    ) -> IProtocolFactory:
        site = make_site(
            service,
            self._identity.swissnum.encode("ascii"),
            self._reactor,
            workers,
            application_version=f"raic/{raic.__version__}".encode("ascii"),
            max_message=self._config.storage.max_mutable_message,
            body_budget=bodies,
            limits=Limits(connections=self._config.storage.max_connections),
        )
        self._undo.append(site.stop)
        tls = ServerTls(self._config.private / "node.pem")
        return TLSMemoryBIOFactory(tls, False, site, self._reactor)

    def _open(self, tub: Tub, description: str, https: IProtocolFactory | None) -> SharedPort:
        endpoint = make_endpoint(self._reactor, self._describe(description))
        port = SharedPort(endpoint, https, self._reactor)
        tub.listenOn(port)
        return port

    def _describe(self, description: str) -> str:
        onion, i2p = self._config.onion, self._config.i2p
        return describe_port(
            description,
            None if onion is None else OnionService(*astuple(onion)),
            None if i2p is None else I2pDestination(*astuple(i2p)),
        )

    def _announce(self, tub: Tub, addresses: Addresses) -> None:
        if not self._config.introducers:
            return
        announcement = make_announcement(
            nickname=self._config.node.nickname,
            furl=addresses.furl,
            nurls=addresses.nurls,
            permutation_seed=self._identity.permutation_seed,
            certificates=self._config.certificates,
        )
        sequence = SequenceFile(self._config.private / "announcement.seqnum", replace_file)
        announcer = Announcer(
            tub,
            self._config.introducers,
            lambda: announcement,
            self._identity.signing_key,
            sequence.next,
        )
        announcer.announce()
        self._undo.append(announcer.stop)
