"""A node whose shares live in a cloud: what a real Tahoe client stores there stays there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.backends.swift.swift_world import SwiftWorld
from tests.end_to_end.harness import RaicNode, TahoeClient
from tests.end_to_end.processes import Program, installed, run
from tests.end_to_end.suite import check, content, get, overwrite, put
from tests.services.moto import moto_endpoint

LARGE = 9_000_000
"""More than goes into one request, and into one part."""


class CloudNode(RaicNode):
    """A node whose provider has its secrets from the environment."""

    def __init__(
        self, folder: Path, provider: Mapping[str, str], secrets: Mapping[str, str]
    ) -> None:
        super().__init__(folder)
        self._secrets = {f"RAIC_CLOUD_{name}": value for name, value in secrets.items()}
        self._secrets["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
        path = folder / "raic.cfg"
        text, _, _ = path.read_text().partition("[storage]")
        section = "".join(f"{key} = {value}\n" for key, value in provider.items())
        path.write_text(f"{text}[storage]\nbackend = provider:cloud\n[provider:cloud]\n{section}")

    def begin(self) -> None:
        """Start it, and return at once."""
        command = (installed("raic"), "run", self.folder)
        self.program = Program(command, self.log(), self._secrets)

    def restore(self) -> bytes:
        """Rebuild the index; what the command prints."""
        command = (installed("raic"), "restore", "--local", self.folder)
        return run(command, 120.0, environment=self._secrets)


class CloudCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = Path(self.stack.enter_context(TemporaryDirectory(prefix="raic-cloud-")))

    def check_cloud(self, provider: Mapping[str, str], secrets: Mapping[str, str]) -> str:
        """Store, change, kill, start, lose the index, restore, read; returns what was logged."""
        node = CloudNode(self.folder / "node", provider, secrets)
        self.stack.callback(node.stop)
        node.start()
        client = TahoeClient(self.folder / "client", node.servers_yaml())
        self.stack.callback(client.stop)
        client.start()
        files = {put(client, content(size)): content(size) for size in (1000, 200_000, LARGE)}
        mutable = put(client, content(3000), "sdmf")
        overwrite(client, mutable, content(4000))
        files[mutable] = content(4000)
        folder = client.request("POST", "/uri?t=mkdir").decode("ascii").strip()
        client.request("PUT", f"/uri/{folder}/name", content(500))
        node.kill()
        client.wait_until_disconnected()
        node.start()
        client.wait_until_connected()
        self.assert_readable(client, files, folder)
        overwrite(client, mutable, content(5000))
        files[mutable] = content(5000)
        node.stop()
        client.wait_until_disconnected()
        for path in node.index():
            path.unlink()
        self.assertIn(b"the index is in place", node.restore())
        node.start()
        client.wait_until_connected()
        self.assert_readable(client, files, folder)
        overwrite(client, mutable, content(6000))
        self.assertEqual(get(client, mutable), content(6000))
        return node.log().read_text()

    def assert_readable(self, client: TahoeClient, files: Mapping[str, bytes], folder: str) -> None:
        for cap, data in files.items():
            self.assertTrue(get(client, cap) == data)
            self.assertTrue(check(client, cap)["healthy"])
        listed = json.loads(client.request("GET", f"/uri/{folder}?t=json"))[1]["children"]
        self.assertEqual(list(listed), ["name"])
        self.assertEqual(client.request("GET", f"/uri/{folder}/name"), content(500))


@pytest.mark.service
class Clouds(CloudCase):
    def test_shares_live_in_s3(self) -> None:
        endpoint = moto_endpoint()
        container = endpoint.make_container()
        log = self.check_cloud(
            {"type": "s3", "container": container, "endpoint_url": endpoint.url},
            {
                "ACCESS_KEY_ID": endpoint.access_key_id,
                "SECRET_ACCESS_KEY": endpoint.secret_access_key,
            },
        )
        self.assertIn(f"shares live in: cloud, s3 container {container}, prefix raic/v0-", log)
        self.assertNotIn(endpoint.secret_access_key, log)

    def test_shares_live_in_swift(self) -> None:
        world = SwiftWorld()
        self.stack.callback(world.close)
        container, server = world.container, world.server
        log = self.check_cloud(
            {
                "type": "swift",
                "container": container,
                "auth_url": server.auth_url,
                "auth_version": "v1",
            },
            {"USER": server.user, "KEY": server.key},
        )
        self.assertIn(f"shares live in: cloud, swift container {container}, prefix raic/v0-", log)
