"""One connection: Twisted's HTTP parser, with bodies that can be refused, streamed and paused.

Twisted calls a request's ``process`` when its whole body lies in memory or in a file, and offers no
public way to see the header before.  This module is the one place that reaches into
``twisted.web.http`` for that:

- ``allHeadersReceived`` gives the request its method and path (``_command``, ``_path`` and
  ``_version``, which the channel has read by then) before it calls ``gotLength``;
- the request overrides ``gotLength``, ``handleContentChunk`` and ``requestReceived``, by which the
  channel hands over a body (:mod:`raic.server.http.request`);
- reading stops and goes on with the transport's ``pauseProducing`` and ``resumeProducing``;
- ``requestDone`` is put off while the client does not read what it was answered: Twisted goes on
  to answer whatever else it has sent, and keeps the answers.

The channel's own idle timer is off: it would end an upload that is paused by the storage behind
it.  :class:`~raic.server.http.connections.Connections` knows the time limits instead.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from raic.server.http.connections import Connections, Limits
from raic.server.http.request import Face, StorageRequest

ABORT_SECONDS = 15.0
BODY_STEP = 64 * 1024


class StorageChannel(HTTPChannel):
    """See above.

    :ivar connections: the registry of its site.
    :ivar face: answers its requests.
    """

    requestFactory = StorageRequest  # noqa: N815 - Twisted's name
    timeOut = None  # noqa: N815 - Twisted's name
    maxHeaders = 64  # noqa: N815 - Twisted's name
    totalHeadersSize = 16 * 1024  # noqa: N815 - Twisted's name

    connections: Connections
    face: Face
    transport: Any
    requests: list[StorageRequest]
    deadline: float | None = None

    _closing = False
    _answered: StorageRequest | None = None  # its answer is not on its way yet
    _header_begun = False
    _body_paused = False
    _body_unseen = 0
    _host: object = None
    _peer: object = None

    @property
    def limits(self) -> Limits:
        """The limits of its site."""
        return self.connections.limits

    # What the transport calls

    def connectionMade(self) -> None:
        """Begin to wait for a request."""
        self._peer, self._host = self.transport.getPeer(), self.transport.getHost()
        super().connectionMade()
        self.connections.opened(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the requests in progress."""
        self.connections.closed(self)
        if self._answered is not None:
            self._answered.let_go()
            self.requests.remove(self._answered)
            self._answered = None
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        """Take note of a header's beginning; a header must then be complete in time."""
        if not self._header_begun:
            self._header_begun = True
            self.connections.expect(self, self.limits.header_seconds)
        super().dataReceived(data)
        if self._answered is not None:
            self.transport.pauseProducing()

    def pauseProducing(self) -> None:
        """The client does not read what we send: wait for it, but not for ever."""
        super().pauseProducing()
        self.connections.expect(self, self.limits.stall_seconds)

    def resumeProducing(self) -> None:
        """The client has read what we sent."""
        if self.requests:
            self.deadline = None
        super().resumeProducing()
        if self._body_paused:
            self.transport.pauseProducing()
        answered, self._answered = self._answered, None
        if answered is not None:
            self.requestDone(answered)

    # What the parser calls

    def headerReceived(self, line: bytes) -> bool:
        """Refuse lengths with more digits than Python converts."""
        if len(line) > 64 and line[:15].lower() == b"content-length:":
            self._respondToBadRequestAndDisconnect()
            return False
        return bool(super().headerReceived(line))

    def allHeadersReceived(self) -> None:
        """Let the request begin, before its body arrives."""
        self.connections.works(self)
        request = self.requests[-1]
        request.method, request.uri = self._command, self._path
        request.clientproto = self._version
        super().allHeadersReceived()

    def requestDone(self, request: StorageRequest) -> None:
        """Wait for the next request, once the client reads what it was answered."""
        if self._waitingForTransport:
            self._answered = request
            return
        request.let_go()
        self._header_begun = False
        self.connections.waits(self, self.limits.idle_seconds)
        super().requestDone(request)

    def getPeer(self) -> object:
        """Asked twice for every request, so remembered."""
        return self._peer

    def getHost(self) -> object:
        """As :meth:`getPeer`."""
        return self._host

    def _send100Continue(self) -> None:
        if not self.requests[-1].startedWriting:
            super()._send100Continue()

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        self.persistent = 0
        self.loseConnection()

    # What requests call

    def body_arrives(self, size: int) -> None:
        """Note that so many bytes of a body were received.

        A body that trickles is given up: each ``body_seconds`` must bring 64 KiB.  At that pace
        a piece of an upload takes 16 minutes, and the upload is not idle for 30.
        """
        self._body_unseen -= size
        if self._body_unseen <= 0:
            self._body_unseen = BODY_STEP
            self.connections.expect(self, self.limits.body_seconds)

    def body_begins(self) -> None:
        """Note that a body is to come."""
        self._body_unseen = 0
        self.body_arrives(0)

    def body_ended(self) -> None:
        """Note that the body is complete: what takes time now is our part."""
        self.deadline = None

    def pause_body(self) -> None:
        """Read no more until :meth:`resume_body`."""
        if not self._body_paused:
            self._body_paused = True
            self.deadline = None
            self.transport.pauseProducing()

    def resume_body(self) -> None:
        """Read on."""
        if self._body_paused:
            self._body_paused = False
            self.body_begins()
            if not self._waitingForTransport:
                self.transport.resumeProducing()

    def expire(self) -> None:
        """See :class:`raic.server.http.connections.Connection`."""
        if self._closing or self.requests:
            self.transport.abortConnection()
            return
        self._closing = True
        self.connections.expect(self, ABORT_SECONDS)
        self.loseConnection()

    def end_soon(self) -> None:
        """See :class:`raic.server.http.connections.Connection`."""
        self.persistent = 0
