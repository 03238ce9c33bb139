"""What a node does in the background to what it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from raic.assembly.upkeep import ArrayUpkeep
from raic.deferreds import async_to_deferred
from raic.errors import ProviderError
from raic.interfaces import IIndex, IInterruptedUploads, IStorageProvider
from raic.shares.ages import REQUEST_SECONDS
from raic.shares.checking import AdvisoryChecker
from raic.shares.checkpoints import Checkpointer
from raic.shares.collector import Collector
from raic.shares.expirer import Expirer
from raic.shares.keys import CHECKPOINTS, CHUNKS, SHARES, SLOTS
from raic.shares.orphans import OrphanReport, find_orphans
from raic.shares.pins import Pins
from raic.values import ExpiryPolicy

WRITTEN = (SHARES, SLOTS, CHUNKS, CHECKPOINTS)
"""What the keys begin with of objects that only the owner of a prefix uploads."""


class Cleaning:
    """Collects garbage, expires, looks into advisories, and clears what earlier runs left behind,
    from when it may.

    :param provider: what deletes only while the prefix is this node's.
    :param upkeep: of an array.
    :param expiry: what is to expire; None for nothing.
    :param checkpointer: copies the index to the provider; None for no copies.
    :ivar collector: what collects.
    """

    _log = Logger()

    def __init__(
        self,
        provider: IStorageProvider,
        index: IIndex,
        pins: Pins,
        clock: IReactorTime,
        upkeep: ArrayUpkeep | None = None,
        expiry: ExpiryPolicy | None = None,
        checkpointer: Checkpointer | None = None,
    ) -> None:
        self._upkeep = upkeep
        self._checkpointer = checkpointer
        self._provider = provider
        self._index = index
        self._clock = clock
        self.collector = Collector(provider, index, pins, clock)
        self._expiry = expiry
        self._expirer = self._make_expirer()
        self._ended: list[Deferred[None]] = []  # of earlier policies
        inspect = None if upkeep is None else upkeep.maintenance.inspect
        self._checker = AdvisoryChecker(provider, index, pins, clock, inspect)
        self._under_way: list[Deferred[None]] | None = None
        self._stopped = False

    def begin(self) -> None:
        """Clean from now on.  Only to be called by the owner of the prefix; once is enough."""
        if self._under_way is not None or self._stopped:
            return
        self._under_way = []
        self.collector.start()
        self._checker.start()
        if self._checkpointer is not None:
            self._checkpointer.start()
        if self._expirer is not None:
            self._expirer.start()
        if self._upkeep is not None:
            self._upkeep.begin(clean=self._index.was_clean())
        elif not self._index.was_clean():
            self._under_way.append(self._scan())
        if IInterruptedUploads.providedBy(self._provider):
            self._under_way.append(self._clear_uploads(IInterruptedUploads(self._provider)))

    def expire(self, expiry: ExpiryPolicy | None) -> None:
        """Expire by another policy from now on; None for not at all.

        A run that is under way ends where it is; the next one begins some minutes from now.
        """
        if expiry == self._expiry or self._stopped:
            return
        if self._expirer is not None:
            self._ended.append(self._expirer.stop())
        self._expiry = expiry
        self._expirer = self._make_expirer()
        if self._expirer is not None and self._under_way is not None:
            self._expirer.start()

    def _make_expirer(self) -> Expirer | None:
        if self._expiry is None:
            return None
        return Expirer(self._index, self._expiry, self._clock)

    @async_to_deferred
    async def stop(self) -> None:
        """Clean no more; fires when the batch under way has ended."""
        self._stopped = True
        if self._under_way is None:
            return
        for each in self._under_way:
            each.cancel()
        stopping = [self._checker.stop(), *self._ended]
        if self._expirer is not None:
            stopping.append(self._expirer.stop())
        if self._upkeep is not None:
            stopping.append(self._upkeep.stop())
        await gatherResults(stopping)
        await self.collector.stop()
        if self._checkpointer is not None:
            # At last, when nothing changes any more.
            await self._checkpointer.stop()

    @async_to_deferred
    async def _clear_uploads(self, provider: IInterruptedUploads) -> None:
        """Clear what interrupted uploads left, and once more what was still on its way then."""
        await self._clear(provider, ("",))
        if self._stopped:
            return
        with suppress(CancelledError):
            await deferLater(self._clock, REQUEST_SECONDS, lambda: None)
            await self._clear(provider, WRITTEN)

    async def _clear(self, provider: IInterruptedUploads, prefixes: Iterable[str]) -> None:
        count = 0
        try:
            for prefix in prefixes:
                count += await provider.clear_interrupted_uploads(prefix)
        except (CancelledError, ProviderError):
            text = "what interrupted uploads left behind stays for now: {error}"
            self._tell_failure(text)(Failure())
        if count:
            self._log.info("{count} interrupted uploads were discarded", count=count)

    def _scan(self) -> Deferred[None]:
        """Look for what the last run left behind."""

        def found(report: OrphanReport) -> None:
            self._log.info(
                "of {report.listed} objects nothing refers to {report.orphans}; these will be"
                " deleted in a day",
                report=report,
            )

        failed = self._tell_failure(
            "could not look for objects that nothing refers to, they stay for now: {error}"
        )
        searching = find_orphans(self._provider, self._index, self._clock)
        return searching.addCallbacks(found, failed)

    def _tell_failure(self, text: str) -> Callable[[Failure], None]:
        def failed(failure: Failure) -> None:
            if not (self._stopped or isinstance(failure.value, CancelledError)):
                self._log.warn(text, error=failure.getErrorMessage())

        return failed
