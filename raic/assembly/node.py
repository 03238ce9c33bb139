"""A whole storage node, from its provider to its port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import evolve, frozen
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger

from raic.assembly.adjusting import RunningStack
from raic.assembly.announcing import make_announcer
from raic.assembly.array_control import no_array_handlers
from raic.assembly.attaching import Attachment
from raic.assembly.awaited import AwaitedProvider
from raic.assembly.checkpoints import make_checkpointer
from raic.assembly.cleaning import Cleaning
from raic.assembly.copynote import raise_if_switching
from raic.assembly.listening import Listener, make_node_addresses
from raic.assembly.members import Reactor
from raic.assembly.owning import TakeOver, make_ownership, own_prefix
from raic.assembly.reloading import Reloaded, Reloader
from raic.assembly.share_control import ShareKeeper
from raic.assembly.space import SpaceBook, space_values
from raic.assembly.stack import (
    PROVIDER_THREADS,
    ProviderStack,
    make_stack,
    open_or_create_index,
    renew_credentials,
    room_within,
)
from raic.assembly.status import (
    Gathered,
    NodeStatusGatherer,
    ServerStatusGatherer,
    WarningBook,
    status_handlers,
)
from raic.assembly.taking_over import TakeOverNote
from raic.assembly.upkeep import ArrayUpkeep
from raic.backends.layers.owned import OwnedLayer
from raic.budget import MemoryBudget
from raic.config.addresses import Addresses, write_addresses
from raic.config.identity import Identity
from raic.config.model import ArraySettings, Config
from raic.deferreds import async_to_deferred
from raic.errors import ConfigurationError, ProviderError
from raic.interfaces import IIndex, IStorageProvider, IWorkers
from raic.server.announcer import Announcer
from raic.server.control import ControlSocket, Handler, Tell
from raic.server.controlplace import SOCKET_NAME
from raic.server.service import Permissions, StorageService
from raic.server.space import SpaceGauge
from raic.shares.buckets import Buckets
from raic.shares.pins import Pins
from raic.shares.sealing import Sealer
from raic.shares.slots import Slots
from raic.values import ExpiryPolicy, NodeSpace, Space, Totals
from raic.workers import ThreadWorkers

_MEMBERS_SECONDS = 20.0
"""How long a start that cannot do without them waits for as many members as a write needs."""


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


@frozen
class _Store:
    """Where a node keeps shares.

    :ivar may_write: whether that is this node's as of this moment.
    :ivar ownership_problem: why it is not; None when it is.
    :ivar away: why the only provider could not be started yet; None when it was.
    :ivar upkeep: of an array.
    """

    provider: IStorageProvider
    index: IIndex
    gauge: SpaceGauge
    pins: Pins
    may_write: Callable[[], bool]
    ownership_problem: Callable[[], ProviderError | None]
    away: Callable[[], BaseException | None]
    upkeep: ArrayUpkeep | None = None


class StorageNode:
    """A storage node, from its provider to its port.

    :param on_fatal: called, in any thread, when the index cannot go on: the process must end at
        once and touch no object.
    :param take_over: to take the prefix over from whoever has it; None for not.
    :param warnings: what the process was warned of.
    :param name: of the server's section; empty when the process runs no other.
    :param set_log_level: called when another one is configured while the node runs.
    :param also_reload: called at each reload that has no mistakes; never fails.
    :ivar status: tells how it is doing; None until it has started.
    """

    _log = Logger()

    def __init__(
        self,
        config: Config,
        identity: Identity,
        reactor: Reactor,
        on_fatal: Callable[[Exception], None],
        take_over: TakeOver | None = None,
        warnings: WarningBook | None = None,
        name: str = "",
        set_log_level: Callable[[str], None] = lambda level: None,
        also_reload: Callable[[], Deferred[None]] | None = None,
    ) -> None:
        self._config = config
        self._warnings = warnings or WarningBook()
        self._name = name
        self._identity = identity
        self._reactor = reactor
        self._on_fatal = on_fatal
        self._take_over = take_over
        self._undo: list[Callable[[], object]] = []
        self._workers: IWorkers | None = None
        self._cleaning: Cleaning | None = None
        self._store: _Store | None = None
        self._service: StorageService | None = None
        self._complete = True
        self.status: ServerStatusGatherer | None = None
        self._book: SpaceBook | None = None
        self._reloader = Reloader(
            config, self._take_config, lambda config: set_log_level(config.node.log_level)
        )
        self._reloader.also = also_reload

    @async_to_deferred
    async def start(self) -> NodeFacts:
        """Start everything, the port last.

        A cloud that is away is waited for only where the index has to be made: otherwise the node
        serves what it can without it, and the rest from when the cloud answers.

        :return: fires when clients can come.  Fails with a ``RaicError`` or, when the port cannot
            be opened, with a ``CannotListenError``; then call :meth:`stop`.  May be cancelled.
        """
        config = self._config
        hints, addresses = make_node_addresses(config, self._identity)
        write_addresses(config.private, addresses)
        if self._take_over is None:
            TakeOverNote(config).raise_if_there()
        raise_if_switching(config.node_directory)
        self._workers = workers = ThreadWorkers(self._reactor, PROVIDER_THREADS, "raic-provider")
        self._undo.append(workers.stop)
        stack = make_stack(config, self._identity, workers, self._reactor)
        self._book = stack.book
        running = RunningStack(stack)
        self._reloader.begin(workers, running.scope)
        self._reloader.follow(running.adjust)
        store = await self._open_store(stack)
        self._service = service = self._make_service(store)
        self._undo.append(service.stop)
        listener = Listener(config, self._identity, service, workers, self._reactor)
        self._undo.append(listener.stop)
        self._reloader.follow(listener.adjust)
        await listener.start(hints)
        announcer = make_announcer(config, self._identity, addresses, listener.tub)
        self._undo.append(announcer.stop)
        if config.introducers:
            announcer.announce()
        self._reloader.move = announcer.move
        self.status = self._make_status(
            stack, store, service, listener, addresses, hints, announcer
        )
        self._undo.append(self.status.stop)
        self.status.start()
        self._take_commands(store, self.status)
        self._store = store
        return NodeFacts(
            addresses,
            hints,
            await self._space(store.gauge),
            await store.index.get_totals(),
            store.index.was_clean(),
            self._complete,
        )

    @async_to_deferred
    async def stop(self) -> None:
        """Stop what was started, the port first; what fails on the way is logged.

        :return: fires when all is stopped; never fails.
        """
        self._service = self._store = self.status = None
        self._reloader.end()
        while self._undo:
            undo = self._undo.pop()
            try:
                await maybeDeferred(undo)
            except Exception:  # noqa: BLE001 - the rest has to be stopped all the same
                self._log.failure("while stopping the node")

    # While it runs

    @async_to_deferred
    async def look(self) -> NodeState | None:
        """Ask the index, at each of its ends, how the node is.

        :return: fires with it, with None while the node has not started or is being stopped; fails
            with an ``IndexFailure``.  Never fires if the index hangs.
        """
        store, service = self._store, self._service
        if store is None or service is None:
            return None
        # Settles nothing, but passes through the thread that writes.
        await store.index.settle_garbage(())
        totals = await store.index.get_totals()
        return NodeState(totals, len(service.uploads), store.may_write())

    def count_uploads(self) -> int:
        """How many shares are being uploaded."""
        return 0 if self._service is None else len(self._service.uploads)

    @async_to_deferred
    async def finish_uploads(self) -> None:
        """Take no more shares, and let uploads under way end, within ``stop_seconds``.

        :return: fires when they have ended, or the time is over.  May be cancelled.
        """
        if self._service is not None:
            await self._service.finish_uploads(self._config.node.stop_seconds)

    def reload(self) -> Deferred[Reloaded]:
        """Take up what can change in a running node; see :meth:`Reloader.reload`."""
        return self._reloader.reload()

    def reload_credentials(self) -> Deferred[bool]:
        """Read the secrets of the provider again; see :meth:`Reloader.reload_credentials`."""
        return self._reloader.reload_credentials()

    @async_to_deferred
    async def get_space(self) -> NodeSpace:
        """How much space the shares take, and how much there is, by running totals.

        :return: fires with it; fails with an ``IndexFailure``.
        """
        assert self._book is not None
        assert self._service is not None
        return evolve(
            await self._book.get(),
            available=self._service.get_sizes().available_space,
            pending=self._service.uploads.reserved,
        )

    @async_to_deferred
    async def _tell_space(self, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        if arguments:
            raise ConfigurationError(["there are no arguments"])
        return space_values(await self.get_space())

    # Starting

    async def _open_store(self, stack: ProviderStack) -> _Store:
        if self._config.local:
            return await self._open_folder(stack)
        return await self._open_cloud(stack)

    async def _open_folder(self, stack: ProviderStack) -> _Store:
        index = await self._open_index(stack) if self._config.index_path.exists() else None
        self._undo.append(stack.provider.stop)
        await stack.provider.start()
        if index is None:
            index = await self._open_index(stack)
        store = self._make_store(
            stack, stack.provider, index, lambda: True, lambda: None, lambda: None
        )
        await store.gauge.start()
        self._begin_cleaning(store).begin()
        return store

    async def _open_cloud(self, stack: ProviderStack) -> _Store:
        """Start the provider and claim the prefix, or leave that to the background."""
        awaited = AwaitedProvider(stack.provider)
        self._undo.append(awaited.stop)
        is_new = not self._config.index_path.exists()
        index = None if is_new else await self._open_index(stack)
        must_wait = self._take_over is not None or is_new
        if must_wait:
            await awaited.start()
            if stack.array is not None:
                await stack.array.array.wait_for_members(_MEMBERS_SECONDS)
        if index is None:
            index = await self._open_index(stack)
        ownership = make_ownership(
            self._config, self._identity, stack, index, self._reactor, self._note_ownership
        )
        self._undo.append(ownership.stop)
        owned = OwnedLayer(awaited, ownership.raise_unless_owner)
        store = self._make_store(
            stack,
            owned,
            index,
            ownership.may_write,
            partial(_problem_of, ownership.raise_unless_owner),
            awaited.why_awaited,
        )
        self._begin_cleaning(store)
        attachment = Attachment(awaited, ownership, self._reactor, store.gauge.start)
        self._undo.append(attachment.stop)
        self._reloader.renew = partial(self._renew_credentials, stack, awaited, attachment)
        if must_wait:
            await own_prefix(ownership, self._config, self._take_over)
            ownership.watch()
            await store.gauge.start()
        else:
            self._complete = await attachment.begin()
        return store

    async def _open_index(self, stack: ProviderStack) -> IIndex:
        index = await open_or_create_index(
            self._config,
            self._identity,
            stack,
            self._reactor,
            self._on_fatal,
            take_over=self._take_over is not None,
        )
        # Closed after the provider has stopped, which may have something to note until then.
        self._undo.insert(1, index.close)
        return index

    def _make_store(
        self,
        stack: ProviderStack,
        provider: IStorageProvider,
        index: IIndex,
        may_write: Callable[[], bool],
        ownership_problem: Callable[[], ProviderError | None],
        away: Callable[[], BaseException | None],
    ) -> _Store:
        gauge = SpaceGauge(provider, self._reactor, room_within(self._config, index))
        self._undo.append(gauge.stop)
        self._reloader.follow(lambda config: gauge.limit(room_within(config, index)))
        upkeep = self._make_upkeep(stack, provider, index)
        if upkeep is not None:
            self._reloader.follow(upkeep.adjust)
        return _Store(provider, index, gauge, Pins(), may_write, ownership_problem, away, upkeep)

    def _make_upkeep(
        self, stack: ProviderStack, provider: IStorageProvider, index: IIndex
    ) -> ArrayUpkeep | None:
        config, backend, array = self._config, self._config.backend, stack.array
        if array is None or not isinstance(backend, ArraySettings):
            return None
        return ArrayUpkeep(config, backend, array, provider, index, self._reactor)

    def _make_status(
        self,
        stack: ProviderStack,
        store: _Store,
        service: StorageService,
        listener: Listener,
        addresses: Addresses,
        hints: tuple[str, ...],
        announcer: Announcer,
    ) -> ServerStatusGatherer:
        assert self._cleaning is not None
        parts = Gathered(
            lambda: self._config,
            self._identity,
            addresses,
            hints,
            stack,
            store.index,
            service,
            listener.meter,
            self._cleaning.collector,
            None if store.upkeep is None else store.upkeep.maintenance,
            announcer.states,
            store.ownership_problem,
            store.away,
            self._running_workers(),
        )
        return ServerStatusGatherer(parts, self._reactor, self._name)

    def _take_commands(self, store: _Store, status: ServerStatusGatherer) -> None:
        if store.upkeep is None:
            handlers: Mapping[str, Handler] = no_array_handlers(self._config.backend.name)
        else:
            handlers = store.upkeep.handlers()
        keeper = ShareKeeper(
            store.provider, store.index, store.pins, self._reactor, self._config.storage
        )
        self._reloader.follow(lambda config: keeper.adjust(config.storage))
        whole = NodeStatusGatherer(lambda: [status], self._warnings, self._reactor)
        handlers = {
            **handlers,
            **keeper.handlers(),
            **status_handlers(whole),
            "space": self._tell_space,
            "node.reload": self._reloader.take,
        }
        path = self._config.node_directory / SOCKET_NAME
        control = ControlSocket(path, handlers, self._reactor)
        self._undo.append(control.stop)
        control.start()

    def _take_config(self, config: Config) -> None:
        self._config = config

    def _begin_cleaning(self, store: _Store) -> Cleaning:
        cleaning = Cleaning(
            store.provider,
            store.index,
            store.pins,
            self._reactor,
            store.upkeep,
            expiry_of(self._config),
            make_checkpointer(
                self._config, self._identity, store.provider, store.index, self._reactor
            ),
        )
        self._reloader.follow(lambda config: cleaning.expire(expiry_of(config)))
        self._undo.append(cleaning.stop)
        self._cleaning = cleaning
        return cleaning

    def _note_ownership(self, problem: ProviderError | None) -> None:
        if problem is None and self._cleaning is not None:
            self._cleaning.begin()

    def _make_service(self, store: _Store) -> StorageService:
        storage, clock = self._config.storage, self._reactor
        sealer = Sealer(self._identity.seal_key)
        shared = (store.provider, store.index, sealer, store.pins, clock)
        maximum = storage.max_mutable_message
        budget = MemoryBudget(storage.upload_memory)
        service = StorageService(
            store.index,
            Buckets(*shared, budget),
            Slots(*shared, nodeid=self._identity.nodeid, max_share_size=maximum, max_read=maximum),
            store.gauge,
            clock,
            maximum_mutable=maximum,
            permissions=permissions_of(self._config),
            may_write=store.may_write,
        )

        def adjust(config: Config) -> None:
            budget.limit = config.storage.upload_memory
            service.permit(permissions_of(config))

        self._reloader.follow(adjust)
        return service

    async def _space(self, gauge: SpaceGauge) -> Space | None:
        if not self._complete:
            return None
        try:
            return await gauge.ask()
        except ProviderError:
            return None

    def _running_workers(self) -> IWorkers:
        assert self._workers is not None
        return self._workers

    @async_to_deferred
    async def _renew_credentials(
        self, stack: ProviderStack, awaited: AwaitedProvider, attachment: Attachment
    ) -> bool:
        workers = self._running_workers()
        if not awaited.is_awaited or stack.credentials is None:
            return await renew_credentials(stack, workers)
        changed = bool(await stack.credentials.reload(workers))
        attachment.hurry()
        return changed


def _problem_of(check: Callable[[], None]) -> ProviderError | None:
    """What a check raises."""
    try:
        check()
    except ProviderError as error:
        return error
    return None


def expiry_of(config: Config) -> ExpiryPolicy | None:
    """What expires; None for nothing."""
    return config.storage.expiry if config.storage.expires else None


def permissions_of(config: Config) -> Permissions:
    """What clients may do."""
    return Permissions(config.storage.readonly, config.storage.readonly_mutable)
