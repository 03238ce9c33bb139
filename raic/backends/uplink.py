"""How fast parts of uploads go out, and hence how many may be on their way."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

BACKLOG_SECONDS = 25.0
"""What is still on its way at the end of an upload must be through in so much time."""

_MEMORY_SECONDS = 60.0
"""After so much time of sending, what was measured before counts half."""


class Uplink:
    """What a provider's uploads have in common: the line.

    The end of an upload waits for all its parts, and no client waits for longer than a minute.
    So a part is taken from the client only when those before it have gone out but for as many as
    the line carries soon; the client then waits a little at many of its writes instead of too
    long at the last.

    :param seconds: what "soon" is.
    """

    def __init__(self, clock: IReactorTime, seconds: float = BACKLOG_SECONDS) -> None:
        self._clock = clock
        self._seconds = seconds
        self._under_way = 0
        self._since = 0.0
        self._sent = 0.0  # bytes
        self._busy = 0.0  # seconds in which something was under way

    def began(self) -> None:
        """Note that a part is being sent."""
        if not self._under_way:
            self._since = self._clock.seconds()
        self._under_way += 1

    def ended(self, size: int) -> None:
        """Note that one no longer is.

        :param size: how many bytes have arrived; 0 when it failed.
        """
        now = self._clock.seconds()
        self._busy += now - self._since
        self._since = now
        self._sent += size
        self._under_way -= 1
        if self._busy > _MEMORY_SECONDS:
            self._busy /= 2
            self._sent /= 2

    def may_wait(self, part_size: int, uploads: int) -> float:
        """How many parts of an upload may be on their way while its next one is being filled.

        None of them while nothing is known of the line.

        :param uploads: how many there are, with which the line is shared.
        """
        if not self._sent:
            return 0.0
        if not self._busy:
            return float("inf")
        parts = self._sent / self._busy * self._seconds / uploads / part_size
        return max(0.0, parts - 1)
