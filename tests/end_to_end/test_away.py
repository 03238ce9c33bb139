"""A node that starts while its cloud is away."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from twisted.trial.unittest import SynchronousTestCase

from raic.shares.keys import encode_index
from tests.end_to_end.cloud_nodes import SECONDS, Cloud, QuickCloudNode
from tests.end_to_end.harness import RequestFailed, TahoeClient, foolscap_only
from tests.end_to_end.suite import content, get, put

FIRST, SECOND = b"1" * 16, b"2" * 16


@pytest.mark.service
class Away(SynchronousTestCase):
    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        folder = Path(self.stack.enter_context(TemporaryDirectory(prefix="raic-away-")))
        self.cloud = Cloud()
        self.stack.callback(self.cloud.close)
        self.cloud.open()
        container = self.cloud.endpoint.make_container()
        self.node = QuickCloudNode(folder / "node", self.cloud.endpoint, container, "home")
        self.stack.callback(self.node.stop)

    def test_it_serves_what_it_can_and_the_rest_when_the_cloud_is_back(self) -> None:
        node = self.node
        node.start()
        node.store(FIRST, b"x" * 1000)
        node.write_slot(FIRST, b"before")
        node.kill()
        self.cloud.close()
        node.start()
        output = node.running().output()
        self.assertIn("waiting for cloud: until it answers the node takes no shares", output)
        self.assertEqual(output.count("the node takes no shares until this is over"), 1)
        self.assertIn("check endpoint_url and region, and that the service is up", output)
        self.assertEqual(node.largest_share(), 0)
        self.assertEqual(node.allocate(SECOND, 1000), frozenset())
        shares = node.ask("GET", f"immutable/{encode_index(FIRST)}/shares", 200)
        self.assertEqual(shares.message(), {0})
        node.read(FIRST, 503)
        node.write_slot(FIRST, b"during", 503)
        self.cloud.open()
        node.says("cloud: the prefix is this node's; writes are served")
        self.assertEqual(node.read(FIRST), b"x" * 1000)
        self.assertGreater(node.largest_share(), 1000)
        node.store(SECOND, b"y" * 1000)
        node.write_slot(FIRST, b"after")
        self.assertEqual(node.read(SECOND), b"y" * 1000)
        self.assertNotIn("Traceback", node.running().output())

    def test_a_real_client_waits_and_then_finds_its_files(self) -> None:
        self.node.start()
        client = TahoeClient(self.node.folder.with_name("client"), self.node.servers_yaml())
        self.stack.callback(client.stop)
        client.start()
        cap = put(client, content(5000))
        self.node.kill()
        client.wait_until_disconnected()
        self.cloud.close()
        self.node.start()
        client.wait_until_connected()
        with self.assertRaisesRegex(RequestFailed, "UploadUnhappinessError"):
            put(client, content(6000))
        with self.assertRaises(RequestFailed):
            get(client, cap)
        self.cloud.open()
        self.node.says("writes are served")
        self.assertEqual(get(client, cap), content(5000))
        client.stop()  # it asks only now and then how much room there is, and when it connects
        client.start()
        other = put(client, content(6000))
        self.assertEqual(get(client, other), content(6000))

    def test_an_old_client_that_came_meanwhile_learns_that_there_is_room_again(self) -> None:
        self.node.start()
        self.node.kill()
        self.cloud.close()
        self.node.start()
        servers = foolscap_only(self.node.servers_yaml())
        client = TahoeClient(self.node.folder.with_name("client"), servers)
        self.stack.callback(client.stop)
        client.start()
        with self.assertRaisesRegex(RequestFailed, "UploadUnhappinessError"):
            put(client, content(6000))
        pid = client.pid()
        self.cloud.open()
        self.node.says("writes are served")
        # It asks even servers that are full what they have.
        cap = client.running().wait_for(lambda: _attempt(client), "an upload", 60.0)
        self.assertEqual(get(client, cap), content(6000))
        self.assertEqual(client.pid(), pid)

    def test_a_cloud_that_is_away_for_some_seconds_costs_its_clients_nothing_but_time(self) -> None:
        node = self.node
        node.interval = 60.0  # as it is in production
        node.start()
        node.store(FIRST, b"x" * 1000)
        node.write_slot(FIRST, b"before")
        self.cloud.close()
        with ThreadPoolExecutor(4) as pool:
            reads = [pool.submit(node.read, FIRST) for _ in range(2)]
            writes = [
                pool.submit(node.write_slot, FIRST, b"during"),
                pool.submit(node.store, SECOND, b"y" * 1000),
            ]
            node.says("ProviderUnreachable: cloud: ")
            self.cloud.open()
            self.assertEqual([each.result() for each in reads], [b"x" * 1000] * 2)
            for each in writes:
                each.result()
        self.assertEqual(node.read(SECOND), b"y" * 1000)
        self.assertNotIn(" 503", node.running().output())

    def test_it_can_be_stopped_while_it_waits(self) -> None:
        self.node.start()
        self.node.stop()
        self.cloud.close()
        self.node.start()
        self.node.stop()

    def test_reload_while_it_waits_tries_at_once(self) -> None:
        self.node.start()
        self.node.stop()
        self.cloud.close()
        self.node.start()
        os.kill(self.node.pid(), signal.SIGHUP)
        self.node.says("raic.cfg was read again")
        self.cloud.open()
        self.node.says("writes are served")

    def test_one_without_an_index_has_nothing_to_serve_and_ends(self) -> None:
        self.cloud.close()
        self.node.begin()
        self.assertEqual(self.node.running().wait(SECONDS), 1)
        self.assertIn("what to do: check endpoint_url", self.node.running().output())
        self.node.program = None


def _attempt(client: TahoeClient) -> str | None:
    """An upload; None if there is no room for it."""
    try:
        return put(client, content(6000))
    except RequestFailed:
        return None
