"""What the upkeep of an array does is killed in the middle, and goes on, while clients write."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Event, Thread

import pytest
from twisted.trial.unittest import SynchronousTestCase

from raic.fragmentkeys import parse_fragment_key
from tests.end_to_end.array_load import Base, Worker, Written, verify, write_on
from tests.end_to_end.array_nodes import ArrayNode, Place
from tests.end_to_end.processes import Program, installed
from tests.end_to_end.thin import NoAnswer, ThinHTTPClient
from tests.services.moto import S3Endpoint, moto_endpoint

FOLDERS = ("attic", "barn", "shed", "loft")
SECONDS = 60.0


class RealNode(ArrayNode):
    """2-of-3 over two folders and S3, with two more folders to come; it repairs slowly."""

    def __init__(self, folder: Path, moto: S3Endpoint) -> None:
        attic, barn, shed, loft = map(Place.folder, FOLDERS)
        self.moto = Place.s3("moto", moto)
        super().__init__(folder, [attic, barn, self.moto], 2, 2, 0)
        self.configure(
            {
                "array:clouds": {"repair_rate": "700kB"},
                "provider:shed": shed.section,
                "provider:loft": loft.section,
            }
        )
        self._endpoint = moto

    def begin(self) -> None:
        """Start it, and return at once."""
        command = (installed("raic"), "run", self.folder)
        self.program = Program(command, self.log(), self._secrets)

    def fragments(self) -> Mapping[str, Mapping[str, set[int]]]:
        """The numbers of the fragments that there are, by provider and object."""
        found: dict[str, dict[str, set[int]]] = {}
        for name, keys in self._listed().items():
            numbers = found.setdefault(name, {})
            for key in map(parse_fragment_key, keys):
                if key is not None:
                    numbers.setdefault(key.object_key, set()).add(key.number)
        return found

    def _listed(self) -> dict[str, list[str]]:
        listed = {
            name: [
                str(path.relative_to(self.folder / name)).replace(",", "/")
                for path in (self.folder / name).glob("sh*/*/*")
            ]
            for name in FOLDERS
        }
        pages = self._endpoint.client().get_paginator("list_objects_v2")
        container = self.moto.section["container"]
        listed["moto"] = [
            each["Key"].partition("shares/")[1] + each["Key"].partition("shares/")[2]
            for page in pages.paginate(Bucket=container)
            for each in page.get("Contents", ())
        ]
        return listed


@pytest.mark.service
class Killed(SynchronousTestCase):
    def setUp(self) -> None:
        stack = ExitStack()
        self.addCleanup(stack.close)
        self.folder = Path(stack.enter_context(TemporaryDirectory(prefix="raic-killed-")))
        self.node = RealNode(self.folder / "node", moto_endpoint())
        stack.callback(self.node.stop)
        self.node.start()
        self.over = Event()
        self.base, self.written = Base(), Written()
        worker = Worker(self.connect, Random(1))
        stack.callback(worker.close)
        self.base.write(worker)
        self.before = self.numbers()

    def connect(self) -> ThinHTTPClient:
        """A client, as soon as the node is there."""
        while True:
            try:
                return self.node.connect()
            except NoAnswer:
                if self.over.wait(0.1):
                    raise

    def numbers(self) -> dict[str, set[int]]:
        """Which fragments there are anywhere, by object."""
        there: dict[str, set[int]] = {}
        for objects in self.node.fragments().values():
            for key, numbers in objects.items():
                there.setdefault(key, set()).update(numbers)
        return there

    def command(self, *words: str) -> Program:
        log = self.folder / f"{words[0]}.log"
        return Program((installed("raic"), "array", *words, self.node.folder), log)

    def assert_no_fewer(self) -> None:
        now = self.numbers()
        for key, numbers in self.before.items():
            self.assertLessEqual(numbers, now.get(key, set()), key)

    def count(self, name: str) -> int:
        """How many of the objects that there were at the start a provider has."""
        return len(self.before.keys() & self.node.fragments()[name].keys())

    def is_replaced(self) -> bool:
        """Whether what there was at the start is on the new provider, and not on the old one."""
        return self.count("shed") == len(self.before) and not self.count("moto")

    def test_a_replacement_goes_on_and_loses_nothing(self) -> None:
        writer = Worker(self.connect, Random(2), bare=True)
        writing = Thread(target=write_on, args=(writer, self.written, self.over))
        writing.start()
        self.addCleanup(writing.join)
        self.addCleanup(self.over.set)
        words = ("replace", "moto", "shed", "--yes")
        following = self.command(*words)
        self.addCleanup(following.kill)
        self.node.running().wait_for(lambda: self.count("shed"), "moving", SECONDS)
        # The command only looks on: the node goes on without it.
        following.kill()
        had = self.count("shed")
        self.node.running().wait_for(lambda: self.count("shed") > had, "going on", SECONDS)
        self.node.kill()
        self.assertLess(self.count("shed"), len(self.before), "that was too late")
        self.assert_no_fewer()
        self.node.start()
        again = self.command(*words)
        self.addCleanup(again.kill)
        # It ends when nothing of the old provider is garbage that may not be deleted yet.
        again.wait_for(self.is_replaced, "replaced", SECONDS)
        self.assertIn("going on with what was begun before", again.output())
        self.assert_no_fewer()
        self.over.set()
        writing.join()
        self.over.clear()
        reader = Worker(self.connect, Random(3))
        self.addCleanup(reader.close)
        verify(reader, self.written)
        for share in self.base.shares:
            reader.read_share(share)
        self.assertEqual(writer.tally.wrong + reader.tally.wrong, [])
        self.assertEqual(reader.tally.failed, {})
        self.assertGreater(sum(share.acknowledged for share in self.written.shares), 10)
