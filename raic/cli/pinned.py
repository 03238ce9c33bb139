"""A small blocking HTTP client for storage nodes, which knows them by their certificates."""

from __future__ import annotations

import re
import ssl
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from typing import Any

import cbor2
from attrs import field, frozen
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate

_NURL = re.compile(
    r"pb://(?P<pin>[A-Za-z0-9_-]{43})@(?P<host>[^/@]+):(?P<port>[0-9]{1,5})/(?P<swissnum>[^#/]+)#v=1"
)


class Unexpected(Exception):
    """The node did not answer as it should; the text says how."""


@frozen
class Nurl:
    """The parts of an HTTP address."""

    pin: str
    host: str
    port: int
    swissnum: str = field(repr=False)


def parse_nurl(text: str) -> Nurl:
    """Take a NURL apart.

    :raises ValueError: it is not one that can be connected to directly.
    """
    found = _NURL.fullmatch(text)
    if found is None:
        raise ValueError("not a NURL: pb://PIN@HOST:PORT/SWISSNUM#v=1")
    return Nurl(found["pin"], found["host"].strip("[]"), int(found["port"]), found["swissnum"])


class _PinnedConnection(HTTPConnection):
    def __init__(self, nurl: Nurl, seconds: float) -> None:
        super().__init__(nurl.host, nurl.port, timeout=seconds)
        self._pin = nurl.pin

    def connect(self) -> None:
        """Connect, and send nothing to a server that has another certificate."""
        super().connect()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The certificate is known by its hash; its names and issuer say nothing.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        wrapped = context.wrap_socket(self.sock, server_hostname=self.host)
        self.sock = wrapped
        if _pin_of(wrapped.getpeercert(binary_form=True) or b"") != self._pin:
            self.close()
            raise Unexpected("the server has another certificate than the address says")


def _pin_of(certificate: bytes) -> str:
    spki = (
        load_der_x509_certificate(certificate)
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    return urlsafe_b64encode(sha256(spki).digest()).decode("ascii").rstrip("=")


@frozen
class Answer:
    """A response, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def message(self) -> Any:
        """The CBOR message in the body.

        :raises Unexpected: there is none.
        """
        try:
            return cbor2.loads(self.body)
        except (cbor2.CBORDecodeError, ValueError) as error:
            raise Unexpected("the answer is not CBOR") from error


class PinnedClient:
    """Sends requests to one node, over one connection.

    :param seconds: how long a connection, or an answer, may take.
    """

    def __init__(self, nurl: Nurl, seconds: float) -> None:
        self._connection = _PinnedConnection(nurl, seconds)
        credentials = b64encode(nurl.swissnum.encode("ascii")).decode("ascii")
        self._authorization = f"Tahoe-LAFS {credentials}"

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def request(
        self,
        method: str,
        path: str,
        expected: int,
        *,
        secrets: Mapping[str, bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        message: object = None,
        body: bytes | None = None,
    ) -> Answer:
        """Send a request and read its answer.

        :param secrets: by kind, as in ``lease-renew-secret``.
        :param message: to be sent as CBOR, in place of ``body``.
        :raises Unexpected: the answer has another status than ``expected``, or there is none.
        """
        if message is not None:
            body = cbor2.dumps(message)
        send = self._connection
        try:
            send.putrequest(method, f"/storage/v1/{path}")
            send.putheader("Authorization", self._authorization)
            send.putheader("Accept", "application/cbor")
            for kind, secret in (secrets or {}).items():
                send.putheader("X-Tahoe-Authorization", f"{kind} {b64encode(secret).decode()}")
            for name, value in (headers or {}).items():
                send.putheader(name, value)
            if body is not None:
                send.putheader("Content-Length", str(len(body)))
                if message is not None:
                    send.putheader("Content-Type", "application/cbor")
            send.endheaders(body)
            response = send.getresponse()
            answer = Answer(response.status, dict(response.getheaders()), response.read())
        except (OSError, HTTPException) as error:
            send.close()
            raise Unexpected(f"no answer: {str(error) or type(error).__name__}") from error
        if answer.status != expected:
            raise Unexpected(f"the status is {answer.status} where {expected} was expected")
        return answer
