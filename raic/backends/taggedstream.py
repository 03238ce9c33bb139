"""Checking the tags of a range while it passes by."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IProducer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.backends.tags import BLOCK_BYTES, STORED_BLOCK_BYTES, ObjectTags, TagMismatch
from raic.errors import ObjectCorrupt

MIN_PIECE_BYTES = 256 * 1024
MAX_PIECE_BLOCKS = 16


@implementer(IConsumer, IPushProducer)
class TaggedStream:
    """Consumes stored bytes and produces those of the object, after checking them.

    It writes pieces of 256 KiB or more wherever there is that much; what one write of the inner
    producer brings is all that it ever holds.

    :param first_block: the number of the block that comes first.
    :param skip: how many of its bytes are not wanted.
    :param length: how many bytes are wanted.
    :param asked: how many stored bytes come, unless the object ends before.
    :param prove_end: makes sure that the object ends before ``first_block``.
    :param corrupt: the error for what a tag mismatch says.
    """

    def __init__(
        self,
        consumer: IConsumer,
        tags: ObjectTags,
        *,
        first_block: int,
        skip: int,
        length: int,
        asked: int,
        prove_end: Callable[[], Deferred[None]],
        corrupt: Callable[[str], ObjectCorrupt],
    ) -> None:
        self._consumer = consumer
        self._tags = tags
        self._number = first_block
        self._skip = skip
        self._wanted = length
        self._asked = asked
        self._prove_end = prove_end
        self._corrupt = corrupt
        self._received = 0
        self._carry = b""  # stored bytes not checked yet: at most a block
        self._checked: deque[memoryview] = deque()
        self._checked_bytes = 0
        self._delivered = 0
        self._producer: IPushProducer | None = None
        self._paused = False
        self._pumping = False
        self._complete = False  # all is checked that will ever come
        self._finished = False
        self._inner: Deferred[Any] | None = None
        self._done: Deferred[int] = Deferred(lambda _: self._cancelled())

    def start(self, open_inner: Callable[[IConsumer], Deferred[int]]) -> Deferred[int]:
        """See :meth:`raic.interfaces.IStorageProvider.stream_object`.

        :param open_inner: streams the stored bytes.
        """
        self._consumer.registerProducer(self, True)
        if not self._finished:
            self._inner = open_inner(self).addCallback(self._ended).addErrback(self._finish)
        return self._done

    # As the inner provider's consumer

    def registerProducer(self, given: IProducer, streaming: bool) -> None:
        """See ``IConsumer``."""
        producer = self._producer = cast(IPushProducer, given)
        if self._finished:
            producer.stopProducing()
        elif self._paused:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """See ``IConsumer``: the outer one goes when the rest is delivered."""
        self._producer = None

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""
        if self._finished:
            return
        self._received += len(data)
        try:
            self._check(memoryview(data))
        except TagMismatch as mismatch:
            self._finish(self._corrupt(str(mismatch)))
        else:
            self._pump()

    # As the outer consumer's producer

    def pauseProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = True
        if self._producer is not None:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = False
        self._pump()
        if self._producer is not None and not self._paused:
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """See ``IPushProducer``."""
        self._finish(self._delivered)

    def _check(self, stored: memoryview) -> None:
        """Check the blocks that are followed by others, and keep the rest."""
        if self._carry:
            missing = STORED_BLOCK_BYTES - len(self._carry)
            if len(stored) <= missing:
                self._carry += stored
                return
            self._add_inner(memoryview(self._carry + stored[:missing]), 1)
            stored = stored[missing:]
        count = max(0, (len(stored) - 1) // STORED_BLOCK_BYTES)
        self._add_inner(stored, count)
        self._carry = bytes(stored[count * STORED_BLOCK_BYTES :])

    def _add_inner(self, stored: memoryview, count: int) -> None:
        blocks = self._tags.inner_blocks(self._number, stored, count)
        self._number += count
        size = count * BLOCK_BYTES
        if self._skip or self._wanted < size:
            for block in blocks:
                self._add(block)
        else:
            self._wanted -= size
            self._checked.extend(blocks)
            self._checked_bytes += size

    def _add(self, block: memoryview) -> None:
        wanted = block[self._skip : self._skip + self._wanted]
        self._skip = 0
        self._wanted -= len(wanted)
        self._checked.append(wanted)
        self._checked_bytes += len(wanted)

    def _ended(self, _: int) -> Deferred[None] | None:
        """Check the last block: the inner provider has delivered all that there is."""
        if self._finished:
            return None
        if not self._asked:
            self._completed(None)
            return None
        if not self._received and self._number:
            return self._prove_end().addCallback(self._completed)
        at_end = self._received < self._asked
        try:
            self._add(self._tags.final_block(self._number, memoryview(self._carry), at_end))
        except TagMismatch as mismatch:
            raise self._corrupt(str(mismatch)) from None
        self._completed(None)
        return None

    def _completed(self, _: None) -> None:
        self._complete = True
        self._pump()

    def _pump(self) -> None:
        if self._pumping:
            return  # the consumer resumed from within write
        self._pumping = True
        least = 1 if self._complete else MIN_PIECE_BYTES
        try:
            while self._checked_bytes >= least and not self._paused and not self._finished:
                self._deliver()
        finally:
            self._pumping = False
        if self._complete and not self._checked_bytes:
            self._finish(self._delivered)

    def _deliver(self) -> None:
        count = min(len(self._checked), MAX_PIECE_BLOCKS)
        piece = b"".join([self._checked.popleft() for _ in range(count)])
        self._checked_bytes -= len(piece)
        self._delivered += len(piece)
        self._consumer.write(piece)

    def _cancelled(self) -> None:
        """Who waited for the end does not want it any more."""
        self._finish(CancelledError())
        if self._inner is not None:
            self._inner.cancel()

    def _finish(self, outcome: int | Failure | Exception) -> None:
        if self._finished:
            return
        self._finished = True
        self._checked.clear()
        if self._producer is not None:
            self._producer.stopProducing()
        self._consumer.unregisterProducer()
        if isinstance(outcome, int):
            self._done.callback(outcome)
        else:
            self._done.errback(outcome)
