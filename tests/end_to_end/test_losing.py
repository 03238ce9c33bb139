"""A machine that is lost: the node comes back from its identity file and its providers alone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

import pytest
from twisted.trial.unittest import SynchronousTestCase

from raic.shares.keys import encode_index
from tests.end_to_end.cloud_nodes import QUICKLY, SECONDS, QuickCloudNode
from tests.end_to_end.harness import RaicNode, TahoeClient
from tests.end_to_end.processes import Program, installed, run
from tests.end_to_end.suite import check, content, get, overwrite, put
from tests.services.moto import moto_endpoint

PASSPHRASE = "correct horse battery staple"


class _Losing(SynchronousTestCase):
    """Has a node, whose directory can be lost, and a real client."""

    secrets: Mapping[str, str]
    node: RaicNode

    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = Path(self.stack.enter_context(TemporaryDirectory(prefix="raic-losing-")))
        self.passphrase = self.folder / "passphrase"
        self.passphrase.write_text(f"{PASSPHRASE}\n")
        self.identity = self.folder / "node.identity"
        self.make_node()
        self.stack.callback(self.node.stop)
        self.node.start()
        self.client = TahoeClient(self.folder / "client", self.node.servers_yaml())
        self.stack.callback(self.client.stop)
        self.client.start()
        self.client.wait_until_connected()

    def make_node(self) -> None:
        raise NotImplementedError

    def raic(self, *words: str | Path, quick: bool = False) -> bytes:
        """Run a command; its output."""
        program = (installed("python"), "-c", QUICKLY.format(interval=1.0, request=1.0))
        command = program if quick else (installed("raic"),)
        return run((*command, *words), 120.0, environment=self.secrets)

    def export(self) -> None:
        words = ("identity", "export", self.identity, "--nodedir", self.node.folder)
        self.raic(*words, "--passphrase-file", self.passphrase)

    def restored(self, *options: str) -> dict[str, Any]:
        """Lose the node directory, and make another one; what the command says."""
        shutil.rmtree(self.node.folder)
        self.node.folder = self.folder / "new" / "node"
        words = self.restoring(*options)
        return dict(json.loads(self.raic(*words, "--json", quick=True)))

    def restoring(self, *options: str) -> tuple[str | Path, ...]:
        words: tuple[str | Path, ...] = ("restore", "--identity", self.identity, self.node.folder)
        return (*words, "--passphrase-file", self.passphrase, *options)

    def files(self) -> tuple[dict[str, bytes], str]:
        """Store some, and change one after a checkpoint was made; what they are, by cap."""
        files = {put(self.client, content(n, n)): content(n, n) for n in (9000, 2**21)}
        changed = put(self.client, content(3000, 1), "sdmf")
        large = put(self.client, content(700_000, 2), "mdmf")
        files[large] = content(700_000, 2)
        self.node.stop()  # which makes a checkpoint
        self.node.start()
        self.client.wait_until_connected()
        newer = put(self.client, content(50_000, 3))
        files[newer] = content(50_000, 3)
        overwrite(self.client, changed, content(4000, 4))
        files[changed] = content(4000, 4)
        return files, changed

    def assert_all_there(self, files: Mapping[str, bytes], changed: str) -> None:
        self.node.start()
        self.client.wait_until_connected()
        for cap, data in files.items():
            self.assertEqual(get(self.client, cap), data)
            self.assertTrue(check(self.client, cap)["healthy"])
        overwrite(self.client, changed, b"written on the new machine, and nowhere else, " * 9)
        self.assertEqual(get(self.client, changed)[:24], b"written on the new machi")


@pytest.mark.service
class FromS3(_Losing):
    def make_node(self) -> None:
        endpoint = moto_endpoint()
        self.node = QuickCloudNode(
            self.folder / "node", endpoint, endpoint.make_container(), "home"
        )
        self.secrets = self.node._secrets

    def test_everything_is_there_on_a_bare_machine(self) -> None:
        self.export()
        files, changed = self.files()
        self.node.kill()
        said = self.restored()
        self.assertTrue(said["checkpoint"].startswith("index/"))
        self.assertGreater(said["known"], 0)
        self.assertEqual((said["gone"], said["unresolved"], said["unusable"]), (0, [], []))
        self.assert_all_there(files, changed)

    def test_killed_while_it_waits_and_while_it_reads_it_is_begun_again(self) -> None:
        self.export()
        files, changed = self.files()
        self.node.kill()
        shutil.rmtree(self.node.folder)
        self.node.folder = self.folder / "new" / "node"
        code = QUICKLY.format(interval=1.0, request=60.0)
        log = self.folder / "restore.log"
        command = (installed("python"), "-c", code, *self.restoring())
        program = Program(command, log, self.secrets)
        program.wait_for_output("waiting for the other to stop writing", SECONDS)
        program.kill()
        self.assertTrue((self.node.folder / "taking-over").exists())
        # Nothing but another take-over may go on now.
        with self.assertRaisesRegex(AssertionError, "a take-over was cut short"):
            self.raic("restore", self.node.folder, quick=True)
        for seconds in (2.6, 2.8, 3.0):
            program = Program(
                (
                    installed("python"),
                    "-c",
                    QUICKLY.format(interval=1.0, request=0.1),
                    *self.restoring(),
                ),
                log,
                self.secrets,
            )
            begun = monotonic()
            while monotonic() < begun + seconds:
                sleep(0.05)
            program.kill()
        self.raic(*self.restoring(), quick=True)
        self.assert_all_there(files, changed)


@pytest.mark.service
class FromAnArray(_Losing):
    """Three folders on other disks than the node directory's, of which any two suffice."""

    def make_node(self) -> None:
        self.secrets = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        self.node = RaicNode(self.folder / "node")
        names = ("one", "two", "three")
        sections = "".join(f"[provider:{each}]\npath = {self.folder / each}\n" for each in names)
        path = self.node.folder / "raic.cfg"
        head = path.read_text().partition("[storage]")[0]
        path.write_text(
            f"{head}[storage]\nbackend = array:disks\n[array:disks]\nproviders = one, two, three\n"
            f"needed = 2\nhappy = 3\n{sections}"
        )

    def test_everything_is_there_though_a_disk_is_lost_too(self) -> None:
        self.export()
        files, changed = self.files()
        self.node.kill()
        for path in (self.folder / "two").rglob("*"):
            if path.is_file():
                path.unlink()
        said = self.restored()
        self.assertTrue(said["checkpoint"].startswith("index/"))
        self.assertEqual((said["gone"], said["unresolved"], said["unusable"]), (0, [], []))
        self.assert_all_there(files, changed)

    def test_without_copies_it_goes_by_headers(self) -> None:
        self.export()
        files, changed = self.files()
        self.node.kill()
        copies = [path for path in self.folder.rglob("index,*") if path.is_file()]
        self.assertGreaterEqual(len(copies), 3)
        for path in copies:
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
        said = self.restored()
        self.assertIsNone(said["checkpoint"])
        self.assertNotEqual(said["damaged_checkpoints"], [])
        self.assert_all_there(files, changed)


BUSY = """
import raic.shares.checkpoints.checkpointer
raic.shares.checkpoints.checkpointer.LOOK_SECONDS = 0.05
"""


class BusyNode(QuickCloudNode):
    """A node that copies its index all the time."""

    def begin(self, *options: str) -> None:
        """Start it, and return at once."""
        code = BUSY + QUICKLY.format(interval=self.interval, request=self.request)
        command = (installed("python"), "-c", code, "run", str(self.folder), *options)
        self.program = Program(command, self.log(), self._secrets)


@pytest.mark.service
class Killed(SynchronousTestCase):
    """Wherever in the making of a copy the node is killed, nothing acknowledged is lost."""

    rounds = int(os.environ.get("RAIC_KILL_ROUNDS", "3"))

    def test_a_node_that_is_killed_while_it_copies_its_index(self) -> None:
        temporary = TemporaryDirectory(prefix="raic-killed-")
        self.addCleanup(temporary.cleanup)
        endpoint = moto_endpoint()
        node = BusyNode(Path(temporary.name) / "node", endpoint, endpoint.make_container(), "home")
        self.addCleanup(node.stop)
        path = node.folder / "raic.cfg"
        path.write_text(
            path.read_text().replace("[storage]\n", "[storage]\ncheckpoint_changes = 1\n")
        )
        random = Random(5)
        shares: dict[bytes, bytes] = {}
        slots: dict[bytes, bytes] = {}
        for _ in range(self.rounds):
            node.start()
            for _ in range(random.randrange(3, 12)):
                place = random.randbytes(16)
                shares[place] = random.randbytes(random.randrange(1, 5000))
                node.store(place, shares[place])
                slot = b"%016d" % random.randrange(4)
                slots[slot] = random.randbytes(20)
                node.write_slot(slot, slots[slot])
            node.kill()
        listed = endpoint.client().list_objects_v2(Bucket=node.container, Prefix="home/index/")
        self.assertGreater(listed["KeyCount"], 0)
        for each in node.index():
            each.unlink()
        said = json.loads(node.restore("--json"))
        self.assertTrue(said["checkpoint"])
        self.assertEqual(said["damaged_checkpoints"], [])
        self.assertEqual((said["shares"], said["slots"]), (len(shares), len(slots)))
        self.assertEqual((said["unresolved"], said["unusable"]), ([], []))
        node.start()
        for place, data in shares.items():
            self.assertEqual(node.read(place), data)
        for slot, data in slots.items():
            path_of = f"mutable/{encode_index(slot)}/0"
            self.assertEqual(node.ask("GET", path_of, 200).body, data)
