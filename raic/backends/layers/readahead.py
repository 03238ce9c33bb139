"""Noticing that an object is being read from one end to the other."""

from __future__ import annotations

from attrs import define, field

_CURSORS = 8
"""How many readers of one object are followed."""


@define
class _Cursor:
    """A reader that may go on where it stopped.

    :ivar start: where its last read began.
    :ivar window: how far ahead of it the object is fetched.
    :ivar fetched: up to where that was asked for.
    """

    start: int
    window: int
    fetched: int


@define
class Reads:
    """The reads of one object.

    :ivar most: how far ahead of a reader the object is fetched at most, in bytes.
    :ivar overlap: a read that begins at most so far before the end of the one before it goes on
        with it all the same.
    :ivar end: where the object ends, or a place beyond; None where nothing is known.
    """

    most: int
    overlap: int
    end: int | None = None
    _cursors: dict[int, _Cursor] = field(factory=dict)

    def note(self, offset: int, length: int) -> tuple[bool, int, int]:
        """Note a read.

        :return: whether it goes on with an earlier one, and the range, perhaps empty, that should
            be fetched because of it: begin and end.
        """
        stop = offset + length
        for at, cursor in self._cursors.items():
            if at - self.overlap <= offset <= at < stop and offset > cursor.start:
                del self._cursors[at]
                cursor.start = offset
                return True, *self._advance(cursor, stop, length)
        self._cursors.pop(stop, None)
        self._follow(stop, _Cursor(offset, 0, stop))
        return False, 0, 0

    def ends_by(self, end: int) -> None:
        """Note that the object has nothing beyond ``end``."""
        self.end = end if self.end is None else min(self.end, end)

    def _advance(self, cursor: _Cursor, stop: int, length: int) -> tuple[int, int]:
        cursor.window = min(self.most, 2 * max(cursor.window, length))
        cursor.fetched = max(cursor.fetched, stop)
        self._follow(stop, cursor)
        if cursor.fetched - stop > cursor.window // 2:
            return 0, 0  # a larger request is due a little later
        begin = cursor.fetched
        end = stop + cursor.window
        if self.end is not None:
            end = min(end, self.end)
        if begin >= end:
            return 0, 0
        cursor.fetched = end
        return begin, end

    def _follow(self, stop: int, cursor: _Cursor) -> None:
        self._cursors[stop] = cursor
        if len(self._cursors) > _CURSORS:
            del self._cursors[next(iter(self._cursors))]
