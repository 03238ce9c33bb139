"""S3 providers on a scripted server."""

from __future__ import annotations

from threading import enumerate as threads
from typing import Any

from twisted.internet.defer import Deferred

from raic.backends.s3 import S3Credentials, S3Provider, S3Settings
from tests.backends.s3.little import LittleS3, request_name
from tests.contracts.driving import ReactorSuite, driven, reactor
from tests.services.scripted_http import ScriptedServer

MIB = 1024 * 1024
KEY = "shares/aa/x"
PATH = f"/container/{KEY}"
SECRET = "the-secret-access-key"
CREDENTIALS = S3Credentials("the-access-key-id", SECRET)

__all__ = ["KEY", "MIB", "PATH", "SECRET", "S3Provider", "Scripted", "driven"]


class Scripted(ReactorSuite):
    """A server, and a provider that is started before each test and stopped after it."""

    tls: Any = None

    def setUp(self) -> Deferred[None] | None:  # type: ignore[override]  # trial waits for it
        self.s3 = LittleS3()
        self.server = ScriptedServer(reactor, self.s3, self.tls)
        self.addCleanup(self.server.stop)
        self.provider = self.make_provider()
        self.addCleanup(self.assert_no_thread)
        self.addCleanup(self.stop)
        return self.drive(self.start())

    async def start(self) -> None:
        await self.provider.start()
        self.server.requests.clear()

    def stop(self) -> Deferred[None]:
        """Stop the provider that there is in the end."""
        return self.provider.stop()

    def make_provider(self, **changed: Any) -> S3Provider:
        return S3Provider("cloud", self.make_settings(**changed), self.credentials, reactor)

    def make_settings(self, **changed: Any) -> S3Settings:
        known = {
            "region": "us-east-1",
            "endpoint_url": self.server.url,
            "part_size": 5 * MIB,
            "read_timeout": 2.0,
        }
        return S3Settings("container", **{**known, **changed})

    def credentials(self) -> S3Credentials | None:
        return CREDENTIALS

    def assert_no_thread(self) -> None:
        """Every thread of the provider's ends, and soon."""
        for thread in threads():
            if thread.name.startswith("cloud-"):
                thread.join(10)
                self.assertFalse(thread.is_alive(), thread.name)

    def asked(self) -> list[str]:
        """The names of the requests since the start."""
        return [request_name(request) for request in self.server.requests]
