"""Objects in memory: the fake that passes the suite of the real ones."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Sequence

from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from raic.backends.keys import check_key, check_range
from raic.backends.streams import Looks, PieceStream
from raic.errors import KeyTaken, NoSpace, ObjectNotFound, StorageUnusable
from raic.interfaces import (
    IImmediateReads,
    ILocalListing,
    IMadeUpload,
    IObjectUpload,
    IShortPages,
    IStorageProvider,
)
from raic.values import ListedObject, ObjectPage, Space, Stored

PAGE_OBJECTS = 1000

UNLIMITED = 2**40
"""What a provider without a capacity says it can still take."""


@implementer(IStorageProvider, IImmediateReads, ILocalListing, IShortPages)
class MemoryProvider:
    """Keeps objects in a dictionary, also while it is stopped.

    :param capacity: in bytes of object data; None for no limit.
    """

    def __init__(self, name: str, capacity: int | None = None) -> None:
        self.name = name
        self._capacity = capacity
        self._objects: dict[str, bytes] = {}
        self._keys: list[str] = []  # sorted
        self._used = 0  # uploads under way included
        self._started = False
        self._uploads: set[MemoryUpload] = set()

    def start(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        self._started = True
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        self._started = False
        for upload in list(self._uploads):
            upload.abort()
        return succeed(None)

    def buffer_size(self, size: int) -> int:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return size

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        check_range(0, size)
        return MemoryUpload(self, key, size)

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        return execute(self._put, key, data)

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        check_range(offset, length)
        return execute(self._get, "get_object", key, offset, length)

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        check_range(offset, length)

        looks = Looks.of(consumer)

        def get(position: int, size: int) -> bytes:
            return self._get("stream_object", key, position, size)

        def read(position: int, size: int) -> Deferred[Sequence[bytes]]:
            return execute(looks.read, get, position, size)

        stream = PieceStream(consumer, read, offset, length, looks.piece_bytes, looks.at_once)
        return stream.start()

    def list_objects(self, prefix: str, token: str | None) -> Deferred[ObjectPage]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return execute(self._list, prefix, token, PAGE_OBJECTS)

    def list_some(self, prefix: str, token: str | None, limit: int) -> Deferred[ObjectPage]:
        """See :class:`raic.interfaces.IShortPages`."""
        return execute(self._list, prefix, token, limit)

    def delete_objects(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        for key in keys:
            check_key(key)
        return execute(self._delete, keys)

    def get_space(self) -> Deferred[Space]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return execute(self._space)

    def read_now(self, key: str, offset: int, length: int) -> bytes | None:
        """See :class:`raic.interfaces.IImmediateReads`."""
        data = self._objects.get(key)
        if data is None or not self._started:
            return None
        return data[offset : offset + length]

    def must_be_started(self, operation: str) -> None:
        """Refuse to work before ``start`` and after ``stop``.

        :raises StorageUnusable: the provider is not started.
        """
        if not self._started:
            raise StorageUnusable(self.name, operation, "the provider is not started")

    def take_space(self, operation: str, size: int) -> None:
        """Count bytes that are about to be kept.

        :raises NoSpace: the capacity does not suffice; nothing was counted.
        """
        if self._capacity is not None and self._used + size > self._capacity:
            raise NoSpace(self.name, operation, f"no room for {size} bytes more")
        self._used += size

    def give_space(self, size: int) -> None:
        """Forget bytes that were counted."""
        self._used -= size

    def begin(self, upload: MemoryUpload) -> None:
        """Note an upload that :meth:`stop` must abort."""
        self._uploads.add(upload)

    def end(self, upload: MemoryUpload) -> None:
        """Forget an upload."""
        self._uploads.discard(upload)

    def publish(self, operation: str, key: str, data: bytes) -> Stored:
        """Make an object visible, whose bytes have been counted.

        :raises KeyTaken: the key names other bytes.
        """
        there = self._objects.get(key)
        if there is None:
            self._objects[key] = data
            insort(self._keys, key)
        else:
            self.give_space(len(data))
            if there != data:
                raise KeyTaken(self.name, operation, f"{key} names another object")
        return Stored(key, len(data))

    def _put(self, key: str, data: bytes) -> Stored:
        self.must_be_started("put_object")
        if key not in self._objects:
            self.take_space("put_object", len(data))
        else:
            self._used += len(data)  # given back at once
        return self.publish("put_object", key, bytes(data))

    def _get(self, operation: str, key: str, offset: int, length: int) -> bytes:
        self.must_be_started(operation)
        data = self._objects.get(key)
        if data is None:
            raise ObjectNotFound(self.name, operation, f"there is no {key}")
        return data[offset : offset + length]

    def _list(self, prefix: str, token: str | None, limit: int) -> ObjectPage:
        self.must_be_started("list_objects")
        begin = bisect_left(self._keys, prefix)
        if token is not None:
            begin = max(begin, bisect_right(self._keys, token))
        page = [key for key in self._keys[begin : begin + limit] if key.startswith(prefix)]
        objects = tuple(ListedObject(key, len(self._objects[key])) for key in page)
        return ObjectPage(objects, page[-1] if len(page) == limit else None)

    def _delete(self, keys: Collection[str]) -> frozenset[str]:
        self.must_be_started("delete_objects")
        for key in keys:
            data = self._objects.pop(key, None)
            if data is not None:
                del self._keys[bisect_left(self._keys, key)]
                self.give_space(len(data))
        return frozenset()

    def _space(self) -> Space:
        self.must_be_started("get_space")
        limit = UNLIMITED if self._capacity is None else self._capacity
        return Space(self._used, max(0, limit - self._used))


@implementer(IObjectUpload, IMadeUpload)
class MemoryUpload:
    """An object that is being uploaded to a :class:`MemoryProvider`."""

    def __init__(self, provider: MemoryProvider, key: str, size: int) -> None:
        self._provider = provider
        self._key = key
        self._size = size
        self._pieces: list[bytes] = []
        self._written = 0
        self._ended = False
        provider.begin(self)

    def write(self, data: bytes) -> Deferred[None]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        return execute(self._write, data)

    def write_made(
        self, size: int, make: Callable[[], Sequence[bytes | bytearray | memoryview]]
    ) -> Deferred[None]:
        """See :class:`raic.interfaces.IMadeUpload`."""
        return execute(lambda: self._write(b"".join(make())))

    def finish(self) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        return execute(self._finish)

    def abort(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        if not self._ended:
            self._provider.give_space(self._written)
        self._end()
        return succeed(None)

    def _write(self, data: bytes) -> None:
        self._must_be_alive("write")
        try:
            self._provider.take_space("write", len(data))
        except NoSpace:
            self.abort()
            raise
        self._written += len(data)
        self._pieces.append(bytes(data))

    def _finish(self) -> Stored:
        self._must_be_alive("finish")
        if self._written != self._size:
            self.abort()
            raise ValueError(f"{self._written} bytes were written, not {self._size}")
        data = b"".join(self._pieces)
        self._end()
        return self._provider.publish("finish", self._key, data)

    def _must_be_alive(self, operation: str) -> None:
        self._provider.must_be_started(operation)
        if self._ended:
            raise StorageUnusable(self._provider.name, operation, "the upload has ended")

    def _end(self) -> None:
        self._ended = True
        self._pieces = []
        self._provider.end(self)
