"""S3 as moto plays it: real HTTP, in a thread of this process or in a process of its own.

It takes any credentials and believes any checksum.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from os import urandom
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

from attrs import frozen
from botocore.config import Config
from botocore.session import Session
from moto.server import ThreadedMotoServer

_numbers = count()


@frozen
class S3Endpoint:
    """Where a service that speaks S3 is, and who we are there."""

    url: str
    access_key_id: str
    secret_access_key: str
    region: str = "us-east-1"

    def client(self) -> Any:
        """The SDK's own client, to look at what a provider did."""
        return _client(self)

    def make_container(self) -> str:
        """A new, empty container; returns its name."""
        name = f"container-{next(_numbers)}-{urandom(4).hex()}"
        self.client().create_bucket(Bucket=name)
        return name


@cache
def _client(endpoint: S3Endpoint) -> Any:
    session = Session()
    session.set_credentials(endpoint.access_key_id, endpoint.secret_access_key)
    return session.create_client(
        "s3",
        region_name=endpoint.region,
        endpoint_url=endpoint.url,
        config=Config(s3={"addressing_style": "path"}),
    )


@cache
def moto_endpoint() -> S3Endpoint:
    """The one server of this process, started at the first call; it ends with the process."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    atexit.register(server.stop)
    host, port = server.get_host_and_port()
    return S3Endpoint(f"http://{host}:{port}", "an-access-key-id", "a-secret-access-key")


@contextmanager
def moto_process() -> Iterator[S3Endpoint]:
    """A server in a process of its own, for measurements; it ends with the context."""
    command = [sys.executable, "-m", "tests.services.moto"]
    root = Path(__file__).parents[2]
    with Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True, cwd=root) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield S3Endpoint(process.stdout.readline().strip(), "key-id", "secret")
        finally:
            process.stdin.close()  # which it waits for
            process.wait(30)


if __name__ == "__main__":
    print(moto_endpoint().url, flush=True)  # noqa: T201 - it is what the other process reads
    sys.stdin.read()
