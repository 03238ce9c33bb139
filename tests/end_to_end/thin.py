"""A storage client that does nothing but what it is told: one connection, one request at a time."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import cbor2
from attrs import frozen

from tests.end_to_end.wire import Address, Answer, Requests, Secrets


class NoAnswer(Exception):
    """The connection ended before the answer was complete: the outcome is unknown."""


class Refused(Exception):
    """The node answered with an error.

    :ivar status: the HTTP status.
    """

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status, body[:500])
        self.status = status


@frozen
class Changed:
    """The answer to a read-test-write."""

    success: bool
    data: Mapping[int, Sequence[bytes]]


def open_tls(address: Address, seconds: float = 60.0) -> ssl.SSLSocket:
    """A TLS connection; the certificate is not looked at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    plain = socket.create_connection((address.host, address.port), seconds)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain)


class ThinHTTPClient:
    """Speaks the HTTP dialect over one blocking connection.

    Every method raises :class:`NoAnswer` when the node goes away under it, and :class:`Refused`
    when the node says no.
    """

    def __init__(self, address: Address, secrets: Secrets | None = None) -> None:
        self._requests = Requests(address.swissnum, secrets)
        try:
            self._socket = open_tls(address)
        except OSError as error:
            raise NoAnswer(str(error)) from error

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> ThinHTTPClient:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.close()

    def allocate(self, storage_index: bytes, shnums: Collection[int], size: int) -> set[int]:
        """Begin uploads; the share numbers that may be written."""
        answer = self._cbor(self._requests.allocate(storage_index, shnums, size))
        return set(answer["allocated"])

    def write(self, storage_index: bytes, shnum: int, offset: int, data: bytes) -> bool:
        """Send bytes of a share; whether the share is complete."""
        answer = self._ask(self._requests.write(storage_index, shnum, offset, data))
        return answer.status == 201

    def upload(self, storage_index: bytes, shnum: int, data: bytes, piece: int = 1_000_000) -> None:
        """Store a whole share, which is durable when this returns."""
        allocated = self.allocate(storage_index, {shnum}, len(data))
        if shnum not in allocated:
            raise Refused(0, b"not allocated")
        complete = False
        for offset in range(0, len(data), piece):
            complete = self.write(storage_index, shnum, offset, data[offset : offset + piece])
        assert complete, "the last byte was not acknowledged as such"

    def read(
        self, kind: str, storage_index: bytes, shnum: int, offset: int = 0, length: int = 0
    ) -> bytes:
        """A share's bytes; ``kind`` is ``immutable`` or ``mutable``."""
        return bytes(
            self._ask(self._requests.read(kind, storage_index, shnum, offset, length)).body
        )

    def shares(self, kind: str, storage_index: bytes) -> set[int]:
        """The share numbers held."""
        return set(self._cbor(self._requests.shares(kind, storage_index)))

    def renew(self, storage_index: bytes) -> None:
        """Add or renew a lease."""
        self._ask(self._requests.renew(storage_index))

    def change(
        self,
        storage_index: bytes,
        vectors: Mapping[int, Mapping[str, Any]],
        reads: Sequence[tuple[int, int]] = (),
    ) -> Changed:
        """Test, read and write a slot."""
        answer = self._cbor(self._requests.change(storage_index, vectors, reads))
        return Changed(answer["success"], answer["data"])

    def _cbor(self, request: bytes) -> Any:
        return cbor2.loads(bytes(self._ask(request).body))

    def _ask(self, request: bytes) -> Answer:
        answer = Answer()
        try:
            self._socket.sendall(request)
            complete = False
            while not complete:
                data = self._socket.recv(256 * 1024)
                if not data:
                    raise NoAnswer("the connection ended")
                complete = answer.feed(data)
        except OSError as error:
            raise NoAnswer(str(error)) from error
        if not 200 <= answer.status < 300:
            raise Refused(answer.status, bytes(answer.body))
        return answer
