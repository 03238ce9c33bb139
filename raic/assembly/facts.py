"""What a node tells of itself."""

from __future__ import annotations

from attrs import frozen

from raic.config.addresses import Addresses
from raic.values import Space, Totals


@frozen
class NodeFacts:
    """What an operator needs to know of a node that has started.

    :ivar space: None when the provider did not say.
    :ivar clean: whether the run before this one ended as it should.
    :ivar complete: whether writes are served; if not, the provider is being waited for.
    """

    addresses: Addresses
    hints: tuple[str, ...]
    space: Space | None
    totals: Totals
    clean: bool
    complete: bool


@frozen
class NodeState:
    """How a running node is.

    :ivar uploads: how many shares are being uploaded.
    :ivar may_write: whether writes are served as of this moment.
    """

    totals: Totals
    uploads: int
    may_write: bool
