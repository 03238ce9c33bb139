"""Claiming the prefix of a cloud, where others may write."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from socket import gethostname

from raic.assembly.members import Reactor
from raic.assembly.stack import ProviderStack
from raic.assembly.taking_over import TakeOverNote
from raic.config.identity import Identity
from raic.config.model import Config
from raic.errors import PrefixOwned, ProviderError
from raic.interfaces import IIndex
from raic.shares import ownership as owning
from raic.shares.claims import Claimant, newest_claim
from raic.shares.index import create_index, open_index
from raic.shares.index.copies import discard_copy
from raic.shares.ownership import Ownership
from raic.shares.sealing import Sealer

TakeOver = Callable[[float], None]
"""Take the prefix over; called every few seconds with how many seconds are left to wait."""


def make_ownership(
    config: Config,
    identity: Identity,
    stack: ProviderStack,
    index: IIndex,
    clock: Reactor,
    on_change: Callable[[ProviderError | None], None] = lambda _: None,
) -> Ownership:
    """What claims the prefix for a node; it has not done so yet.

    :param on_change: see :class:`raic.shares.ownership.Ownership`.
    """
    return Ownership(
        stack.untagged,
        index,
        Sealer(identity.seal_key),
        identity.server_id,
        clock,
        interval=owning.INTERVAL_SECONDS,
        host=gethostname(),
        place=place_of(config.node_directory),
        on_change=on_change,
    )


async def own_prefix(
    ownership: Ownership, config: Config, take_over: TakeOver | None = None
) -> None:
    """Claim the prefix, or take it over.

    Raises ``PrefixOwned`` when it is another's, or, after a take-over, when the index has to be
    made anew before anything else.
    """
    if take_over is None:
        await ownership.claim()
        return
    note = TakeOverNote(config)
    current = await ownership.take_over(take_over, begun=note.write)
    note.remove()
    if not current:
        raise PrefixOwned(
            config.backend.name,
            "take_over",
            "the prefix is this node's now, but another has written there since the index was"
            " current",
            f"run 'raic restore --local {config.node_directory}', then start the node again",
        )


async def take_over_to_restore(
    config: Config,
    identity: Identity,
    stack: ProviderStack,
    reactor: Reactor,
    take_over: TakeOver,
) -> int:
    """Make sure that nobody else writes any more under the prefix, before it is listed.

    Who has it already, by a claim made from this very node directory, need not wait: this process
    holds its lock.

    :param take_over: see :func:`raic.assembly.restore.restore_index`.
    :return: the epoch that the index is to have at least.

    Raises ``PrefixOwned`` when it is another server's, or another takes it over meanwhile, or
    another ``ProviderError``.
    """
    note = TakeOverNote(config)
    claimant = Claimant(Sealer(identity.seal_key), identity.server_id)
    newest = await newest_claim(stack.untagged, claimant)
    if newest is None:
        return 1
    if not newest.ours:
        # Nobody has said that he is gone, and nothing of his can be opened.
        detail = f"the prefix belongs to {newest.describe()}"
        raise PrefixOwned(config.backend.name, "restore", detail)
    here = place_of(config.node_directory)
    if newest.place == here and not note.is_there():
        return newest.key.epoch
    path = config.index_path.with_name(config.index_path.name + ".claiming")
    discard_copy(path)
    create_index(path, 1)
    index = open_index(path, reactor, reactor, local_listing=False, on_fatal=lambda _: None)
    try:
        ownership = make_ownership(config, identity, stack, index, reactor)
        await ownership.take_over(take_over, fresh=True, begun=note.write)
        note.remove()
        return index.epoch()
    finally:
        await index.close()
        discard_copy(path)


def place_of(directory: Path) -> str:
    """What tells a node directory from a copy of it, on this machine or another."""
    found = os.stat(directory)
    try:
        machine = Path("/etc/machine-id").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        machine = gethostname()
    return f"{machine} {found.st_dev} {found.st_ino}"
