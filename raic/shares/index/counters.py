"""The counters of slot versions: given out from memory, reserved on disk in blocks."""

from __future__ import annotations

from twisted.python.failure import Failure

from raic.errors import IndexFull
from raic.shares.index.operations import extend_counters
from raic.shares.index.writer import Writer


class Counters:
    """Gives out rising numbers, each once, whatever becomes of the process.

    More are reserved when half of a block is left, so that nobody ever waits for them.

    :param last: the last number of the block that was reserved as the index was opened.
    :param block: how many numbers to reserve at a time.
    """

    def __init__(self, writer: Writer, last: int, block: int) -> None:
        self._writer = writer
        self._block = block
        self._given = last - block
        self._last = last
        self._extending = False

    def next(self) -> int:
        """The next number.

        :raises IndexFull: all are used up, and no more could be reserved.
        """
        if self._last - self._given <= self._block // 2 and not self._extending:
            self._extending = True
            self._writer.submit(extend_counters, self._block).addCallbacks(
                self._extended, self._refused
            )
        if self._given == self._last:
            raise IndexFull("no version counters are left, and no more could be reserved")
        self._given += 1
        return self._given

    def _extended(self, last: int) -> None:
        self._extending = False
        self._last = last

    def _refused(self, _: Failure) -> None:
        """The next call asks again, or what it writes meets the same failure."""
        self._extending = False
