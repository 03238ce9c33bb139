"""What serves clients from a store, and what takes the operator's commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from raic.assembly.array_control import no_array_handlers
from raic.assembly.members import Reactor
from raic.assembly.opening import Store
from raic.assembly.reloading import Reloader
from raic.assembly.share_control import ShareKeeper
from raic.backends.array.maintenance import ArrayStatus
from raic.budget import MemoryBudget
from raic.config.identity import Identity
from raic.config.model import Config
from raic.deferreds import after_answers
from raic.server.control import ControlSocket, Handler
from raic.server.controlplace import SOCKET_NAME
from raic.server.service import Permissions, StorageService
from raic.shares.buckets import Buckets
from raic.shares.sealing import Sealer
from raic.shares.slots import Slots


def make_service(
    store: Store, identity: Identity, clock: Reactor, reloader: Reloader, messages: MemoryBudget
) -> StorageService:
    """The protocol, on a store.

    :param messages: the memory for what clients send and are sent; whoever listens adjusts it.
    :param reloader: has the configuration, and tells the service of each other one.
    """
    storage = reloader.config.storage
    sealer = Sealer(identity.seal_key)
    shared = (store.provider, store.index, sealer, store.pins, clock)
    maximum = storage.max_mutable_message
    budget = MemoryBudget(storage.upload_memory)
    service = StorageService(
        store.index,
        Buckets(*shared, budget, partial(after_answers, clock)),
        Slots(
            *shared,
            nodeid=identity.nodeid,
            max_share_size=maximum,
            max_read=maximum,
            budget=messages,
        ),
        store.gauge,
        clock,
        maximum_mutable=maximum,
        permissions=_permissions_of(reloader.config),
        may_write=store.may_write,
    )

    def adjust(config: Config) -> None:
        budget.limit = config.storage.upload_memory
        service.permit(_permissions_of(config))

    reloader.follow(adjust)
    return service


def _permissions_of(config: Config) -> Permissions:
    """What clients may do."""
    return Permissions(config.storage.readonly, config.storage.readonly_mutable)


def make_control(
    store: Store,
    others: Mapping[str, Handler],
    reactor: Reactor,
    reloader: Reloader,
    seen: Callable[[ArrayStatus], ArrayStatus],
) -> ControlSocket:
    """The socket that takes commands; it has to be started.

    :param others: the commands that need more than the store, by name.
    :param reloader: has the configuration, and tells the commands of each other one.
    :param seen: adds to an array's status what others know of the members.
    """
    config = reloader.config
    if store.upkeep is None:
        handlers: Mapping[str, Handler] = no_array_handlers(config.backend.name)
    else:
        handlers = store.upkeep.handlers(seen)
    keeper = ShareKeeper(store.provider, store.index, store.pins, reactor, config.storage)
    reloader.follow(lambda config: keeper.adjust(config.storage))
    handlers = {**handlers, **keeper.handlers(), **others, "node.reload": reloader.take}
    return ControlSocket(config.node_directory / SOCKET_NAME, handlers, reactor)
