"""The HTTP face as a whole: a protocol factory."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory, IReactorTime
from twisted.internet.protocol import ServerFactory
from zope.interface import implementer

from raic.budget import MemoryBudget
from raic.interfaces import IStorageService, IWorkers
from raic.server.http import general, immutable, mutable, reading
from raic.server.http.channel import StorageChannel
from raic.server.http.connections import Connections, Limits
from raic.server.http.face import StorageFace
from raic.server.http.request import StorageRequest
from raic.server.http.routes import Routes
from raic.server.operations import OperationMeter

STOP_SECONDS = 10.0
DEFAULT_LIMITS = Limits()

ROUTES = Routes(
    {
        b"version": {b"GET": general.VERSION},
        b"lease/SI": {b"PUT": general.ADD_LEASE},
        b"immutable/SI": {b"POST": immutable.ALLOCATE},
        b"immutable/SI/shares": {b"GET": immutable.LIST},
        b"immutable/SI/N": {b"GET": reading.READ_IMMUTABLE, b"PATCH": immutable.WRITE},
        b"immutable/SI/N/abort": {b"PUT": immutable.ABORT},
        b"immutable/SI/N/corrupt": {b"POST": mutable.ADVISE_IMMUTABLE},
        b"mutable/SI/read-test-write": {b"POST": mutable.READ_TEST_WRITE},
        b"mutable/SI/shares": {b"GET": mutable.LIST},
        b"mutable/SI/N": {b"GET": reading.READ_MUTABLE},
        b"mutable/SI/N/corrupt": {b"POST": mutable.ADVISE_MUTABLE},
    }
)


@implementer(IProtocolNegotiationFactory)
class StorageSite(ServerFactory):
    """Makes a channel for each connection; made by :func:`make_site`."""

    noisy = False

    def __init__(self, face: StorageFace, connections: Connections, clock: IReactorTime) -> None:
        self._face = face
        self._clock = clock
        self.connections = connections

    def buildProtocol(self, addr: IAddress | None) -> StorageChannel:
        """A channel."""
        channel = StorageChannel()
        channel.factory = self
        channel.face = self._face
        channel.connections = self.connections
        return channel

    def acceptableProtocols(self) -> list[bytes]:
        """What TLS may agree upon with a client that asks: without this, Twisted's own contexts
        refuse such clients.
        """
        return [b"http/1.1"]

    def log(self, request: StorageRequest) -> None:
        """Called after each request, for an access log; there is none: storage indexes stand in
        the paths.
        """

    def stop(self) -> Deferred[None]:
        """Close idle connections, let requests under way end, and abort what is left after ten
        seconds.  No port is closed here: stop listening first.

        :return: fires when no connection is left; never fails.
        """
        return self.connections.stop(STOP_SECONDS)


def make_site(
    service: IStorageService,
    swissnum: bytes,
    clock: IReactorTime,
    workers: IWorkers,
    *,
    application_version: bytes,
    max_message: int,
    body_budget: MemoryBudget,
    meter: OperationMeter,
    limits: Limits = DEFAULT_LIMITS,
) -> StorageSite:
    """The HTTP dialect of the storage protocol, as a factory for stream connections.

    TLS is the caller's: wrap the factory, or hand its protocols a TLS transport.

    :param swissnum: as it stands in the NURL.
    :param workers: where messages above 64 KiB are decoded.
    :param application_version: what the version message announces.
    :param max_message: the largest read-test-write message, in bytes; above it, 413.
    :param body_budget: the memory that request bodies may take, over all connections; 503 when
        it is used up.  Must be at least ``max_message``.
    :param meter: counts the requests.
    """
    face = StorageFace(
        service,
        swissnum,
        clock,
        workers,
        ROUTES,
        application_version=application_version,
        max_message=max_message,
        budget=body_budget,
        meter=meter,
    )
    return StorageSite(face, Connections(clock, limits), clock)
