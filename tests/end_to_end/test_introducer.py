"""Nodes and clients that find each other through Tahoe's introducer."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end import suite
from tests.end_to_end.harness import RaicNode, TahoeClient, TahoeIntroducer


@pytest.mark.service
class ThroughIntroducerTests(suite.ClientSuite):
    """The whole suite, with a client that was told nothing but the introducer's FURL."""

    introducer: TahoeIntroducer

    @classmethod
    def start_node(cls) -> None:
        cls.introducer = TahoeIntroducer(cls.folder / "introducer")
        cls.addClassCleanup(cls.introducer.stop)
        cls.introducer.start()
        cls.node = RaicNode(cls.folder / "node", options=["--introducer", cls.introducer.furl()])
        cls.addClassCleanup(cls.node.stop)
        cls.node.start()

    @classmethod
    def make_client(cls, name: str) -> TahoeClient:
        return cls.started(TahoeClient(cls.folder / name, introducer=cls.introducer.furl()))

    def test_a_node_that_was_renamed_is_announced_anew(self) -> None:
        node = self.node
        assert isinstance(node, RaicNode)
        with self.node_down():
            node.configure({"node": {"nickname": "renamed"}})
        self.client.wait_until_connected("renamed")


@pytest.mark.service
class IntroducerLifeTests(SynchronousTestCase):
    """Introducers that come, go and move."""

    def setUp(self) -> None:
        folder = TemporaryDirectory(prefix="raic-introducer-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def introducer(self, name: str, start: bool = True) -> TahoeIntroducer:
        """An introducer; its FURL exists once it has run."""
        introducer = TahoeIntroducer(self.folder / name)
        self.addCleanup(introducer.stop)
        introducer.start()
        if not start:
            introducer.stop()
        return introducer

    def node(self, introducer: TahoeIntroducer) -> RaicNode:
        """A node that runs, whether its introducer does or not."""
        node = RaicNode(self.folder / "node", options=["--introducer", introducer.furl()])
        self.addCleanup(node.stop)
        node.start()
        return node

    def assert_used_through(self, introducer: TahoeIntroducer) -> None:
        """A new client finds the node and stores a file on it."""
        client = TahoeClient(
            self.folder / f"client-of-{introducer.folder.name}", introducer=introducer.furl()
        )
        self.addCleanup(client.stop)
        client.start()
        cap = suite.put(client, suite.content(5000))
        self.assertEqual(suite.get(client, cap), suite.content(5000))

    def test_an_introducer_that_is_down_at_the_start_is_told_when_it_returns(self) -> None:
        introducer = self.introducer("late", start=False)
        self.node(introducer)
        introducer.start()
        self.assert_used_through(introducer)

    def test_an_introducer_that_moved_is_told_after_the_configuration_was_changed(self) -> None:
        old, new = self.introducer("old"), self.introducer("new")
        node = self.node(old)
        old.stop()
        node.stop()
        node.configure({"client": {"introducer.furl": new.furl()}})
        node.start()
        self.assert_used_through(new)

    def number(self, node: RaicNode) -> int:
        """Of the last announcement."""
        return int((node.folder / "private" / "announcement.seqnum").read_text())

    def reload(self, node: RaicNode, furl: str) -> None:
        """Give a running node another introducer."""
        node.configure({"client": {"introducer.furl": furl}})
        os.kill(node.pid(), signal.SIGHUP)

    def test_a_running_node_goes_over_to_an_introducer_that_moved(self) -> None:
        old, new = self.introducer("old"), self.introducer("new")
        node = self.node(old)
        node.running().wait_for_output("announced the node to the introducer", 60.0)
        number = self.number(node)
        pid = node.pid()
        old.stop()
        self.reload(node, new.furl())
        self.assert_used_through(new)
        self.assertEqual((self.number(node), node.pid()), (number + 1, pid))
        # One that comes back is told again, whichever file names it.
        old.start()
        more = f"introducers:\n  old:\n    furl: {old.furl()}\n"
        (node.folder / "private" / "introducers.yaml").write_text(more)
        os.kill(pid, signal.SIGHUP)
        self.assert_used_through(old)
        self.assertEqual((self.number(node), node.pid()), (number + 2, pid))

    def test_a_mistake_in_the_new_configuration_changes_nothing(self) -> None:
        introducer = self.introducer("only")
        node = self.node(introducer)
        program = node.running()
        program.wait_for_output("announced the node to the introducer", 60.0)
        number = self.number(node)
        self.reload(node, "pb://nonsense")
        program.wait_for_output("nothing was changed", 60.0)
        self.assertIn("introducer.furl", program.output())
        path = node.folder / "private" / "introducers.yaml"
        path.write_text("introducers: [")
        self.reload(node, introducer.furl())
        program.wait_for_output("private/introducers.yaml: it is not YAML", 60.0)
        self.assertEqual(self.number(node), number)
        self.assert_used_through(introducer)

    def test_every_introducer_is_told(self) -> None:
        first, second = self.introducer("first"), self.introducer("second")
        node = self.node(first)
        node.stop()
        more = f"introducers:\n  second:\n    furl: {second.furl()}\n"
        (node.folder / "private" / "introducers.yaml").write_text(more)
        node.start()
        self.assert_used_through(first)
        self.assert_used_through(second)
