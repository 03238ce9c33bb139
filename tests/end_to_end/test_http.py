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
        node = self.node
        assert isinstance(node, RaicNode)
        with self.node_down():
            for path in node.index():
                path.unlink()
            node.restore()
        self._read_and_change(caps)
