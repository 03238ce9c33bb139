"""Fragments that are still on their way when their object was acknowledged."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from raic.backends.array.settings import ArraySettings
from raic.errors import IndexStopped
from raic.ledger import IFragmentLedger
from raic.values import Garbage

_COMMITTED_SOON = 1.0
"""Seconds within which an acknowledged object is committed as a rule."""


class Stragglers:
    """Counts what is still on its way, and has the repairs of what arrived dropped."""

    _log = Logger()

    def __init__(
        self, name: str, ledger: IFragmentLedger, clock: IReactorTime, settings: ArraySettings
    ) -> None:
        self._name = name
        self._ledger = ledger
        self._clock = clock
        self._settings = settings
        self._backlog: Counter[str] = Counter()
        self._calls: set[Any] = set()

    def is_behind(self, member: str) -> bool:
        """Whether so much is on its way to a member that it should be given no more."""
        return self._backlog[member] >= self._settings.backlog

    def awaits(self, member: str) -> bool:
        """Whether anything is on its way to a member."""
        return self._backlog[member] > 0

    def expect(self, member: str, size: int) -> None:
        """A fragment of so many bytes is still on its way."""
        self._backlog[member] += size

    def ended(self, member: str, size: int) -> None:
        """It is so no more."""
        self._backlog[member] -= size

    def settle(self, fragment_key: str, acknowledged: float) -> None:
        """Have the ledger know that a fragment is durable after all.

        It is told twice: the object may be committed, with the fragment as missing, only after
        the first time, and by the second time it will have been.

        :param acknowledged: when the object was.
        """
        now = self._clock.seconds()
        first = max(now, acknowledged + _COMMITTED_SOON)
        second = max(first, acknowledged + self._settings.settle_seconds)
        self._call(first - now, fragment_key, second - first)

    def later(self, seconds: float, function: Any) -> None:
        """Call, unless stopped before."""

        def run() -> None:
            self._calls.discard(call)
            function()

        call = self._clock.callLater(seconds, run)
        self._calls.add(call)

    def stop(self) -> None:
        """Tell nothing more: repair finds out that the fragments are there."""
        calls, self._calls = self._calls, set()
        for call in calls:
            call.cancel()

    def _call(self, seconds: float, fragment_key: str, again: float) -> None:
        self.later(seconds, lambda: self._tell(fragment_key, again))

    def _tell(self, fragment_key: str, again: float) -> None:
        telling = self._ledger.settle(fragment_key)
        telling.addCallback(self._told, fragment_key, again).addErrback(self._untold)

    def _told(self, wanted: bool, fragment_key: str, again: float) -> Any:
        if not wanted:
            return self._ledger.release([Garbage(fragment_key, int(self._clock.seconds()))])
        if again > 0:
            self._call(again, fragment_key, 0)
        return None

    def _untold(self, failure: Failure) -> None:
        if failure.check(IndexStopped) is None:
            self._log.warn(
                "{array}: the index was not told that a fragment arrived late: {error}",
                array=self._name,
                error=failure.value,
            )
