"""How many fragments of an upload are worked at, at once."""

from __future__ import annotations

import os
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime

TURNS = max(3, os.cpu_count() or 1)
LONGEST_SECONDS = 0.1


class Taker(Protocol):
    """Who works in turns.

    :ivar waiting_bytes: how much there is to do.
    """

    waiting_bytes: int

    def go_on(self) -> None:
        """There may be a turn."""


class Turns:
    """Gives a few turns to those who have most to do.

    Threads that make bytes need the interpreter's lock again and again.  When more of them
    work than there are processors, they spend much of the time on waking each other.

    A turn that lasts is not counted any more: whoever has it waits for a disk, and nobody else is
    to wait for that one.
    """

    def __init__(self, clock: IReactorTime, count: int = TURNS) -> None:
        self._clock = clock
        self._count = count
        self._taken: dict[object, float] = {}  # since when
        self._waiting: dict[Taker, None] = {}
        self._timer: Any = None

    def take(self, taker: Taker) -> object | None:
        """Have a turn, to be given back.

        :return: None when there is none; the taker is told when there may be one.
        """
        if len(self._taken) >= self._count:
            self._waiting[taker] = None
            self._watch()
            return None
        turn = object()
        self._taken[turn] = self._clock.seconds()
        return turn

    def give_back(self, turn: object, taker: Taker) -> None:
        """End a turn; the taker is told with the others when there may be another one."""
        self._taken.pop(turn, None)
        self._waiting[taker] = None
        self._tell()

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for taker in sorted(waiting, key=_most_first):
            taker.go_on()
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = self._clock.callLater(LONGEST_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        self._taken = {
            turn: since for turn, since in self._taken.items() if now - since < LONGEST_SECONDS
        }
        self._tell()


def _most_first(taker: Taker) -> int:
    return -taker.waiting_bytes
