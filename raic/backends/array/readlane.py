"""One fragment's part of a stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IProducer, IPushProducer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.backends.array.blockcheck import BlockChecker, Checked
from raic.backends.array.fetching import Blocks, Source, as_provider_error
from raic.backends.tags import TAG_BYTES
from raic.errors import ObjectCorrupt, ProviderError
from raic.interfaces import IInspectingConsumer

MOST_BYTES = 1024 * 1024
"""The most that a consumer is given at once."""

_READ_BYTES = 3 * MOST_BYTES
"""How much a member is to read and have checked at once: each time costs threads as much as half a
MiB does."""


@implementer(IInspectingConsumer)
class ReadLane:
    """Takes the blocks of some stripes from one member, and checks them.

    It holds at most ``limit`` bytes, or a block, and 1 MiB; or half of ``limit`` and what one write
    of the member's brings.

    :param first: the first stripe.
    :param last: the last one.
    :param limit: from how many bytes on the member is to pause.
    :param moved: called with this when there are more blocks.
    :param failed: called once with this and an error; no more blocks come then.
    :ivar head: the stripe of the first block that can be taken, or that comes next.
    :ivar held: how many bytes there are.
    :ivar late: whether another one was asked because this one held up the others.
    :ivar failed: whether no more blocks come than there are.
    :ivar is_known: whether it was noted how long the first block took.
    :ivar since: when the last block came, or the first was asked for.
    """

    def __init__(
        self,
        source: Source,
        where: Blocks,
        first: int,
        last: int,
        limit: int,
        clock: IReactorTime,
        moved: Callable[[ReadLane], None],
        failed: Callable[[ReadLane, ProviderError], None],
    ) -> None:
        self.source = source
        self.number = source.number
        self.member = source.members[0]
        self.first = self.head = first
        self.last = last
        self.held = 0
        self.late = False
        self.is_known = False
        self.failed = False
        self.began = self.since = clock.seconds()
        self.patience = 0.0
        self._blocks: deque[memoryview] = deque()
        self._where = where
        self._limit = limit
        self._clock = clock
        self._moved = moved
        self._on_failure = failed
        self._next = first  # the stripe whose block comes next
        self._carried = 0
        self._checker = BlockChecker(source.tags, where, first, last)
        self._inspected: deque[Checked] = deque()  # of pieces that are still to be written
        self._producer: IPushProducer | None = None
        self._paused = False
        self._closed = False
        self._streaming: Deferred[int] | None = None

    def start(self) -> None:
        """Ask the member."""
        offset, length = self._where.stored(self.first, self.last)
        stream = self.member.provider.stream_object
        streaming = maybeDeferred(stream, self.source.key, offset, length, self)
        self._streaming = streaming
        streaming.addCallbacks(self._ended, self._broke)

    def close(self) -> None:
        """Want no more."""
        self._closed = True
        self._blocks.clear()
        self._inspected.clear()
        self.held = 0
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        elif self._streaming is not None:
            self._streaming.cancel()

    def covers(self, stripe: int) -> bool:
        """Whether this has a block of a stripe, or expects one."""
        return self.head <= stripe <= self.last

    def has(self, stripe: int) -> bool:
        """Whether the block of a stripe can be taken."""
        return self.head == stripe and bool(self._blocks)

    def ready(self, stripe: int) -> int:
        """How many blocks can be taken from that of a stripe on."""
        return len(self._blocks) if self.head == stripe else 0

    def take(self) -> memoryview:
        """The next block; :meth:`go_on` is to be called then."""
        block = self._blocks.popleft()
        self.head += 1
        self.held -= len(block) + TAG_BYTES
        return block

    def go_on(self) -> None:
        """Let the member go on if half of the room is free: more may come before this returns."""
        if self._paused and 2 * self.held <= self._limit:
            self._paused = False
            if self._producer is not None:
                self._producer.resumeProducing()

    def skip_to(self, stripe: int) -> None:
        """Drop blocks of stripes that are over."""
        while self._blocks and self.head < stripe:
            self.take()
            self.go_on()

    # As the member's consumer

    def registerProducer(self, given: IProducer, streaming: bool) -> None:
        """See ``IConsumer``."""
        producer = cast(IPushProducer, given)
        if self._closed:
            producer.stopProducing()
        else:
            self._producer = producer

    def unregisterProducer(self) -> None:
        """See ``IConsumer``."""
        self._producer = None

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""
        if self._closed or self.failed:
            return
        found = self._inspected.popleft() if self._inspected else self._checker.add(data)
        self._add(found)
        if found.wrong is not None:
            self._is_wrong(str(found.wrong))
            return
        # The next piece will be as large as this one: it is to be no more above the limit.
        if self.held + max(0, len(data) - MOST_BYTES) >= self._limit:
            self._pause()
        if found.blocks:
            self._moved(self)

    # As one that inspects

    @property
    def piece_bytes(self) -> int:
        """See :class:`raic.interfaces.IInspectingConsumer`: whole blocks, which need no copy."""
        step = self._where.code.block_size + TAG_BYTES
        return _READ_BYTES // step * step or MOST_BYTES

    @property
    def at_once(self) -> int:
        """See :class:`raic.interfaces.IInspectingConsumer`."""
        return 1

    def inspect(self, piece: bytes) -> None:
        """See :class:`raic.interfaces.IInspectingConsumer`."""
        self._inspected.append(self._checker.add(piece))

    def _add(self, found: Checked) -> None:
        self._blocks += found.blocks
        self._next += len(found.blocks)
        self.held += sum(map(len, found.blocks)) + len(found.blocks) * TAG_BYTES
        self.held += found.carried - self._carried
        self._carried = found.carried
        if found.blocks:
            self.since = self._clock.seconds()

    def _pause(self) -> None:
        if self._blocks and not self._paused and self._producer is not None:
            self._paused = True
            self._producer.pauseProducing()

    def _ended(self, _: int) -> None:
        if not self._closed and self._next <= self.last:
            self._is_wrong(f"stripe {self._next} is cut short")

    def _broke(self, failure: Failure) -> None:
        if not self._closed and self._next <= self.last:
            self._fail(as_provider_error(self.member.name, failure))

    def _is_wrong(self, what: str) -> None:
        detail = f"{self.source.key}: {what}"
        self._fail(ObjectCorrupt(self.member.name, "stream_object", detail))

    def _fail(self, error: ProviderError) -> None:
        """Let go of the member; what was checked before can still be taken."""
        self.failed = True
        self.last = self._next - 1
        self._inspected.clear()
        self.held -= self._carried
        self._carried = 0
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        self._on_failure(self, error)
