"""Reading shares of either kind: small ranges in one piece, large ones as a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.errors import ObjectCorrupt
from raic.interfaces import IShareReader
from raic.server.http.face import StorageFace, bodiless
from raic.server.http.failures import Refusal
from raic.server.http.ranges import parse_range
from raic.server.http.request import OCTETS, StorageRequest
from raic.server.http.routes import Endpoint

WHOLE_BYTES = 512 * 1024
"""Ranges up to this size are read and written in one piece."""

Open = Callable[[StorageFace, StorageRequest], Deferred[IShareReader]]


def _read(open_share: Open) -> Callable[[StorageFace, StorageRequest], Deferred[None]]:
    def handle(face: StorageFace, request: StorageRequest) -> Deferred[None]:
        return open_share(face, request).addCallback(_answer, request)

    return handle


def _answer(reader: IShareReader, request: StorageRequest) -> Deferred[None] | None:
    try:
        wanted = _wanted(reader.length, request)
    except Refusal:
        reader.close()
        raise
    if wanted is None:
        reader.close()
        request.answer(204)
        return None
    begin, end, headers = wanted
    status = 206 if headers else 200
    if request.method == b"HEAD":
        reader.close()
        request.begin_answer(status, end - begin, headers)
        request.end_answer()
        return None
    if end - begin > WHOLE_BYTES:
        sending = Streaming(request, reader, begin, end, status, headers).start()
        return sending.addBoth(_closing, reader)
    data = reader.read_now(begin, end - begin)
    if data is None:
        reading = reader.read(begin, end - begin)
        reading.addCallback(_send, request, end - begin, status, headers)
        return reading.addBoth(_closing, reader)
    reader.close()
    _send(data, request, end - begin, status, headers)
    return None


def _wanted(length: int, request: StorageRequest) -> tuple[int, int, bytes] | None:
    """The half-open range to send and the header that says so; None when it is empty.

    :raises Refusal: the header asks for something else than one closed range.
    """
    headers = request.requestHeaders.getRawHeaders(b"Range")
    if headers is None:
        return 0, length, b""
    asked = parse_range(headers[0]) if len(headers) == 1 else None
    if asked is None:
        unsatisfied = b"Content-Range: bytes */%d\r\n" % length
        raise Refusal(416, "Range must be one closed range of bytes", unsatisfied)
    begin, end = asked[0], min(asked[1], length)
    if begin >= end:
        return None
    return begin, end, b"Content-Range: bytes %d-%d/*\r\n" % (begin, end - 1)


def _send(data: bytes, request: StorageRequest, size: int, status: int, headers: bytes) -> None:
    if len(data) != size:
        raise ObjectCorrupt("objects", "read", "an object is shorter than its share")
    request.answer(status, data, OCTETS, headers)


def _closing(result: Any, reader: IShareReader) -> Any:
    reader.close()
    return result


@implementer(IConsumer)
class Streaming:
    """Share data on its way to a client.

    The answer's head is sent with the first bytes, so a provider that fails before is still
    answered with a status; when one fails later, the connection is aborted.
    """

    def __init__(
        self,
        request: StorageRequest,
        reader: IShareReader,
        begin: int,
        end: int,
        status: int,
        headers: bytes,
    ) -> None:
        self._request = request
        self._channel = request.channel
        self._reader = reader
        self._begin = begin
        self._length = end - begin
        self._status = status
        self._headers = headers

    def start(self) -> Deferred[None]:
        """:return: fires when all was sent; fails when nothing could be."""
        streaming = self._reader.stream(self._begin, self._length, self)
        return streaming.addCallbacks(self._ended, self._broke)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See ``IConsumer``."""
        if self._request.gone:
            producer.stopProducing()
        else:
            self._channel.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """See ``IConsumer``."""
        self._channel.unregisterProducer()

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""
        if self._request.gone:
            return
        if not self._request.startedWriting:
            self._request.begin_answer(self._status, self._length, self._headers)
        self._channel.write(data)

    def _ended(self, delivered: int) -> None:
        if delivered == self._length:
            self._request.end_answer()
        else:
            # The client is gone, or the reader broke its word: never send a short body.
            self._request.break_off()

    def _broke(self, failure: Failure) -> Failure | None:
        if not self._request.startedWriting:
            return failure
        self._request.break_off()
        return None


READ_IMMUTABLE = Endpoint(
    "read an immutable share",
    "read",
    bodiless(
        _read(lambda face, request: face.service.open_share(request.storage_index, request.shnum))
    ),
    error_type=OCTETS,
)
READ_MUTABLE = Endpoint(
    "read a mutable share",
    "read_slot",
    bodiless(
        _read(
            lambda face, request: face.service.open_slot_share(request.storage_index, request.shnum)
        )
    ),
    error_type=OCTETS,
)
