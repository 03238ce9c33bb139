"""Deletes the objects that the index no longer refers to."""

from __future__ import annotations

from collections.abc import Collection

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel

from raic.deferreds import async_to_deferred
from raic.errors import IndexStopped, ProviderError, RaicError
from raic.interfaces import IIndex, IStorageProvider
from raic.shares.ages import REQUEST_SECONDS
from raic.shares.pins import Pins
from raic.values import Garbage

BATCH_OBJECTS = 1000
INTERVAL_SECONDS = 30.0
LONGEST_INTERVAL_SECONDS = 3600.0
PINNED_SECONDS = 60
"""How long an object that is being read is left alone before it is looked at again."""
REFUSED_SECONDS = 15 * 60
"""How long an object that the provider did not delete is left alone."""


class Collector:
    """Deletes garbage whose time has come, in batches, until it is stopped.

    :ivar looked: when it last looked for garbage; None when it never did.
    :ivar deleted: how many objects it deleted.
    :ivar problem: why it failed the last time; None if it did not.
    """

    _log = Logger()

    def __init__(
        self, provider: IStorageProvider, index: IIndex, pins: Pins, clock: IReactorTime
    ) -> None:
        self._provider = provider
        self._index = index
        self._pins = pins
        self._clock = clock
        self._running = False
        self._next: IDelayedCall | None = None
        self._round: Deferred[None] = succeed(None)
        self._interval = INTERVAL_SECONDS
        self._logged: set[type[Exception]] = set()
        self.looked: float | None = None
        self.deleted = 0
        self.problem: Exception | None = None

    def start(self) -> None:
        """Collect now, then whenever there may be something: every half minute, at once while
        there is more, and ever more rarely, down to once an hour, while it fails.
        """
        self._running = True
        self._round = self._collect()

    def stop(self) -> Deferred[None]:
        """Collect no more.

        :return: fires when the batch under way has ended; never fails.
        """
        self._running = False
        if self._next is not None and self._next.active():
            self._next.cancel()
        done: Deferred[None] = Deferred()
        self._round.addCallback(done.callback)
        return done

    @async_to_deferred
    async def collect_once(self) -> int:
        """Delete one batch.

        Objects that are being read, or that the provider did not delete, are put off.

        :return: how many objects were looked at; fails with a ``ProviderError`` or an
            ``IndexFailure``, having changed nothing that a repetition would not.
        """
        now = int(self._clock.seconds())
        self.looked = now
        due = await self._index.next_garbage(now, BATCH_OBJECTS)
        pinned = [one for one in due if self._pins.is_pinned(one.key)]
        doomed = [one for one in due if not self._pins.is_pinned(one.key)]
        if pinned:
            await self._put_off(pinned, now + PINNED_SECONDS)
        if doomed:
            await self._delete(doomed)
        return len(due)

    async def _delete(self, doomed: Collection[Garbage]) -> None:
        left = await self._provider.delete_objects([one.key for one in doomed])
        now = int(self._clock.seconds())
        settled = [
            evolve(one, not_before=now + REQUEST_SECONDS) if one.passes > 1 else one
            for one in doomed
            if one.key not in left
        ]
        self.deleted += len(settled)
        if settled:
            await self._index.settle_garbage(settled)
        refused = [one for one in doomed if one.key in left]
        if refused:
            await self._put_off(refused, now + REFUSED_SECONDS)
            self._log.warn(
                "{provider}: {count} objects could not be deleted; they are tried again",
                provider=self._provider.name,
                count=len(refused),
            )

    async def _put_off(self, garbage: Collection[Garbage], until: int) -> None:
        # Noting garbage again moves its time, so what is put off is not in the way of the rest.
        await self._index.release([evolve(one, not_before=until) for one in garbage])

    @async_to_deferred
    async def _collect(self) -> None:
        """One batch, and the call for the next; never fails."""
        self._next = None
        try:
            looked_at = await self.collect_once()
        except Exception as error:  # noqa: BLE001 (whatever it is, garbage must go on going)
            self._note_failure(error)
        else:
            self.problem = None
            self._logged.clear()
            self._interval = 0.0 if looked_at == BATCH_OBJECTS else INTERVAL_SECONDS
        if self._running:
            self._next = self._clock.callLater(self._interval, self._begin_round)

    def _begin_round(self) -> None:
        self._round = self._collect()

    def _note_failure(self, error: Exception) -> None:
        self.problem = error
        if isinstance(error, IndexStopped):
            # Nothing more can be done, and whoever owns the index has been told.
            self._running = False
            return
        self._interval = min(max(self._interval, INTERVAL_SECONDS) * 2, LONGEST_INTERVAL_SECONDS)
        if type(error) not in self._logged:
            self._logged.add(type(error))
            # Of its troubles a provider tells itself.
            told = isinstance(error, ProviderError)
            self._log.emit(
                LogLevel.debug if told else LogLevel.warn,
                "garbage was not collected: {what}; {remedy}",
                error=error,
                what=error if isinstance(error, RaicError) else repr(error),
                remedy=getattr(error, "remedy", ""),
            )
