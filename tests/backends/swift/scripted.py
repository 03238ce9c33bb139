"""Swift providers on a scripted server."""

from __future__ import annotations

from threading import enumerate as threads
from typing import Any

from twisted.internet.defer import Deferred

from raic.backends.swift import SwiftProvider, SwiftSettings
from tests.backends.swift.little import PASSWORD, USER, LittleSwift, is_sign_in
from tests.contracts.driving import ReactorSuite, reactor
from tests.services.scripted_http import Request, ScriptedServer


class Later:
    """The reactor, at another time.

    :ivar shift: how many seconds later it is than it is.
    """

    def __init__(self) -> None:
        self.shift = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)

    def seconds(self) -> float:
        return float(reactor.seconds()) + self.shift


class Scripted(ReactorSuite):
    """A server, and a provider that is started before each test and stopped after it."""

    tls: Any = None
    options: dict[str, Any] = {}  # noqa: RUF012  # never altered

    def setUp(self) -> Deferred[None] | None:  # type: ignore[override]  # trial waits for it
        self.swift = LittleSwift()
        self.server = ScriptedServer(reactor, self.swift, self.tls)
        self.swift.url = self.server.url
        self.addCleanup(self.server.stop)
        self.later = Later()
        self.secrets = {"user": USER, "key": PASSWORD}
        self.provider = self.make_provider()
        self.addCleanup(self.assert_no_thread)
        self.addCleanup(self.provider.stop)
        return self.drive(self.start())

    async def start(self) -> None:
        await self.provider.start()
        self.server.requests.clear()

    def make_provider(self, **changed: Any) -> SwiftProvider:
        settings = self.make_settings(**changed)
        return SwiftProvider("cloud", settings, lambda: self.secrets, self.later)

    def make_settings(self, **changed: Any) -> SwiftSettings:
        known = {
            "auth_url": f"{self.server.url}/identity/v3",
            "project": "the-project",
            "region": "here",
            "part_size": 64 * 1024,
            "read_timeout": 2.0,
        }
        return SwiftSettings("container", **{**known, **self.options, **changed})

    def assert_no_thread(self) -> None:
        """Every thread of the provider's ends, and soon."""
        for thread in threads():
            if thread.name.startswith("cloud-"):
                thread.join(10)
                self.assertFalse(thread.is_alive(), thread.name)

    def sign_ins(self) -> list[Request]:
        """The requests for tokens since the start."""
        return [request for request in self.server.requests if is_sign_in(request)]
