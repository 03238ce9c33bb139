"""The provider stack and the index, as the configuration has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raic.backends.filesystem import FilesystemProvider
from raic.backends.tagging import TaggingProvider
from raic.config.identity import Identity
from raic.config.model import Config
from raic.errors import IndexMissing
from raic.interfaces import IIndex, ILocalListing, IStorageProvider, IWorkers
from raic.shares.index import create_index, open_index
from raic.shares.keys import usual_folders

PROVIDER_THREADS = 8
FIRST_EPOCH = 1

Reactor = Any
"""One that does everything: threads, time, and the network."""


def make_provider(
    config: Config, identity: Identity, workers: IWorkers, clock: Reactor
) -> IStorageProvider:
    """The provider stack: what ``[storage] backend`` names, and the layers around it."""
    settings = config.provider
    leaf = FilesystemProvider(
        settings.name,
        str(settings.path),
        workers,
        clock,
        fsync=settings.fsync,
        reserved_space=config.storage.reserved_space,
        folders=usual_folders(),
    )
    return TaggingProvider(leaf, identity.tag_key)


async def open_or_create_index(
    config: Config,
    provider: IStorageProvider,
    reactor: Reactor,
    on_fatal: Callable[[Exception], None],
) -> IIndex:
    """The node's index; an empty one when the provider is empty too.

    Raises IndexMissing when the provider is not: its objects would be lost from sight.
    """
    path = config.index_path
    if not path.exists():
        first = await provider.list_objects("", None)
        if first.objects:
            error = IndexMissing(
                f"there is no index at {path}, but {config.provider.path} holds objects"
            )
            error.remedy = (
                f"run 'raic restore --local {config.node_directory}' to rebuild the index"
            )
            raise error
        create_index(path, FIRST_EPOCH)
    return open_index(
        path,
        reactor,
        reactor,
        sync=config.provider.fsync,
        local_listing=ILocalListing.providedBy(provider),
        on_fatal=on_fatal,
    )
