"""Hidden services, with txtorcon itself and a daemon that plays Tor's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from raic.errors import ListenerUnusable
from raic.server import onion
from raic.server.onion import OnionEndpoint, OnionService
from tests.contracts.driving import reactor
from tests.end_to_end.processes import free_port
from tests.server.tor_daemon import TorDaemon

KEY = "ED25519-V3:" + "A" * 86 + "=="


class Greeter(Protocol):
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"hello")
        self.transport.loseConnection()


class Listener(Protocol):
    def __init__(self) -> None:
        self.said = b""
        self.ended: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.said += data

    def connectionLost(self, reason: object = None) -> None:
        self.ended.callback(self.said)


class OnionTests(TestCase):
    def setUp(self) -> None:
        self.daemon = TorDaemon()
        self.open_daemon(0)
        self.key = Path(self.mktemp())
        self.key.write_text(f"{KEY}\n")
        self.service = OnionService(
            f"tcp:127.0.0.1:{self.control}", free_port(), 3457, self.key.absolute()
        )
        self.patch(onion, "AGAIN_SECONDS", 0.05)

    def open_daemon(self, port: int) -> None:
        self.port = reactor.listenTCP(port, self.daemon, interface="127.0.0.1")
        self.control = self.port.getHost().port
        self.addCleanup(self.close_daemon, self.port)

    async def close_daemon(self, port: Any) -> None:
        self.daemon.end()
        await maybeDeferred(port.stopListening)
        await self.until(lambda: not self.daemon.connections)

    async def until(self, condition: Any) -> None:
        while not condition():
            await deferLater(reactor, 0.01)

    async def listen(self) -> Any:
        port = await OnionEndpoint(reactor, self.service).listen(Factory.forProtocol(Greeter))
        self.addCleanup(port.stopListening)
        return port

    async def refused(self) -> Any:
        return await self.assertFailure(Deferred.fromCoroutine(self.listen()), ListenerUnusable)

    async def hear(self) -> bytes:
        """What is said on the port that the service leads to."""
        endpoint = clientFromString(reactor, f"tcp:127.0.0.1:{self.service.local_port}")
        listener = Listener()
        await endpoint.connect(Factory.forProtocol(lambda: listener))
        return await listener.ended

    def leads(self) -> list[str]:
        return list(self.daemon.services.values())

    async def test_a_service_leads_to_the_port(self) -> None:
        port = await self.listen()
        self.assertTrue(verifyObject(IListeningPort, port))
        self.assertEqual(port.getHost().port, self.service.local_port)
        self.assertEqual(self.leads(), [f"3457,127.0.0.1:{self.service.local_port}"])
        self.assertEqual(await self.hear(), b"hello")

    async def test_it_ends_with_the_port(self) -> None:
        port = await self.listen()
        await port.stopListening()
        await self.until(lambda: not self.daemon.connections)
        self.assertEqual(self.leads(), [])
        await self.listen()  # the port is free again

    async def test_it_is_made_anew_when_the_daemon_is_back(self) -> None:
        await self.listen()
        await self.close_daemon(self.port)
        self.assertEqual(await self.hear(), b"hello")
        self.open_daemon(self.control)
        await self.until(self.leads)
        self.assertEqual(self.leads(), [f"3457,127.0.0.1:{self.service.local_port}"])

    async def test_a_port_that_is_closed_asks_the_daemon_no_more(self) -> None:
        port = await self.listen()
        await self.close_daemon(self.port)
        await port.stopListening()
        self.open_daemon(self.control)
        await deferLater(reactor, 0.15)
        self.assertEqual(self.daemon.connections, [])

    async def test_what_the_daemon_refuses_is_told_with_the_remedy(self) -> None:
        self.key.write_text("RSA1024:abc")
        error = await self.refused()
        self.assertIn("513 Failed to decode", str(error))
        self.assertIn("onion.private_key_file", error.remedy)
        self.key.write_text(KEY)
        await self.listen()  # the port is free again

    async def test_a_daemon_that_is_not_there_is_told_with_the_remedy(self) -> None:
        await self.close_daemon(self.port)
        error = await self.refused()
        self.assertIn(f"the Tor daemon at tcp:127.0.0.1:{self.control}", str(error))
        self.assertIn("start the daemon", error.remedy)

    async def test_a_daemon_that_does_not_answer_is_not_waited_for(self) -> None:
        self.patch(onion, "ANSWER_SECONDS", 0.1)
        self.daemon.protocol = Protocol  # type: ignore[assignment]  # says nothing
        await self.refused()
