"""How many connections there are, and when one has taken too long.

One timer looks at all of them every few seconds: cheaper than a timer for each request, and the
limits need no better precision.
"""

from __future__ import annotations

from typing import Protocol

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

SWEEP_SECONDS = 5.0

FAREWELL_SECONDS = 2.0
"""How long, when the site stops, an idle client has to agree that its connection ends."""


@frozen
class Limits:
    """What connections may take; times in seconds.

    :ivar connections: how many may be open; one more closes the one that has waited longest.
    :ivar header_seconds: for a request's header, from its first byte, or from the connection's
        beginning, to its last.
    :ivar idle_seconds: between requests.  Longer than the 240 s for which Twisted's client keeps
        a connection, so that it is never the server who closes one just as a request is sent.
    :ivar body_seconds: how long the next 64 KiB of a body, or its end, may take.
    :ivar stall_seconds: how long a client may take to read what fills the transport's buffer.
    :ivar linger_seconds: how long, after a refusal, the rest of a body is read and thrown away.
    :ivar linger_bytes: and how much of it at most.
    """

    connections: int = 1000
    header_seconds: float = 60.0
    idle_seconds: float = 300.0
    body_seconds: float = 60.0
    stall_seconds: float = 60.0
    linger_seconds: float = 5.0
    linger_bytes: int = 4 * 1024 * 1024


class Connection(Protocol):
    """What is asked of a connection.

    :ivar deadline: when to call ``expire``; None for never.
    """

    deadline: float | None

    def expire(self) -> None:
        """Close, or when that was tried before, or something is under way, abort."""

    def end_soon(self) -> None:
        """Close after the answer under way."""


class Connections:
    """All connections of a site.

    :param clock: an ``IReactorTime``.
    """

    def __init__(self, clock: IReactorTime, limits: Limits) -> None:
        self._clock = clock
        self.limits = limits
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}
        self._sweep_call: IDelayedCall | None = None
        self._farewell: IDelayedCall | None = None
        self._stopped: Deferred[None] | None = None

    def allow(self, connections: int) -> None:
        """Let so many be open from now on; more than that stay until they close."""
        self.limits = evolve(self.limits, connections=connections)

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, connection: Connection) -> None:
        """Note a new connection; if it is one too many, close the one that has waited longest."""
        self._open.add(connection)
        self.waits(connection, self.limits.header_seconds)
        if len(self._open) > self.limits.connections:
            next(iter(self._waiting)).expire()
        if self._sweep_call is None:
            self._sweep_call = self._clock.callLater(SWEEP_SECONDS, self._sweep)

    def closed(self, connection: Connection) -> None:
        """Note that a connection is gone."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)
        if not self._open and self._sweep_call is not None:
            self._sweep_call.cancel()
            self._sweep_call = None
            if self._farewell is not None and self._farewell.active():
                self._farewell.cancel()
            if self._stopped is not None:
                self._stopped.callback(None)

    def waits(self, connection: Connection, seconds: float) -> None:
        """Note that nothing is being done for a connection: it has no complete request header."""
        self._waiting[connection] = None
        self.expect(connection, seconds)

    def works(self, connection: Connection) -> None:
        """Note that a request is being received or answered, for as long as it may take."""
        self._waiting.pop(connection, None)
        connection.deadline = None

    def expect(self, connection: Connection, seconds: float) -> None:
        """Expire the connection in so many seconds, unless something happens before."""
        connection.deadline = self._clock.seconds() + seconds

    def stop(self, seconds: float) -> Deferred[None]:
        """Close waiting connections at once, others after their answer.

        :return: fires when none is left, which is soon after ``seconds`` at the latest.
        """
        stopped: Deferred[None] = Deferred()
        self._stopped = stopped
        if not self._open:
            stopped.callback(None)
        idle = list(self._waiting)
        for connection in idle:
            connection.expire()
        if self._open:
            self._farewell = self._clock.callLater(FAREWELL_SECONDS, self._expire_again, idle)
        for connection in self._open.difference(idle):
            connection.end_soon()
            self.expect(connection, seconds)
        return stopped

    def _expire_again(self, connections: list[Connection]) -> None:
        for connection in connections:
            if connection in self._open:
                connection.expire()

    def _sweep(self) -> None:
        self._sweep_call = self._clock.callLater(SWEEP_SECONDS, self._sweep)
        now = self._clock.seconds()
        for connection in list(self._open):
            if connection.deadline is not None and connection.deadline <= now:
                connection.expire()
