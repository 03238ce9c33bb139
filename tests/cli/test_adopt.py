"""``raic adopt`` and ``raic export`` with folders that need no Tahoe."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from socket import socket

import pytest
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from raic.cli import main
from raic.config.identity import load_identity, new_identity_files
from raic.config.loading import load_config
from raic.shares.keys import encode_index
from raic.shares.tahoe.containers import (
    Container,
    immutable_frame,
    mutable_frame,
    read_container_at,
)
from raic.shares.tahoe.folder import share_path
from raic.values import Lease
from tests.end_to_end.processes import clean_environment, free_port, installed
from tests.services.moto import moto_endpoint

LEASE = Lease(b"r" * 32, b"c" * 32, 2_000_000_000)
OTHER = Lease(b"R" * 32, b"C" * 32, 1_000_000_000)
ENABLER, NODEID = b"e" * 32, b"i" * 20
BIG = 3_000_001
ADVISORY = """report: Share Corruption
type: immutable
storage_index: {}
share_number: 0

it is wrong

"""


def raic(
    *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [installed("raic"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean_environment() | dict(environment or {}),
    )


def invoke(*arguments: str | Path) -> Result:
    """The same in this process, for what ends before anything is copied."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


class World:
    """A Tahoe node that was made without Tahoe."""

    def __init__(self) -> None:
        self.old = Path("old").absolute()
        self.new = Path("new").absolute()
        self.storage = self.old / "storage"
        self.port = free_port()
        (self.old / "private").mkdir(parents=True)
        files = new_identity_files(int(time.time()), (f"tcp:127.0.0.1:{self.port}",))  # noqa: TID251 - a certificate's
        for name in ("node.pem", "node.privkey", "storage.furl"):
            (self.old / "private" / name).write_bytes(files[name])
        self.configure()
        self.data: dict[Path, bytes] = {}

    def configure(self, more: str = "") -> None:
        address = f"tub.port = tcp:{self.port}:interface=127.0.0.1\n"
        address += f"tub.location = tcp:127.0.0.1:{self.port}\n"
        (self.old / "tahoe.cfg").write_text(f"[node]\nnickname = Äpfel\n{address}{more}")

    def add(
        self, index: bytes, shnum: int, data: bytes, *leases: Lease, slot: bool = False
    ) -> Path:
        if slot:
            frame = mutable_frame(len(data), leases, ENABLER, NODEID, b"n" * 20)
        else:
            frame = immutable_frame(len(data), leases)
        path = share_path(self.storage, index, shnum)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(frame.before + data + frame.after)
        self.data[path] = data
        return path

    def fill(self) -> None:
        """Shares of every kind and size; the last byte of the storage index says which."""
        self.add(b"\x01" * 16, 0, b"small", LEASE, OTHER)
        self.add(b"\x01" * 16, 3, b"", LEASE)
        self.add(b"\x02" * 16, 0, os.urandom(BIG))
        self.add(b"\x03" * 16, 1, b"slot one", LEASE, OTHER, slot=True)
        self.add(b"\x03" * 16, 7, b"slot seven", LEASE, slot=True)
        self.add(b"\x04" * 16, 0, os.urandom(BIG) + bytes(BIG), *[LEASE] * 6, slot=True)
        self.add(b"\x04" * 16, 255, b"short", LEASE, slot=True)

    def adopt(self, *options: str | Path) -> subprocess.CompletedProcess[str]:
        return raic("adopt", self.old, self.new, *options)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.new / "index.sqlite")) as index:
            return index.execute(query).fetchall()

    def exported(self, folder: Path) -> Mapping[Path, tuple[Container, bytes]]:
        """What an export wrote, by where it was in the old node."""
        found = {}
        for path in folder.glob("shares/??/*/*"):
            container = read_container_at(path)
            data = path.read_bytes()[container.offset :][: container.length]
            found[self.storage / path.relative_to(folder)] = container, data
        return found


@pytest.mark.slow
class Adopting(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()

    def test_everything_comes_with_it_and_goes_back(self) -> None:
        world = self.world
        world.fill()
        done = world.adopt()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("copied and verified 3 immutable shares and 2 slots", done.stdout)
        again = world.adopt()
        self.assertIn("copied and verified 0 immutable shares and 0 slots", again.stdout)
        self.assertIn("7 shares were there already", again.stdout)

        out = Path("out").absolute()
        exported = raic("export", world.new, out)
        self.assertEqual(exported.returncode, 0, exported.stderr)
        self.assertIn("7 shares were there already", raic("export", world.new, out).stdout)
        found = world.exported(out)
        self.assertEqual({path: data for path, (_, data) in found.items()}, world.data)
        for path, (container, _) in found.items():
            before = read_container_at(path)
            self.assertEqual(container.write_enabler, before.write_enabler)
            self.assertEqual(container.nodeid, before.nodeid)
            self.assertLessEqual(set(before.leases), set(container.leases))

    def test_it_is_the_same_server(self) -> None:
        world = self.world
        (world.old / "announcement-seqnum").write_text("17\n")
        world.configure("[client]\nshares.needed = 3\n[storage]\nreserved_space = 5M\n")
        done = world.adopt()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("not taken over: [client] shares.needed", done.stdout)
        config = load_config(world.new)
        self.assertEqual(
            (config.node.nickname, config.storage.reserved_space), ("Äpfel", 5_000_000)
        )
        for name in ("node.pem", "node.privkey", "storage.furl"):
            mine, old = (folder / "private" / name for folder in (world.new, world.old))
            self.assertEqual(mine.read_bytes(), old.read_bytes())
        self.assertEqual((world.new / "private" / "announcement.seqnum").read_text(), "17\n")
        identity = load_identity(config.private)
        self.assertEqual("v0-" + identity.permutation_seed, identity.server_id)

    def test_a_seed_that_was_never_written_down_is_the_tub_id_where_there_are_shares(self) -> None:
        self.world.add(b"\x01" * 16, 0, b"x", LEASE)
        self.world.adopt()
        identity = load_identity(self.world.new / "private")
        self.assertEqual(identity.permutation_seed, identity.tub_id)

    def test_leases_end_when_they_would_have_and_none_becomes_one(self) -> None:
        self.world.fill()
        self.world.adopt()
        rows = self.world.rows("SELECT storage_index, renew_digest, expires FROM leases")
        mine = {(row[1], row[2]) for row in rows if row[0] == b"\x01" * 16}
        self.assertEqual(mine, {(b"r" * 32, 2_000_000_000), (b"R" * 32, 1_000_000_000)})
        ((renew, expires),) = [row[1:] for row in rows if row[0] == b"\x02" * 16]
        self.assertEqual(renew, bytes(32))
        assert isinstance(expires, int)
        self.assertGreater(expires, time.time() + 30 * 86400)  # noqa: TID251 - of another process

    def test_advisories_come_once(self) -> None:
        self.world.add(b"\x00" * 16, 0, b"x", LEASE)
        folder = self.world.storage / "corruption-advisories"
        folder.mkdir()
        (folder / "one").write_text(ADVISORY.format("a" * 26))
        (folder / "junk").write_text("junk")
        first = self.world.adopt()
        self.assertEqual(first.returncode, 1)
        self.assertIn("1 advisories were taken over", first.stdout)
        self.assertIn(f"left alone: {folder / 'junk'}", first.stdout)
        self.world.adopt()
        rows = self.world.rows("SELECT storage_index, shnum, reason FROM advisories")
        self.assertEqual(rows, [(b"\x00" * 16, 0, "it is wrong")])

    def test_what_cannot_be_used_is_left_alone(self) -> None:
        world = self.world
        world.fill()
        bad = share_path(world.storage, b"\x01" * 16, 9)
        bad.write_bytes(b"junk")
        odd = bad.with_name("0.bak")
        odd.write_bytes(b"junk")
        frame = mutable_frame(3, [LEASE], b"E" * 32, NODEID, NODEID)
        another = share_path(world.storage, b"\x03" * 16, 9)
        another.write_bytes(frame.before + b"abc" + frame.after)
        told = json.loads(world.adopt("--dry-run", "--json").stdout)
        self.assertLessEqual({str(bad), str(odd)}, {each["path"] for each in told["left"]})
        for done in (world.adopt("--dry-run"), world.adopt(), world.adopt("--move")):
            for path in (bad, odd):
                self.assertIn(f"left alone: {path}", done.stdout)
        self.assertIn(f"left alone: {another}: its write enabler", done.stdout)
        left = {path for path in world.storage.rglob("*") if path.is_file()}
        self.assertEqual(left, {bad, odd, another})

    def test_moving_first_deletes_what_a_killed_one_has_left(self) -> None:
        world = self.world
        world.fill()
        world.adopt()
        (path,) = (world.new / "storage").rglob(f"*{encode_index(bytes([2]) * 16)}*")
        stray = path.with_name(path.name.replace(path.name.split(".")[1], "a" * 26))
        stray.write_bytes(path.read_bytes())
        with closing(sqlite3.connect(world.new / "index.sqlite")) as index, index:
            index.execute("UPDATE meta SET clean = 0")
            row = "INSERT INTO garbage (key, not_before, passes, tombstone) VALUES (?, ?, 2, 0)"
            index.execute(row, ("shares/aa/gone.0", 2**40))
        self.assertEqual(world.adopt("--move").returncode, 0)
        self.assertFalse(stray.exists())
        self.assertTrue(path.exists())
        self.assertEqual(world.rows("SELECT count(*) FROM garbage"), [(0,)])

    def test_moving_leaves_nothing_but_what_differs(self) -> None:
        world = self.world
        world.fill()
        world.adopt()
        changed = world.add(b"\x01" * 16, 0, b"other", LEASE)
        done = world.adopt("--move")
        self.assertIn("6 originals were deleted", done.stdout)
        self.assertIn(f"left alone: {changed}: the node has another", done.stdout)
        left = [path for path in (world.storage / "shares").rglob("*") if path.is_file()]
        self.assertEqual(left, [changed])
        self.assertEqual(len(list((world.storage / "shares").iterdir())), 1)
        raic("export", world.new, "out")
        found = world.exported(Path("out").absolute())
        world.data[changed] = b"small"
        self.assertEqual({path: data for path, (_, data) in found.items()}, world.data)

    def test_moving_needs_a_disk_that_is_synced(self) -> None:
        Path("where.cfg").write_text(
            "[storage]\nbackend = provider:here\n[provider:here]\ntype = filesystem\n"
            "path = shares\nfsync = false\n"
        )
        self.world.add(b"\x01" * 16, 0, b"x", LEASE)
        done = self.world.adopt("--config", "where.cfg", "--move")
        self.assertEqual(done.returncode, 1)
        self.assertIn("what to do: set fsync = true", done.stderr)
        self.assertTrue(share_path(self.world.storage, b"\x01" * 16, 0).exists())

    def test_into_an_array(self) -> None:
        members = [f"[provider:{name}]\ntype = filesystem\npath = {name}\n" for name in "abc"]
        array = "[array:three]\nproviders = a, b, c\nneeded = 2\nhappy = 3\n"
        Path("where.cfg").write_text("".join([*members, array]))
        self.world.fill()
        done = self.world.adopt("--config", "where.cfg", "--backend", "array:three")
        self.assertEqual(done.returncode, 0, done.stderr)
        raic("export", self.world.new, "out")
        found = self.world.exported(Path("out").absolute())
        self.assertEqual({path: data for path, (_, data) in found.items()}, self.world.data)


@pytest.mark.service
class IntoACloud(SynchronousTestCase):
    def test_credentials_may_come_after_the_node_directory(self) -> None:
        endpoint = moto_endpoint()
        Path("where.cfg").write_text(
            "[storage]\nbackend = provider:cloud\n[provider:cloud]\ntype = s3\n"
            f"container = {endpoint.make_container()}\nendpoint_url = {endpoint.url}\n"
        )
        secrets = {
            "RAIC_CLOUD_ACCESS_KEY_ID": endpoint.access_key_id,
            "RAIC_CLOUD_SECRET_ACCESS_KEY": endpoint.secret_access_key,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }
        world = World()
        world.fill()
        adopt = ("adopt", world.old, world.new, "--config", "where.cfg")
        without = raic(*adopt, environment={**secrets, "RAIC_CLOUD_SECRET_ACCESS_KEY": ""})
        self.assertEqual(without.returncode, 2, without.stderr)
        self.assertIn("raic credentials set cloud", without.stderr)
        self.assertTrue((world.new / "raic.cfg").exists())
        done = raic(*adopt, "--move", environment=secrets)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("7 originals were deleted", done.stdout)
        exported = raic("export", world.new, "out", environment=secrets)
        self.assertEqual(exported.returncode, 0, exported.stderr)
        found = world.exported(Path("out").absolute())
        self.assertEqual({path: data for path, (_, data) in found.items()}, world.data)


class DryRuns(SynchronousTestCase):
    def test_they_show_everything_but_furls_and_make_nothing(self) -> None:
        world = World()
        world.configure("[client]\nintroducer.furl = pb://abc@tcp:192.0.2.1:5/furl-secret\n")
        world.fill()
        done = invoke("adopt", world.old, world.new, "--dry-run")
        self.assertEqual(done.exit_code, 0, done.stderr)
        self.assertIn("introducer.furl = <redacted>\n", done.stdout)
        self.assertNotIn("furl-secret", done.output)
        self.assertIn("3 immutable shares and 4 shares of 2 slots", done.stdout)
        self.assertFalse(world.new.exists())


class Refusing(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.world.add(b"\x01" * 16, 0, b"x", LEASE)

    def refuse(self, code: int, text: str, *options: str | Path) -> None:
        done = invoke("adopt", self.world.old, self.world.new, *options)
        self.assertEqual(done.exit_code, code, done.stdout)
        self.assertIn(text, done.stderr)

    def test_a_node_whose_process_lives(self) -> None:
        for name in ("running.process", "twistd.pid"):
            path = self.world.old / name
            path.write_text(f"{os.getpid()} 12345.6\n")
            self.refuse(1, f"process {os.getpid()} runs the Tahoe node")
            self.assertFalse(self.world.new.exists())
            path.unlink()

    def test_a_node_whose_process_is_gone_is_taken(self) -> None:
        ended = subprocess.run(["/bin/sh", "-c", "echo $$"], capture_output=True, check=True)
        (self.world.old / "running.process").write_bytes(ended.stdout)
        self.assertEqual(self.world.adopt().returncode, 0)

    def test_a_port_that_something_listens_on(self) -> None:
        with socket() as listening:
            listening.bind(("127.0.0.1", self.world.port))
            listening.listen()
            self.refuse(1, f"something listens on tcp:{self.world.port}")

    def test_another_node(self) -> None:
        self.assertEqual(invoke("create-node", self.world.new).exit_code, 0)
        before = (self.world.new / "raic.cfg").read_bytes()
        self.refuse(1, "holds another node already")
        self.assertEqual((self.world.new / "raic.cfg").read_bytes(), before)

    def test_a_folder_with_something_else(self) -> None:
        self.world.new.mkdir()
        (self.world.new / "file").touch()
        self.refuse(1, "holds something else already")

    def test_what_is_no_tahoe_node(self) -> None:
        (self.world.old / "private" / "node.pem").unlink()
        self.refuse(1, "has run at least once")
        (self.world.old / "tahoe.cfg").unlink()
        self.refuse(2, "tahoe.cfg cannot be read")

    def test_settings_that_would_mean_something_else_until_they_are_replaced(self) -> None:
        self.world.configure("[connections]\ntcp = tor\n")
        self.refuse(2, "[connections] tcp")
        self.assertFalse(self.world.new.exists())
        Path("where.cfg").write_text("[connections]\ntcp = tcp\n")
        self.assertEqual(self.world.adopt("--config", "where.cfg").returncode, 0)

    def test_several_servers(self) -> None:
        Path("where.cfg").write_text("[server:one]\nbackend = provider:disk\n")
        self.refuse(2, "becomes one server", "--config", "where.cfg")

    def test_an_export_over_the_shares_of_others(self) -> None:
        self.assertEqual(self.world.adopt().returncode, 0)
        done = raic("export", self.world.new, self.world.storage)
        self.assertEqual(done.returncode, 1)
        self.assertIn("holds shares already", done.stderr)
