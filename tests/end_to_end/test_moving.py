"""A Tahoe storage node becomes one of ours, and one of Tahoe's again, unnoticed by its client."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from twisted.trial.unittest import SynchronousTestCase

from raic.shares.keys import encode_index
from tests.end_to_end.harness import AdoptedNode, TahoeClient, TahoeStorageNode
from tests.end_to_end.processes import Program, installed, run
from tests.end_to_end.suite import check, content, get, overwrite, put
from tests.services.moto import moto_endpoint

COPIES = 600
"""How many files are added, so that there is time to kill what copies them."""

SECONDS = 120.0


def share_files(storage: Path) -> list[Path]:
    """The complete share files of a Tahoe node."""
    return [path for path in storage.glob("shares/??/*/*") if path.is_file()]


def _files_in(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def leases(node: Path) -> int:
    """How many leases a node knows."""
    with closing(sqlite3.connect(node / "index.sqlite")) as index:
        return int(index.execute("SELECT count(*) FROM leases").fetchone()[0])


@pytest.mark.service
class MovingInAndOut(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory(prefix="raic-moving-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.old = TahoeStorageNode(self.folder / "old")
        self.addCleanup(self.old.stop)
        self.old.start()
        self.client = TahoeClient(self.folder / "client", self.old.servers_yaml())
        self.addCleanup(self.client.stop)
        self.client.start()
        self.storage = self.old.folder / "storage"
        self.adopt: list[str | Path] = [
            installed("raic"),
            "adopt",
            self.old.folder,
            self.folder / "new",
        ]
        self.export: list[str | Path] = [
            installed("raic"),
            "export",
            self.folder / "new",
            self.folder / "out",
        ]

    def test_the_client_goes_on_as_if_nothing_had_happened(self) -> None:
        caps = self.fill()
        run(self.adopt, SECONDS, expected=1)
        self.assertFalse((self.folder / "new").exists())
        self.old.stop()
        self.client.wait_until_disconnected()
        broken = self.copy_and_break()
        storage_indexes = len({path.parent for path in share_files(self.storage)}) - len(broken)
        before = {path: path.read_bytes() for path in share_files(self.storage)}

        dry = run([*self.adopt, "--dry-run"], SECONDS).decode()
        self.assertIn(f"left alone: {broken[0]}", dry)
        self.assertFalse((self.folder / "new").exists())

        objects = self.folder / "new" / "storage"
        self.kill_in_between(self.adopt, lambda: _files_in(objects) > 20)
        said = run(self.adopt, SECONDS, expected=1).decode()
        self.assertIn("shares were there already", said)
        self.assertIn(f"left alone: {broken[0]}", said)
        self.assertIn("its upload was never completed", said)
        self.assertEqual({p: p.read_bytes() for p in share_files(self.storage)}, before)
        self.assertEqual(leases(self.folder / "new"), storage_indexes)

        node = AdoptedNode(self.folder / "new", self.old.port)
        self.addCleanup(node.stop)
        node.start()
        self.client.wait_until_connected()
        caps = self.read_and_change(caps)
        node.stop()
        self.client.wait_until_disconnected()
        self.assertEqual(leases(self.folder / "new"), storage_indexes)

        out = self.folder / "out"
        self.kill_in_between(self.export, lambda: len(share_files(out)) > 20)
        self.assertIn(b"shares were there already", run(self.export, SECONDS))
        self.assertEqual(len(share_files(out)), len(before) - len(broken))
        shutil.rmtree(self.storage)
        out.rename(self.storage)
        self.old.start()
        self.client.wait_until_connected()
        self.read_and_change(caps)

    def fill(self) -> dict[str, bytes]:
        """Files of every kind; their content, by cap."""
        kinds = ((1000, ""), (4_000_000, ""), (900, "sdmf"), (300_000, "sdmf"), (2_500_000, "mdmf"))
        files = {}
        for size, kind in kinds:
            data = content(size, seed=size)
            files[put(self.client, data, kind)] = data
        (self.folder / "local").write_bytes(content(7000))
        self.client.command("create-alias", "home")
        self.client.command("mkdir", "home:made")
        self.client.command("cp", self.folder / "local", "home:made/file")
        return files

    def copy_and_break(self) -> list[Path]:
        """Many more shares, one that was cut short, and an upload that was never completed."""
        smallest = min(share_files(self.storage), key=lambda path: path.stat().st_size)
        data = smallest.read_bytes()
        for number in range(COPIES):
            text = encode_index(os.urandom(16))
            folder = self.storage / "shares" / text[:2] / text
            folder.mkdir(parents=True)
            cut = data[:-100] if number == 0 else data
            (folder / "0").write_bytes(cut)
            if number == 0:
                broken = folder / "0"
        incoming = self.storage / "shares" / "incoming" / "aa"
        incoming.mkdir(parents=True, exist_ok=True)
        (incoming / "0").write_bytes(data)
        return [broken]

    def kill_in_between(self, command: list[str | Path], condition: Callable[[], bool]) -> None:
        """Run a command and kill it when the condition holds, which must be before its end."""
        program = Program(command, self.folder / "killed.log")
        program.wait_for(condition, "copying", SECONDS)
        program.kill()

    def read_and_change(self, caps: dict[str, bytes]) -> dict[str, bytes]:
        """Everything is there and healthy; afterwards mutable files have other content."""
        after = {}
        for cap, data in caps.items():
            self.assertTrue(get(self.client, cap) == data, cap)
            self.assertTrue(check(self.client, cap)["healthy"], cap)
            if "CHK" not in cap:
                overwrite(self.client, cap, data[::-1])
                self.assertTrue(get(self.client, cap) == data[::-1], cap)
            after[cap] = data if "CHK" in cap else data[::-1]
        self.assertEqual(self.client.command("get", "home:made/file"), content(7000))
        report = self.client.command("deep-check", "--verify", "--add-lease", "home:")
        self.assertIn(b"0 unhealthy", report)
        return after

    def test_into_a_cloud(self) -> None:
        endpoint = moto_endpoint()
        where = self.folder / "where.cfg"
        where.write_text(
            "[storage]\nbackend = provider:cloud\n[provider:cloud]\ntype = s3\n"
            f"container = {endpoint.make_container()}\nendpoint_url = {endpoint.url}\n"
        )
        secrets = {
            "RAIC_CLOUD_ACCESS_KEY_ID": endpoint.access_key_id,
            "RAIC_CLOUD_SECRET_ACCESS_KEY": endpoint.secret_access_key,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }
        self.go_on_with(["--config", where], secrets)

    def test_into_an_array_and_from_there_to_another_folder(self) -> None:
        where = self.folder / "where.cfg"
        members = (f"[provider:{name}]\ntype = filesystem\npath = {name}\n" for name in "abcd")
        array = "[array:three]\nproviders = a, b, c\nneeded = 2\nhappy = 3\n"
        where.write_text("".join(members) + array)
        caps = self.go_on_with(["--config", where, "--backend", "array:three"], {})
        new = self.folder / "new"
        run([installed("raic"), "copy", new, "--backend", "provider:d", "--move"], SECONDS)
        for name in "abc":
            self.assertLess(_files_in(new / name), 2)
        node = AdoptedNode(new, self.old.port)
        self.addCleanup(node.stop)
        node.start()
        self.client.wait_until_connected()
        self.read_and_change(caps)

    def go_on_with(
        self, options: Sequence[str | Path], secrets: Mapping[str, str]
    ) -> dict[str, bytes]:
        """Move to another backend, without leaving anything behind, and let the client go on."""
        caps = self.fill()
        self.old.stop()
        self.client.wait_until_disconnected()
        run([*self.adopt, *options, "--move"], SECONDS, environment=secrets)
        self.assertEqual(share_files(self.storage), [])
        node = AdoptedNode(self.folder / "new", self.old.port, secrets)
        self.addCleanup(node.stop)
        node.start()
        self.client.wait_until_connected()
        caps = self.read_and_change(caps)
        node.stop()
        self.client.wait_until_disconnected()
        return caps
