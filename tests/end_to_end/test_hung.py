"""A real client, some of whose servers have a cloud that hangs."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import pytest
from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from raic.assembly.status.probing import FRESH_SECONDS, LOOK_SECONDS, SILENT_SECONDS
from tests.end_to_end.cloud_nodes import SECONDS, Cloud, QuickCloudNode
from tests.end_to_end.harness import TahoeClient
from tests.end_to_end.processes import installed, run
from tests.end_to_end.suite import content, get, put
from tests.services.cuttable import CuttableService

QUICKLY = 3.0
"""What an upload takes at most that nothing keeps waiting, however busy the machine is."""


@pytest.mark.service
class Hung(SynchronousTestCase):
    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        folder = self.stack.enter_context(TemporaryDirectory(prefix="raic-hung-"))
        self.folder = Path(folder)
        cloud = Cloud()
        self.stack.callback(cloud.close)
        cloud.open()
        self.lines = [CuttableService("127.0.0.1", cloud.port) for _ in range(2)]
        self.nodes = []
        for number, line in enumerate(self.lines):
            endpoint = evolve(cloud.endpoint, url=f"http://127.0.0.1:{line.port}")
            place = self.folder / f"node{number}"
            node = QuickCloudNode(place, endpoint, cloud.endpoint.make_container(), "home")
            node.interval = 60.0  # as it is in production
            self.stack.callback(line.cut)
            self.stack.callback(node.stop)
            node.start()
            self.nodes.append(node)

    def client(self) -> TahoeClient:
        """A client of all nodes that is content with one of them."""
        servers: dict[str, Any] = {}
        for node in self.nodes:
            servers.update(node.servers_yaml())
        client = TahoeClient(self.folder / "client", servers)
        config = client.folder / "tahoe.cfg"
        text = config.read_text()
        config.write_text(text.replace("shares.total = 1", "shares.total = 2"))
        self.stack.callback(client.stop)
        client.start()
        for node in self.nodes:
            client.wait_until_connected(node.folder.name)
        return client

    def upload(self, client: TahoeClient, size: int) -> float:
        """Upload a file, and read it back; how many seconds the first took."""
        began = monotonic()
        cap = put(client, content(size))
        took = monotonic() - began
        self.assertTrue(get(client, cap) == content(size))
        return took

    def test_its_uploads_go_elsewhere_and_hardly_wait(self) -> None:
        client = self.client()
        self.upload(client, 50_000)
        self.assertGreater(self.nodes[0].largest_share(), 0)
        idle = monotonic() + FRESH_SECONDS + LOOK_SECONDS
        client.running().wait_for(lambda: monotonic() > idle, "idle", SECONDS)
        self.lines[0].hang()
        first = self.upload(client, 50_001)
        self.assertLess(first, SILENT_SECONDS + QUICKLY)
        for number in range(3):
            self.assertLess(self.upload(client, 60_000 + number), QUICKLY)
        self.assertEqual(self.nodes[0].largest_share(), 0)
        told = run([installed("raic"), "status", self.nodes[0].folder]).decode()
        self.assertIn("takes no shares: cloud: no answer", told)
        self.lines[0].mend()
        self.nodes[0].running().wait_for(
            lambda: self.nodes[0].largest_share() > 0, "room again", SECONDS
        )
        self.upload(client, 70_000)
