from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from raic.shares.secrets import lease_digest
from raic.shares.tahoe.containers import (
    Container,
    Kind,
    NotAContainer,
    immutable_frame,
    merged,
    mutable_frame,
    read_container_at,
)
from raic.values import Lease

SCRIPT = Path(__file__).with_name("tahoes_own.py")
ENABLER, NODEID = b"e" * 32, b"i" * 20


def ask_tahoe(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), os.getcwd()],
        input=json.dumps(items).encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def secret(number: int) -> bytes:
    return bytes([number]) * 32


def a_lease(number: int, expires: int = 1000) -> Lease:
    return Lease(lease_digest(secret(number)), lease_digest(secret(number + 100)), expires)


def written(name: str, *parts: bytes) -> Path:
    path = Path(name)
    path.write_bytes(b"".join(parts))
    return path


class AgainstTahoe(SynchronousTestCase):
    """Files of every kind and version, with any number of leases and any length."""

    def test_what_tahoe_writes_is_read(self) -> None:
        random = Random(1)
        items: list[dict[str, Any]] = []
        for number in range(120):
            kind = random.choice(["immutable", "mutable"])
            count = random.choice([0, 1, 2, 4, 5, 7])
            items.append(
                {
                    "name": str(number),
                    "kind": kind,
                    "version": random.choice([1, 2]),
                    "data": random.randbytes(random.choice([0, 1, 500, 3000])).hex(),
                    "leases": [
                        (secret(each).hex(), secret(each + 100).hex(), random.randrange(2**32))
                        for each in range(count)
                    ],
                    "enabler": random.randbytes(32).hex(),
                    "nodeid": random.randbytes(20).hex(),
                    "shrunk": random.choice([0, 0, 700]),
                }
            )
        ask_tahoe(items)
        for item in items:
            path = Path(item["name"])
            found = read_container_at(path)
            data = bytes.fromhex(item["data"])
            self.assertEqual((found.kind.value, found.version), (item["kind"], item["version"]))
            self.assertEqual(path.read_bytes()[found.offset :][: found.length], data)
            leases = [a_lease(each, expires) for each, (_, _, expires) in enumerate(item["leases"])]
            self.assertEqual(list(found.leases), leases)
            if found.kind is Kind.MUTABLE:
                self.assertEqual(found.write_enabler.hex(), item["enabler"])
                self.assertEqual(found.nodeid.hex(), item["nodeid"])

    def test_what_is_written_tahoe_reads(self) -> None:
        random = Random(2)
        items, wanted = [], []
        for number in range(60):
            count = random.choice([0, 1, 3, 4, 5, 7])
            expires = [random.randrange(2**32) for _ in range(count)]
            leases = [a_lease(each, moment) for each, moment in enumerate(expires)]
            data = random.randbytes(random.choice([0, 1, 2000]))
            want = {
                "data": data.hex(),
                "length": len(data),
                "expires": expires,
                "renewable": [[each] for each in range(count)],
            }
            if number % 2:
                frame = mutable_frame(len(data), leases, ENABLER, NODEID, b"n" * 20)
                want |= {"kind": "mutable", "enabler": ENABLER.hex(), "nodeid": NODEID.hex()}
            else:
                frame = immutable_frame(len(data), leases)
                want |= {"kind": "immutable"}
            path = written(str(number), frame.before, data, frame.after)
            self.assertEqual(read_container_at(path).leases, tuple(leases))
            items.append({"name": str(number)})
            wanted.append(want)
        self.assertEqual(ask_tahoe(items), wanted)


class Damaged(SynchronousTestCase):
    def refuse(self, *parts: bytes) -> None:
        path = written("0", *parts)
        with self.assertRaises(NotAContainer):
            read_container_at(path)

    def test_every_file_that_was_cut_short_is_refused(self) -> None:
        data = b"d" * 50
        immutable = immutable_frame(50, [a_lease(1)])
        mutable = mutable_frame(50, [a_lease(each) for each in range(5)], ENABLER, NODEID, NODEID)
        for frame in (immutable, mutable):
            whole = frame.before + data + frame.after
            for length in range(len(whole)):
                self.refuse(whole[:length])

    def test_a_lease_that_was_not_counted_yet_is_not_taken_for_data(self) -> None:
        frame = immutable_frame(50, [a_lease(1)])
        self.refuse(frame.before, b"d" * 50, frame.after, frame.after)

    def test_other_files_are_refused(self) -> None:
        self.refuse(b"")
        self.refuse(b"\x00\x00\x00\x03" + bytes(500))
        self.refuse(b"Tahoe mutable container v3\n" + bytes(600))

    def test_a_missing_file_is_refused(self) -> None:
        with self.assertRaises(NotAContainer):
            read_container_at(Path("nowhere"))


class Leases(SynchronousTestCase):
    def test_each_counts_once_and_as_long_as_it_lasts(self) -> None:
        found = merged([a_lease(1, 10), a_lease(2, 30), a_lease(1, 20), a_lease(1, 15)])
        self.assertEqual(found, (a_lease(2, 30), a_lease(1, 20)))

    def test_a_container_tells_no_secret(self) -> None:
        container = Container(Kind.MUTABLE, 2, 0, 0, (), ENABLER, NODEID)
        self.assertNotIn("eeee", repr(container))
