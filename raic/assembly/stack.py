"""The provider stack and the index, as the configuration has them."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from attrs import frozen
from twisted.internet.defer import Deferred

from raic.assembly.arrays import ArrayStack, make_array
from raic.assembly.leavings import holds_objects
from raic.assembly.members import MemberStack, Reactor, make_member, no_secrets
from raic.assembly.space import SpaceBook
from raic.backends.tagging import TaggingProvider
from raic.backends.tags import stored_size
from raic.config.credentials import Credentials, standard_sources
from raic.config.identity import Identity
from raic.config.model import ArraySettings, Config
from raic.deferreds import async_to_deferred
from raic.errors import IndexMissing, PrefixOwned, ProviderError
from raic.interfaces import IIndex, ILocalListing, ISmallObjects, IStorageProvider, IWorkers
from raic.shares.claims import Claimant, newest_claim
from raic.shares.index import create_index, open_index
from raic.shares.index.measures import Measure
from raic.shares.sealing import Sealer
from raic.values import Usage

PROVIDER_THREADS = 8
FIRST_EPOCH = 1


@frozen
class ProviderStack:
    """What ``[storage] backend`` names, and the layers around it.

    :ivar provider: the outermost: what is stored and read goes through it.  It has to be started.
    :ivar untagged: what claims on the prefix go through, which other servers read.
    :ivar members: the providers that it is made of; one, unless it is an array.
    :ivar book: what is taken; knows it once the index is open.
    :ivar credentials: None where no cloud is, nor can be.
    :ivar array: None for a single provider.
    :ivar measure: how many bytes each provider stores of an object of a certain length.
    """

    provider: IStorageProvider
    untagged: ISmallObjects
    members: tuple[MemberStack, ...]
    book: SpaceBook
    credentials: Credentials | None = None
    array: ArrayStack | None = None
    measure: Measure = stored_size


def make_stack(
    config: Config,
    identity: Identity,
    workers: IWorkers,
    reactor: Reactor,
    *,
    restoring: bool = False,
) -> ProviderStack:
    """Make the providers and their layers; nothing is started.

    Tags are checked above the retries and below the cache: whatever a cloud sends is checked once,
    and the cache holds plain bytes that were, so that a hit costs no more.

    :param workers: for filesystems; clouds have threads of their own.
    :param restoring: whether the providers hold something, though there is no index: an empty
        folder is then where a disk should be mounted.
    :raises ConfigurationError: the settings of a provider do not go together.
    :raises IdentityError: there is an array, and no key for it.
    """
    backend = config.backend
    wanted = [each.cloud.wanted for each in backend.members if each.cloud is not None]
    credentials = None
    is_array = isinstance(backend, ArraySettings)
    if wanted or is_array:  # which a cloud may join
        sources = standard_sources(config.node_directory, identity.server_id, os.environ)
        credentials = Credentials(wanted, sources.ordered, reactor, config.node_directory)
    book = SpaceBook(config, reactor)
    members = tuple(
        make_member(
            config,
            settings,
            identity,
            workers,
            no_secrets if credentials is None else credentials.of(settings.name),
            reactor,
            None if is_array else partial(TaggingProvider, key=identity.tag_key),
            cached=not is_array,
            used=book.used,
            restoring=restoring,
        )
        for settings in backend.members
    )
    if isinstance(backend, ArraySettings):
        assert credentials is not None
        array = make_array(
            config, backend, members, identity, workers, reactor, book.used, credentials
        )
        measure = array.array.code.fragment_size
        return ProviderStack(
            array.provider, array.claims, members, book, credentials, array, measure
        )
    (only,) = members
    return ProviderStack(only.provider, only.untagged, members, book, credentials)


def make_provider(
    config: Config, identity: Identity, workers: IWorkers, reactor: Reactor
) -> IStorageProvider:
    """The outermost provider of :func:`make_stack`."""
    return make_stack(config, identity, workers, reactor).provider


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
        if await holds_objects(provider):
            await _check_objects(config, identity, stack, take_over=take_over)
        create_index(path, FIRST_EPOCH)
    index = open_index(
        path,
        reactor,
        reactor,
        sync=config.backend.fsync,
        local_listing=ILocalListing.providedBy(provider),
        on_fatal=on_fatal,
        measure=stack.measure,
    )
    if stack.array is not None:
        await stack.array.ledger.attach(index.ledger)
    stack.book.attach(index, index.ledger)
    return index


async def _check_objects(
    config: Config, identity: Identity, stack: ProviderStack, *, take_over: bool
) -> None:
    """Raise what is wrong with objects that are there when there is no index."""
    claimant = Claimant(Sealer(identity.seal_key), identity.server_id)
    newest = await newest_claim(stack.untagged, claimant)
    if newest is None or newest.ours:
        place = config.backend.describe(identity.server_id)
        error = IndexMissing(f"there is no index at {config.index_path}, but {place} holds objects")
        error.remedy = f"run 'raic restore --local {config.node_directory}' to rebuild the index"
        raise error
    if not take_over:
        detail = f"the prefix belongs to {newest.describe()}"
        raise PrefixOwned(config.backend.name, "start", detail)


def room_within(config: Config, index: IIndex) -> Callable[[], Deferred[int]] | None:
    """How many more bytes of shares the node's own quota allows; None without one."""
    quota = config.storage.quota
    if quota is None:
        return None

    def room(usage: Usage) -> int:
        return max(0, quota - usage.share_bytes)

    return lambda: index.get_usage(0).addCallback(room)


def _started(stack: ProviderStack) -> tuple[MemberStack, ...]:
    """The providers that are there now, those that joined an array included."""
    if stack.array is None:
        return stack.members
    array, stacks = stack.array.array, stack.array.stacks
    missing = array.membership.missing()
    names = [each.name for each in array.members() if each.name not in missing]
    return tuple(stacks[name] for name in names if name in stacks)


@async_to_deferred
async def renew_credentials(stack: ProviderStack, workers: IWorkers) -> bool:
    """Read the secrets of all clouds again and have them use them.

    :return: fires with whether they are others now; fails with a ``ProviderError`` when those
        cannot be used.
    """
    if stack.credentials is None or not await stack.credentials.reload(workers):
        return False
    failed: list[ProviderError] = []
    for member in _started(stack):
        renew = getattr(member.leaf, "renew_credentials", None)
        if renew is None:  # others ask when they are refused
            continue
        try:
            await renew()
        except ProviderError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return True
