"""Which blocks a range of an object needs."""

from __future__ import annotations

from raic.backends.array.code import Code


class Extent:
    """A range of an object, in stripes and blocks.

    A set of fragment numbers is an integer here, with bit ``number`` set for each.

    :param length: the object's.
    :param begin: of the range.
    :param end: of the range; beyond ``begin`` and not beyond the object's end.
    :ivar first: the range's first stripe.
    :ivar last: its last one.
    """

    def __init__(self, code: Code, length: int, begin: int, end: int) -> None:
        self._stripe_bytes = code.stripe_size
        self._code = code
        self._final = code.stripe_count(length) - 1
        self._final_block = code.block_length(self._final, length)
        self._length = length
        self._begin = begin
        self._end = end
        self.first = begin // self._stripe_bytes
        self.last = (end - 1) // self._stripe_bytes

    def wanted(self, stripe: int) -> tuple[int, int]:
        """From where to where in a stripe the range reaches."""
        start = stripe * self._stripe_bytes
        return max(0, self._begin - start), min(self._stripe_bytes, self._end - start)

    def _block(self, stripe: int) -> int:
        return self._code.block_size if stripe < self._final else self._final_block

    def data(self, stripe: int) -> int:
        """The data blocks of a stripe that the range touches, as a set."""
        begin, end = self.wanted(stripe)
        block = self._block(stripe)
        low, high = begin // block, (end - 1) // block
        return (1 << (high + 1)) - (1 << low)

    def whole_stripes(self, stripe: int) -> int:
        """How many stripes in a row, from this one on, the range has all of, in full blocks."""
        if stripe * self._stripe_bytes < self._begin:
            return 0
        return self._end // self._stripe_bytes - stripe

    def pieces(self, stripe: int, blocks: dict[int, memoryview]) -> list[memoryview]:
        """What the range has of a stripe.

        :param blocks: the data blocks that it touches, or any ``needed`` blocks, by number.
        """
        begin, end = self.wanted(stripe)
        size = self._block(stripe)
        low, high = begin // size, (end - 1) // size
        if not all(number in blocks for number in range(low, high + 1)):
            chosen = {number: blocks[number] for number in sorted(blocks)[: self._code.needed]}
            decoded = self._code.decode(chosen, self._code.stripe_length(stripe, self._length))
            return [memoryview(decoded)[begin:end]]
        pieces = [blocks[number] for number in range(low, high + 1)]
        pieces[-1] = pieces[-1][: end - high * size]
        pieces[0] = pieces[0][begin - low * size :]
        return pieces
