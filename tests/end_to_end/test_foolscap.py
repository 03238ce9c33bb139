"""A client that has never heard of HTTP."""

from __future__ import annotations

import pytest

from tests.end_to_end import suite
from tests.end_to_end.harness import TahoeClient, foolscap_only


@pytest.mark.service
class OverFoolscapTests(suite.ClientSuite):
    """The whole suite, as a client that knows only the FURL."""

    connected = "Connected to tcp:127.0.0.1"

    @classmethod
    def make_client(cls, name: str) -> TahoeClient:
        return cls.started(TahoeClient(cls.folder / name, foolscap_only(cls.node.servers_yaml())))
