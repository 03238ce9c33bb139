"""Gathering how a node is doing."""

from raic.assembly.status.control import status_handlers
from raic.assembly.status.gathering import Gathered, NodeStatusGatherer, ServerStatusGatherer
from raic.assembly.status.warnings import WarningBook

__all__ = [
    "Gathered",
    "NodeStatusGatherer",
    "ServerStatusGatherer",
    "WarningBook",
    "status_handlers",
]
