"""Two Tubs that speak over loopback: the node's, as it is made for a node, and a client's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from foolscap.api import Any as AnyConstraint
from foolscap.api import Referenceable, RemoteInterface, Tub
from foolscap.remoteinterface import RemoteMethodSchema
from twisted.internet import reactor  # noqa: TID251 - these tests are about real sockets
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from raic.budget import MemoryBudget
from raic.config.certificate import make_certificate
from raic.server.foolscap.connection import BoundedBroker, ConnectionLimits
from raic.server.foolscap.tub import make_tub
from raic.server.port import SharedPort

MIB = 1024 * 1024
NAME = "swissnum"
TURNS = 20_000


@cache
def pem() -> bytes:
    """A certificate and its key: making one takes a while."""
    return make_certificate(1_700_000_000)


class RIPatient(RemoteInterface):
    """Keeps what it is given, and gives what it is asked for."""

    hold = RemoteMethodSchema(data=bytes)
    fetch = RemoteMethodSchema(_response=bytes, size=int)
    take = RemoteMethodSchema(what=AnyConstraint())
    meet = RemoteMethodSchema(canary=Referenceable)
    fail = RemoteMethodSchema()


@implementer(RIPatient)  # type: ignore[misc]  # mypy-zope knows no remote interfaces
class Patient(Referenceable):
    """Answers ``hold`` only when told to.

    :ivar held: the calls that wait.
    :ivar data: what all calls of ``hold`` brought.
    """

    def __init__(self) -> None:
        self.held: list[Deferred[None]] = []
        self.data: list[bytes] = []
        self.fetched = 0
        self.met: list[Any] = []

    def remote_hold(self, data: bytes) -> Deferred[None]:
        waiting: Deferred[None] = Deferred()
        self.held.append(waiting)
        self.data.append(data)
        return waiting

    def remote_fetch(self, size: int) -> bytes:
        self.fetched += 1
        return bytes(size)

    def remote_take(self, what: object) -> None:
        pass

    def remote_meet(self, canary: Any) -> None:
        self.met.append(canary)

    def remote_fail(self) -> None:
        raise RuntimeError("a text for the client")

    def answer(self) -> None:
        """Answer those that wait."""
        waiting, self.held = self.held, []
        for each in waiting:
            each.callback(None)


class TubTestCase(TestCase):
    """Has a node's Tub that offers an object over a real port.

    :ivar limits: of the node's connections; its clock moves only when the test says so.
    """

    timeout = 20
    max_message = 8 * MIB
    memory_limit = 64 * MIB

    async def start_server(
        self, offered: Referenceable, where: str = "tcp:0:interface=127.0.0.1"
    ) -> str:
        """Offer an object; its FURL."""
        self.server_clock = Clock()
        self.budget = MemoryBudget(self.memory_limit)
        limits = ConnectionLimits(self.budget, self.server_clock, self.max_message)
        self.server = make_tub(pem(), limits)
        port = SharedPort(serverFromString(reactor, where), None, self.server_clock)
        self.server.listenOn(port)
        self.server.startService()
        self.addCleanup(self.stop_server)
        host: Any = (await port.listening).getHost()
        self.server.setLocation(f"tcp:127.0.0.1:{host.port}")
        return str(self.server.registerReference(offered, NAME))

    def stop_server(self) -> Deferred[None] | None:
        """Stop the node's Tub; peers that say nothing are hung up on."""
        if not self.server.running:
            return None
        stopped: Deferred[None] = self.server.stopService()
        self.server_clock.advance(1000)
        return stopped

    def new_client(self) -> Tub:
        """A client's Tub."""
        client = Tub()
        client.setOption("expose-remote-exception-types", False)  # as Tahoe's clients
        client.startService()
        self.addCleanup(client.stopService)
        return client

    def connections(self) -> Iterator[BoundedBroker]:
        """The node's connections."""
        return iter(self.server.brokers.values())

    def connection(self) -> BoundedBroker:
        """The node's only connection."""
        (only,) = self.connections()
        return only

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the reactor turn until the condition holds."""
        for _ in range(TURNS):
            if condition():
                return
            await deferLater(reactor, 0.0005)
        self.fail("it never came to that")


def raw(remote: Any) -> Any:
    """The transport under a client's reference, for bytes that Foolscap would not send."""
    return remote.tracker.broker.transport
