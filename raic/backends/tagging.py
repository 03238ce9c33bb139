"""A layer that notices every byte a provider altered, cut off or mixed up.

The format is specified in ``docs/specifications/tags.rst``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

from attrs import evolve
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from raic.backends.keys import check_key, check_range
from raic.backends.layers.forwarding import ForwardingProvider
from raic.backends.taggedstream import TaggedStream
from raic.backends.tags import (
    BLOCK_BYTES,
    KEY_BYTES,
    STORED_BLOCK_BYTES,
    TAG_BYTES,
    ObjectTags,
    TagMismatch,
    block_count,
    plain_size,
    stored_size,
)
from raic.deferreds import async_to_deferred
from raic.errors import ObjectCorrupt
from raic.interfaces import (
    IImmediateReads,
    IMadeUpload,
    IObjectUpload,
    IStorageProvider,
)
from raic.values import ListedObject, ObjectPage, Space, Stored

MAX_WRITE_BYTES = 1024 * 1024
"""The most that callers write to an upload at once."""

_CACHED_CIPHERS = 256


class TaggingProvider(ForwardingProvider):
    """Stores objects in another provider, with a tag after each 64 KiB.

    It has the optional interfaces that the other provider has.

    :param key: 32 secret bytes: who has them not can make no tag.
    """

    def __init__(self, inner: IStorageProvider, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a tag key has {KEY_BYTES} bytes")
        super().__init__(inner)
        self._tags = lru_cache(_CACHED_CIPHERS)(partial(ObjectTags, key))

    def buffer_size(self, size: int) -> int:
        """See :class:`raic.interfaces.IStorageProvider`.

        A partial block, and what is held of the writes before, or a copy with tags.
        """
        stored = stored_size(size)
        own = min(size, BLOCK_BYTES) + min(stored, stored_size(MAX_WRITE_BYTES + BLOCK_BYTES))
        return own + self._inner.buffer_size(stored)

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        check_range(0, size)
        inner = self._inner.open_upload(key, stored_size(size))
        return TaggedUpload(inner, self._tags(key), size)

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        storing = self._inner.put_object(key, self._tags(key).tagged(data))
        return storing.addCallback(evolve, size=len(data))

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        check_range(offset, length)
        begin, asked = _stored_range(offset, length)
        reading = self._inner.get_object(key, begin, asked)
        if not asked:
            return reading
        return reading.addCallback(self._checked, key, offset, length)

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        check_range(offset, length)
        begin, asked = _stored_range(offset, length)
        first_block, skip = divmod(offset, BLOCK_BYTES)
        stream = TaggedStream(
            consumer,
            self._tags(key),
            first_block=first_block,
            skip=skip,
            length=length,
            asked=asked,
            prove_end=partial(self._prove_end, "stream_object", key, first_block),
            corrupt=partial(self._corrupt, "stream_object", key),
        )
        return stream.start(partial(self._inner.stream_object, key, begin, asked))

    def list_objects(self, prefix: str, token: str | None) -> Deferred[ObjectPage]:
        """See :class:`raic.interfaces.IStorageProvider`.

        What cannot be an object of this layer is listed with the size that it has.
        """

        def plain(page: ObjectPage) -> ObjectPage:
            return ObjectPage(tuple(map(_listed, page.objects)), page.next_token)

        return self._inner.list_objects(prefix, token).addCallback(plain)

    def get_space(self) -> Deferred[Space]:
        """See :class:`raic.interfaces.IStorageProvider`."""

        def without_tags(space: Space) -> Space:
            tags = TAG_BYTES * -(-space.available // STORED_BLOCK_BYTES)
            return Space(space.used, max(0, space.available - tags))

        return self._inner.get_space().addCallback(without_tags)

    def read_now(self, key: str, offset: int, length: int) -> bytes | None:
        """See :class:`raic.interfaces.IImmediateReads`; provided if the inner one provides it."""
        begin, asked = _stored_range(offset, length)
        stored = IImmediateReads(self._inner).read_now(key, begin, asked)
        if stored is None:
            return None
        if not asked:
            return b""
        try:
            return self._plain(stored, key, offset, length)
        except TagMismatch:
            return None  # a read that waits says what is wrong

    def _plain(self, stored: bytes, key: str, offset: int, length: int) -> bytes | None:
        """The bytes asked for; None when these are beyond what is stored.

        :raises TagMismatch: they are not those that were written.
        """
        first, skip = divmod(offset, BLOCK_BYTES)
        if first and not stored:
            return None
        at_end = len(stored) < _stored_range(offset, length)[1]
        blocks = self._tags(key).checked(first, memoryview(stored), at_end)
        if len(stored) <= STORED_BLOCK_BYTES:
            return next(blocks)[skip : skip + length].tobytes()
        return b"".join(blocks)[skip : skip + length]

    def _checked(
        self, stored: bytes, key: str, offset: int, length: int
    ) -> bytes | Deferred[bytes]:
        try:
            plain = self._plain(stored, key, offset, length)
        except TagMismatch as mismatch:
            raise self._corrupt("get_object", key, str(mismatch)) from None
        if plain is not None:
            return plain
        return self._prove_end("get_object", key, offset // BLOCK_BYTES).addCallback(lambda _: b"")

    @async_to_deferred
    async def _prove_end(self, operation: str, key: str, block: int) -> None:
        """Make sure that an object ends before this block, of which nothing was returned.

        Otherwise an object that was cut short would pass for a short one.
        """
        page = await self._inner.list_objects(key, None)
        sizes = {found.key: found.size for found in page.objects}
        size = plain_size(sizes.get(key, 0))
        if size is None or block_count(size) > block:
            raise self._corrupt(operation, key, "it does not end where it was cut off")
        last = block_count(size) - 1
        stored = await self._inner.get_object(
            key, last * STORED_BLOCK_BYTES, STORED_BLOCK_BYTES + 1
        )
        try:
            self._tags(key).final_block(last, memoryview(stored), at_end=True)
        except TagMismatch as mismatch:
            raise self._corrupt(operation, key, str(mismatch)) from None

    def _corrupt(self, operation: str, key: str, detail: str) -> ObjectCorrupt:
        return ObjectCorrupt(self.name, operation, f"{key}: {detail}")


@implementer(IObjectUpload)
class TaggedUpload:
    """Adds the tags on the way; holds at most one partial block between two writes.

    Where bytes can be handed to a worker without joining them, it holds what one write brought
    too, and hands over that of two: what threads take to wake each other is halved.
    """

    def __init__(self, inner: IObjectUpload, tags: ObjectTags, size: int) -> None:
        self._inner = inner
        self._making: IMadeUpload | None = IMadeUpload(inner, None)
        self._tags = tags
        self._size = size
        self._last = block_count(size) - 1
        self._number = 0
        self._written = 0
        self._aborted = False
        self._partial = bytearray()
        self._held: list[bytes | bytearray | memoryview] = []

    def write(self, data: bytes) -> Deferred[None]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        self._written += len(data)
        if self._written > self._size:
            return succeed(None)  # finish will refuse
        blocks: list[bytearray | memoryview] = []
        view = memoryview(data)
        if self._partial:
            taken = min(len(view), BLOCK_BYTES - len(self._partial))
            self._partial += view[:taken]
            view = view[taken:]
            if not self._is_block(len(self._partial), len(view)):
                return self._inner.write(b"")
            blocks.append(self._partial)
            self._partial = bytearray()
        while self._is_block(len(view), 0) or len(view) > BLOCK_BYTES:
            blocks.append(view[:BLOCK_BYTES])
            view = view[BLOCK_BYTES:]
        self._partial += view
        return self._write_blocks(blocks)

    def _write_blocks(self, blocks: Sequence[bytearray | memoryview]) -> Deferred[None]:
        # Made here rather than in the worker, where each tag would be a fight for the
        # interpreter's lock.
        parts = self._tags.with_tags(self._number, blocks, self._last)
        self._number += len(blocks)
        if self._making is None or not parts:
            return self._inner.write(b"".join(parts))
        parts = self._held + parts
        size = sum(map(len, parts))
        if size <= MAX_WRITE_BYTES and self._number <= self._last and not self._aborted:
            self._held = parts
            return succeed(None)
        self._held = []
        return self._making.write_made(size, lambda: parts)

    def finish(self) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        if self._written != self._size and not self._aborted:
            wrong = ValueError(f"{self._written} bytes were written, not {self._size}")
            return self.abort().addCallback(lambda _: fail(wrong))
        if self._size:
            finishing = self._inner.finish()
        else:
            writing = self._inner.write(self._tags.tag(0, True, b""))
            finishing = writing.addCallback(lambda _: self._inner.finish())
        return finishing.addCallback(evolve, size=self._size)

    def abort(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        self._aborted = True
        self._partial = bytearray()
        self._held = []
        return self._inner.abort()

    def _is_block(self, size: int, following: int) -> bool:
        """Whether so many bytes, with so many after them, make a whole block."""
        if size == BLOCK_BYTES:
            return True
        return 0 < size < BLOCK_BYTES and not following and self._written == self._size


def _stored_range(offset: int, length: int) -> tuple[int, int]:
    """Where the blocks of a range are stored, and how long they are if none is short."""
    first = offset // BLOCK_BYTES
    end = -(-(offset + length) // BLOCK_BYTES) if length else first
    return first * STORED_BLOCK_BYTES, (end - first) * STORED_BLOCK_BYTES


def _listed(found: ListedObject) -> ListedObject:
    size = plain_size(found.size)
    return found if size is None else ListedObject(found.key, size)
