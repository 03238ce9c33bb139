"""Servers that share a prefix, for tests of who owns it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from shutil import copyfile

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from raic.backends.faults import FaultPlan
from raic.backends.faulty import FaultyProvider
from raic.backends.memory import MemoryProvider
from raic.errors import PrefixOwned, ProviderError
from raic.interfaces import IIndex, IObjectUpload, IStorageProvider
from raic.shares.ages import REQUEST_SECONDS
from raic.shares.index import SQLiteIndex, create_index, open_index
from raic.shares.keys import parse_claim_key
from raic.shares.ownership import Ownership
from raic.shares.sealing import Sealer
from raic.values import ObjectPage, Space, Stored

T = 60.0
NOW = 1_700_000_000
WAIT = 2 * T + REQUEST_SECONDS


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


class OwnershipTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.memory, self.store = store_with_late_listings(self.clock)
        self.servers: list[Server] = []
        self.addCleanup(self.stop_all)

    def stop_all(self) -> None:
        for server in self.servers:
            server.stop()

    def server(self, server_id: str = "v0-attic", place: str = "", epoch: int = 1) -> Server:
        """A server of this name; others than ``v0-attic`` have other keys."""
        made = Server(
            self.store,
            self.clock,
            self.mktemp(),
            server_id=server_id,
            node_key=server_id.encode("ascii").ljust(32),
            place=place,
            epoch=epoch,
        )
        self.servers.append(made)
        return made

    def copy_of(self, server: Server, place: str = "") -> Server:
        """A copy of a node directory, as it is at this moment, made to run."""
        path = self.mktemp()
        for suffix in ("", "-wal"):
            copyfile(server.path + suffix, path + suffix)
        made = Server(
            self.store,
            self.clock,
            path,
            server_id=server.server_id,
            node_key=server.server_id.encode("ascii").ljust(32),
            host="cellar",
            place=place,
            make=False,
        )
        self.servers.append(made)
        return made

    def owner(self, server_id: str = "v0-attic", place: str = "") -> Server:
        """A server that has claimed the prefix and watches it."""
        server = self.server(server_id, place)
        self.claims(server)
        server.ownership.watch()
        return server

    def claims(self, server: Server) -> None:
        self.successResultOf(server.ownership.claim())
        self.assertTrue(server.ownership.may_write())

    def refused(self, server: Server) -> PrefixOwned:
        failure = self.failureResultOf(server.ownership.claim(), PrefixOwned)
        assert isinstance(failure.value, PrefixOwned)
        self.assertFalse(server.ownership.may_write())
        self.assertRaises(PrefixOwned, server.ownership.raise_unless_owner)
        return failure.value

    def restart(self, server: Server, kill: bool = False) -> None:
        if kill:
            server.ownership.stop()
            copy = self.mktemp()
            for suffix in ("", "-wal"):
                copyfile(server.path + suffix, copy + suffix)
            server.index.close()
            server.path = copy
        else:
            server.stop()
        server.start()

    def objects(self) -> list[str]:
        page = self.successResultOf(self.memory.list_objects("", None))
        return [one.key for one in page.objects]

    def epochs(self) -> list[int]:
        parsed = map(parse_claim_key, self.objects())
        return sorted(key.epoch for key in parsed if key is not None)

    def wait_until(self, condition: Callable[[], bool], at_most: float) -> float:
        """How many seconds it takes."""
        for second in range(int(at_most) + 1):
            if condition():
                return second
            self.clock.advance(1)
        raise self.failureException(f"it did not happen within {at_most} s")

    def taking_over(self, server: Server) -> Deferred[bool]:
        taking = server.ownership.take_over()
        self.assertNoResult(taking)
        return taking
