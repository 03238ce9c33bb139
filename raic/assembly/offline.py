"""A node's provider and index while the node itself does not run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import frozen
from twisted.internet.defer import Deferred

from raic.assembly.copynote import raise_if_switching
from raic.assembly.members import Reactor
from raic.assembly.owning import make_ownership, own_prefix
from raic.assembly.stack import (
    PROVIDER_THREADS,
    ProviderStack,
    make_stack,
    open_or_create_index,
)
from raic.assembly.taking_over import TakeOverNote
from raic.backends.layers.owned import OwnedLayer
from raic.config.identity import Identity
from raic.config.model import Config
from raic.interfaces import IIndex, IStorageProvider, IWorkers
from raic.shares.orphans import find_orphans
from raic.workers import ThreadWorkers


@frozen
class OfflineNode:
    """What there is of a node that does not run."""

    provider: IStorageProvider
    index: IIndex
    workers: IWorkers


@asynccontextmanager
async def offline_node(
    config: Config, identity: Identity, reactor: Reactor
) -> AsyncIterator[OfflineNode]:
    """Start the provider and open the index; the prefix of a cloud is claimed.

    The caller holds the node directory's lock.

    Raises ``ProviderError`` or ``IndexFailure``.
    """
    TakeOverNote(config).raise_if_there()
    raise_if_switching(config.node_directory)
    workers = ThreadWorkers(reactor, PROVIDER_THREADS, "raic-provider")
    stack = make_stack(config, identity, workers, reactor)
    index: IIndex | None = None
    try:
        # An array asks an index that is there where its fragments are; a new one is made only of
        # an empty provider.
        if config.index_path.exists():
            index = await _open(config, identity, stack, reactor)
        await stack.provider.start()
        if index is None:
            index = await _open(config, identity, stack, reactor)
        clean = index.was_clean()
        provider: IStorageProvider = stack.provider
        ownership = None
        if not config.local:
            ownership = make_ownership(config, identity, stack, index, reactor)
            await own_prefix(ownership, config)
            ownership.watch()
            provider = OwnedLayer(stack.provider, ownership.raise_unless_owner)
        try:
            yield OfflineNode(provider, index, workers)
            if not clean:
                # The next start will not look: it finds a node that was stopped in good order.
                await find_orphans(provider, index, reactor)
        finally:
            if ownership is not None:
                ownership.stop()
    finally:
        await stack.provider.stop()
        if index is not None:
            await index.close()
        await workers.stop()


def _open(
    config: Config, identity: Identity, stack: ProviderStack, reactor: Reactor
) -> Deferred[IIndex]:
    # Every call fails after a commit that failed, and so does what is done with it.
    return Deferred.fromCoroutine(
        open_or_create_index(config, identity, stack, reactor, lambda _: None)
    )
