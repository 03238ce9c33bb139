"""S3 as moto plays it: real HTTP, in a thread of this process, objects in memory.

It takes any credentials and believes any checksum.
"""

from __future__ import annotations

import atexit
from functools import cache
from itertools import count

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

    def make_container(self) -> str:
        """A new, empty container; returns its name."""
        name = f"container-{next(_numbers)}"
        session = Session()
        session.set_credentials(self.access_key_id, self.secret_access_key)
        client = session.create_client(
            "s3",
            region_name=self.region,
            endpoint_url=self.url,
            config=Config(s3={"addressing_style": "path"}),
        )
        client.create_bucket(Bucket=name)
        client.close()
        return name


@cache
def moto_endpoint() -> S3Endpoint:
    """The one server of this process, started at the first call; it ends with the process."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    atexit.register(server.stop)
    host, port = server.get_host_and_port()
    return S3Endpoint(f"http://{host}:{port}", "an-access-key-id", "a-secret-access-key")
