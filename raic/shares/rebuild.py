"""Builds the index anew from what the provider holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence

from attrs import evolve, frozen
from twisted.internet.interfaces import IReactorTime

from raic.deferreds import async_to_deferred
from raic.interfaces import IIndex, IStorageProvider
from raic.shares.ages import UNKNOWN_SECONDS
from raic.shares.expunging import FoundExpunged, find_expunged
from raic.shares.keys import (
    CHUNKS,
    CLAIMS,
    HIGHEST_EPOCH,
    SHARES,
    SLOTS,
    ShareKey,
    VersionKey,
    parse_claim_key,
    parse_key,
)
from raic.shares.listing import in_parallel, pages
from raic.shares.recovery import FoundShare, Recovery, Unusable
from raic.shares.sealing import Sealer
from raic.values import Garbage, Lease, ListedObject, SlotVersion

SHOWN_PROBLEMS = 1000
"""How many problems a report spells out."""


@frozen
class RebuildReport:
    """What a rebuild has found so far.

    :ivar shares: immutable shares that the index now has, and :ivar share_bytes: their length.
    :ivar slots: slots that the index now has, and :ivar slot_bytes: the length of their versions'
        objects and chunks.
    :ivar deleted_slots: slots that stay gone, because their newest version is a tombstone.
    :ivar left_over: objects that nothing needs: older versions, tombstones, second copies, what
        was expunged, and what broken-off writes left.
    :ivar problem_count: how many objects could not be used; all objects of their storage indexes
        are set aside.
    :ivar problems: which, and why; the first thousand.
    """

    shares: int = 0
    share_bytes: int = 0
    slots: int = 0
    slot_bytes: int = 0
    deleted_slots: int = 0
    left_over: int = 0
    problem_count: int = 0
    problems: tuple[str, ...] = ()


@async_to_deferred
async def highest_epoch(provider: IStorageProvider, claims: IStorageProvider | None = None) -> int:
    """The highest epoch that any key carries, claims' too; 0 when none does.

    The index to rebuild into must be created with a higher one, so that everything written from
    then on is newer than everything there.

    :param claims: what the claims on the prefix lie on, where that is not the provider.
    :return: fires with it; fails with a ``ProviderError``.
    """
    highest = 0
    for prefix in (SLOTS, CHUNKS):
        async for page in pages(provider, prefix):
            for listed in page:
                key = parse_key(listed.key)
                if isinstance(key, VersionKey) and key.version.epoch <= HIGHEST_EPOCH:
                    highest = max(highest, key.version.epoch)
    async for page in pages(claims or provider, CLAIMS):
        found = filter(None, (parse_claim_key(listed.key) for listed in page))
        highest = max(highest, *(claim.epoch for claim in found), 0)
    return highest


@async_to_deferred
async def rebuild(
    provider: IStorageProvider,
    index: IIndex,
    sealer: Sealer,
    clock: IReactorTime,
    progress: Callable[[RebuildReport], None],
) -> RebuildReport:
    """Load a new index from the provider's keys and headers.

    Deletes nothing.  Every lease gets its full time; a share or slot without any gets one that
    nobody can renew.  Objects that cannot be used are reported, and their storage indexes set aside
    so that nothing of them is ever taken for an orphan; a slot whose newest version cannot be used
    is read at the newest that can.

    :param index: empty, and created with an epoch above :func:`highest_epoch`; nobody else uses
        the provider or the index meanwhile.
    :param progress: called now and then with what was found so far.
    :return: fires with what was found; fails with a ``ProviderError`` or an ``IndexFailure``, and
        may simply be repeated.
    """
    rebuilding = _Rebuilding(index, Recovery(provider, sealer, int(clock.seconds())), progress)
    await rebuilding.leave_out(await find_expunged(provider), int(clock.seconds()))
    async for page in pages(provider, SHARES):
        await rebuilding.add_shares(rebuilding.whole(page))
    async for slots in _by_slot(provider, rebuilding):
        await rebuilding.add_slots(slots)
    return rebuilding.report


async def _by_slot(
    provider: IStorageProvider, rebuilding: _Rebuilding
) -> AsyncIterator[list[list[tuple[VersionKey, int]]]]:
    """The versions of whole slots, some slots at a time: keys and lengths of their objects."""
    current: list[tuple[VersionKey, int]] = []
    async for page in pages(provider, SLOTS):
        complete = []
        for listed in rebuilding.whole(page):
            key = parse_key(listed.key)
            if not isinstance(key, VersionKey):
                rebuilding.note_problem(f"{listed.key}: not the name of a slot version")
                continue
            if current and key.storage_index != current[0][0].storage_index:
                complete.append(current)
                current = []
            current.append((key, listed.size))
        yield complete
    if current:
        yield [current]


class _Rebuilding:
    def __init__(
        self, index: IIndex, recovery: Recovery, progress: Callable[[RebuildReport], None]
    ) -> None:
        self._index = index
        self._recovery = recovery
        self._progress = progress
        self._last_place: tuple[bytes, int] | None = None
        self._expunged: frozenset[str] = frozenset()
        self.report = RebuildReport()

    async def leave_out(self, found: FoundExpunged, now: int) -> None:
        """Have what was expunged stay so; what says so goes when its objects have gone."""
        self._expunged = found.objects
        for problem in found.problems:
            self.note_problem(problem)
        until = now + 2 * UNKNOWN_SECONDS
        await self._index.release([Garbage(key, until) for key in found.tombstones])

    def note_problem(self, text: str) -> None:
        report = self.report
        problems = report.problems
        if len(problems) < SHOWN_PROBLEMS:
            problems += (text,)
        self.report = evolve(report, problem_count=report.problem_count + 1, problems=problems)

    def whole(self, page: Collection[ListedObject]) -> list[ListedObject]:
        """The objects of a page of which enough is there; the others are left over, and so are
        those that were expunged.
        """
        there = [
            listed for listed in page if not listed.partial and listed.key not in self._expunged
        ]
        count = len(page) - len(there)
        self.report = evolve(self.report, left_over=self.report.left_over + count)
        return there

    async def add_shares(self, page: Collection[ListedObject]) -> None:
        named = []
        for listed in page:
            key = parse_key(listed.key)
            if isinstance(key, ShareKey):
                named.append((key, listed.size))
            else:
                self.note_problem(f"{listed.key}: not the name of a share")
        found: list[FoundShare] = []
        aside: dict[bytes, str] = {}
        results = await in_parallel(self._recovery.share, named)
        for (key, _), result in zip(named, results, strict=True):
            if isinstance(result, Unusable):
                self.note_problem(str(result))
                aside[key.storage_index] = str(result)
            else:
                found.append(result)
        await self._index.set_aside(aside)
        await self._load_shares(self._first_of_each(found))

    def _first_of_each(self, found: Sequence[FoundShare]) -> list[FoundShare]:
        """One object for each share number: where there are more, the first that was begun."""
        chosen = []
        for one in sorted(found, key=lambda one: (*one.place, one.created)):
            if one.place != self._last_place:
                chosen.append(one)
                self._last_place = one.place
            else:
                self.report = evolve(self.report, left_over=self.report.left_over + 1)
        return chosen

    async def _load_shares(self, found: Sequence[FoundShare]) -> None:
        await self._index.load([(one.share, one.leases) for one in found], [])
        report = self.report
        self.report = evolve(
            report,
            shares=report.shares + len(found),
            share_bytes=report.share_bytes + sum(one.share.length for one in found),
        )
        self._progress(self.report)

    async def add_slots(self, slots: Sequence[Sequence[tuple[VersionKey, int]]]) -> None:
        loaded: list[tuple[SlotVersion, Sequence[Lease]]] = []
        aside: dict[bytes, str] = {}
        results = await in_parallel(self._recovery.slot, slots)
        for versions, result in zip(slots, results, strict=True):
            for problem in result.problems:
                self.note_problem(problem)
                aside[versions[0][0].storage_index] = problem
            if result.version is None:
                continue
            loaded.append((result.version, result.leases))
            self._count_slot(result.version, result.left_over)
        await self._index.set_aside(aside)
        await self._index.load([], loaded)
        self._progress(self.report)

    def _count_slot(self, version: SlotVersion, left_over: int) -> None:
        report = self.report
        if version.shares:
            chunks = {
                chunk.key: chunk.length
                for share in version.shares.values()
                if isinstance(share.content, tuple)
                for chunk in share.content
                if chunk.key is not None
            }
            report = evolve(
                report,
                slots=report.slots + 1,
                slot_bytes=report.slot_bytes + version.size + sum(chunks.values()),
            )
        else:
            report = evolve(report, deleted_slots=report.deleted_slots + 1)
            left_over += 1
        self.report = evolve(report, left_over=report.left_over + left_over)
