"""Clients that were told that there is no room, and that have to learn when there is.

A Foolscap client asks for the version when it connects, and never again: one that came while the
node could take no shares would pass the node over until it connects anew.  So when there is room
again, the node hangs up on those clients, and on no others; they connect again by themselves.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from raic.server.foolscap.callers import Caller, Callers

LOOK_SECONDS = 1.0

QUIET_SECONDS = 3.0
"""How long a client must have wanted nothing before it is hung up on."""

PATIENCE_SECONDS = 600.0
"""Who was never quiet for so long is hung up on between two calls, unless it uploads."""

SETTLED_SECONDS = 5.0
LONGEST_SECONDS = 600.0
"""How long there must have been room; doubled each time that it did not last."""

LASTING_SECONDS = 3600.0
"""Room that was there for so long has lasted."""

AT_ONCE = 10
"""How many are hung up on at a time, so that not all connect again in one moment."""


class FullClients:
    """Remembers who was told that there is no room, and hangs up on them when there is.

    :param callers: knows who asks.
    :param has_room: whether there is room now; asked every second while somebody was told that
        there is none.
    """

    _log = Logger()

    def __init__(self, callers: Callers, has_room: Callable[[], bool], clock: IReactorTime) -> None:
        self.callers = callers
        self._has_room = has_room
        self._clock = clock
        self._told: dict[Caller, None] = {}  # in the order in which they were told
        self._next: IDelayedCall | None = None
        self._room_since: float | None = None
        self._settled = SETTLED_SECONDS
        self._used = False  # whether somebody was hung up on since there is room

    def note(self, is_full: bool) -> None:
        """Note what the present caller is told."""
        caller = self.callers.present
        if caller is None:
            return
        if not is_full:
            self._told.pop(caller, None)
            return
        self._lose_room()
        self._told[caller] = None
        if self._next is None:
            self._schedule()

    def stop(self) -> None:
        """Hang up on nobody any more."""
        self._told.clear()
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _schedule(self) -> None:
        self._next = self._clock.callLater(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._next = None
        for caller in [each for each in self._told if not each.is_connected()]:
            del self._told[caller]
        if self._has_room():
            self._hang_up(self._clock.seconds())
        else:
            self._lose_room()
        if self._told:
            self._schedule()

    def _hang_up(self, now: float) -> None:
        if self._room_since is None:
            self._room_since = now
        lasted = now - self._room_since
        if lasted < self._settled:
            return
        enough = LOOK_SECONDS if lasted > PATIENCE_SECONDS else QUIET_SECONDS
        quiet = [caller for caller in self._told if caller.quiet_seconds() >= enough]
        for caller in quiet[:AT_ONCE]:
            self._used = True
            del self._told[caller]
            self._log.debug("a Foolscap client was told of no room; it is to ask again")
            caller.hang_up()

    def _lose_room(self) -> None:
        """There is no room: if there was some, it did not last, or it did."""
        if self._room_since is not None and self._used:
            lasted = self._clock.seconds() - self._room_since >= LASTING_SECONDS
            longer = min(2 * self._settled, LONGEST_SECONDS)
            self._settled = SETTLED_SECONDS if lasted else longer
        self._room_since = None
        self._used = False
