"""A client that knows the node's HTTP addresses."""

from __future__ import annotations

import pytest

from tests.end_to_end import suite
from tests.end_to_end.harness import RaicNode


@pytest.mark.service
class OverHttpTests(suite.ClientSuite):
    """The whole suite, as a new client with the node's ``servers.yaml`` entry."""

    def test_a_lost_index_is_rebuilt_from_the_objects(self) -> None:
        caps = self._some_files()
        with self.node_down():
            for path in self._raic_node().index():
                path.unlink()
            self._raic_node().restore()
        self._read_and_change(caps)

    def test_a_damaged_index_is_refused_then_rebuilt(self) -> None:
        caps = self._some_files()
        node = self._raic_node()
        with self.node_down():
            index = node.folder / "index.sqlite"
            index.write_bytes(b"\xff" * 5000 + index.read_bytes()[5000:])
            node.begin()
            self.assertNotEqual(node.running().wait(30.0), 0)
            self.assertIn("raic restore --local", node.running().output())
            node.restore()
        self._read_and_change(caps)

    def _raic_node(self) -> RaicNode:
        assert isinstance(self.node, RaicNode)
        return self.node
