"""Cutting what comes of a fragment into blocks, and checking them."""

from __future__ import annotations

from attrs import frozen

from raic.backends.array.fetching import Blocks
from raic.backends.array.fragment import FragmentTags
from raic.backends.tags import TAG_BYTES, TagMismatch


@frozen
class Checked:
    """What a piece brought.

    :ivar blocks: those that are whole now and right, one for each stripe in a row.
    :ivar carried: how many bytes of the next block, or its tag, were kept.
    :ivar wrong: what is wrong with the block after these; None when nothing is.
    """

    blocks: list[memoryview]
    carried: int
    wrong: TagMismatch | None


class BlockChecker:
    """Takes a fragment's bytes piece by piece; to be used in one thread at a time.

    :param first: the stripe whose block comes first.
    :param last: the last one; what comes after its block is dropped.
    """

    def __init__(self, tags: FragmentTags, where: Blocks, first: int, last: int) -> None:
        self._tags = tags
        self._where = where
        self._last = last
        self._final = where.code.stripe_count(where.length) - 1
        self._next = first
        self._carry: list[bytes] = []
        self._carried = 0

    def add(self, piece: bytes) -> Checked:
        """Check the blocks that are whole now, keep the rest; nothing is to follow a wrong one."""
        blocks: list[memoryview] = []
        wrong = None
        try:
            self._cut(memoryview(piece), blocks)
        except TagMismatch as mismatch:
            wrong = mismatch
        return Checked(blocks, self._carried, wrong)

    def _cut(self, data: memoryview, blocks: list[memoryview]) -> None:
        while self._next <= self._last:
            step = self._where.code.block_length(self._next, self._where.length) + TAG_BYTES
            missing = step - self._carried
            if len(data) < missing:
                break
            # Those before the object's last stripe are all as long as this one.
            alike = min(self._last + 1, self._final) - self._next
            count = max(1, min(alike, len(data) // step))
            if self._carry:
                stored, count = memoryview(b"".join((*self._carry, data[:missing]))), 1
                self._carry.clear()
                self._carried = 0
            else:
                stored, missing = data, count * step
            for block in self._tags.whole_blocks(self._next, stored, step - TAG_BYTES, count):
                blocks.append(block)  # one by one: those before a wrong one count
            self._next += count
            data = data[missing:]
        if self._next <= self._last and len(data):
            self._carry.append(bytes(data))  # a view would keep all of it alive
            self._carried += len(data)
