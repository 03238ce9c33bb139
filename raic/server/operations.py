"""Counting what clients ask for, by dialect and operation."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.interfaces import IReactorTime

from raic.tally import OperationFigures, Tally

HTTP, FOOLSCAP = "http", "foolscap"
"""The dialects."""


class OperationMeter:
    """What clients asked for since the start.

    A request's latency is the time from its last byte's arrival to the first byte of the answer,
    so that it says nothing of how fast the client sends and reads.  What the node refuses, because
    the client asked for what cannot be done, is no error.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}
        self.seconds = clock.seconds

    def tally(self, dialect: str, operation: str) -> Tally:
        """The counters of an operation."""
        tally = self._tallies.get((dialect, operation))
        if tally is None:
            tally = self._tallies[dialect, operation] = Tally()
        return tally

    def figures(self) -> Mapping[tuple[str, str], OperationFigures]:
        """What was counted so far, by dialect and operation."""
        return {key: tally.figures() for key, tally in self._tallies.items()}
