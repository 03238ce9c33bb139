"""One request and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES, Request

from raic.budget import MemoryBudget
from raic.server.http.authorization import Secrets
from raic.server.http.encodings import Encoding
from raic.server.http.failures import refusal_for
from raic.tally import Tally

if TYPE_CHECKING:
    from raic.server.http.channel import StorageChannel

TEXT = b"text/plain; charset=utf-8"
OCTETS = b"application/octet-stream"

_STATUS_LINES = {code: b"HTTP/1.1 %d %s\r\n" % (code, phrase) for code, phrase in RESPONSES.items()}


class Body(Protocol):
    """Where a request's body goes."""

    def received(self, data: bytes) -> None:
        """Take the next bytes."""

    def ended(self) -> None:
        """The body is complete: answer."""

    def lost(self) -> None:
        """The connection was lost before the body was complete."""


class Face(Protocol):
    """Who answers requests."""

    def begin(self, request: StorageRequest, length: int | None) -> None:
        """Answer, now or later, or set ``request.body``.

        :param length: of the body still to come; None when it is sent in chunks.
        """

    def date(self) -> bytes:
        """The value of the ``Date`` header."""

    def seconds(self) -> float:
        """The time."""


class StorageRequest(Request):
    """A request that is begun when its header is complete, and answered at most once.

    :ivar body: where the body goes; set by whoever expects one.
    :ivar doing: the endpoint's name, for the log.
    :ivar error_type: the content type of refusals.
    :ivar tally: the endpoint's counters, once it is known.
    :ivar gone: whether the connection was lost before the answer was complete.
    """

    channel: StorageChannel

    body: Body | None = None
    doing = "find the endpoint"
    error_type = TEXT
    tally: Tally | None = None
    gone = False

    storage_index: bytes
    shnum: int
    secrets: Secrets
    encoding: Encoding

    _held: tuple[int, MemoryBudget] | None = None
    _arrived = False
    _arrived_at = 0.0
    _trouble = ""
    _length: int | None = 0

    # What the channel calls

    def parseCookies(self) -> None:
        """The protocol has none."""

    def gotLength(self, length: int | None) -> None:
        """Begin; a request without a body is begun by :meth:`requestReceived`."""
        self._length = length
        if length != 0:
            self.channel.body_begins()
            self.channel.face.begin(self, length)

    def handleContentChunk(self, data: bytes) -> None:
        """Pass on a piece of the body."""
        if self.gone:
            return
        if not self.startedWriting:
            self.channel.body_arrives(len(data))
            if self.tally is not None:
                self.tally.bytes_up += len(data)
        if self.body is not None:
            self.body.received(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Go on when the body is complete."""
        if self.gone:
            return
        self._arrived = True
        self._arrived_at = self.channel.face.seconds()
        self.channel.body_ended()
        if self.startedWriting:
            self.finish()
        elif self.body is not None:
            self.body.ended()
        else:
            self.channel.face.begin(self, 0)

    def connectionLost(self, reason: Failure) -> None:
        """Tell the body."""
        self.gone = True
        self.let_go()
        if self.tally is not None and not self.startedWriting:
            self.tally.begun -= 1
        super().connectionLost(reason)
        if self.body is not None and not self._arrived:
            self.body.lost()

    # What handlers call

    def header(self, name: bytes) -> bytes | None:
        """The value of a header that may be given once; two of them are as good as none."""
        values = self.requestHeaders.getRawHeaders(name)
        return values[0] if values is not None and len(values) == 1 else None

    def answer(
        self, status: int, body: bytes = b"", content_type: bytes = TEXT, headers: bytes = b""
    ) -> None:
        """Send the whole answer, unless one was sent or nobody is there to read it.

        :param headers: further header lines, each ended by CR LF.
        """
        if self.startedWriting or self.gone:
            return
        head = self._head(status, len(body), content_type, headers)
        self.channel.write(head if self.method == b"HEAD" else head + body)
        self._answered()

    def fail(self, error: Exception) -> None:
        """Answer what :mod:`raic.server.http.failures` says."""
        refusal = refusal_for(error, self.doing)
        if refusal.status >= 500:
            self._trouble = type(error).__name__
        text = refusal.text.encode("utf-8") + b"\n"
        self.answer(refusal.status, text, self.error_type, refusal.headers)

    def failed(self, failure: Failure) -> None:
        """:meth:`fail`, as an errback."""
        error = failure.value
        self.fail(error if isinstance(error, Exception) else RuntimeError("interrupted"))

    def answer_to(self, result: Deferred[None]) -> None:
        """Answer the failure of a handler's Deferred, should it fail."""
        result.addErrback(self.failed)

    def hold(self, size: int, budget: MemoryBudget) -> None:
        """Take memory for an answer until it is on its way.

        :raises ServiceBusy: there is not so much.
        """
        if not self.gone:
            budget.take(size)
            self._held = size, budget

    def let_go(self) -> None:
        """Give it back."""
        if self._held is not None:
            size, budget = self._held
            budget.give_back(size)
            self._held = None

    # For answers that are streamed, see raic.server.http.reading

    def begin_answer(self, status: int, length: int, headers: bytes) -> None:
        """Send an answer's head; ``length`` bytes are then written to the channel."""
        self.channel.write(self._head(status, length, OCTETS, headers))

    def end_answer(self) -> None:
        """All of them were written."""
        if not self.gone:
            self._answered()

    def break_off(self) -> None:
        """The rest of the answer cannot be had: show it by closing the connection."""
        if not self.gone:
            self.channel.transport.abortConnection()

    def _head(self, status: int, length: int, content_type: bytes, headers: bytes) -> bytes:
        self.startedWriting = 1
        if self.tally is not None:
            self._count(self.tally, length)
        self._may_close()
        parts = [_STATUS_LINES[status], b"Date: ", self.channel.face.date(), b"\r\n", headers]
        if status != 204:
            parts += [b"Content-Type: %b\r\nContent-Length: %d\r\n" % (content_type, length)]
        parts.append(b"\r\n" if self.channel.persistent else b"Connection: close\r\n\r\n")
        return b"".join(parts)

    def _count(self, tally: Tally, length: int) -> None:
        tally.took(self.channel.face.seconds() - self._arrived_at if self._arrived else 0.0)
        tally.bytes_down += length
        if self._trouble:
            tally.errors[self._trouble] += 1

    def _may_close(self) -> None:
        """Close the connection after this answer if its body is not worth the wait."""
        if self._arrived:
            return
        limit = self.channel.limits.linger_bytes
        too_long = self._length is None or self._length > limit
        if too_long or self.requestHeaders.hasHeader(b"Expect"):
            self.channel.persistent = 0

    def _answered(self) -> None:
        if self._arrived:
            self.finish()
        else:
            # Closing now could make the client's kernel drop the answer before it is read.
            self.body = Drain(self)
            self.channel.connections.expect(self.channel, self.channel.limits.linger_seconds)


class Drain:
    """Throws a refused body away, up to a limit."""

    def __init__(self, request: StorageRequest) -> None:
        self._request = request
        self._left = request.channel.limits.linger_bytes

    def received(self, data: bytes) -> None:
        """See :class:`Body`."""
        self._left -= len(data)
        if self._left < 0:
            self._request.break_off()

    def ended(self) -> None:
        """See :class:`Body`; never called, since the answer was sent."""

    def lost(self) -> None:
        """See :class:`Body`."""
