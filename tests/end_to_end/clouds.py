"""A node whose shares live in a cloud, and what a real Tahoe client does with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.harness import RaicNode, TahoeClient
from tests.end_to_end.processes import Program, installed, run
from tests.end_to_end.suite import check, content, get, overwrite, put

LARGE = 9_000_000
"""More than goes into one request, and into one part."""


class CloudNode(RaicNode):
    """A node whose provider has its secrets from the environment."""

    def __init__(
        self, folder: Path, provider: Mapping[str, str], secrets: Mapping[str, str]
    ) -> None:
        super().__init__(folder)
        self._rest = (folder / "raic.cfg").read_text().partition("[storage]")[0]
        self.move_to(provider, secrets)

    def move_to(self, provider: Mapping[str, str], secrets: Mapping[str, str]) -> None:
        """Forget one cloud and know another one; not while it runs."""
        for path in self.index():
            path.unlink()
        self._secrets = {f"RAIC_CLOUD_{name}": value for name, value in secrets.items()}
        self._secrets["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
        section = "".join(f"{key} = {value}\n" for key, value in provider.items())
        storage = f"[storage]\nbackend = provider:cloud\n[provider:cloud]\n{section}"
        (self.folder / "raic.cfg").write_text(self._rest + storage)

    def begin(self) -> None:
        """Start it, and return at once."""
        command = (installed("raic"), "run", self.folder)
        self.program = Program(command, self.log(), self._secrets)

    def restore(self, *options: str) -> bytes:
        """Rebuild the index; what the command prints."""
        command = [installed("raic"), "restore", "--local", str(self.folder), *options]
        return run(command, 120.0, environment=self._secrets)


class CloudCase(SynchronousTestCase):
    """Has one node, which moves from cloud to cloud, and one client, which does not notice."""

    node: ClassVar[CloudNode | None]
    client: ClassVar[TahoeClient | None]
    folder: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        folder = TemporaryDirectory(prefix="raic-cloud-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.node = cls.client = None

    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)

    def started(
        self, provider: Mapping[str, str], secrets: Mapping[str, str]
    ) -> tuple[CloudNode, TahoeClient]:
        """The node in a cloud in which it has nothing, and the client, connected to it."""
        cls = type(self)
        if cls.node is None:
            cls.node = CloudNode(self.folder / "node", provider, secrets)
        cls.node.move_to(provider, secrets)
        self.stack.callback(cls.node.stop)
        cls.node.start()
        if cls.client is None:
            client = TahoeClient(self.folder / "client", cls.node.servers_yaml())
            cls.addClassCleanup(client.stop)
            client.start()
            cls.client = client
        cls.client.wait_until_connected()
        return cls.node, cls.client

    def check_cloud(
        self, provider: Mapping[str, str], secrets: Mapping[str, str], *, restore: bool = True
    ) -> str:
        """Store, change, kill, start, read, change; lose the index, restore, read, change.

        :param restore: whether to do the second half, too.
        :return: what was logged.
        """
        node, client = self.started(provider, secrets)
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
        if restore:
            self._restored(node, client)
            self.assert_readable(client, files, folder)
            overwrite(client, mutable, content(6000))
        size = 6000 if restore else 5000
        self.assertEqual(get(client, mutable), content(size))
        node.stop()
        client.wait_until_disconnected()
        return node.log().read_text()

    def _restored(self, node: CloudNode, client: TahoeClient) -> None:
        node.stop()
        client.wait_until_disconnected()
        for path in node.index():
            path.unlink()
        self.assertIn(b"the index is in place", node.restore())
        node.start()
        client.wait_until_connected()

    def assert_readable(self, client: TahoeClient, files: Mapping[str, bytes], folder: str) -> None:
        """Files and folder are as they were stored; each gets its lease renewed."""
        for cap, data in files.items():
            self.assertTrue(get(client, cap) == data)
            self.assertTrue(check(client, cap)["healthy"])
        listed = json.loads(client.request("GET", f"/uri/{folder}?t=json"))[1]["children"]
        self.assertEqual(list(listed), ["name"])
        self.assertEqual(client.request("GET", f"/uri/{folder}/name"), content(500))
