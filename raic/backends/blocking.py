"""Providers over SDKs that block: everything but the SDK itself.

A provider for such a service is a :class:`~raic.backends.blockingstore.BlockingStore` (the calls
of the SDK, all made in worker threads) handed to a :class:`BlockingProvider`, which has the
threads, uploads in parts, streams, starting and stopping:

- an object of at most ``plan.part_size`` bytes goes out in one ``put``; a larger one in parts, of
  which ``plan.in_flight`` are on their way at once, each sent again here when that can help;
- a stream is one ``open_body``, read piece by piece: a consumer that pauses holds the connection
  but no thread; a body that breaks off is continued where it broke;
- whatever the SDK raises passes through ``BlockingStore.translated``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TypeVar

from twisted.internet.defer import Deferred, DeferredList, fail, succeed
from twisted.internet.interfaces import IConsumer, IReactorTime
from zope.interface import implementer

from raic.backends.blockingstore import BlockingStore, PartPlan
from raic.backends.bodies import BodyReader, read_fully
from raic.backends.counting import RequestCounter
from raic.backends.keys import check_key, check_range
from raic.backends.partupload import PartUpload
from raic.backends.patience import Patience
from raic.backends.streams import PieceStream
from raic.backends.uplink import Uplink
from raic.deferreds import Shared, async_to_deferred
from raic.errors import ProviderError, StorageUnusable
from raic.interfaces import (
    IInterruptedUploads,
    IObjectUpload,
    IRequestCounts,
    IStorageProvider,
    IWorkers,
)
from raic.values import ObjectPage, Space, Stored

T = TypeVar("T")

STREAMED_BYTES = 1024 * 1024
"""What a stream reads at once: the most that a consumer may be given."""

_PATIENT = frozenset({"start", "renew_credentials", "clear_interrupted_uploads"})
"""What no client waits for, however many requests it takes."""


@implementer(IStorageProvider, IInterruptedUploads, IRequestCounts)
class BlockingProvider:
    """Keeps objects in a :class:`~raic.backends.blockingstore.BlockingStore`.

    :param make_workers: called at every start; what it returns is stopped at the stop.
    :param clock: for the pauses between attempts.
    :param patience: which the store asks before every request.
    :ivar uplink: the line, as its uploads have found it.
    """

    def __init__(
        self,
        name: str,
        store: BlockingStore,
        make_workers: Callable[[], IWorkers],
        clock: IReactorTime,
        plan: PartPlan,
        patience: Patience | None = None,
    ) -> None:
        self.name = name
        self._patience = patience or Patience(name, clock)
        self.uplink = Uplink(clock)
        self._store = store
        self._make_workers = make_workers
        self._clock = clock
        self._plan = plan
        self._workers: IWorkers | None = None
        self._started = False
        self._starting: Shared[None] = Shared()
        self._busy = 0
        self._idle: Deferred[None] | None = None
        self._uploads: set[PartUpload] = set()
        self._readers: set[BodyReader] = set()
        self._requests = RequestCounter()

    def requests_made(self) -> Mapping[str, int]:
        """See :class:`raic.interfaces.IRequestCounts`; as far as the store counts them."""
        return self._requests.counts()

    def start(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return succeed(None) if self._started else self._starting.ask(self._start)

    @async_to_deferred
    async def _start(self) -> None:
        if self._workers is not None:
            raise StorageUnusable(self.name, "start", "the provider is just being stopped")
        workers = self._workers = self._make_workers()
        try:
            await self._run("start", self._store.open, stopping=True)
        except Exception:
            await self._release()
            raise
        if self._workers is not workers:
            raise StorageUnusable(self.name, "start", "the provider was stopped meanwhile")
        self._started = True

    @async_to_deferred
    async def stop(self) -> None:
        """See :class:`raic.interfaces.IStorageProvider`."""
        self._started = False
        await DeferredList([upload.abort() for upload in self._uploads.copy()])
        for reader in self._readers.copy():
            reader.close()
        await self._release()

    def buffer_size(self, size: int) -> int:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._plan.buffer_size(size)

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        check_range(0, size)
        upload = PartUpload(
            self.name,
            self._store,
            self._run,
            self._clock,
            self._plan,
            self._must_run,
            self.uplink,
            self._may_wait,
            self._uploads.discard,
            key,
            size,
        )
        self._uploads.add(upload)
        return upload

    def _may_wait(self, part_size: int) -> float:
        return self.uplink.may_wait(part_size, len(self._uploads))

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        putting = self._run("put_object", partial(self._store.put, "put_object", key, data))
        return putting.addCallback(lambda _: Stored(key, len(data)))

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        check_range(offset, length)
        return self._run("get_object", partial(self._get, key, offset, length))

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        check_range(offset, length)
        reader = BodyReader(self.name, self._store, self._run, self._guarded, key, offset + length)
        self._readers.add(reader)

        def done(result: T) -> T:
            self._readers.discard(reader)
            reader.close()
            return result

        def read(position: int, size: int) -> Deferred[Sequence[bytes]]:
            return reader.read(position, size).addCallback(lambda piece: (piece,))

        stream = PieceStream(consumer, read, offset, length, STREAMED_BYTES)
        return stream.start().addBoth(done)

    def list_objects(self, prefix: str, token: str | None) -> Deferred[ObjectPage]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._run("list_objects", partial(self._store.list_page, prefix, token))

    def delete_objects(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        for key in keys:
            check_key(key)
        return self._run("delete_objects", partial(self._store.delete, sorted(set(keys))))

    def get_space(self) -> Deferred[Space]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._run("get_space", self._store.space)

    def clear_interrupted_uploads(self, prefix: str) -> Deferred[int]:
        """See :class:`raic.interfaces.IInterruptedUploads`."""
        clear = partial(self._store.clear_interrupted, prefix)
        return self._run("clear_interrupted_uploads", clear)

    def _must_run(self, operation: str) -> None:
        if not self._started:
            raise StorageUnusable(self.name, operation, "the provider is not started")

    def _run(
        self, operation: str, function: Callable[[], T], *, stopping: bool = False
    ) -> Deferred[T]:
        workers = self._workers
        if workers is None or not (self._started or stopping):
            return fail(StorageUnusable(self.name, operation, "the provider is not started"))
        self._busy += 1
        working = partial(self._work, operation, function, self._clock.seconds())
        return workers.run(working).addBoth(self._ended)

    def _ended(self, result: T) -> T:
        self._busy -= 1
        if self._idle is not None and not self._busy:
            idle, self._idle = self._idle, None
            idle.callback(None)
        return result

    async def _release(self) -> None:
        """Wait for the calls under way, then let go of connections and threads."""
        while self._busy:
            if self._idle is None:
                self._idle = Deferred()
            await _also(self._idle)
        self._started = False  # a start may have been under way
        workers, self._workers = self._workers, None
        if workers is not None:
            self._store.close()
            await workers.stop()

    # In workers

    def _work(self, operation: str, function: Callable[[], T], asked: float) -> T:
        if operation in _PATIENT:
            self._patience.begin_patiently(operation)
        else:
            self._patience.begin(operation, asked)
        return self._guarded(operation, function)

    def _guarded(self, operation: str, function: Callable[[], T]) -> T:
        """Call a store, and translate what its SDK raises.

        The cause is not kept: its frames hold the bytes that were being sent.
        """
        try:
            with self._requests.during(operation):
                return function()
        except ProviderError:
            raise
        except Exception as error:
            translated = self._store.translated(operation, error)
            if translated is None:
                raise
        raise translated

    def _get(self, key: str, offset: int, length: int) -> bytes:
        body = self._store.open_body("get_object", key, offset, length)
        return read_fully(body, self.name, "get_object")


def _also(shared: Deferred[None]) -> Deferred[None]:
    """Another Deferred that fires when ``shared`` does."""
    waiting: Deferred[None] = Deferred()
    shared.addCallback(lambda _: waiting.callback(None))
    return waiting
