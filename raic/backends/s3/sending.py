"""The body of a request on its way out."""

from __future__ import annotations

from os import SEEK_CUR, SEEK_END, SEEK_SET

BLOCK_BYTES = 64 * 1024


class Blocks:
    """Bytes as a file that is read in blocks of its own size, without copying them.

    The time-out of a socket holds for all that is handed to it at once: with larger blocks a slow
    link would be taken for a dead one.  Smaller ones, such as the SDK asks for, cost more.
    """

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = memoryview(data)
        self._at = 0

    def __len__(self) -> int:
        return len(self._data)

    def read(self, size: int | None = None) -> memoryview:
        """The next block, whatever ``size`` says; empty at the end."""
        block = self._data[self._at : self._at + BLOCK_BYTES]
        self._at += len(block)
        return block

    def tell(self) -> int:
        """The position."""
        return self._at

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Move, as in a file; returns the new position."""
        base = {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: len(self._data)}[whence]
        self._at = base + offset
        return self._at
