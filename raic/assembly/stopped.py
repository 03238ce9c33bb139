"""Doing something with the shares of a node that does not run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred

from raic.assembly.copynote import raise_if_switching
from raic.assembly.index_view import read_index
from raic.assembly.members import Reactor
from raic.assembly.share_control import ShareKeeper
from raic.assembly.stack import PROVIDER_THREADS, make_stack, open_or_create_index
from raic.assembly.taking_over import TakeOverNote
from raic.config.identity import Identity
from raic.config.model import Config
from raic.deferreds import async_to_deferred
from raic.errors import OperationRefused
from raic.shares.index.rows import Execute
from raic.shares.pins import Pins
from raic.workers import ThreadWorkers

T = TypeVar("T")


@async_to_deferred
async def with_shares(
    config: Config,
    identity: Identity,
    reactor: Reactor,
    act: Callable[[ShareKeeper], Deferred[T]],
    *,
    writing: bool,
) -> T:
    """Open the index and start the provider, and close and stop them afterwards; the caller holds
    the node directory.

    :param writing: whether ``act`` writes or deletes, which on a cloud only the owner of the prefix
        may: a node that runs.
    :return: fires with what ``act`` fires with; fails as it does, or with a ``RaicError``.
    """
    start = f"start the node: raic run {config.node_directory}"
    if writing and not config.local:
        raise OperationRefused("a cloud is written to by a running node alone", start)
    TakeOverNote(config).raise_if_there()
    raise_if_switching(config.node_directory)
    if not read_index(config, _was_clean):
        # The next start would not look for what the run that was cut short has left behind.
        raise OperationRefused("the last run of the node was cut short", start)
    workers = ThreadWorkers(reactor, PROVIDER_THREADS, "raic-provider")
    stack = make_stack(config, identity, workers, reactor)
    try:
        # Before the provider starts: an array asks the index where its fragments are.
        index = await open_or_create_index(config, identity, stack, reactor, lambda _: None)
        try:
            await stack.provider.start()
            keeper = ShareKeeper(stack.provider, index, Pins(), reactor, config.storage)
            return await act(keeper)
        finally:
            await stack.provider.stop()
            await index.close()
    finally:
        await stack.provider.stop()
        await workers.stop()


def _was_clean(execute: Execute) -> bool:
    return bool(execute("SELECT clean FROM meta").fetchone()[0])
