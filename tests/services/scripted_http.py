"""An HTTP server that answers whatever a test wants, and can misbehave on the wire.

It runs on the test's own reactor: no thread, no process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from attrs import field, frozen
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure


class Then(Enum):
    """What becomes of the connection after an answer, or after as much of it as is sent."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"


@frozen
class Request:
    """What a client asked.

    :ivar query: the parameters; a name without a value has the empty text.
    :ivar headers: by lower-case name.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@frozen
class Answer:
    """What the server says.

    :ivar announced: the Content-Length; None for the true one.
    :ivar silent: whether nothing at all is sent.
    :ivar after: how many seconds it takes.
    """

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(factory=dict)
    announced: int | None = None
    then: Then = Then.KEEP
    silent: bool = False
    after: float = 0.0


Script = Callable[[Request], Answer]


class ScriptedServer:
    """Listens on loopback until :meth:`stop`.

    :ivar requests: all that was asked, in order.
    :ivar pause: how many seconds it takes to read each 64 KiB.
    """

    def __init__(self, reactor: Any, script: Script, tls: Any = None) -> None:
        self.reactor = reactor
        self.requests: list[Request] = []
        self.pause = 0.0
        self._script = script
        self._connections: set[_Connection] = set()
        factory = Factory.forProtocol(lambda: _Connection(self))
        factory.noisy = False
        listen = reactor.listenTCP if tls is None else reactor.listenSSL
        context = () if tls is None else (tls,)
        self._port = listen(0, factory, *context, interface="127.0.0.1")
        # What the system takes in before we read it would hide how slow we are.
        self._port.socket.setsockopt(SOL_SOCKET, SO_RCVBUF, 64 * 1024)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._port.getHost().port}"

    def stop(self) -> Deferred[Any]:
        """Stop listening and drop all connections; fires when they are gone."""
        gone = [connection.drop() for connection in self._connections.copy()]
        return gatherResults([maybeDeferred(self._port.stopListening), *gone])

    def refuse(self) -> Deferred[Any]:
        """Stop listening for a while and drop all connections; fires when they are gone."""
        self._port.port = self._port.getHost().port  # where it will listen again
        return self.stop()

    def accept(self) -> None:
        """Listen again, after :meth:`refuse`."""
        self._port.startListening()

    def opened(self, connection: _Connection) -> None:
        """Note a connection."""
        self._connections.add(connection)

    def closed(self, connection: _Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def answer(self, request: Request) -> Answer:
        """What the script says."""
        self.requests.append(request)
        return self._script(request)


class _Connection(Protocol):
    transport: Any  # a stream's, of TCP or TLS

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._received = b""
        self._delayed: IDelayedCall | None = None
        self._gone: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self._server.opened(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._server.closed(self)
        if self._delayed is not None and self._delayed.active():
            self._delayed.cancel()
        self._gone.callback(None)

    def drop(self) -> Deferred[None]:
        self.transport.abortConnection()
        return self._gone

    def dataReceived(self, data: bytes) -> None:
        if self._server.pause:
            self.transport.pauseProducing()
            self._server.reactor.callLater(self._server.pause, self.transport.resumeProducing)
        self._received += data
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._received = rest[length:]
        method, target, _ = first.split(" ")
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query, True).items()}
        request = Request(method, unquote(url.path), query, headers, rest[:length])
        answer = self._server.answer(request)
        if answer.after:
            later = self._server.reactor.callLater
            self._delayed = later(answer.after, self._send, method, answer)
        else:
            self._send(method, answer)

    def _send(self, method: str, answer: Answer) -> None:
        if not answer.silent:
            length = len(answer.body) if answer.announced is None else answer.announced
            lines = [f"HTTP/1.1 {answer.status} Scripted", f"Content-Length: {length}"]
            lines += [f"{name}: {value}" for name, value in answer.headers.items()]
            body = b"" if method == "HEAD" else answer.body
            self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        if answer.then is Then.CLOSE:
            self.transport.loseConnection()
        elif answer.then is Then.RESET:
            self._reset()

    def _reset(self) -> None:
        """Reset the connection once what was written has gone out."""
        producer = _AfterFlush(self.transport)
        self.transport.registerProducer(producer, False)


class _AfterFlush:
    """A pull producer that is first asked for more when everything written is gone."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def resumeProducing(self) -> None:
        self._transport.unregisterProducer()
        self._transport.abortConnection()

    def stopProducing(self) -> None:
        pass
