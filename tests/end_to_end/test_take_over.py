"""Copies of a node directory that meet in a cloud, each in a process of its own."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory
from time import monotonic

import pytest
from twisted.trial.unittest import SynchronousTestCase

from raic.server.controlplace import SOCKET_NAME
from tests.end_to_end.cloud_nodes import SECONDS, QuickCloudNode
from tests.end_to_end.processes import free_port
from tests.services.moto import moto_endpoint

FIRST, SECOND = b"1" * 16, b"2" * 16


class PatientNode(QuickCloudNode):
    """A node whose take-over takes longer than a test."""

    request = 300.0


@pytest.mark.service
class TakeOver(SynchronousTestCase):
    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = Path(self.stack.enter_context(TemporaryDirectory(prefix="raic-take-over-")))
        self.endpoint = moto_endpoint()
        self.container = self.endpoint.make_container()
        self.first = self.node(QuickCloudNode, "first")
        self.first.start()
        self.first.store(FIRST, b"x" * 1000)

    def node(self, kind: type[QuickCloudNode], name: str) -> QuickCloudNode:
        node = kind(self.folder / name, self.endpoint, self.container, "home")
        self.stack.callback(node.stop)
        return node

    def copy(self, kind: type[QuickCloudNode]) -> QuickCloudNode:
        """A copy of the first node's directory, with a port of its own."""
        copy = self.node(kind, "copy")
        copy.port = free_port()
        text = (self.first.folder / "raic.cfg").read_text()
        text = text.replace(str(self.first.port), str(copy.port))
        for each in copy.folder.rglob("*"):
            if each.is_file():
                each.unlink()
        copytree(
            self.first.folder,
            copy.folder,
            dirs_exist_ok=True,
            ignore=ignore_patterns(SOCKET_NAME),
        )
        (copy.folder / "raic.cfg").write_text(text)
        return copy

    def keys(self) -> list[str]:
        listed = self.endpoint.client().list_objects_v2(Bucket=self.container)
        return [each["Key"] for each in listed["Contents"]]

    def ended(self, node: QuickCloudNode, code: int = 1) -> str:
        """What a node said before it ended."""
        program = node.running()
        self.assertEqual(program.wait(SECONDS), code, program.output())
        node.program = None
        return program.output()

    def refused(self, node: QuickCloudNode, *options: str) -> str:
        node.begin(*options)
        output = self.ended(node)
        self.assertNotIn("listening on", output)
        self.assertNotIn("Traceback", output)
        return output

    def test_the_first_stops_writing_and_the_second_goes_on(self) -> None:
        second, before = self.copy(QuickCloudNode), self.keys()
        output = self.refused(second)
        self.assertIn("this is a copy of the node directory of", output)
        self.assertIn("--take-over", output)
        self.assertEqual(self.keys(), before)
        second.begin("--take-over")
        second.says("waiting for the other to stop writing: 3 s left")
        begun = monotonic()
        self.first.says("nothing is written any more")
        self.assertLess(monotonic() - begun, 2 * second.interval + 1)
        self.assertEqual(self.first.largest_share(), 0)
        self.assertEqual(self.first.allocate(SECOND, 10), frozenset())
        self.first.write_slot(SECOND, b"x", 503)
        self.assertEqual(self.first.read(FIRST), b"x" * 1000)
        second.says("storage node is ready")
        self.assertEqual(second.read(FIRST), b"x" * 1000)
        second.store(SECOND, b"y" * 1000)
        self.first.kill()
        self.assertIn("the index is older than the claim", self.refused(self.first))
        self.assertEqual(second.read(SECOND), b"y" * 1000)

    def test_one_that_is_killed_in_its_wait_is_not_cut_short_by_a_restore(self) -> None:
        second = self.copy(PatientNode)
        second.begin("--take-over")
        second.says("waiting for the other to stop writing")
        second.kill()
        remedy = f"raic run --take-over {second.folder}"
        output = self.refused(second)
        self.assertIn("a take-over was cut short", output)
        self.assertIn(remedy, output)
        with self.assertRaisesRegex(AssertionError, "a take-over was cut short"):
            second.restore()
        second.request = 1.0
        second.begin("--take-over")
        output = self.ended(second)
        self.assertIn("left", output)
        self.assertIn("raic restore --local", output)
        self.assertIn(b"the index is in place", second.restore())
        second.start()
        self.assertEqual(second.read(FIRST), b"x" * 1000)

    def test_a_signal_ends_the_wait_at_once(self) -> None:
        second = self.copy(PatientNode)
        second.begin("--take-over")
        second.says("waiting for the other to stop writing")
        begun = monotonic()
        self.assertEqual(second.running().terminate(), 0)
        self.assertLess(monotonic() - begun, 10)
        self.assertIn("a take-over was cut short", self.refused(second))
