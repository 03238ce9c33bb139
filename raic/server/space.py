"""How much the node can still take, known at any moment without asking the provider."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from raic.deferreds import async_to_deferred
from raic.errors import ProviderError
from raic.interfaces import IStorageProvider
from raic.values import Space

REFRESH_SECONDS = 10.0
STALE_SECONDS = 120.0


class SpaceGauge:
    """Asks the provider for its space in the background and remembers the answer.

    A provider that fails, or has not answered for two minutes, has no space.

    :param clock: an ``IReactorTime``.
    :param room: how much the node's own quota still allows; None where there is none, or the
        provider sees to it.
    """

    _log = Logger()

    def __init__(
        self,
        provider: IStorageProvider,
        clock: IReactorTime,
        room: Callable[[], Deferred[int]] | None = None,
    ) -> None:
        self._provider = provider
        self._room = room
        self._clock = clock
        self._measured: Space | None = None
        self._measured_at = 0.0
        self._stored_since = 0
        self._next: IDelayedCall | None = None
        self._running = False
        self._failing = False

    def start(self) -> Deferred[None]:
        """Measure now and then every ten seconds.

        :return: fires after the first answer, whatever it was.
        """
        self._running = True
        return self._measure()

    def limit(self, room: Callable[[], Deferred[int]] | None) -> None:
        """Have another quota, from the next measuring on."""
        self._room = room

    def stop(self) -> None:
        """Measure no more."""
        self._running = False
        if self._next is not None and self._next.active():
            self._next.cancel()

    def note_stored(self, size: int) -> None:
        """Count bytes stored since the last answer, which the provider has not subtracted yet."""
        self._stored_since += size

    def available(self) -> int:
        """Bytes that can still be stored, as far as is known; 0 when nothing is known."""
        if self._measured is None:
            return 0
        if self._clock.seconds() - self._measured_at > STALE_SECONDS:
            return 0
        return max(0, self._measured.available - self._stored_since)

    @async_to_deferred
    async def ask(self) -> Space:
        """What the provider says now, within the quota.

        :return: fires with it; fails with a ``ProviderError`` or an ``IndexFailure``.
        """
        space = await self._provider.get_space()
        if self._room is None:
            return space
        return evolve(space, available=min(space.available, await self._room()))

    def _measure(self) -> Deferred[None]:
        self._next = None
        stored_before = self._stored_since

        def measured(space: Space) -> None:
            self._measured = space
            self._measured_at = self._clock.seconds()
            self._stored_since -= stored_before
            self._failing = False

        def failed(failure: Failure) -> None:
            self._measured = None
            if not self._failing:
                self._failing = True
                # Of its troubles a provider tells itself.
                told = isinstance(failure.value, ProviderError)
                self._log.emit(
                    LogLevel.debug if told else LogLevel.warn,
                    "the node takes no new shares: {error}; {remedy}",
                    error=failure.getErrorMessage(),
                    remedy=getattr(failure.value, "remedy", ""),
                )

        def again(_: None) -> None:
            if self._running:
                self._next = self._clock.callLater(REFRESH_SECONDS, self._measure)

        return self.ask().addCallbacks(measured, failed).addCallback(again)
