"""One port for two dialects."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from raic.server.port import FIRST_BYTES_SECONDS, READ_BYTES, SharedFactory, SharedPort

ADDRESS = IPv4Address("TCP", "192.0.2.1", 4711)
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"
REQUEST = b"GET /id/abcdefgh HTTP/1.1\r\n"


class Recorder(Protocol):
    """Notes what it is given."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class Recorders(Factory):
    """Makes recorders, until it is full."""

    noisy = False

    def __init__(self) -> None:
        self.made: list[Recorder] = []
        self.full = False

    def buildProtocol(self, addr: object) -> Recorder | None:
        if self.full:
            return None
        self.made.append(Recorder())
        return self.made[-1]


class SniffingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.foolscap, self.https = Recorders(), Recorders()
        self.factory = SharedFactory(self.foolscap, self.https, self.clock)
        self.transport = StringTransport()
        self.protocol = self.factory.buildProtocol(ADDRESS)
        self.protocol.makeConnection(self.transport)

    def test_a_foolscap_client_reaches_foolscap(self) -> None:
        self.protocol.dataReceived(REQUEST)
        (inner,) = self.foolscap.made
        self.assertEqual(inner.received, REQUEST)
        self.assertIs(inner.transport, self.transport)
        self.assertEqual(self.https.made, [])

    def test_a_tls_client_reaches_the_site(self) -> None:
        self.protocol.dataReceived(HELLO)
        (inner,) = self.https.made
        self.assertEqual(inner.received, HELLO)
        self.assertEqual(self.foolscap.made, [])
        self.assertEqual(vars(self.transport)["bufferSize"], READ_BYTES)

    def test_bytes_that_come_one_by_one_are_waited_for(self) -> None:
        for byte in REQUEST[:7]:
            self.protocol.dataReceived(bytes([byte]))
        self.assertEqual(self.foolscap.made + self.https.made, [])
        self.protocol.dataReceived(REQUEST[7:8])
        self.assertEqual(self.foolscap.made[0].received, REQUEST[:8])

    def test_the_first_byte_that_differs_decides(self) -> None:
        self.protocol.dataReceived(b"GET /i")
        self.protocol.dataReceived(b"x")
        self.assertEqual(self.https.made[0].received, b"GET /ix")

    def test_later_bytes_go_where_the_inner_protocol_wants_them(self) -> None:
        self.protocol.dataReceived(REQUEST)
        inner: Any = self.foolscap.made[0]
        negotiated = Recorder()
        inner.dataReceived = negotiated.dataReceived
        inner.connectionLost = negotiated.connectionLost
        self.protocol.dataReceived(b"more")
        self.assertEqual((inner.received, negotiated.received), (REQUEST, b"more"))
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertIsNotNone(negotiated.lost)

    def test_a_silent_client_is_dropped(self) -> None:
        self.protocol.dataReceived(b"GET ")
        self.clock.advance(FIRST_BYTES_SECONDS - 1)
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(self.transport.disconnected)

    def test_nothing_is_timed_once_the_dialect_is_known(self) -> None:
        self.protocol.dataReceived(HELLO)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_client_that_leaves_early_leaves_nothing(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_factory_that_takes_no_more_ends_the_connection(self) -> None:
        self.https.full = True
        self.protocol.dataReceived(HELLO)
        self.assertTrue(self.transport.disconnected)
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def test_both_factories_start_and_stop_with_the_port(self) -> None:
        self.factory.doStart()
        self.assertEqual((self.foolscap.numPorts, self.https.numPorts), (1, 1))
        self.factory.doStop()
        self.assertEqual((self.foolscap.numPorts, self.https.numPorts), (0, 0))


@implementer(IListeningPort)
class OpenPort:
    """A port that is only open in name."""

    def startListening(self) -> None:
        pass

    def stopListening(self) -> Deferred[None]:
        return succeed(None)

    def getHost(self) -> IPv4Address:
        return ADDRESS


@implementer(IStreamServerEndpoint)
class Endpoint:
    """Opens a port, or fails to.

    :ivar factory: what it was given.
    """

    def __init__(self, result: Deferred[IListeningPort]) -> None:
        self.factory: IProtocolFactory | None = None
        self._result = result

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        self.factory = protocolFactory
        return self._result


class SharedPortTests(SynchronousTestCase):
    def test_it_is_an_endpoint(self) -> None:
        port = SharedPort(Endpoint(succeed(OpenPort())), None, Clock())
        verifyObject(IStreamServerEndpoint, port)

    def test_who_asks_learns_that_the_port_is_open(self) -> None:
        opened = OpenPort()
        endpoint = Endpoint(succeed(opened))
        port = SharedPort(endpoint, Recorders(), Clock())
        self.assertNoResult(port.listening)
        self.assertIs(self.successResultOf(port.listen(Recorders())), opened)
        self.assertIs(self.successResultOf(port.listening), opened)
        self.assertIsInstance(endpoint.factory, SharedFactory)

    def test_who_asks_learns_that_the_port_cannot_be_opened(self) -> None:
        broken = CannotListenError("", 1, OSError("in use"))
        port = SharedPort(Endpoint(fail(broken)), Recorders(), Clock())
        self.assertNoResult(port.listen(Recorders()))
        self.failureResultOf(port.listening, CannotListenError)

    def test_without_a_site_foolscap_has_the_port_to_itself(self) -> None:
        endpoint, foolscap = Endpoint(succeed(OpenPort())), Recorders()
        SharedPort(endpoint, None, Clock()).listen(foolscap)
        self.assertIs(endpoint.factory, foolscap)
