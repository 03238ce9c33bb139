"""A site without a network: requests go in as bytes, answers come out as bytes."""

from __future__ import annotations

from base64 import b64encode
from email.message import Message
from email.parser import BytesParser

from attrs import frozen
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from raic.server.web import WebSite
from raic.server.web.channel import WebChannel
from raic.status import NodeStatus
from tests.server.web import statuses


class Transport(StringTransport):
    """A connection that can be cut."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        self.disconnecting = True


@frozen
class Got:
    """An answer."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")


def parse(data: bytes) -> Got:
    """The answer in what was sent."""
    head, _, body = data.partition(b"\r\n\r\n")
    line, _, lines = head.partition(b"\r\n")
    return Got(int(line.split()[1]), BytesParser().parsebytes(lines + b"\r\n\r\n"), body)


class SiteCase(SynchronousTestCase):
    """Has a :class:`WebSite`."""

    password: str | None = None

    def setUp(self) -> None:
        self.clock = Clock()
        self.status: NodeStatus | Exception = statuses.node()
        self.site = WebSite(self.gather, self.clock, self.password, ("status.example.net",))
        self.addCleanup(self.site.close)

    def gather(self, reveal: bool) -> Deferred[NodeStatus]:
        if isinstance(self.status, Exception):
            return fail(self.status)
        return succeed(statuses.revealed(self.status) if reveal else self.status)

    def connect(self, peer: str = "127.0.0.1") -> tuple[WebChannel, Transport]:
        transport = Transport(peerAddress=IPv4Address("TCP", peer, 50000))
        channel = self.site.buildProtocol(None)
        vars(channel)["callLater"] = self.clock.callLater  # Twisted's own would be the reactor's
        channel.makeConnection(transport)
        return channel, transport

    def send(self, data: bytes, peer: str = "127.0.0.1") -> Got:
        """Send bytes on a connection of their own."""
        return parse(self.send_all(data, peer))

    def send_all(self, data: bytes, peer: str = "127.0.0.1") -> bytes:
        """What is answered; the connection ends then, unless the answer goes on."""
        channel, transport = self.connect(peer)
        channel.dataReceived(data)
        answer: bytes = transport.value()
        if b"text/event-stream" not in answer:
            channel.connectionLost()
        return answer

    def ask(
        self,
        target: str = "/",
        method: str = "GET",
        host: str | None = "localhost:3456",
        password: str | None = None,
        peer: str = "127.0.0.1",
        body: bytes = b"",
        **headers: str,
    ) -> Got:
        """Ask for something."""
        lines = [f"{method} {target} HTTP/1.1"]
        if host is not None:
            lines.append(f"Host: {host}")
        if password is not None:
            lines.append("Authorization: Basic " + b64encode(f"me:{password}".encode()).decode())
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body, peer)
