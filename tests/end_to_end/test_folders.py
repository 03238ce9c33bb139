"""Two nodes that were given one directory."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.harness import RaicNode


@pytest.mark.service
class OneDirectory(SynchronousTestCase):
    def setUp(self) -> None:
        stack = ExitStack()
        self.addCleanup(stack.close)
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="raic-folder-")))
        self.first, self.second = RaicNode(folder / "first"), RaicNode(folder / "second")
        for node in (self.first, self.second):
            node.configure({"provider:disk": {"path": str(folder / "shares")}})
            stack.callback(node.stop)

    def test_the_second_does_not_start_until_the_first_has_ended(self) -> None:
        self.first.start()
        self.second.begin()
        program = self.second.running()
        self.assertEqual(program.wait(30), 1)
        self.assertIn(f"in use by another node, process {self.first.pid()}", program.output())
        self.assertIn("what to do: give each node a path of its own", program.output())
        self.assertFalse((self.second.folder / "index.sqlite").exists())
        self.second.program = None
        with self.assertRaisesRegex(AssertionError, "in use by another node"):
            self.second.restore()
        self.first.kill()
        self.second.start()
