"""Whether this process is the one that may write under the prefix.

Every start writes a claim of a new epoch; the newest claim counts.  A claim is made only by who
could have written the one before: whose index has that claim's epoch, in the same place.  So a
second server is refused, and so is a copy of the node directory, or one that was put back from a
backup.  See ``docs/specifications/claims.rst``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger, LogLevel

from raic.deferreds import async_to_deferred
from raic.errors import IndexFailure, OwnershipUnknown, PrefixOwned, ProviderError
from raic.interfaces import IIndex, ISmallObjects
from raic.shares.ages import REQUEST_SECONDS, UNKNOWN_SECONDS
from raic.shares.claims import Claim, Claimant, list_claims, newest_claim, read_claim
from raic.shares.keys import HIGHEST_EPOCH, ClaimKey
from raic.shares.listing import in_parallel
from raic.shares.sealing import Sealer
from raic.values import Garbage

INTERVAL_SECONDS = 60.0
"""How often the claims are read again."""

PROGRESS_SECONDS = 5.0
"""How often a take-over says how long it still waits."""

REMINDER_SECONDS = 600.0
"""How often it is said again that nothing is written, while that lasts."""

PRUNED_AT_ONCE = 100
"""How many old claims one start looks at."""

_TICKS = 4
"""How often in an interval it is seen whether the claims have to be read, or read again."""

_DUE = 0.9
"""The part of an interval after which it is over; clocks are not exact."""

_COPIED = (
    "run only one copy of a node; to go on with this one, make sure that the other is stopped for"
    " good, then start this one with --take-over"
)

_OUTDATED = (
    "another has written under the prefix, so that the index has to be made anew",
    "run 'raic restore', then start the node again",
)


class Ownership:
    """Claims the prefix, and keeps an eye on the claims of others.

    First :meth:`claim` or :meth:`take_over`, then :meth:`watch`, at last :meth:`stop`.

    :param provider: as a rule below the layer that tags: a claim has a seal of its own, and one by
        another server, whose tags are other ones, can then be read and its maker named.
    :param server_id: the node's public name, ``v0-...``.
    :param interval: how often the claims are read, in seconds: T.
    :param host: the machine's name, a hint to people.
    :param place: a text that differs between a node directory and a copy of it, and stays over
        restarts, such as the directory's inode and the machine's id; empty if there is none: then
        of two copies of a running node's directory, the one that started last goes on.
    :param on_change: called with the reason whenever writing has to end, and with None whenever
        it may begin.
    """

    _log = Logger()

    def __init__(
        self,
        provider: ISmallObjects,
        index: IIndex,
        sealer: Sealer,
        server_id: str,
        clock: IReactorTime,
        *,
        interval: float = INTERVAL_SECONDS,
        host: str = "",
        place: str = "",
        on_change: Callable[[ProviderError | None], None] = lambda _: None,
    ) -> None:
        self._provider = provider
        self._index = index
        self._claimant = Claimant(sealer, server_id, host, place)
        self._clock = clock
        self._interval = interval
        self._on_change = on_change
        self._mine: tuple[ClaimKey, bytes] | None = None
        self._read_at = 0.0  # when the reading began that last found nothing newer
        self._lost: tuple[str, str] | None = None
        self._error: Exception | None = None
        self._told = OwnershipUnknown.__name__
        self._told_at = clock.seconds()
        self._said = True  # whether somebody waits to be told that it is over
        self._round: Deferred[None] | None = None
        self._next: IDelayedCall | None = None

    # What others ask

    def may_write(self) -> bool:
        """Whether this process may write and delete under the prefix, as of this moment."""
        if self._lost is not None or self._mine is None:
            return False
        return 0 <= self._clock.seconds() - self._read_at < 2 * self._interval

    def raise_unless_owner(self) -> None:
        """Do nothing if :meth:`may_write`.

        :raises PrefixOwned: another has the prefix now, for good.
        :raises OwnershipUnknown: the claims could not be read for too long, or not yet.
        """
        if not self.may_write():
            self._hurry()
            raise self._problem()

    # What the node does

    @async_to_deferred
    async def claim(self) -> None:
        """Claim the prefix, unless it is another's.  Costs a handful of requests.

        :return: fires when the claim stands.  Fails with ``PrefixOwned`` when the newest claim
            is not one on which this node's index can follow; nothing was written then, unless the
            other claim was made at the same moment.  Fails with another ``ProviderError`` or an
            ``IndexFailure`` when it could not be told; :meth:`watch` then goes on trying.
        """
        newest = await newest_claim(self._provider, self._claimant)
        refusal = self._refusal(newest)
        if refusal is not None:
            self._lost = refusal
            raise self._problem()
        epoch = self._epoch_after(newest)
        # In this order: an index that is ahead of the claims can follow, one behind cannot.
        await self._index.raise_epoch(epoch)
        mine = await self._write(epoch)
        read_at, older = await self._confirm(mine[0])
        self._stand(mine, read_at)
        await self._prune(older)

    @async_to_deferred
    async def take_over(
        self,
        progress: Callable[[float], None] = lambda _: None,
        *,
        fresh: bool = False,
        begun: Callable[[], None] = lambda: None,
    ) -> bool:
        """Claim the prefix, whoever has it, and wait until he has surely stopped writing.

        To be called before anything is listed or cleaned.  May be cancelled; the one who had the
        prefix stops all the same, and this node is refused until another take-over.

        :param progress: called every few seconds with how many seconds are left.
        :param fresh: whether the index is empty, and about to be filled from the provider.
        :param begun: called just before the claim is written.  From then on, until this fires, a
            new index could follow on the claim without having waited: make a note that lasts.
        :return: fires when the other has stopped: with True if the claim stands; with False if the
            index must be made anew first, because another has written since it was current.  Its
            epoch was then left, so that this node stays refused until that is done.  Fails with
            ``PrefixOwned`` when another has claimed the prefix in the meantime, with another
            ``ProviderError``, or an ``IndexFailure``.
        """
        newest = await newest_claim(self._provider, self._claimant)
        usable = fresh or newest is None or self._is_current(newest)
        epoch = self._epoch_after(newest)
        self._lost = None
        begun()
        mine = await self._write(epoch)
        if newest is not None:
            await self._wait(progress)
        read_at, older = await self._confirm(mine[0])
        if not usable:
            self._lost = _OUTDATED
            return False
        # Last, so that after an interruption the index is behind, and this node refused.
        await self._index.raise_epoch(epoch)
        self._stand(mine, read_at)
        await self._prune(older)
        return True

    def watch(self) -> None:
        """Read the claims again at every interval, until :meth:`stop`; if there is no claim of
        ours yet, try to make it.
        """
        self._schedule()

    def stop(self) -> None:
        """Watch no more.  The claim stays: it is the next start that follows on it."""
        if self._next is not None and self._next.active():
            self._next.cancel()
        if self._round is not None:
            self._round.cancel()

    # Claiming

    def _refusal(self, newest: Claim | None) -> tuple[str, str] | None:
        """Why this node may not follow on a claim, and what to do; None when it may."""
        if newest is None:
            return None
        if not newest.ours:
            return f"the prefix belongs to {newest.describe()}", PrefixOwned.remedy
        if not self._is_current(newest):
            return f"the index is older than the claim by {newest.describe()}", _COPIED
        places = {newest.place, self._claimant.place} - {""}
        if newest.key.epoch == self._index.epoch() and len(places) > 1:
            return f"this is a copy of the node directory of {newest.describe()}", _COPIED
        return None

    def _is_current(self, newest: Claim) -> bool:
        """Whether nobody has claimed the prefix since this node's index was made or raised."""
        return newest.ours and newest.key.epoch <= self._index.epoch()

    def _epoch_after(self, newest: Claim | None) -> int:
        epoch = max(self._index.epoch(), 0 if newest is None else newest.key.epoch) + 1
        if epoch > HIGHEST_EPOCH and newest is not None:
            raise PrefixOwned(
                self._provider.name,
                "claim",
                f"{newest.key} has an epoch that no node comes near",
                f"find out who wrote into the prefix, then delete {newest.key}",
            )
        return epoch

    async def _write(self, epoch: int) -> tuple[ClaimKey, bytes]:
        key, data = self._claimant.new_claim(epoch, int(self._clock.seconds()))
        await self._provider.put_object(str(key), data)
        return key, data

    async def _wait(self, progress: Callable[[float], None]) -> None:
        # An owner that cannot read the claims goes on for two intervals, and what it has begun
        # by then may land later still.
        left = 2 * self._interval + REQUEST_SECONDS
        while left > 0:
            progress(left)
            # In small steps that are counted, so that setting the clock forward ends one at most.
            step = min(left, PROGRESS_SECONDS)
            await deferLater(self._clock, step)
            left -= step

    async def _confirm(self, mine: ClaimKey) -> tuple[float, list[ClaimKey]]:
        """Make sure that ours is the newest claim: as of when it was, and the older ones."""
        now = self._clock.seconds()
        keys = await list_claims(self._provider)
        if keys and keys[-1] > mine:
            await self._lose(keys[-1])
            raise self._problem()
        return now, [key for key in keys if key != mine]

    def _stand(self, mine: tuple[ClaimKey, bytes], read_at: float) -> None:
        self._mine = mine
        self._note_read(read_at)
        self._settle()

    async def _prune(self, older: Collection[ClaimKey]) -> None:
        """Make garbage of earlier claims of ours.

        They stay for a day: where a listing is late with the newest, they still say whose the
        prefix is.
        """
        until = int(self._clock.seconds()) + UNKNOWN_SECONDS
        with suppress(ProviderError, IndexFailure):  # the next start finds them again
            unknown = await self._index.unknown_keys([str(key) for key in older])
            some = [key for key in older if str(key) in unknown][:PRUNED_AT_ONCE]
            found = await in_parallel(self._read, some)
            ours = [claim for claim in found if claim is not None and claim.ours]
            await self._index.release([Garbage(str(claim.key), until) for claim in ours])

    def _read(self, key: ClaimKey) -> Deferred[Claim | None]:
        return read_claim(self._provider, self._claimant, key)

    # Watching

    def _schedule(self) -> None:
        self._next = self._clock.callLater(self._interval / _TICKS, self._tick)

    def _tick(self) -> None:
        self._schedule()
        if self._lost is None and self._round is None and self._is_due():
            self._round = self._go_round()
            self._round.addBoth(self._round_over)
        self._settle()

    def _is_due(self) -> bool:
        age = self._clock.seconds() - self._read_at
        return self._mine is None or not 0 <= age < _DUE * self._interval

    def _hurry(self) -> None:
        """Read the claims at once if the clock was set back: the next call would be late."""
        pending = self._next
        if pending is None or not pending.active():
            return
        if pending.getTime() - self._clock.seconds() > self._interval / _TICKS:
            pending.reset(0)

    def _round_over(self, _: object) -> None:
        self._round = None
        self._settle()

    @async_to_deferred
    async def _go_round(self) -> None:
        try:
            if self._mine is None:
                await self.claim()
            else:
                await self._look(*self._mine)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is known of the claims
            self._error = error

    async def _look(self, mine: ClaimKey, data: bytes) -> None:
        now = self._clock.seconds()
        keys = await list_claims(self._provider)
        if keys and keys[-1] > mine:
            await self._lose(keys[-1])
            return
        self._note_read(now)
        if mine not in keys:
            # Somebody deleted it, or the listing is late; without it others would come in.
            await self._provider.put_object(str(mine), data)

    def _note_read(self, began: float) -> None:
        self._read_at = began
        self._error = None

    async def _lose(self, newer: ClaimKey) -> None:
        self._lost = (f"a newer claim, {newer}, was found", PrefixOwned.remedy)
        try:
            claim = await self._read(newer)
        except ProviderError:
            return
        if claim is not None:
            remedy = _COPIED if claim.ours else PrefixOwned.remedy
            self._lost = (f"the prefix was claimed by {claim.describe()}", remedy)

    # Telling

    def _problem(self) -> ProviderError:
        name = self._provider.name
        if self._lost is not None:
            return PrefixOwned(name, "claim", *self._lost)
        error = "" if self._error is None else f": {self._error}"
        remedy = getattr(self._error, "remedy", "")
        if self._mine is None:
            return OwnershipUnknown(name, "claim", f"the prefix is not claimed yet{error}", remedy)
        age = self._clock.seconds() - self._read_at
        detail = f"the claims on the prefix could not be read for {age:.0f} s{error}"
        return OwnershipUnknown(name, "claim", detail, remedy)

    def _settle(self) -> None:
        """Say how things are when they are no longer as they were last said to be, and now and
        then while nothing is written.
        """
        problem = None if self.may_write() else self._problem()
        kind = type(problem).__name__
        if kind != self._told:
            self._tell(kind, problem)
            self._on_change(problem)
        elif problem is not None and self._clock.seconds() - self._told_at >= REMINDER_SECONDS:
            self._tell(kind, problem)

    def _tell(self, kind: str, problem: ProviderError | None) -> None:
        self._told, self._told_at = kind, self._clock.seconds()
        if problem is None:
            self._log.emit(
                LogLevel.info if self._said else LogLevel.debug,
                "{provider}: the prefix is this node's; writes are served",
                provider=self._provider.name,
            )
            self._said = False
            return
        # Of its troubles a provider tells itself.
        is_told = self._error is None or isinstance(self._error, ProviderError)
        self._said = not (is_told and isinstance(problem, OwnershipUnknown))
        self._log.emit(
            LogLevel.error if self._said else LogLevel.debug,
            "{problem}; nothing is written any more; {problem.remedy}",
            problem=problem,
        )
