"""A whole storage node, from its provider to its port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred

from raic.assembly.adjusting import RunningStack
from raic.assembly.announcing import make_announcer
from raic.assembly.copynote import raise_if_switching
from raic.assembly.facts import NodeFacts, NodeState
from raic.assembly.listening import Listener, make_node_addresses
from raic.assembly.members import Reactor
from raic.assembly.opening import Store, StoreOpener
from raic.assembly.owning import TakeOver
from raic.assembly.reloading import Reloaded, Reloader
from raic.assembly.serving import make_control, make_service
from raic.assembly.space import SpaceBook, space_values
from raic.assembly.stack import PROVIDER_THREADS, make_stack
from raic.assembly.status import (
    Gathered,
    NodeStatusGatherer,
    ServerStatusGatherer,
    WarningBook,
    status_handlers,
)
from raic.assembly.status.arrays import as_seen
from raic.assembly.taking_over import TakeOverNote
from raic.assembly.undoing import Undoing
from raic.budget import MemoryBudget
from raic.config.addresses import write_addresses
from raic.config.identity import Identity
from raic.config.model import Config
from raic.deferreds import async_to_deferred
from raic.errors import ConfigurationError
from raic.server.control import Handler, Tell
from raic.server.service import StorageService
from raic.values import NodeSpace
from raic.workers import ThreadWorkers


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
        self._warnings = warnings or WarningBook()
        self._name = name
        self._identity = identity
        self._reactor = reactor
        self._on_fatal = on_fatal
        self._take_over = take_over
        self._undoing = Undoing()
        self._store: Store | None = None
        self._service: StorageService | None = None
        self.status: ServerStatusGatherer | None = None
        self._book: SpaceBook | None = None
        self._reloader = Reloader(config, lambda config: set_log_level(config.node.log_level))
        self._reloader.also = also_reload

    @async_to_deferred
    async def start(self) -> NodeFacts:
        """Start everything, the port last.

        A cloud that is away is waited for only where the index has to be made: otherwise the node
        serves what it can without it, and the rest from when the cloud answers.

        :return: fires when clients can come.  Fails with a ``RaicError`` or, when the port cannot
            be opened, with a ``CannotListenError``; then call :meth:`stop`.  May be cancelled.
        """
        config, undoing = self._reloader.config, self._undoing
        hints, addresses = make_node_addresses(config, self._identity)
        write_addresses(config.private, addresses)
        if self._take_over is None:
            TakeOverNote(config).raise_if_there()
        raise_if_switching(config.node_directory)
        workers = ThreadWorkers(self._reactor, PROVIDER_THREADS, "raic-provider")
        undoing.add(workers.stop)
        stack = make_stack(config, self._identity, workers, self._reactor)
        self._book = stack.book
        running = RunningStack(stack)
        self._reloader.begin(workers, running.scope)
        self._reloader.follow(running.adjust)
        store = await StoreOpener(
            self._identity,
            stack,
            workers,
            self._reactor,
            self._reloader,
            undoing,
            self._on_fatal,
            self._take_over,
        ).open()
        messages = MemoryBudget(config.storage.body_memory)
        service = make_service(store, self._identity, self._reactor, self._reloader, messages)
        self._service = service
        undoing.add(service.stop)
        listener = Listener(config, self._identity, service, workers, self._reactor, messages)
        undoing.add(listener.stop)
        self._reloader.follow(listener.adjust)
        await listener.start(hints)
        announcer = make_announcer(config, self._identity, addresses, listener.tub)
        undoing.add(announcer.stop)
        if config.introducers:
            announcer.announce()
        self._reloader.move = announcer.move
        parts = Gathered(
            lambda: self._reloader.config,
            self._identity,
            addresses,
            hints,
            stack,
            store.index,
            service,
            listener.meter,
            store.cleaning.collector,
            None if store.upkeep is None else store.upkeep.maintenance,
            announcer.states,
            store.ownership_problem,
            store.away,
            workers,
        )
        self.status = status = ServerStatusGatherer(parts, self._reactor, self._name)
        undoing.add(status.stop)
        status.start()
        service.heed(status.providers)
        seen = partial(as_seen, status.providers)
        control = make_control(store, self._handlers(status), self._reactor, self._reloader, seen)
        undoing.add(control.stop)
        control.start()
        self._store = store
        return NodeFacts(
            addresses,
            hints,
            await store.ask_space(),
            await store.index.get_totals(),
            store.index.was_clean(),
            store.complete,
        )

    @async_to_deferred
    async def stop(self) -> None:
        """Stop what was started, the port first; what fails on the way is logged.

        :return: fires when all is stopped; never fails.
        """
        self._service = self._store = self.status = None
        self._reloader.end()
        await self._undoing.undo()

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
            await self._service.finish_uploads(self._reloader.config.node.stop_seconds)

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

    def _handlers(self, status: ServerStatusGatherer) -> Mapping[str, Handler]:
        whole = NodeStatusGatherer(lambda: [status], self._warnings, self._reactor)
        return {**status_handlers(whole), "space": self._tell_space}

    @async_to_deferred
    async def _tell_space(self, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        if arguments:
            raise ConfigurationError(["there are no arguments"])
        return space_values(await self.get_space())
