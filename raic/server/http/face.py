"""The HTTP face: checks what every request must satisfy, then calls its endpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from wsgiref.handlers import format_date_time

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from raic.budget import MemoryBudget
from raic.errors import MessageTooLarge
from raic.interfaces import IStorageService, IWorkers
from raic.server.http.authorization import BadSecrets, Swissnum, parse_secrets
from raic.server.http.bodies import Message
from raic.server.http.encodings import Encoding
from raic.server.http.failures import Refusal
from raic.server.http.messages import Schema
from raic.server.http.negotiation import answer_encoding, request_encoding
from raic.server.http.request import StorageRequest
from raic.server.http.routes import Begin, Routes
from raic.server.operations import HTTP, OperationMeter

T = TypeVar("T")

DECODED_AT_ONCE_BYTES = 64 * 1024
"""Longer messages are decoded in a thread."""

FREE_ANSWER_BYTES = 64 * 1024
"""Messages up to this size do not count against the budget while they are sent."""

MAX_IGNORED_BYTES = 8 * 1024
"""A body where none belongs is thrown away up to this size."""


class StorageFace:
    """Answers requests with a storage service.

    The order of checks: the swissnum, path and method, secrets, headers, the body.

    :ivar service: what answers are made from.
    :ivar budget: the memory for messages and share data, over all connections.
    :ivar max_message: the largest read-test-write, in bytes.
    """

    def __init__(
        self,
        service: IStorageService,
        swissnum: bytes,
        clock: IReactorTime,
        workers: IWorkers,
        routes: Routes,
        *,
        application_version: bytes,
        max_message: int,
        budget: MemoryBudget,
        meter: OperationMeter,
    ) -> None:
        self.service = service
        self.budget = budget
        self.max_message = max_message
        self.application_version = application_version
        self._swissnum = Swissnum(swissnum)
        self._clock = clock
        self._meter = meter
        self._workers = workers
        self._routes = routes
        self._date_second = -1
        self._date = b""

    def date(self) -> bytes:
        """The value of the ``Date`` header, made once a second."""
        now = int(self._clock.seconds())
        if now != self._date_second:
            self._date_second = now
            self._date = format_date_time(now).encode("ascii")
        return self._date

    def seconds(self) -> float:
        """The time."""
        return self._clock.seconds()

    def begin(self, request: StorageRequest, length: int | None) -> None:
        """See :class:`raic.server.http.request.Face`."""
        try:
            self._begin(request, length)
        except Exception as error:  # noqa: BLE001 - fail() sorts and logs them
            request.fail(error)

    def _begin(self, request: StorageRequest, length: int | None) -> None:
        headers = request.requestHeaders
        if not self._swissnum.is_in(headers.getRawHeaders(b"Authorization")):
            raise Refusal(401, "the swissnum is missing or wrong", _CHALLENGE)
        endpoint = self._routes.find(request)
        request.doing = endpoint.name
        request.tally = self._meter.tally(HTTP, endpoint.operation)
        request.tally.begun += 1
        request.error_type = endpoint.error_type
        try:
            request.secrets = parse_secrets(
                headers.getRawHeaders(b"X-Tahoe-Authorization"), endpoint.secrets
            )
        except BadSecrets as error:
            raise Refusal(400, str(error)) from None
        if endpoint.sends_message:
            encoding = answer_encoding(headers.getRawHeaders(b"Accept"))
            if encoding is None:
                raise Refusal(406, "answers are application/cbor or application/json")
            request.encoding = encoding
        endpoint.begin(self, request, length)

    def send(self, request: StorageRequest, message: object, status: int = 200) -> None:
        """Answer with a message, in the encoding that the client prefers.

        :raises ServiceBusy: there is no memory just now for as long an answer.
        """
        encoding = request.encoding
        body = encoding.dumps(message)
        if len(body) > FREE_ANSWER_BYTES:
            request.hold(len(body), self.budget)
        request.answer(status, body, encoding.media_type.encode("ascii"))

    def receive(
        self,
        request: StorageRequest,
        length: int | None,
        schema: Schema[T],
        handle: Callable[[T], Deferred[None]],
    ) -> None:
        """Gather and decode a message, then handle it.

        :raises Refusal: its header shows already that it cannot be taken (400, 415).
        :raises MessageTooLarge: likewise.
        :raises ServiceBusy: there is no memory for it just now.
        """
        encoding = request_encoding(request.requestHeaders.getRawHeaders(b"Content-Type"))
        if encoding is None:
            raise Refusal(415, "messages are application/cbor or application/json")
        if length is None:
            raise Refusal(400, "a message needs a Content-Length")
        if length > schema.limit(encoding, self.max_message):
            raise MessageTooLarge("the message is over the limit")

        def complete(data: bytes) -> None:
            decoding = self._decode(schema, data, encoding)
            handled = decoding.addCallback(handle).addErrback(request.failed)
            handled.addBoth(lambda _: message.release())

        message = Message(length, self.budget, complete)
        if length == 0:
            message.ended()
        else:
            request.body = message

    def _decode(self, schema: Schema[T], data: bytes, encoding: Encoding) -> Deferred[T]:
        if len(data) > DECODED_AT_ONCE_BYTES:
            return self._workers.run(lambda: schema.decode(data, encoding))
        try:
            return succeed(schema.decode(data, encoding))
        except Exception as error:  # noqa: BLE001 - becomes the Deferred's failure
            return fail(error)


_CHALLENGE = b"WWW-Authenticate: Tahoe-LAFS\r\n"


def bodiless(handle: Callable[[StorageFace, StorageRequest], Deferred[None] | None]) -> Begin:
    """An endpoint that needs no body; a small one is thrown away.

    :param handle: answers, or returns a Deferred whose failure is answered.
    """

    def begin(face: StorageFace, request: StorageRequest, length: int | None) -> None:
        if length is None or length > MAX_IGNORED_BYTES:
            raise Refusal(413, "this request takes no body")
        result = handle(face, request)
        if result is not None:
            result.addErrback(request.failed)

    return begin
