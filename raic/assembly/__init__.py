"""The composition root: where the protocol, the shares and the provider meet."""

from raic.assembly.facts import NodeFacts, NodeState
from raic.assembly.node import StorageNode
from raic.assembly.proving import prove_access
from raic.assembly.restore import RestoredIndex, restore_index

__all__ = [
    "NodeFacts",
    "NodeState",
    "RestoredIndex",
    "StorageNode",
    "prove_access",
    "restore_index",
]
