"""Opening what a node keeps shares in: the provider, the index, and what looks after both."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from attrs import evolve, frozen

from raic.assembly.attaching import Attachment
from raic.assembly.awaited import AwaitedProvider
from raic.assembly.checkpoints import make_checkpointer
from raic.assembly.cleaning import Cleaning
from raic.assembly.members import Reactor
from raic.assembly.owning import TakeOver, make_ownership, own_prefix
from raic.assembly.reloading import Reloader
from raic.assembly.stack import (
    ProviderStack,
    open_or_create_index,
    renew_credentials,
    room_within,
)
from raic.assembly.undoing import Undoing
from raic.assembly.upkeep import ArrayUpkeep
from raic.backends.layers.owned import OwnedLayer
from raic.config.identity import Identity
from raic.config.model import ArraySettings, Config
from raic.deferreds import async_to_deferred
from raic.errors import ProviderError
from raic.interfaces import IIndex, IStorageProvider, IWorkers
from raic.server.space import SpaceGauge
from raic.shares.pins import Pins
from raic.values import ExpiryPolicy, Space

_MEMBERS_SECONDS = 20.0
"""How long a start that cannot do without them waits for as many members as a write needs."""


@frozen
class Store:
    """Where a node keeps shares.

    :ivar may_write: whether that is this node's as of this moment.
    :ivar ownership_problem: why it is not; None when it is.
    :ivar away: why the only provider could not be started yet; None when it was.
    :ivar upkeep: of an array.
    :ivar complete: whether writes were served from the start; if not, the provider is being waited
        for.
    """

    provider: IStorageProvider
    index: IIndex
    gauge: SpaceGauge
    pins: Pins
    cleaning: Cleaning
    may_write: Callable[[], bool]
    ownership_problem: Callable[[], ProviderError | None]
    away: Callable[[], BaseException | None]
    upkeep: ArrayUpkeep | None = None
    complete: bool = True

    async def ask_space(self) -> Space | None:
        """How much space there is; None when the provider did not say."""
        if not self.complete:
            return None
        try:
            return await self.gauge.ask()
        except ProviderError:
            return None


class StoreOpener:
    """Opens the store of a node.

    :param reloader: has the configuration, and tells what is opened of each other one.
    :param undoing: takes what closes it all again, also what was begun when opening fails.
    :param on_fatal: see :class:`raic.assembly.node.StorageNode`, as for ``take_over``.
    """

    def __init__(
        self,
        identity: Identity,
        stack: ProviderStack,
        workers: IWorkers,
        reactor: Reactor,
        reloader: Reloader,
        undoing: Undoing,
        on_fatal: Callable[[Exception], None],
        take_over: TakeOver | None,
    ) -> None:
        self._identity = identity
        self._stack = stack
        self._workers = workers
        self._reactor = reactor
        self._reloader = reloader
        self._undoing = undoing
        self._on_fatal = on_fatal
        self._take_over = take_over
        self._cleaning: Cleaning | None = None

    @async_to_deferred
    async def open(self) -> Store:
        """Open it.

        :return: fires when shares can be read, as far as the provider is there; fails with a
            ``RaicError``.  May be cancelled.
        """
        if self._config.local:
            return await self._open_folder()
        return await self._open_cloud()

    @property
    def _config(self) -> Config:
        return self._reloader.config

    async def _open_folder(self) -> Store:
        stack = self._stack
        index = await self._open_index() if self._config.index_path.exists() else None
        self._undoing.add(stack.provider.stop)
        await stack.provider.start()
        if index is None:
            index = await self._open_index()
        store = self._make_store(stack.provider, index, lambda: True, lambda: None, lambda: None)
        await store.gauge.start()
        store.cleaning.begin()
        self._reloader.renew = partial(renew_credentials, stack, self._workers)  # clouds may join
        return store

    async def _open_cloud(self) -> Store:
        """Start the provider and claim the prefix, or leave that to the background."""
        stack = self._stack
        awaited = AwaitedProvider(stack.provider)
        self._undoing.add(awaited.stop)
        is_new = not self._config.index_path.exists()
        index = None if is_new else await self._open_index()
        must_wait = self._take_over is not None or is_new
        if must_wait:
            await awaited.start()
            if stack.array is not None:
                await stack.array.array.membership.wait(_MEMBERS_SECONDS)
        if index is None:
            index = await self._open_index()
        ownership = make_ownership(
            self._config, self._identity, stack, index, self._reactor, self._note_ownership
        )
        self._undoing.add(ownership.stop)
        store = self._make_store(
            OwnedLayer(awaited, ownership.raise_unless_owner),
            index,
            ownership.may_write,
            partial(_problem_of, ownership.raise_unless_owner),
            awaited.why_awaited,
        )
        attachment = Attachment(awaited, ownership, self._reactor, store.gauge.start)
        self._undoing.add(attachment.stop)
        self._reloader.renew = partial(self._renew_credentials, awaited, attachment)
        if not must_wait:
            return evolve(store, complete=await attachment.begin())
        await own_prefix(ownership, self._config, self._take_over)
        ownership.watch()
        await store.gauge.start()
        return store

    async def _open_index(self) -> IIndex:
        index = await open_or_create_index(
            self._config,
            self._identity,
            self._stack,
            self._reactor,
            self._on_fatal,
            take_over=self._take_over is not None,
        )
        # Closed after the provider has stopped, which may have something to note until then.
        self._undoing.add_as_second(index.close)
        return index

    def _make_store(
        self,
        provider: IStorageProvider,
        index: IIndex,
        may_write: Callable[[], bool],
        ownership_problem: Callable[[], ProviderError | None],
        away: Callable[[], BaseException | None],
    ) -> Store:
        pins = Pins()
        gauge = SpaceGauge(provider, self._reactor, room_within(self._config, index))
        self._undoing.add(gauge.stop)
        self._reloader.follow(lambda config: gauge.limit(room_within(config, index)))
        upkeep = self._make_upkeep(provider, index)
        if upkeep is not None:
            self._reloader.follow(upkeep.adjust)
        cleaning = self._make_cleaning(provider, index, pins, upkeep)
        return Store(
            provider, index, gauge, pins, cleaning, may_write, ownership_problem, away, upkeep
        )

    def _make_upkeep(self, provider: IStorageProvider, index: IIndex) -> ArrayUpkeep | None:
        config, backend, array = self._config, self._config.backend, self._stack.array
        if array is None or not isinstance(backend, ArraySettings):
            return None
        return ArrayUpkeep(config, backend, array, provider, index, self._reactor)

    def _make_cleaning(
        self, provider: IStorageProvider, index: IIndex, pins: Pins, upkeep: ArrayUpkeep | None
    ) -> Cleaning:
        cleaning = Cleaning(
            provider,
            index,
            pins,
            self._reactor,
            upkeep,
            _expiry_of(self._config),
            make_checkpointer(self._config, self._identity, provider, index, self._reactor),
        )
        self._reloader.follow(lambda config: cleaning.expire(_expiry_of(config)))
        self._undoing.add(cleaning.stop)
        self._cleaning = cleaning
        return cleaning

    def _note_ownership(self, problem: ProviderError | None) -> None:
        if problem is None and self._cleaning is not None:
            self._cleaning.begin()

    @async_to_deferred
    async def _renew_credentials(self, awaited: AwaitedProvider, attachment: Attachment) -> bool:
        credentials = self._stack.credentials
        if not awaited.is_awaited or credentials is None:
            return await renew_credentials(self._stack, self._workers)
        changed = bool(await credentials.reload(self._workers))
        attachment.hurry()
        return changed


def _problem_of(check: Callable[[], None]) -> ProviderError | None:
    """What a check raises."""
    try:
        check()
    except ProviderError as error:
        return error
    return None


def _expiry_of(config: Config) -> ExpiryPolicy | None:
    """What expires; None for nothing."""
    return config.storage.expiry if config.storage.expires else None
