"""``raic copy`` between folders and an array of them, of a node that was adopted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from twisted.trial.unittest import SynchronousTestCase

from raic.assembly.copying import ASIDE, FORMER
from raic.assembly.copynote import COPYING, NOTE_NAME, SWITCHING, read_copy_note
from raic.assembly.folderlock import LOCK_NAME
from raic.config.loading import load_config
from raic.config.rewriting import with_backend
from raic.shares.keys import encode_index
from raic.shares.tahoe.folder import share_path
from tests.cli.test_adopt import ADVISORY, BIG, LEASE, World, invoke, raic
from tests.end_to_end.processes import clean_environment, installed

ARRAY = """
[array:all]
providers = one, two, three
needed = 2
happy = 3
[provider:one]
type = filesystem
path = one
[provider:two]
type = filesystem
path = two
[provider:three]
type = filesystem
path = three
[provider:back]
type = filesystem
path = back
"""
MANY = 250


class Texts(SynchronousTestCase):
    def test_only_the_backend_changes(self) -> None:
        text = (
            "# one\n[node]\nbackend = no\n[storage]\n# two\nBackend : old\nquota = 1\n[x]\ny = z\n"
        )
        expected = (
            "# one\n[node]\nbackend = no\n[storage]\nbackend = new\n# two\nquota = 1\n[x]\ny = z\n"
        )
        self.assertEqual(with_backend(text, "new"), expected)
        self.assertEqual(with_backend(expected, "new"), expected)
        self.assertEqual(with_backend("", "new", "[a]\n"), "\n[storage]\nbackend = new\n\n[a]\n")


@pytest.mark.slow
class Copying(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.node = self.world.new
        self.array = Path("array.cfg").absolute()
        self.array.write_text(ARRAY)

    def adopt(self) -> None:
        self.world.fill()
        advisories = self.world.storage / "corruption-advisories"
        advisories.mkdir()
        name = f"20240101T010101Z-{encode_index(bytes([1]) * 16)}-0"
        (advisories / name).write_text(ADVISORY.format(encode_index(bytes([1]) * 16)))
        done = self.world.adopt()
        self.assertEqual(done.returncode, 0, done.stderr)

    def copy(self, backend: str, *options: str | Path, code: int = 0) -> str:
        done = raic("copy", self.node, "--backend", backend, *options)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return done.stdout + done.stderr

    def to_array(self, *options: str, code: int = 0) -> str:
        return self.copy("array:all", "--config", self.array, *options, code=code)

    def objects(self, name: str) -> dict[Path, bytes]:
        files = (self.node / name).rglob("*")
        return {p: p.read_bytes() for p in files if p.is_file() and p.name != LOCK_NAME}

    def assert_whole(self) -> None:
        """An export has every byte, lease and write enabler that was adopted."""
        out = Path(f"out-{os.urandom(4).hex()}").absolute()
        done = raic("export", self.node, out)
        self.assertEqual(done.returncode, 0, done.stderr)
        exported = self.world.exported(out)
        found = {path: data for path, (_, data) in exported.items()}
        self.assertEqual(found, self.world.data)
        leased = exported[next(iter(self.world.data))][0].leases
        self.assertIn(LEASE, leased)

    def test_all_goes_to_an_array_and_back_and_the_first_is_left_alone(self) -> None:
        self.adopt()
        before = self.objects("storage")
        config = (self.node / "raic.cfg").read_text()
        dry = self.to_array("--dry-run")
        self.assertIn("3 immutable shares and 2 slots", dry)
        self.assertIn("backend = array:all", dry)
        self.assertFalse((self.node / "one").exists())
        said = self.to_array()
        self.assertIn("copied and verified 3 immutable shares and 2 slots", said)
        self.assertEqual(self.objects("storage"), before)
        self.assertEqual((self.node / f"raic.cfg{FORMER}").read_text(), config)
        self.assertIsNone(read_copy_note(self.node))
        self.assertEqual(len(self.world.rows("SELECT * FROM advisories")), 1)
        self.assertEqual(load_config(self.node).backend.name, "all")
        self.assert_whole()
        told = json.loads(raic("space", self.node, "--json").stdout)
        used = {each["name"]: each["used"] for each in told["providers"]}
        self.assertEqual(used, {n: sum(map(len, self.objects(n).values())) for n in used})

        said = self.copy("provider:back", "--move")
        self.assertIn("objects of all were deleted", said)
        self.assertEqual([self.objects(name) for name in ("one", "two", "three")], [{}] * 3)
        self.assertFalse((self.node / f"index.sqlite{FORMER}").exists())
        self.assert_whole()

    def many(self) -> None:
        for _ in range(MANY):
            self.world.add(os.urandom(16), 0, os.urandom(2000), LEASE)

    def kill_when_some_are_copied(self) -> None:
        command = [installed("raic"), "copy", str(self.node), "--backend", "array:all"]
        process = subprocess.Popen(
            [*command, "--config", str(self.array)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
        )
        while process.poll() is None and len(list((self.node / "one").rglob("*--*"))) < 40:
            pass
        process.kill()
        self.assertEqual(process.wait(), -signal.SIGKILL, "it had ended before")

    def test_one_that_is_killed_goes_on(self) -> None:
        self.many()
        self.adopt()
        self.kill_when_some_are_copied()
        note = read_copy_note(self.node)
        assert note is not None
        self.assertEqual(note.stage, COPYING)
        self.assertEqual(load_config(self.node).backend.name, "disk")
        refused = self.copy("provider:back", "--config", self.array, code=1)
        self.assertIn("a copy to array:all is under way", refused)
        said = self.to_array()
        self.assertIn("shares had been copied before", said)
        self.assert_whole()

    def test_an_export_that_is_killed_goes_on(self) -> None:
        self.many()
        self.adopt()
        out = Path("out").absolute()
        process = subprocess.Popen(
            [installed("raic"), "export", str(self.node), str(out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
        )
        while process.poll() is None and len(list(out.glob("shares/??/*/*"))) < 40:
            pass
        process.kill()
        self.assertEqual(process.wait(), -signal.SIGKILL, "it had ended before")
        done = raic("export", self.node, out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("shares were there already", done.stdout)
        found = {path: data for path, (_, data) in self.world.exported(out).items()}
        self.assertEqual(found, self.world.data)

    def test_it_begins_anew_when_the_node_was_used_meanwhile(self) -> None:
        self.many()
        self.adopt()
        self.kill_when_some_are_copied()
        gone = encode_index(b"\x03" * 16)
        running = subprocess.Popen(
            [installed("raic"), "run", str(self.node)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
        )
        assert running.stdout is not None
        with running.stdout as lines:
            self.assertTrue(any(b"storage node is ready" in line for line in lines))
            done = raic("shares", "expunge", gone, self.node, "--reason", "court", "--yes")
            self.assertEqual(done.returncode, 0, done.stderr)
            running.terminate()
            running.wait()
        self.assertNotIn("had been copied before", self.to_array())
        kept = {path: data for path, data in self.world.data.items() if gone not in str(path)}
        self.world.data = kept
        self.assert_whole()
        self.assertEqual(len(self.world.rows("SELECT * FROM expunged")), 1)

    def test_a_share_that_cannot_be_read_keeps_the_node_where_it_is(self) -> None:
        self.adopt()
        index = b"\x02" * 16
        (broken,) = (self.node / "storage").rglob(f"*{encode_index(index)}*")
        data = broken.read_bytes()
        broken.write_bytes(data[:BIG] + bytes([data[BIG] ^ 1]) + data[BIG + 1 :])
        config = (self.node / "raic.cfg").read_text()
        said = self.to_array(code=1)
        self.assertIn("could not be copied", said)
        self.assertIn("--leave-damaged", said)
        self.assertEqual((self.node / "raic.cfg").read_text(), config)
        said = self.to_array("--leave-damaged", code=1)
        self.assertIn("the node's backend is all now", said)
        del self.world.data[share_path(self.world.storage, index, 0)]
        self.assert_whole()

    def test_between_two_backends_nothing_starts_and_the_copy_is_finished(self) -> None:
        self.adopt()
        config = (self.node / "raic.cfg").read_text()
        self.to_array()
        new = (self.node / "raic.cfg").read_text()
        index = self.node / "index.sqlite"
        former = self.node / f"index.sqlite{FORMER}"
        for step in range(3):
            index.rename(self.node / ASIDE)
            note = {"backend": "array:all", "config_text": new, "stage": SWITCHING, "counter": 0}
            (self.node / NOTE_NAME).write_text(json.dumps(note))
            if step < 2:
                (self.node / "raic.cfg").write_text(config)
            if step < 1:
                former.rename(index)
            for command in ("run", "export"):
                done = raic(command, self.node, *(["out"] if command == "export" else []))
                self.assertEqual(done.returncode, 1)
                self.assertIn("the last step is not done", done.stderr)
            self.assertIn("the node's backend is all now", self.to_array())
            self.assertEqual((self.node / "raic.cfg").read_text(), new)
            self.assertTrue(former.exists())
            self.assertFalse((self.node / ASIDE).exists())
        self.assert_whole()

    def test_what_cannot_be_is_refused_and_changes_nothing(self) -> None:
        self.adopt()
        before = sorted(path.name for path in self.node.iterdir())
        overlapping = ARRAY.replace("one, two, three", "one, two, disk")
        self.array.write_text(overlapping)
        self.assertIn("is of the node's backend already", self.to_array(code=2))
        self.array.write_text(ARRAY.replace("path = one", "path = storage"))
        self.assertIn("is of the node's backend already", self.to_array(code=2))
        self.array.write_text(ARRAY)
        for backend, words in (
            ("provider:disk", "the node has provider:disk already"),
            ("provider:nowhere", "there is no section [provider:nowhere]"),
        ):
            result = invoke("copy", self.node, "--backend", backend)
            self.assertEqual(result.exit_code, 2)
            self.assertIn(words, result.output)
        self.assertEqual(sorted(path.name for path in self.node.iterdir()), before)
        (self.node / "back" / "shares" / "aa").mkdir(parents=True)
        (self.node / "back" / "shares" / "aa" / "x,0").write_text("x")
        self.assertIn(
            "holds objects already", self.copy("provider:back", "--config", self.array, code=1)
        )
        self.assertEqual(load_config(self.node).backend.name, "disk")
