"""Nodes in processes of their own, on a cloud that can go away."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from moto.server import ThreadedMotoServer

from raic.cli.pinned import Answer, PinnedClient, parse_nurl
from raic.shares.keys import encode_index
from tests.end_to_end.clouds import CloudNode
from tests.end_to_end.processes import Program, free_port, installed
from tests.services.moto import S3Endpoint

SECONDS = 60.0
STORAGE = b"http://allmydata.org/tahoe/protocols/storage/v1"
LEASE = {"lease-renew-secret": b"r" * 32, "lease-cancel-secret": b"c" * 32}

QUICKLY = """
import sys
import raic.assembly.attaching
import raic.shares.ownership
raic.shares.ownership.INTERVAL_SECONDS = {interval}
raic.shares.ownership.REQUEST_SECONDS = {request}
raic.shares.ownership.PROGRESS_SECONDS = 0.5
raic.assembly.attaching.FIRST_PAUSE_SECONDS = 0.2
raic.assembly.attaching.LONGEST_PAUSE_SECONDS = 1.0
from raic.cli import main
main(sys.argv[1:])
"""


class Cloud:
    """S3 on a port of its own, which can be closed and opened; what it holds stays."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: Any = None
        self.endpoint = S3Endpoint(f"http://127.0.0.1:{self.port}", "key-id", "secret")

    def open(self) -> None:
        """Serve."""
        if self._server is None:
            self._server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
            self._server.start()

    def close(self) -> None:
        """Refuse connections, and end those there are."""
        if self._server is not None:
            self._server.stop()
            self._server._server.server_close()
            self._server = None


class QuickCloudNode(CloudNode):
    """A node in whose process the claims are read every second, and not once a minute.

    :ivar interval: T.
    :ivar request: how long a request may live.
    """

    interval = 1.0
    request = 1.0

    def __init__(self, folder: Path, endpoint: S3Endpoint, container: str, prefix: str) -> None:
        provider = {
            "type": "s3",
            "container": container,
            "endpoint_url": endpoint.url,
            "prefix": prefix,
            "cache_size": "0",
        }
        secrets = {
            "ACCESS_KEY_ID": endpoint.access_key_id,
            "SECRET_ACCESS_KEY": endpoint.secret_access_key,
        }
        super().__init__(folder, provider, secrets)
        self.container = container

    def begin(self, *options: str) -> None:
        """Start it, and return at once."""
        code = QUICKLY.format(interval=self.interval, request=self.request)
        command = (installed("python"), "-c", code, "run", str(self.folder), *options)
        self.program = Program(command, self.log(), self._secrets)

    def says(self, text: str) -> None:
        """Wait until it has."""
        self.running().wait_for_output(text, SECONDS)

    def ask(
        self,
        method: str,
        path: str,
        expected: int,
        message: object = None,
        body: bytes | None = None,
        secrets: Mapping[str, bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make a request of the storage protocol."""
        nurl = parse_nurl((self.folder / "private" / "storage.nurl").read_text().strip())
        with closing(PinnedClient(nurl, SECONDS)) as client:
            return client.request(
                method,
                path,
                expected,
                message=message,
                body=body,
                secrets=secrets,
                headers=headers,
            )

    def largest_share(self) -> int:
        """What the version message says."""
        sizes = self.ask("GET", "version", 200).message()[STORAGE]
        return int(sizes[b"maximum-immutable-share-size"])

    def allocate(self, storage_index: bytes, size: int) -> frozenset[int]:
        """The share numbers that may be uploaded, of one."""
        secrets = {**LEASE, "upload-secret": b"u" * 32}
        message = {"share-numbers": {0}, "allocated-size": size}
        path = f"immutable/{encode_index(storage_index)}"
        answer = self.ask("POST", path, 200, message=message, secrets=secrets)
        return frozenset(answer.message()["allocated"])

    def store(self, storage_index: bytes, data: bytes) -> None:
        """Upload an immutable share."""
        assert self.allocate(storage_index, len(data))
        self.ask(
            "PATCH",
            f"immutable/{encode_index(storage_index)}/0",
            201,
            body=data,
            secrets={"upload-secret": b"u" * 32},
            headers={"Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"},
        )

    def read(self, storage_index: bytes, expected: int = 200) -> bytes:
        """Read an immutable share."""
        return self.ask("GET", f"immutable/{encode_index(storage_index)}/0", expected).body

    def write_slot(self, storage_index: bytes, data: bytes, expected: int = 200) -> None:
        """Write to a slot."""
        vectors = {"test": [], "write": [{"offset": 0, "data": data}], "new-length": None}
        self.ask(
            "POST",
            f"mutable/{encode_index(storage_index)}/read-test-write",
            expected,
            message={"test-write-vectors": {0: vectors}, "read-vector": []},
            secrets={**LEASE, "write-enabler": b"w" * 32},
        )
