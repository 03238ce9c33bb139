"""Connections of the operator's browser and of what gathers metrics."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request

from raic.server.web.answers import HEADERS, Answer, Refused

IDLE_SECONDS = 60
"""How long a connection may be silent between requests, and a request take to arrive."""

MOST_CONNECTIONS = 200
"""How many there may be at once."""

LONGEST_BODY = 16 * 1024
"""A body is never of use; a small one is thrown away."""


class Answering(Protocol):
    """Who answers requests."""

    connections: set[WebChannel]

    def begin(self, request: WebRequest) -> None:
        """Answer, now or later."""


class WebRequest(Request):
    """A request that is answered once."""

    channel: WebChannel
    gone = False

    def parseCookies(self) -> None:
        """There are none."""

    def gotLength(self, length: int | None) -> None:
        """Refuse what has a body, unless it is small."""
        if length is None or length > LONGEST_BODY:
            self.channel.refuse(Refused(413, "nothing here takes a body"))
            length = 0
        super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:
        """Throw it away."""

    def process(self) -> None:
        """Answer."""
        self.notifyFinish().addErrback(self._lost)
        self.channel.site.begin(self)

    def _lost(self, _: Failure) -> None:
        self.gone = True

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        found = self.requestHeaders.getRawHeaders(name.encode("ascii"), [])
        return [each.decode("latin-1") for each in found]

    def answer(self, answer: Answer) -> None:
        """Send all of it, if anybody is there."""
        if self.gone or self.startedWriting or self.finished:
            return
        self.begin_answer(answer)
        if self.method != b"HEAD":
            self.write(answer.body)
        self.finish()

    def begin_answer(self, answer: Answer, *, endless: bool = False) -> None:
        """Send the head of it.

        :param endless: whether more is written from time to time.
        """
        self.setResponseCode(answer.status)
        headers = {**HEADERS, "Content-Type": answer.content_type, **answer.headers}
        if not endless:
            headers["Content-Length"] = str(len(answer.body))
        for name, value in headers.items():
            self.responseHeaders.setRawHeaders(name, [value])


class WebChannel(HTTPChannel):
    """A connection."""

    requestFactory = WebRequest  # noqa: N815 - Twisted's name
    timeOut = IDLE_SECONDS  # noqa: N815 - Twisted's name
    maxHeaders = 64  # noqa: N815 - Twisted's name
    totalHeadersSize = 16 * 1024  # noqa: N815 - Twisted's name

    site: Answering
    transport: Any

    _refused = False

    def connectionMade(self) -> None:
        """Note that it is there, or close it if there are too many."""
        super().connectionMade()
        if len(self.site.connections) >= MOST_CONNECTIONS:
            self.transport.abortConnection()
            return
        self.site.connections.add(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note that it is gone."""
        self.site.connections.discard(self)
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        """Take in a piece, unless what came before was refused."""
        if not self._refused:
            super().dataReceived(data)

    def lineLengthExceeded(self, line: bytes) -> None:
        """Say so, rather than hang up without a word."""
        self.refuse(Refused(431, "a line of a request is too long"))

    def refuse(self, refused: Refused) -> None:
        """Answer before all has arrived, and hang up."""
        self._refused = True
        answer = refused.answer()
        head = f"HTTP/1.1 {answer.status} Refused\r\nConnection: close\r\n"
        lines = {**HEADERS, "Content-Type": answer.content_type}
        head += "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        head += f"Content-Length: {len(answer.body)}\r\n\r\n"
        self.transport.write(head.encode("ascii") + answer.body)
        self.loseConnection()
