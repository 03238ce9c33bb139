"""The node's ports, in both dialects."""

from __future__ import annotations

from attrs import astuple
from foolscap.api import Tub
from twisted.internet.interfaces import IProtocolFactory, IStreamServerEndpoint
from twisted.protocols.tls import TLSMemoryBIOFactory

import raic
from raic.assembly.members import Reactor
from raic.budget import MemoryBudget
from raic.config.addresses import Addresses, make_addresses
from raic.config.identity import Identity
from raic.config.model import Config
from raic.config.tls import ServerTls
from raic.deferreds import async_to_deferred
from raic.interfaces import IStorageService, IWorkers
from raic.server.foolscap.connection import ConnectionLimits
from raic.server.foolscap.full import FullClients
from raic.server.foolscap.storage import FoolscapStorageServer
from raic.server.foolscap.tub import make_tub
from raic.server.http.connections import Limits
from raic.server.http.site import StorageSite, make_site
from raic.server.listening import (
    I2pDestination,
    make_endpoint,
    resolve_location,
)
from raic.server.onion import OnionService
from raic.server.operations import OperationMeter
from raic.server.port import SharedPort


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


class Listener:
    """Serves a storage service on all ports of the configuration.

    :param messages: the memory for what clients send and are sent.
    :ivar tub: speaks Foolscap; runs from :meth:`start` to :meth:`stop`.
    :ivar meter: counts what clients ask for.
    """

    def __init__(
        self,
        config: Config,
        identity: Identity,
        service: IStorageService,
        workers: IWorkers,
        reactor: Reactor,
        messages: MemoryBudget,
    ) -> None:
        self._config = config
        self._identity = identity
        self._service = service
        self._workers = workers
        self._reactor = reactor
        self._messages = messages
        self._site: StorageSite | None = None
        self.meter = OperationMeter(reactor)
        limits = ConnectionLimits(self._messages, reactor, config.storage.max_mutable_message)
        self._full_clients = FullClients(limits.callers, self._has_room, reactor)
        self.tub: Tub = make_tub(
            identity.pem,
            limits,
            keepalive=config.node.keepalive,
            disconnect=config.node.disconnect,
        )

    @async_to_deferred
    async def start(self, hints: tuple[str, ...]) -> None:
        """Listen.

        :param hints: where clients connect to.
        :return: fires when clients can come; fails with a ``CannotListenError`` or what else the
            kind of port fails with.  Then call :meth:`stop`.
        """
        https = None if self._config.storage.force_foolscap else self._https()
        ports = [self._open(description, https) for description in self._config.node.ports]
        self.tub.setLocation(*hints)
        server = FoolscapStorageServer(
            self._service, self._messages, self.meter, self._full_clients
        )
        self.tub.registerReference(server, self._identity.swissnum)
        self.tub.startService()
        for port in ports:
            await port.listening

    def adjust(self, config: Config) -> None:
        """Take up the limits of a configuration."""
        self._messages.limit = config.storage.body_memory
        if self._site is not None:
            self._site.connections.allow(config.storage.max_connections)

    @async_to_deferred
    async def stop(self) -> None:
        """Close the ports, then the connections."""
        self._full_clients.stop()
        if self.tub.running:
            await self.tub.stopService()
        if self._site is not None:
            await self._site.stop()

    def _has_room(self) -> bool:
        return self._service.get_sizes().maximum_immutable_share_size > 0

    def _https(self) -> IProtocolFactory:
        self._site = make_site(
            self._service,
            self._identity.swissnum.encode("ascii"),
            self._reactor,
            self._workers,
            application_version=f"raic/{raic.__version__}".encode("ascii"),
            max_message=self._config.storage.max_mutable_message,
            body_budget=self._messages,
            meter=self.meter,
            limits=Limits(connections=self._config.storage.max_connections),
        )
        tls = ServerTls(self._config.private / "node.pem")
        return TLSMemoryBIOFactory(tls, False, self._site, self._reactor)

    def _open(self, description: str, https: IProtocolFactory | None) -> SharedPort:
        endpoint = self._endpoint(description)
        port = SharedPort(endpoint, https, self._reactor)
        self.tub.listenOn(port)
        return port

    def _endpoint(self, description: str) -> IStreamServerEndpoint:
        onion, i2p = self._config.onion, self._config.i2p
        return make_endpoint(
            self._reactor,
            description,
            None if onion is None else OnionService(*astuple(onion)),
            None if i2p is None else I2pDestination(*astuple(i2p)),
        )
