"""How long an operation of a blocking store may go on beginning requests."""

from __future__ import annotations

from math import inf
from threading import local

from twisted.internet.interfaces import IReactorTime

from raic.errors import ProviderTimedOut

REQUESTS_SECONDS = 20.0


class _Present(local):
    """What a worker is doing."""

    operation = ""
    latest = inf


class Patience:
    """Keeps the operations of a store short, though each may take several requests.

    One may have to wait for a thread, sign in, be refused, sign in again, and look after the
    container: each with time-outs of its own.  No request begins later than ``seconds`` after the
    operation did, so that it has ended at most one request later: with 20 seconds here and for an
    answer, and 5 for a connection, within the 45 that a client waits.

    Used by several threads, each with its own operation.
    """

    def __init__(self, name: str, clock: IReactorTime, seconds: float = REQUESTS_SECONDS) -> None:
        self._name = name
        self._clock = clock
        self._seconds = seconds
        self._present = _Present()

    def now(self) -> float:
        """The time of the clock."""
        return self._clock.seconds()

    def begin(self, operation: str, asked: float) -> None:
        """Note what this thread does from now on.

        :param asked: when it was asked for.
        :raises ProviderTimedOut: that was too long ago.
        """
        self._present.operation = operation
        self._present.latest = asked + self._seconds
        self.check()

    def begin_patiently(self, operation: str) -> None:
        """Note that this thread does something that may take as long as it takes."""
        self._present.operation = operation
        self._present.latest = inf

    @property
    def operation(self) -> str:
        """What this thread does."""
        return self._present.operation

    def check(self) -> None:
        """To be called before every request.

        :raises ProviderTimedOut: there is no time for it; so the request was not made.
        """
        if self._clock.seconds() > self._present.latest:
            detail = f"no time was left for another request after {self._seconds:g} seconds"
            raise ProviderTimedOut(self._name, self._present.operation, detail)
