"""What a real Tahoe client does with a storage node; run once for each way of reaching one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.harness import RaicNode, StorageNode, TahoeClient

LITERAL = 55
"""A file of at most this size is kept in its cap: nothing is stored."""

SIZES = (0, 1, LITERAL, LITERAL + 1, 1024, 1024 * 1024)
BIG = 64 * 1024 * 1024
MDMF_SEGMENT = 128 * 1024


def content(size: int, seed: int = 0) -> bytes:
    """Bytes that depend on both arguments."""
    return Random(f"{size} {seed}").randbytes(size)


def put(client: TahoeClient, data: bytes, mutable: str = "") -> str:
    """Store a file.

    :param mutable: its format, ``sdmf`` or ``mdmf``; empty for an immutable one.
    :return: its cap.
    """
    return client.request("PUT", f"/uri?format={mutable or 'chk'}", data).decode("ascii")


def get(client: TahoeClient, cap: str) -> bytes:
    """A file's content."""
    return client.request("GET", f"/uri/{quote(cap)}")


def overwrite(client: TahoeClient, cap: str, data: bytes, offset: int | None = None) -> None:
    """Replace a mutable file's content, or from ``offset`` as much of it as ``data`` is long."""
    where = "" if offset is None else f"?offset={offset}"
    client.request("PUT", f"/uri/{quote(cap)}{where}", data)


def check(client: TahoeClient, cap: str) -> dict[str, Any]:
    """Let the client fetch every byte of a file, verify it and renew its lease."""
    query = "t=check&verify=true&add-lease=true&output=JSON"
    answer = json.loads(client.request("POST", f"/uri/{quote(cap)}?{query}"))
    return dict(answer["results"])


class ClientSuite(SynchronousTestCase):
    """Run by subclasses, which say how nodes and clients find each other."""

    folder: ClassVar[Path]
    node: ClassVar[StorageNode]
    client: ClassVar[TahoeClient]
    reader: ClassVar[TahoeClient]
    """A second client that reads what the first one wrote; the same one where there is one."""

    connected = "connected"
    """How Tahoe's welcome page describes the connection."""

    @classmethod
    def setUpClass(cls) -> None:
        folder = TemporaryDirectory(prefix="raic-grid-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.start_grid()

    @classmethod
    def start_grid(cls) -> None:
        """Start everything; by default one node and one client that knows its addresses."""
        cls.start_node()
        cls.start_client()

    @classmethod
    def start_node(cls) -> None:
        """Start the storage node."""
        cls.node = RaicNode(cls.folder / "node")
        cls.addClassCleanup(cls.node.stop)
        cls.node.start()

    @classmethod
    def start_client(cls) -> None:
        """Start the client."""
        cls.client = cls.reader = cls.make_client("client")

    @classmethod
    def make_client(cls, name: str) -> TahoeClient:
        """A client that is connected."""
        return cls.started(TahoeClient(cls.folder / name, cls.node.servers_yaml()))

    @classmethod
    def started(cls, client: TahoeClient) -> TahoeClient:
        """The client, connected; it is stopped after the tests of the class."""
        cls.addClassCleanup(client.stop)
        client.start()
        return client

    @contextmanager
    def node_down(self) -> Iterator[None]:
        """The node is stopped, and at the end started again; the clients have noticed."""
        self.node.stop()
        for client in {self.client, self.reader}:
            client.wait_until_disconnected()
        yield
        self.node.start()
        for client in {self.client, self.reader}:
            client.wait_until_connected()

    def test_the_client_is_connected_in_the_dialect_it_knows(self) -> None:
        self.assertTrue(self.client.wait_until_connected().startswith(self.connected))

    def test_immutable_files_of_every_size_come_back(self) -> None:
        for size in SIZES:
            data = content(size)
            cap = put(self.client, data)
            self.assertEqual("URI:LIT:" in cap, size <= LITERAL)
            self.assertEqual(get(self.reader, cap), data)
            self.assertTrue(check(self.reader, cap)["healthy"], cap)

    def test_a_big_file_comes_back_through_the_commands(self) -> None:
        data = content(BIG)
        original, copy = self.folder / "big", self.folder / "copy"
        original.write_bytes(data)
        cap = self.client.command("put", original).decode("ascii").strip()
        self.reader.command("get", cap, copy)
        self.assertTrue(copy.read_bytes() == data)
        report = self.client.command("check", "--verify", "--add-lease", cap)
        self.assertIn(b"Summary: Healthy", report)

    def test_an_uploaded_file_is_not_uploaded_twice(self) -> None:
        data = content(300_000)
        cap = put(self.client, data)
        self.assertEqual(put(self.client, data), cap)
        self.assertEqual(get(self.reader, cap), data)

    def test_a_small_mutable_file_changes_in_every_way(self) -> None:
        cap = put(self.client, content(1000), "sdmf")
        self.assertEqual(get(self.reader, cap), content(1000))
        for size in (1000, 40_000, 10, 0, 2_000):
            overwrite(self.client, cap, content(size, seed=1))
            self.assertEqual(get(self.reader, cap), content(size, seed=1))
            self.assertTrue(check(self.reader, cap)["healthy"])

    def test_a_large_mutable_file_changes_in_parts(self) -> None:
        expected = bytearray(content(5 * 1024 * 1024))
        cap = put(self.client, bytes(expected), "mdmf")
        for offset, size in ((0, 10), (MDMF_SEGMENT - 5, 10), (3_000_000, 300_000)):
            patch = content(size, seed=offset)
            overwrite(self.client, cap, patch, offset)
            expected[offset : offset + size] = patch
            self.assertTrue(get(self.reader, cap) == bytes(expected), offset)
        self.assertTrue(check(self.reader, cap)["healthy"])

    def test_a_large_mutable_file_grows_and_is_replaced(self) -> None:
        start = content(300_000)
        cap = put(self.client, start, "mdmf")
        overwrite(self.client, cap, content(2_000_000, seed=2), len(start))
        self.assertTrue(get(self.reader, cap) == start + content(2_000_000, seed=2))
        overwrite(self.client, cap, content(100_000, seed=3))
        self.assertTrue(get(self.reader, cap) == content(100_000, seed=3))
        self.assertTrue(check(self.reader, cap)["healthy"])

    def test_directories_through_the_commands(self) -> None:
        local = self.folder / "tree"
        names = {"small": 10, "medium": 5_000, "inner/large": 200_000, "inner/deep/empty": 0}
        for name, size in names.items():
            path = local / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content(size))
        self.client.command("create-alias", "home")
        self.client.command("mkdir", "home:made")
        self.client.command("cp", "-r", local, "home:made/")
        self.assertEqual(
            self.client.command("ls", "home:made/tree").split(), [b"inner", b"medium", b"small"]
        )
        for name, size in names.items():
            found = self.client.command("get", f"home:made/tree/{name}")
            self.assertEqual(found, content(size))
        self.client.command("mv", "home:made/tree/small", "home:made/moved")
        self.client.command("unlink", "home:made/tree/medium")
        self.assertEqual(self.client.command("ls", "home:made").split(), [b"moved", b"tree"])
        self.assertEqual(self.client.command("ls", "home:made/tree").split(), [b"inner"])
        self._deep_check("home:")

    def test_backups(self) -> None:
        local = self.folder / "kept"
        (local / "sub").mkdir(parents=True)
        for name in ("one", "two", "sub/three"):
            (local / name).write_bytes(content(10_000, seed=len(name)))
        self.client.command("create-alias", "vault")
        self.client.command("backup", local, "vault:kept")
        again = self.client.command("backup", "-v", local, "vault:kept")
        self.assertIn(b"0 files uploaded (3 reused)", again)
        found = self.client.command("get", "vault:kept/Latest/sub/three")
        self.assertEqual(found, content(10_000, seed=9))
        self._deep_check("vault:")

    def _deep_check(self, where: str) -> None:
        report = self.client.command("deep-check", "--verify", "--add-lease", where)
        self.assertIn(b"0 unhealthy", report)
        self.assertNotIn(b"done: 0 objects", report)

    def test_everything_survives_a_restart_of_the_node(self) -> None:
        caps = self._some_files()
        with self.node_down():
            pass
        self._read_and_change(caps)

    def _some_files(self) -> dict[str, bytes]:
        files = [(content(500_000, seed=7), ""), (content(900, seed=7), "sdmf")]
        files += [(content(1_500_000, seed=7), "mdmf"), (content(100, seed=7), "")]
        return {put(self.client, data, kind): data for data, kind in files}

    def _read_and_change(self, caps: dict[str, bytes]) -> None:
        for cap, data in caps.items():
            self.assertTrue(get(self.reader, cap) == data, cap)
            self.assertTrue(check(self.reader, cap)["healthy"], cap)
            if "CHK" not in cap:
                overwrite(self.client, cap, data[::-1])
                self.assertTrue(get(self.reader, cap) == data[::-1], cap)
