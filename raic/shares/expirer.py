"""Drops, once a day, what nobody leases any more."""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from raic.deferreds import async_to_deferred
from raic.errors import IndexStopped, RaicError
from raic.interfaces import IIndex
from raic.shares.ages import GARBAGE_SECONDS
from raic.values import ExpiryBatch, ExpiryPolicy, ExpiryRun

BATCH_LEASES = 200
"""How many leases one transaction looks at.  Each lies elsewhere in a large index, so a transaction
changes some hundred pages and holds up other writes for tens of milliseconds.
"""

PAUSE_SECONDS = 0.1
"""How long others have the index to themselves between two transactions."""

FIRST_SECONDS = 6 * 60.0
"""How long after its start a node expires for the first time, at least; and at most twice that:
nodes that start together should not all work at once."""

INTERVAL_SECONDS = 24 * 60 * 60.0
"""From the end of one run to the next, at most; and at least nine tenths of it."""

RETRY_SECONDS = 60 * 60.0
"""How long after a failure a run is begun again."""

_RANDOM = SystemRandom()


class Expirer:
    """Expires in the background, until it is stopped.

    Objects are never touched here: they become garbage, which the collector deletes when its time
    has come and nobody reads it.

    :param random: a number from 0 to 1, another one at each call.
    """

    _log = Logger()

    def __init__(
        self,
        index: IIndex,
        policy: ExpiryPolicy,
        clock: IReactorTime,
        random: Callable[[], float] = _RANDOM.random,
    ) -> None:
        self._index = index
        self._policy = policy
        self._clock = clock
        self._random = random
        self._next: IDelayedCall | None = None
        self._run: Deferred[None] | None = None
        self._running = False

    def start(self) -> None:
        """Expire some minutes from now, and about once a day from then on."""
        self._running = True
        self._call_later(FIRST_SECONDS * (1 + self._random()))

    def stop(self) -> Deferred[None]:
        """Expire no more; what a run has not reached, the next one will.

        :return: fires when no more batches follow; never fails.  One that is under way in the index
            is done before that is closed.
        """
        self._running = False
        if self._next is not None and self._next.active():
            self._next.cancel()
        if self._run is None:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._run.addCallback(done.callback)
        self._run.cancel()
        return done

    @async_to_deferred
    async def expire(self) -> ExpiryRun:
        """Do one run.

        :return: fires with what was dropped; fails with an ``IndexFailure``, having dropped a
            part.  May be cancelled.
        """
        started = int(self._clock.seconds())
        rule = self._policy.rule(started)
        after = None
        while True:
            now = int(self._clock.seconds())
            batch = ExpiryBatch(started, now, now + GARBAGE_SECONDS, BATCH_LEASES, after)
            run, after = await self._index.expire(rule, batch)
            if after is None:
                return run
            await deferLater(self._clock, PAUSE_SECONDS)

    def _call_later(self, seconds: float) -> None:
        self._next = self._clock.callLater(seconds, self._begin)

    def _begin(self) -> None:
        self._run = self._once()

    @async_to_deferred
    async def _once(self) -> None:
        """One run, and the call for the next; never fails."""
        wait = INTERVAL_SECONDS * (1 - self._random() / 10)
        try:
            self._tell(await self.expire())
        except CancelledError:
            return
        except IndexStopped:
            # Nothing more can be done, and whoever owns the index has been told.
            self._running = False
        except Exception as error:  # noqa: BLE001 (whatever it is, the next run may do better)
            wait = RETRY_SECONDS
            self._log.warn(
                "what is no longer leased was not dropped: {what}; {remedy}",
                error=error,
                what=error if isinstance(error, RaicError) else repr(error),
                remedy=getattr(error, "remedy", ""),
            )
        if self._running:
            self._call_later(wait)

    def _tell(self, run: ExpiryRun) -> None:
        self._log.info(
            "nobody leases them any more: {run.shares} shares ({run.share_bytes} bytes) and"
            " {run.slots} slots ({run.slot_bytes} bytes) were dropped, with {run.leases} leases",
            run=run,
        )
