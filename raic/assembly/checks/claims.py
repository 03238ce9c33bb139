"""Whose a cloud's prefix is, and whether the index goes with what is there: looked at only."""

from __future__ import annotations

from socket import gethostname

from raic.assembly.checks.findings import Finding, error, good
from raic.assembly.checks.opened import OpenProvider
from raic.assembly.leavings import holds_objects
from raic.assembly.owning import place_of
from raic.errors import PrefixOwned
from raic.shares.claims import Claim, Claimant, newest_claim
from raic.shares.sealing import Sealer

SUBJECT = "prefix"

_ONE_COPY = (
    "run one copy of a node only; to go on with this one, make sure that the other is stopped for"
    " good, then: raic run {directory} --take-over"
)


async def check_owner(provider: OpenProvider) -> list[Finding]:
    """Whether this node may write below the prefix."""
    view = provider.view
    claimant = Claimant(
        Sealer(view.identity.seal_key),
        view.identity.server_id,
        gethostname(),
        place_of(view.node.directory),
    )
    newest = await provider.wait(newest_claim(provider.leaf, claimant))
    if newest is not None and not newest.ours:
        text = f"it belongs to {newest.describe()}"
        return [error(SUBJECT, text, PrefixOwned.remedy)]
    if not view.node.index.exists:
        return await _without_index(provider, newest)
    if newest is None:
        return [good(SUBJECT, "nobody has claimed it; the node does so when it starts")]
    return [_ours(provider, newest, claimant)]


async def _without_index(provider: OpenProvider, newest: Claim | None) -> list[Finding]:
    restore = f"run 'raic restore --local {provider.view.node.directory}'"
    if newest is not None:
        text = f"this node claimed it ({newest.describe()}), but there is no index here"
        return [error(SUBJECT, text, restore)]
    if await provider.wait(holds_objects(provider.leaf)):
        return [error(SUBJECT, "it holds objects, but there is no index here", restore)]
    return [good(SUBJECT, "nobody has claimed it, and it is empty")]


def _ours(provider: OpenProvider, newest: Claim, claimant: Claimant) -> Finding:
    node = provider.view.node
    epoch = node.index.epoch
    remedy = _ONE_COPY.format(directory=node.directory)
    if epoch is not None and newest.key.epoch > epoch:
        text = f"the index is older than the claim by {newest.describe()}"
        return error(SUBJECT, text, remedy)
    elsewhere = len({newest.place, claimant.place} - {""}) > 1
    if newest.key.epoch == epoch and elsewhere:
        text = f"this is a copy of the node directory of {newest.describe()}"
        return error(SUBJECT, text, remedy)
    return good(SUBJECT, f"this node's own: claimed by {newest.describe()}")
