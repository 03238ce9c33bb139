"""Pieces of a share that came before their turn."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

PIECE_COST = 256
"""What keeping a piece costs beyond its bytes; counted, so that tiny pieces are bounded too."""

MERGED_BYTES = 4 * 1024
"""Neighbours that together are shorter than this are kept as one piece."""


class Window:
    """Pieces at their offsets, which never overlap.

    :ivar held: the memory they take, in bytes.
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._pieces: list[bytes] = []
        self.held = 0

    def __bool__(self) -> bool:
        return bool(self._starts)

    @property
    def first(self) -> int:
        """The offset of the first piece; only where there is one."""
        return self._starts[0]

    def gaps(self, begin: int, end: int) -> list[tuple[int, int]]:
        """The ranges between ``begin`` and ``end`` that no piece covers, in ascending order."""
        found = []
        for place in range(self._place(begin), len(self._starts)):
            start = self._starts[place]
            if start >= end:
                break
            if start > begin:
                found.append((begin, start))
            begin = max(begin, start + len(self._pieces[place]))
        if begin < end:
            found.append((begin, end))
        return found

    def agrees(self, offset: int, data: bytes) -> bool:
        """Whether ``data`` equals what is held, wherever they overlap."""
        end = offset + len(data)
        for place in range(self._place(offset), len(self._starts)):
            start = self._starts[place]
            if start >= end:
                break
            piece = self._pieces[place]
            low, high = max(start, offset), min(start + len(piece), end)
            if low < high and (
                piece[low - start : high - start] != data[low - offset : high - offset]
            ):
                return False
        return True

    def add(self, offset: int, piece: bytes) -> None:
        """Keep a piece that overlaps no other."""
        place = bisect_left(self._starts, offset)
        self.held += len(piece) + PIECE_COST
        if place and self._may_join(place - 1, offset, len(piece)):
            place -= 1
            offset, piece = self._starts[place], self._remove(place) + piece
        if place < len(self._starts) and self._follows(place, offset, len(piece)):
            piece += self._remove(place)
        self._starts.insert(place, offset)
        self._pieces.insert(place, piece)

    def pop(self) -> bytes:
        """Take the first piece out."""
        piece = self._pieces.pop(0)
        del self._starts[0]
        self.held -= len(piece) + PIECE_COST
        return piece

    def clear(self) -> None:
        """Drop everything."""
        self._starts.clear()
        self._pieces.clear()
        self.held = 0

    def _place(self, offset: int) -> int:
        """The first piece that may reach beyond ``offset``."""
        return max(0, bisect_right(self._starts, offset) - 1)

    def _may_join(self, place: int, offset: int, length: int) -> bool:
        before = len(self._pieces[place])
        return self._starts[place] + before == offset and before + length < MERGED_BYTES

    def _follows(self, place: int, offset: int, length: int) -> bool:
        after = len(self._pieces[place])
        return offset + length == self._starts[place] and length + after < MERGED_BYTES

    def _remove(self, place: int) -> bytes:
        """Take a piece out that is about to become part of another."""
        del self._starts[place]
        self.held -= PIECE_COST
        return self._pieces.pop(place)
