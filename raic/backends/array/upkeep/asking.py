"""Finding out that a member is well again when nobody reads."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from raic.backends.array.provider import ArrayProvider
from raic.deferreds import async_to_deferred
from raic.errors import IndexFailure, ProviderError
from raic.ledger import IFragmentLedger

ASK_SECONDS = 15.0


class Asking:
    """Reads a byte now and then while a member is not well: with a read goes a probe of those.

    Without it a member that failed would count as failing until somebody reads something.
    """

    _log = Logger()

    def __init__(self, array: ArrayProvider, ledger: IFragmentLedger, clock: IReactorTime) -> None:
        self._array = array
        self._ledger = ledger
        self._clock = clock
        self._next: Any = None
        self._reading: Deferred[None] | None = None

    def start(self) -> None:
        """Ask from now on."""
        self._next = self._clock.callLater(ASK_SECONDS, self._tick)

    def stop(self) -> None:
        """Ask no more."""
        pending, self._next = self._next, None
        if pending is not None:
            pending.cancel()
        if self._reading is not None:
            self._reading.cancel()

    def _tick(self) -> None:
        self.start()
        states = {figures.state for figures in self._array.health.figures()}
        if self._reading is None and states - {"well"}:
            self._reading = self._read()
            self._reading.addBoth(self._read_ended)

    @async_to_deferred
    async def _read(self) -> None:
        for key in await self._ledger.next_objects("", 1):
            await self._array.get_object(key, 0, 1)

    def _read_ended(self, result: object) -> None:
        self._reading = None
        if self._next is None or not isinstance(result, Failure):
            return
        if result.check(ProviderError, IndexFailure) is None:
            self._log.failure("members are not asked for now", result)
