"""Containers on the real Swift, and providers on them."""

from __future__ import annotations

from itertools import count
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from raic.backends.patience import Patience
from raic.backends.swift import SwiftProvider, SwiftSettings
from raic.backends.swift.store import SwiftStore
from tests.contracts.driving import reactor
from tests.services.swift import SwiftServer, swift_server

PART_SIZE = 256 * 1024

_numbers = count()


class SwiftWorld:
    """A container of one's own, seen from outside RAIC."""

    def __init__(self, server: SwiftServer | None = None) -> None:
        self.server = server or swift_server()
        self.container = f"container % {next(_numbers)}"
        self.url = f"{self.server.storage_url}/{quote(self.container)}"
        self._session = requests.Session()
        self._session.trust_env = False
        # A Swift on a busy machine is a little late now and then: its own servers wait for one
        # another for a second at most.
        patience = Retry(6, backoff_factor=0.2, status_forcelist=(503,), allowed_methods=None)
        self._session.mount("http://", HTTPAdapter(max_retries=patience))
        headers = {"X-Auth-User": self.server.user, "X-Auth-Key": self.server.key}
        with self._session.get(self.server.auth_url, headers=headers, timeout=20) as answer:
            self._session.headers["X-Auth-Token"] = answer.headers["X-Auth-Token"]
        self.ask("PUT", "")

    def ask(self, method: str, path: str, **request: Any) -> requests.Response:
        """Make a request of the container; its body has been read."""
        answer = self._session.request(method, self.url + path, timeout=20, **request)
        answer.raise_for_status()
        return answer

    def names(self) -> list[str]:
        """Everything in the container, segments included."""
        return self.ask("GET", "").text.split()

    def credentials(self) -> dict[str, str]:
        """Who we are."""
        return {"user": self.server.user, "key": self.server.key}

    def settings(self, **others: Any) -> SwiftSettings:
        """How to reach the container."""
        known = {
            "container": self.container,
            "auth_url": self.server.auth_url,
            "auth_version": "v1",
            "prefix": "raic/home/",
            "part_size": PART_SIZE,
            "threads": 4,
        }
        return SwiftSettings(**{**known, **others})

    def provider(self, *, page: int = 1000, **others: Any) -> SwiftProvider:
        """One on the container, not started."""
        settings = self.settings(**others)
        return SwiftProvider(self.container, settings, self.credentials, reactor, page)

    def store(self) -> SwiftStore:
        """What a provider calls in its threads: each call has been answered when it returns."""
        settings = self.settings()
        patience = Patience(self.container, reactor)
        return SwiftStore(self.container, settings, self.credentials, reactor, patience)

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()
