"""The HTTP dialect as bytes: requests made ahead of time, answers taken apart with little work."""

from __future__ import annotations

from base64 import b32encode, b64encode
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import cbor2
from attrs import frozen

ROOT = "/storage/v1"


@frozen
class Address:
    """Where a node listens, and the right to use it."""

    host: str
    port: int
    swissnum: str

    @classmethod
    def from_nurl(cls, nurl: str) -> Address:
        """Take a NURL apart."""
        parts = urlsplit(nurl)
        return cls(parts.hostname or "", parts.port or 0, parts.path.lstrip("/"))


@frozen
class Secrets:
    """What a client proves itself with; 32 bytes each."""

    renew: bytes = b"r" * 32
    cancel: bytes = b"c" * 32
    upload: bytes = b"u" * 32
    write_enabler: bytes = b"w" * 32


def index_text(storage_index: bytes) -> str:
    """A storage index as it stands in a URL."""
    return b32encode(storage_index)[:26].decode("ascii").lower()


class Requests:
    """Makes requests, whole, as bytes."""

    def __init__(self, swissnum: str, secrets: Secrets | None = None) -> None:
        self._secrets = secrets or Secrets()
        right = b64encode(swissnum.encode("ascii")).decode("ascii")
        self._head = f"Host: node\r\nAuthorization: Tahoe-LAFS {right}\r\n"

    def version(self) -> bytes:
        """What can the node take?"""
        return self._request("GET", "version")

    def allocate(self, storage_index: bytes, shnums: Collection[int], size: int) -> bytes:
        """Begin uploads."""
        message = {"share-numbers": set(shnums), "allocated-size": size}
        path = f"immutable/{index_text(storage_index)}"
        secrets = ("lease-renew-secret", "lease-cancel-secret", "upload-secret")
        return self._request("POST", path, secrets, message=message)

    def write(self, storage_index: bytes, shnum: int, offset: int, data: bytes) -> bytes:
        """Send some bytes of a share that is being uploaded."""
        extra = f"Content-Range: bytes {offset}-{offset + len(data) - 1}/*\r\n"
        path = f"immutable/{index_text(storage_index)}/{shnum}"
        return self._request("PATCH", path, ("upload-secret",), extra, data)

    def read(
        self, kind: str, storage_index: bytes, shnum: int, offset: int = 0, length: int = 0
    ) -> bytes:
        """Read a share, or a range of it if a length is given."""
        extra = f"Range: bytes={offset}-{offset + length - 1}\r\n" if length else ""
        return self._request("GET", f"{kind}/{index_text(storage_index)}/{shnum}", extra=extra)

    def shares(self, kind: str, storage_index: bytes) -> bytes:
        """List the shares of a storage index."""
        return self._request("GET", f"{kind}/{index_text(storage_index)}/shares")

    def renew(self, storage_index: bytes) -> bytes:
        """Add or renew a lease."""
        path = f"lease/{index_text(storage_index)}"
        return self._request("PUT", path, ("lease-renew-secret", "lease-cancel-secret"))

    def change(
        self,
        storage_index: bytes,
        vectors: Mapping[int, Mapping[str, Any]],
        reads: Sequence[tuple[int, int]] = (),
    ) -> bytes:
        """Test, read and write a slot; the vectors from :func:`vectors`."""
        message = {
            "test-write-vectors": dict(vectors),
            "read-vector": [{"offset": offset, "size": size} for offset, size in reads],
        }
        path = f"mutable/{index_text(storage_index)}/read-test-write"
        secrets = ("write-enabler", "lease-renew-secret", "lease-cancel-secret")
        return self._request("POST", path, secrets, message=message)

    def _request(
        self,
        method: str,
        path: str,
        secrets: Sequence[str] = (),
        extra: str = "",
        data: bytes | None = None,
        message: object = None,
    ) -> bytes:
        head = f"{method} {ROOT}/{path} HTTP/1.1\r\n{self._head}{extra}Accept: application/cbor\r\n"
        head += "".join(self._secret(name) for name in secrets)
        if message is not None:
            data = cbor2.dumps(message)
            head += "Content-Type: application/cbor\r\n"
        if data is not None:
            head += f"Content-Length: {len(data)}\r\n"
        return f"{head}\r\n".encode("ascii") + (data or b"")

    def _secret(self, name: str) -> str:
        attribute = name.removeprefix("lease-").removesuffix("-secret").replace("-", "_")
        text = b64encode(getattr(self._secrets, attribute)).decode("ascii")
        return f"X-Tahoe-Authorization: {name} {text}\r\n"


def vectors(
    *writes: tuple[int, bytes],
    tests: Sequence[tuple[int, bytes]] = (),
    new_length: int | None = None,
) -> dict[str, Any]:
    """What is asked of one share of a slot.

    :param writes: each an offset and bytes.
    :param tests: likewise; the share must have these bytes there.
    """
    return {
        "test": [
            {"offset": offset, "size": max(len(text), 1), "specimen": text}
            for offset, text in tests
        ],
        "write": [{"offset": offset, "data": data} for offset, data in writes],
        "new-length": new_length,
    }


class Answer:
    """An HTTP answer, as far as it has arrived.

    :param keep: whether the body is kept, or only counted.
    """

    def __init__(self, keep: bool = True) -> None:
        self.status = 0
        self.body = bytearray()
        self.received = 0
        self._keep = keep
        self._head = b""
        self._left = 0
        self._chunked: bytearray | None = None

    def feed(self, data: bytes) -> bool:
        """Take what has arrived next.

        :return: whether the answer is complete.
        """
        if not self.status:
            data = self._take_head(data)
            if not self.status:
                return False
        if self._chunked is not None:
            return self._take_chunks(data)
        self._take(data)
        return self._left <= 0

    def _take_head(self, data: bytes) -> bytes:
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end:
            return b""
        head = head.lower()
        self.status = int(head[9:12])
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            self._left = int(head[at + 17 :].split(b"\r\n", 1)[0])
        elif b"\r\ntransfer-encoding:" in head:
            self._chunked = bytearray()
        return rest

    def _take(self, data: bytes | bytearray) -> None:
        self.received += len(data)
        self._left -= len(data)
        if self._keep:
            self.body += data

    def _take_chunks(self, data: bytes) -> bool:
        waiting = self._chunked
        assert waiting is not None
        waiting += data
        while (end := waiting.find(b"\r\n")) >= 0:
            size = int(waiting[:end].partition(b";")[0], 16)
            if len(waiting) < end + 2 + size + 2:
                break
            self._take(waiting[end + 2 : end + 2 + size])
            del waiting[: end + 2 + size + 2]
            if size == 0:
                return True
        return False
