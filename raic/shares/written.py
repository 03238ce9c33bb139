"""Which bytes of a share have been written, and those that have not left yet."""

from __future__ import annotations

from collections import deque

from raic.errors import ConflictingWrite, WriteOutOfBounds, WriteOutOfWindow
from raic.shares.streamed import Streamed
from raic.shares.window import MERGED_BYTES, PIECE_COST, Window

WINDOW_BYTES = 4 * 1024 * 1024
BATCH_BYTES = 256 * 1024
"""Pieces from this size on are passed on as they are, smaller ones are joined."""

PIECE_BYTES = 1024 * 1024
"""The longest piece, and the longest batch."""

_ZEROS = bytes(PIECE_BYTES)


def _zeros(length: int) -> bytes:
    return _ZEROS if length == PIECE_BYTES else bytes(length)


class Written:
    """The bytes of one share: a prefix without gaps, then pieces that came before their turn.

    Bytes of the prefix wait here until :meth:`take`; what was taken can still be compared with a
    retry, as far as :class:`raic.shares.streamed.Streamed` can.

    :param size: the share's length.
    :param fills_gaps: when the window is full, make its first gap zeros instead of refusing.
    :ivar end: where the prefix ends.
    """

    def __init__(self, size: int, *, fills_gaps: bool) -> None:
        self._size = size
        self._fills_gaps = fills_gaps
        # A number stands for so many zeros: a gap may be far larger than memory.
        self._waiting: deque[bytes | int] = deque()
        self._streamed = Streamed()
        self._window = Window()
        self.end = 0

    @property
    def waiting(self) -> int:
        """How many bytes of the prefix have not been taken."""
        return self.end - self._streamed.end

    def missing(self) -> list[tuple[int, int]]:
        """The ranges (begin, end) that were not written, in ascending order."""
        return self._window.gaps(self.end, self._size)

    def add(self, offset: int, data: bytes) -> None:
        """Take note of a write, wholly or not at all.

        :raises WriteOutOfBounds: it reaches beyond the share.
        :raises ConflictingWrite: other bytes are there, or it cannot be shown that they are equal.
        :raises WriteOutOfWindow: the window has no room for it.
        """
        stop = offset + len(data)
        if offset == self.end and data and stop <= self._size and not self._window:
            self._append(data)
        else:
            self._add_out_of_order(offset, data, stop)

    def fill(self) -> None:
        """Make everything that was not written zeros."""
        while self._window:
            self._fill_first_gap()
        self._append_zeros(self._size - self.end)

    def take(self, header: bytes = b"") -> bytes:
        """The next batch for the provider, some 256 KiB to 1 MiB; empty when nothing waits.

        :param header: bytes to go before it.
        """
        parts: list[bytes] = []
        total = 0
        while self._waiting and total < BATCH_BYTES:
            part = self._next_part(PIECE_BYTES - total)
            if part is None:
                break
            parts.append(part)
            total += len(part)
        return self._took(header, parts)

    def take_all(self, header: bytes) -> bytes:
        """All that waits, with ``header`` before it."""
        parts: list[bytes] = []
        while self._waiting:
            part = self._next_part(PIECE_BYTES)
            assert part is not None
            parts.append(part)
        return self._took(header, parts)

    def clear(self) -> None:
        """Drop the bytes; nothing but :attr:`end` is of use afterwards."""
        self._waiting.clear()
        self._streamed.clear()
        self._window.clear()

    # Adding

    def _add_out_of_order(self, offset: int, data: bytes, stop: int) -> None:
        if offset < 0 or stop > self._size:
            raise WriteOutOfBounds(f"the share has {self._size} bytes")
        if not self._agrees(offset, data):
            raise ConflictingWrite("other bytes were written there")
        gaps = self._window.gaps(max(offset, self.end), stop)
        if offset > self.end and not self._fills_gaps:
            self._check_room(gaps)
        for begin, end in gaps:
            self._window.add(begin, data[begin - offset : end - offset])
        self._absorb()
        while self._window.held > WINDOW_BYTES:
            self._fill_first_gap()

    def _check_room(self, gaps: list[tuple[int, int]]) -> None:
        needed = sum(end - begin + PIECE_COST for begin, end in gaps)
        if needed and self._window.held + needed > WINDOW_BYTES:
            raise WriteOutOfWindow(self.end)

    def _absorb(self) -> None:
        """Move the pieces whose turn has come from the window to the prefix."""
        while self._window and self._window.first == self.end:
            self._append(self._window.pop())

    def _fill_first_gap(self) -> None:
        self._append_zeros(self._window.first - self.end)
        self._absorb()

    def _append(self, data: bytes) -> None:
        self.end += len(data)
        last = self._waiting[-1] if self._waiting else 0
        if isinstance(last, bytes) and len(last) + len(data) < MERGED_BYTES:
            self._waiting[-1] = last + data
        elif len(data) <= PIECE_BYTES:
            self._waiting.append(data)
        else:
            for begin in range(0, len(data), PIECE_BYTES):
                self._waiting.append(data[begin : begin + PIECE_BYTES])

    def _append_zeros(self, length: int) -> None:
        if length:
            self._waiting.append(length)
            self.end += length

    # Comparing

    def _agrees(self, offset: int, data: bytes) -> bool:
        return (
            self._streamed.agrees(offset, data)
            and self._agrees_with_waiting(offset, data)
            and self._window.agrees(offset, data)
        )

    def _agrees_with_waiting(self, offset: int, data: bytes) -> bool:
        start = self._streamed.end
        for piece in self._waiting if offset < self.end else ():
            length = piece if isinstance(piece, int) else len(piece)
            low, high = max(start, offset), min(start + length, offset + len(data))
            if low < high:
                if isinstance(piece, int):
                    same = data.count(0, low - offset, high - offset) == high - low
                else:
                    same = piece[low - start : high - start] == data[low - offset : high - offset]
                if not same:
                    return False
            start += length
        return True

    # Taking

    def _next_part(self, room: int) -> bytes | None:
        """The first piece that waits; None when it is longer than ``room``."""
        piece = self._waiting[0]
        if isinstance(piece, int):
            part = _zeros(min(piece, room))
            if len(part) < piece:
                self._waiting[0] = piece - len(part)
                return part
        elif len(piece) > room:
            return None
        else:
            part = piece
        self._waiting.popleft()
        return part

    def _took(self, header: bytes, parts: list[bytes]) -> bytes:
        if not header and len(parts) == 1:
            batch = parts[0]
            self._streamed.append(batch)
        else:
            batch = b"".join((header, *parts))
            if parts:
                # The batch, not its parts, so that the bytes are in memory once.
                self._streamed.append(memoryview(batch)[len(header) :])
        return batch
