"""Servers that share a prefix, for tests of who owns it."""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import Clock
from zope.interface import implementer

from raic.backends.faults import FaultPlan
from raic.backends.faulty import FaultyProvider
from raic.backends.memory import MemoryProvider
from raic.errors import ProviderError
from raic.interfaces import IIndex, IObjectUpload, IStorageProvider
from raic.shares.index import SQLiteIndex, create_index, open_index
from raic.shares.ownership import Ownership
from raic.shares.sealing import Sealer
from raic.values import ObjectPage, Space, Stored

T = 60.0


@implementer(IStorageProvider)
class LateListings:
    """Lists objects only ``lag`` seconds after they were put."""

    def __init__(self, inner: IStorageProvider, clock: Clock) -> None:
        self.name = inner.name
        self.lag = 0.0
        self._inner = inner
        self._clock = clock
        self._put_at: dict[str, float] = {}

    def start(self) -> Deferred[None]:
        return self._inner.start()

    def stop(self) -> Deferred[None]:
        return self._inner.stop()

    def buffer_size(self, size: int) -> int:
        return self._inner.buffer_size(size)

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        return self._inner.open_upload(key, size)

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        self._put_at.setdefault(key, self._clock.seconds())
        return self._inner.put_object(key, data)

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        return self._inner.get_object(key, offset, length)

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        return self._inner.stream_object(key, offset, length, consumer)

    def list_objects(self, prefix: str, token: str | None) -> Deferred[ObjectPage]:
        def shown(page: ObjectPage) -> ObjectPage:
            now = self._clock.seconds()
            visible = (
                one for one in page.objects if now >= self._put_at.get(one.key, 0.0) + self.lag
            )
            return ObjectPage(tuple(visible), page.next_token)

        return self._inner.list_objects(prefix, token).addCallback(shown)

    def delete_objects(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        return self._inner.delete_objects(keys)

    def get_space(self) -> Deferred[Space]:
        return self._inner.get_space()


class Server:
    """A node's index and its ownership, over a provider that it shares with others.

    :ivar plan: what goes wrong between it and the provider.
    :ivar changes: what it was told of its ownership.
    """

    def __init__(
        self,
        store: IStorageProvider,
        clock: Clock,
        path: str,
        *,
        server_id: str = "v0-attic",
        node_key: bytes = b"k" * 32,
        host: str = "attic",
        place: str = "",
        epoch: int = 1,
        make: bool = True,
    ) -> None:
        self.clock = clock
        self.path = path
        self.plan = FaultPlan()
        self.provider = FaultyProvider(store, self.plan)
        self.sealer = Sealer(node_key)
        self.server_id = server_id
        self.host = host
        self.place = place
        if make:
            create_index(path, epoch)
        self.start()

    def start(self) -> None:
        """A new process on the same index; the one before was closed or killed."""
        self.changes: list[ProviderError | None] = []
        self.index: SQLiteIndex = open_index(
            self.path, self.clock, None, sync=False, local_listing=True, on_fatal=_never
        )
        self.ownership = self.own(self.index)

    def own(self, index: IIndex) -> Ownership:
        """Another ownership of the same server."""
        return Ownership(
            self.provider,
            index,
            self.sealer,
            self.server_id,
            self.clock,
            interval=T,
            host=self.host,
            place=self.place,
            on_change=self.changes.append,
        )

    def stop(self) -> None:
        """End the process, in good order."""
        self.ownership.stop()
        self.index.close()


def _never(error: Exception) -> None:
    raise error


def store_with_late_listings(clock: Clock) -> tuple[MemoryProvider, LateListings]:
    """A provider and what lists it late."""
    memory = MemoryProvider("cloud")
    memory.start()
    return memory, LateListings(memory, clock)
