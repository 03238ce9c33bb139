"""The provider stack and the index, as the configuration has them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred

from raic.backends.filesystem import FilesystemProvider
from raic.backends.layers.stack import wrap_in_layers
from raic.backends.tagging import TaggingProvider
from raic.config.credentials import Credentials, standard_sources
from raic.config.identity import Identity
from raic.config.loading import CONFIG_NAME
from raic.config.model import CloudSettings, Config
from raic.deferreds import async_to_deferred
from raic.errors import ConfigurationError, IndexMissing, PrefixOwned
from raic.interfaces import IIndex, ILocalListing, IStorageProvider, IWorkers
from raic.shares.claims import Claimant, newest_claim
from raic.shares.index import create_index, open_index
from raic.shares.keys import parse_key, usual_folders
from raic.shares.sealing import Sealer
from raic.values import Totals

PROVIDER_THREADS = 8
FIRST_EPOCH = 1

Reactor = Any
"""One that does everything: threads, time, and the network."""


@frozen
class ProviderStack:
    """What ``[storage] backend`` names, and the layers around it.

    :ivar provider: the outermost: what is stored and read goes through it.  It has to be started.
    :ivar untagged: what is below the tags: for claims on the prefix, which other servers read.
    :ivar leaf: the provider itself.
    :ivar credentials: None for a filesystem.
    """

    provider: IStorageProvider
    untagged: IStorageProvider
    leaf: IStorageProvider
    credentials: Credentials | None = None


def make_stack(
    config: Config, identity: Identity, workers: IWorkers, reactor: Reactor
) -> ProviderStack:
    """Make the provider and its layers; nothing is started.

    Tags are checked above the retries and below the cache: whatever a cloud sends is checked once,
    and the cache holds plain bytes that were, so that a hit costs no more.

    :param workers: for a filesystem; a cloud has threads of its own.
    :raises ConfigurationError: the settings of the provider do not go together.
    """
    settings = config.provider
    if settings.cloud is None:
        leaf = FilesystemProvider(
            settings.name,
            str(settings.path),
            workers,
            reactor,
            fsync=settings.fsync,
            reserved_space=config.storage.reserved_space,
            folders=usual_folders(),
        )
        return ProviderStack(TaggingProvider(leaf, identity.tag_key), leaf, leaf)
    return _make_cloud(config, settings.cloud, identity, reactor)


def make_provider(
    config: Config, identity: Identity, workers: IWorkers, reactor: Reactor
) -> IStorageProvider:
    """The outermost provider of :func:`make_stack`."""
    return make_stack(config, identity, workers, reactor).provider


def _make_cloud(
    config: Config, cloud: CloudSettings, identity: Identity, reactor: Reactor
) -> ProviderStack:
    sources = standard_sources(config.node_directory, identity.server_id, os.environ)
    credentials = Credentials([cloud.wanted], sources.ordered, reactor)
    leaf = make_leaf(config, cloud, identity, credentials.of(config.provider.name), reactor)
    below: list[IStorageProvider] = []

    def protect(inner: IStorageProvider) -> IStorageProvider:
        below.append(inner)
        return TaggingProvider(inner, identity.tag_key)

    random = Random()  # noqa: S311 - it spreads retries
    layers = wrap_in_layers(
        leaf, cloud.layers, reactor, random, protect=protect, length_of=_length_of
    )
    return ProviderStack(layers.provider, below[0], leaf, credentials)


def make_leaf(
    config: Config,
    cloud: CloudSettings,
    identity: Identity,
    credentials: Callable[[], Mapping[str, str]],
    reactor: Reactor,
) -> IStorageProvider:
    """A cloud without any layers.

    :raises ConfigurationError: its settings do not go together.
    """
    name = config.provider.name
    try:
        return cloud.type.make(name, cloud.values_for(identity.server_id), credentials, reactor)
    except ConfigurationError as error:
        raise ConfigurationError(
            [f"{CONFIG_NAME}: [provider:{name}] {problem}" for problem in error.problems]
        ) from error


def _length_of(key: str) -> int | None:
    parsed = parse_key(key)
    return None if parsed is None else parsed.size


async def open_or_create_index(
    config: Config,
    identity: Identity,
    stack: ProviderStack,
    reactor: Reactor,
    on_fatal: Callable[[Exception], None],
    *,
    take_over: bool = False,
) -> IIndex:
    """The node's index; an empty one when the provider is empty too.

    Raises IndexMissing when the provider is not: its objects would be lost from sight.

    Raises PrefixOwned when they are another server's.

    :param take_over: make an empty one all the same when they are.
    """
    path = config.index_path
    provider = stack.provider
    if not path.exists():
        if (await provider.list_objects("", None)).objects:
            await _check_objects(config, identity, stack, take_over=take_over)
        create_index(path, FIRST_EPOCH)
    return open_index(
        path,
        reactor,
        reactor,
        sync=config.provider.fsync,
        local_listing=ILocalListing.providedBy(provider),
        on_fatal=on_fatal,
    )


async def _check_objects(
    config: Config, identity: Identity, stack: ProviderStack, *, take_over: bool
) -> None:
    """Raise what is wrong with objects that are there when there is no index."""
    claimant = Claimant(Sealer(identity.seal_key), identity.server_id)
    newest = await newest_claim(stack.untagged, claimant)
    if newest is None or newest.ours:
        place = config.provider.describe(identity.server_id)
        error = IndexMissing(f"there is no index at {config.index_path}, but {place} holds objects")
        error.remedy = f"run 'raic restore --local {config.node_directory}' to rebuild the index"
        raise error
    if not take_over:
        detail = f"the prefix belongs to {newest.describe()}"
        raise PrefixOwned(config.provider.name, "start", detail)


def room_within(config: Config, index: IIndex) -> Callable[[], Deferred[int]] | None:
    """How much the quota of a cloud still allows, by what the index knows; None without one."""
    quota = None if config.provider.cloud is None else config.provider.cloud.values.get("quota")
    if quota is None:
        return None

    def room(totals: Totals) -> int:
        return max(0, int(quota) - totals.share_bytes - totals.slot_bytes)

    return lambda: index.get_totals().addCallback(room)


@async_to_deferred
async def renew_credentials(stack: ProviderStack, workers: IWorkers) -> bool:
    """Read the secrets of a cloud again and have it use them.

    :return: fires with whether they are others now; fails with a ``ProviderError`` when those
        cannot be used.
    """
    if stack.credentials is None or not await stack.credentials.reload(workers):
        return False
    renew = getattr(stack.leaf, "renew_credentials", None)
    if renew is not None:  # others ask when they are refused
        await renew()
    return True
