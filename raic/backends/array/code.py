"""From the bytes of an object to the blocks of its fragments, and back.

Specified in ``docs/specifications/fragments.rst``.  How many fragments there are is no part of a
code: the block of a number is the same whatever others are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import zfec
from attrs import field, frozen

from raic.backends.array import isal
from raic.fragmentkeys import (
    FRAGMENT_HEADER_BYTES,
    MAX_LOG2_BLOCK,
    MAX_NEEDED,
    MAX_NUMBER,
    MIN_LOG2_BLOCK,
    fragment_size,
)

Block: TypeAlias = "bytes | bytearray | memoryview"

BLOCK_BYTES = 65_536
HEADER_BYTES = FRAGMENT_HEADER_BYTES

_FIELD = MAX_NUMBER + 1


@frozen
class Code:
    """How objects are cut and coded.

    :ivar needed: how many blocks of a stripe suffice to make the others; 1 makes copies.
    :ivar block_size: of every block but those of an object's last stripe; a power of two.
    """

    needed: int
    block_size: int = BLOCK_BYTES
    stripe_size: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        log2 = self.block_size.bit_length() - 1
        if not MIN_LOG2_BLOCK <= log2 <= MAX_LOG2_BLOCK or self.block_size != 1 << log2:
            raise ValueError(f"{self.block_size} is not a block size")
        if not 1 <= self.needed <= MAX_NEEDED:
            raise ValueError(f"a code cannot need {self.needed} fragments")
        object.__setattr__(self, "stripe_size", self.needed * self.block_size)

    def stripe_count(self, length: int) -> int:
        """How many stripes an object has: one at least."""
        return max(1, -(-length // self.stripe_size))

    def stripe_length(self, stripe: int, length: int) -> int:
        """How many of an object's bytes are in a stripe, counted from 0."""
        return min(self.stripe_size, length - stripe * self.stripe_size)

    def block_length(self, stripe: int, length: int) -> int:
        """How long the blocks of a stripe are."""
        return -(-self.stripe_length(stripe, length) // self.needed)

    def fragment_size(self, length: int) -> int:
        """How many bytes are stored as one fragment of an object."""
        return fragment_size(self.needed, self.block_size, length)

    def encode(self, stripe: Block, numbers: Sequence[int]) -> list[Block]:
        """The blocks with these numbers; those below ``needed`` may be parts of ``stripe``."""
        data = self._data(stripe)
        if self.needed == 1:
            return data * len(numbers)
        coded = [number for number in numbers if number >= self.needed]
        if not coded:
            return [data[number] for number in numbers]
        made = dict(zip(coded, _encoder(self.needed).encode(data, coded), strict=True))
        return [data[number] if number < self.needed else made[number] for number in numbers]

    def column(self, stripes: Sequence[Block], number: int) -> list[Block]:
        """The blocks with this number of stripes that are equally long; the last may be shorter.

        Stripe by stripe the coder would let go of the interpreter's lock, and wait for it, as often
        as there are stripes.  It takes byte after byte, whatever they belong to; to put those
        together which it is to take as a row costs a tenth of what it does.
        """
        if number < self.needed or self.needed == 1 or not stripes:
            return [self._plain(stripe, number) for stripe in stripes]
        cuts = [self._data(stripe) for stripe in stripes]
        rows = [b"".join(row) for row in zip(*cuts, strict=True)]
        made = memoryview(_coder(self.needed, number)(rows))
        size = len(cuts[0][0]) or 1  # an empty object has one block without bytes
        return [made[begin : begin + size] for begin in range(0, len(made) or 1, size)]

    def decode(self, blocks: Mapping[int, Block], stripe_length: int) -> bytes:
        """The bytes of a stripe.

        :param blocks: ``needed`` of them, or more.
        """
        plain = range(self.needed)
        if self.needed == 1:
            found: Sequence[Block] = [next(iter(blocks.values()))]
        elif all(number in blocks for number in plain):
            found = [blocks[number] for number in plain]
        else:
            # The decoder rearranges the list of blocks that it is given, but not that of their
            # numbers: who used the lists again would get wrong bytes.  Both are made anew.
            numbers = sorted(blocks)[: self.needed]
            ordered = [blocks[number] for number in numbers]
            found = _decoder(self.needed).decode(ordered, numbers)
        return b"".join(found)[:stripe_length]

    def _plain(self, stripe: Block, number: int) -> Block:
        """A block of plain data."""
        if self.needed == 1:
            return stripe
        size, rest = divmod(len(stripe), self.needed)
        if rest:
            return self._data(stripe)[number]
        return memoryview(stripe)[number * size : (number + 1) * size]

    def _data(self, stripe: Block) -> list[Block]:
        """The blocks of plain data, the last ones padded with zeros."""
        size = -(-len(stripe) // self.needed)
        view = memoryview(stripe)
        blocks: list[Block] = [
            view[number * size : (number + 1) * size] for number in range(self.needed)
        ]
        if size * self.needed != len(stripe):
            blocks = [bytes(block).ljust(size, b"\0") for block in blocks]
        return blocks


@cache
def _encoder(needed: int) -> zfec.Encoder:
    return zfec.Encoder(needed, _FIELD)


@cache
def _coder(needed: int, number: int) -> isal.Coder:
    def code(rows: Sequence[bytes]) -> bytes:
        made: bytes = _encoder(needed).encode(rows, (number,))[0]
        return made

    return isal.coder(_isal(), code, needed)


@cache
def _isal() -> Any:
    return isal.library()


@cache
def _decoder(needed: int) -> zfec.Decoder:
    return zfec.Decoder(needed, _FIELD)
