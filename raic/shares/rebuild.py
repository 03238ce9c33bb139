"""Builds the index anew from what the provider holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from twisted.internet.interfaces import IReactorTime

from raic.deferreds import async_to_deferred
from raic.errors import ProviderError
from raic.interfaces import IIndex, ISmallObjects, IStorageProvider
from raic.shares.ages import UNKNOWN_SECONDS
from raic.shares.comparing import Compared, compare, is_whole
from raic.shares.expunging import FoundExpunged, find_expunged
from raic.shares.findings import Findings, RebuildReport
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
from raic.shares.orphans import Unclear
from raic.shares.recovery import FoundShare, FoundSlot, Recovery, Unusable
from raic.shares.sealing import Sealer
from raic.values import Garbage, Lease, ListedObject, SlotVersion


@async_to_deferred
async def highest_epoch(provider: IStorageProvider, claims: ISmallObjects | None = None) -> int:
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
    *,
    may_lack: bool = False,
    unclear: Unclear | None = None,
) -> RebuildReport:
    """Bring an index in line with the provider's keys and headers: a new one, or an older copy.

    Deletes nothing.  What the index knows, and the provider has still, is not read.  What it does
    not know is read; every lease found there gets its full time; a share or slot without any gets
    one that nobody can renew.  What the provider has no more is forgotten.  Objects that cannot be
    used are reported, and their storage indexes set aside so that nothing of them is ever taken
    for an orphan; a slot whose newest version cannot be used is read at the newest that can.

    :param index: without garbage and intents, and created with an epoch above
        :func:`highest_epoch`, or about to be given one; nobody else uses the provider or the index
        meanwhile.
    :param progress: called now and then with what was found so far.
    :param may_lack: whether to go on without an object that cannot be read just now, as an array
        may lack members: it is unresolved then.
    :param unclear: remembers what may be an orphan when this is done.
    :return: fires with what was found; fails with a ``ProviderError`` or an ``IndexFailure``, and
        may simply be repeated.
    """
    now = int(clock.seconds())
    rebuilding = _Rebuilding(
        index, Recovery(provider, sealer, now), progress, may_lack, unclear or Unclear()
    )
    await rebuilding.leave_out(await find_expunged(provider), now)
    async for some in compare(provider, index, CHUNKS, lambda _: None):
        rebuilding.note_chunks(some)
    async for some in compare(provider, index, SHARES, rebuilding.note_foreign):
        await rebuilding.take_shares(some)
    async for some in compare(provider, index, SLOTS, rebuilding.note_foreign):
        await rebuilding.take_slots(some)
    return await rebuilding.end()


class _Rebuilding:
    def __init__(
        self,
        index: IIndex,
        recovery: Recovery,
        progress: Callable[[RebuildReport], None],
        may_lack: bool,
        unclear: Unclear,
    ) -> None:
        self._index = index
        self._recovery = recovery
        self._progress = progress
        self._may_lack = may_lack
        self._unclear = unclear
        self._expunged: frozenset[str] = frozenset()
        self._lacking: set[bytes] = set()  # storage indexes some of whose known chunks are gone
        self._findings = Findings()

    async def leave_out(self, found: FoundExpunged, now: int) -> None:
        """Have what was expunged stay so; what says so goes when its objects have gone."""
        self._expunged = found.objects
        for problem in found.problems:
            self._findings.note_problem(problem)
        until = now + 2 * UNKNOWN_SECONDS
        await self._index.release([Garbage(key, until) for key in found.tombstones])

    def note_foreign(self, key: str) -> None:
        """An object whose key is not one of a node."""
        self._findings.note_problem(f"{key}: not the name of a share or a slot version")

    async def end(self) -> RebuildReport:
        """The report, with the totals of all that the index has."""
        self._findings.finish(await self._index.get_totals())
        self._progress(self._findings.report)
        return self._findings.report

    # Chunks

    def note_chunks(self, some: Iterable[Compared]) -> None:
        """See which slots lack chunks."""
        for one in some:
            there = {listed.key for listed in one.listed if is_whole(listed)}
            if not there.issuperset(one.known):
                self._lacking.add(_storage_index(one))

    # Shares

    async def take_shares(self, some: Sequence[Compared]) -> None:
        """Take what there is of immutable shares."""
        gone: list[str] = []
        new: list[ListedObject] = []
        aside: dict[bytes, str] = {}
        for one in some:
            if one.is_same and not self._is_expunged(one):
                self._findings.count(shares=len(one.known), known=len(one.known))
                continue
            self._unclear.add(one.listed)
            there = self._whole(one.listed)
            kept = {key for key in one.known if key in there and is_whole(there[key])}
            lost = [key for key in one.known if key not in kept]
            gone += lost
            self._note_lost(lost, one, aside)
            self._findings.count(shares=len(kept), known=len(kept), gone=len(lost))
            taken = {_shnum(key) for key in kept}
            fresh = [there[key] for key in there.keys() - kept if _shnum(key) not in taken]
            self._findings.count(left_over=len(there) - len(kept) - len(fresh))
            new += sorted(fresh, key=lambda listed: listed.key)
        await self._index.forget(gone)
        found = await self._read_shares(new, aside)
        await self._index.set_aside(aside)
        chosen = self._first_of_each(found)
        await self._index.load([(one.share, one.leases) for one in chosen], [])
        self._findings.count(
            shares=len(chosen), share_bytes=sum(one.share.length for one in chosen)
        )
        self._progress(self._findings.report)

    async def _read_shares(
        self, new: Sequence[ListedObject], aside: dict[bytes, str]
    ) -> list[FoundShare]:
        named = [
            (key, listed.size)
            for listed in new
            if isinstance(key := parse_key(listed.key), ShareKey)
        ]
        found = []
        results = await in_parallel(self._share, named)
        for (key, _), result in zip(named, results, strict=True):
            if isinstance(result, FoundShare):
                found.append(result)
            else:
                aside[key.storage_index] = self._findings.note(str(key), result)
        return found

    async def _share(self, named: tuple[ShareKey, int]) -> FoundShare | Unusable | ProviderError:
        try:
            return await self._recovery.share(named)
        except ProviderError as error:
            if not self._may_lack:
                raise
            return error

    def _first_of_each(self, found: Sequence[FoundShare]) -> list[FoundShare]:
        """One object for each share number: where there are more, the first that was begun."""
        chosen: dict[tuple[bytes, int], FoundShare] = {}
        for one in sorted(found, key=lambda one: (*one.place, one.created)):
            chosen.setdefault(one.place, one)
        self._findings.count(left_over=len(found) - len(chosen))
        return list(chosen.values())

    # Slots

    async def take_slots(self, some: Sequence[Compared]) -> None:
        """Take what there is of slots."""
        unclear: list[tuple[Compared, list[tuple[VersionKey, int]]]] = []
        gone: list[str] = []
        aside: dict[bytes, str] = {}
        for one in some:
            versions = _versions(self._whole(one.listed).values())
            if not one.is_same:
                self._unclear.add(one.listed)
            if self._is_current(one, versions):
                self._findings.count(slots=1, known=1, left_over=len(versions) - 1)
                continue
            candidates = _not_older(versions, one)
            self._findings.count(left_over=len(versions) - len(candidates))
            if candidates:
                unclear.append((one, candidates))
                continue
            gone += one.known
            if one.known and self._is_partly_there(one, versions):
                text = f"{one.known[0]}: it is not there, older versions or parts of it are"
                aside[_storage_index(one)] = self._findings.note_unresolved(text)
        self._findings.count(gone=len(gone))
        loaded: list[tuple[SlotVersion, Sequence[Lease]]] = []
        results = await in_parallel(self._slot, [versions for _, versions in unclear])
        for (one, _), result in zip(unclear, results, strict=True):
            version = self._judge(one, result, aside)
            if version is None:
                gone += one.known
            else:
                loaded.append(version)
        await self._index.forget(gone)
        await self._index.set_aside(aside)
        await self._index.load([], loaded)
        self._progress(self._findings.report)

    def _is_current(self, one: Compared, versions: Sequence[tuple[VersionKey, int]]) -> bool:
        """Whether what the index knows is the newest version, and all of it is there."""
        if len(one.known) != 1 or not versions or self._lacking & {versions[0][0].storage_index}:
            return False
        newest, size = max(versions, key=lambda each: (each[0].version, each[0].txn))
        return str(newest) == one.known[0] and newest.size == size

    def _is_partly_there(self, one: Compared, versions: Sequence[object]) -> bool:
        """Whether there is anything left of a slot whose known version is gone.

        What was expired goes in any order, so this need not be a loss.
        """
        return bool(versions) or any(
            listed.partial and listed.key in one.known and listed.key not in self._expunged
            for listed in one.listed
        )

    async def _slot(self, versions: Sequence[tuple[VersionKey, int]]) -> FoundSlot | ProviderError:
        try:
            return await self._recovery.slot(versions)
        except ProviderError as error:
            if not self._may_lack:
                raise
            return error

    def _judge(
        self, one: Compared, result: FoundSlot | ProviderError, aside: dict[bytes, str]
    ) -> tuple[SlotVersion, Sequence[Lease]] | None:
        """What becomes of a slot; None for none that can be read."""
        index = _storage_index(one)
        if isinstance(result, ProviderError):
            aside[index] = self._findings.note(one.listed[-1].key, result)
            return None
        for problem in result.problems:
            self._findings.note_problem(problem)
            aside.setdefault(index, problem)
        if result.version is None:
            return None
        self._count_slot(result.version, result)
        return result.version, result.leases

    def _count_slot(self, version: SlotVersion, result: FoundSlot) -> None:
        left_over = result.left_over
        if version.shares:
            self._findings.count(slots=1)
        else:
            self._findings.count(deleted_slots=1)
            left_over += 1
        self._findings.count(left_over=left_over)

    # What all have in common

    def _whole(self, listed: Sequence[ListedObject]) -> dict[str, ListedObject]:
        """The objects of which enough is there, by key; the others are left over, and so are those
        that were expunged.
        """
        there = {
            one.key: one for one in listed if not one.partial and one.key not in self._expunged
        }
        self._findings.count(left_over=len(listed) - len(there))
        return there

    def _is_expunged(self, one: Compared) -> bool:
        return bool(self._expunged) and not self._expunged.isdisjoint(one.known)

    def _note_lost(self, lost: Collection[str], one: Compared, aside: dict[bytes, str]) -> None:
        """A share of which a part is there was perhaps about to be deleted, or perhaps not."""
        partial = {listed.key for listed in one.listed if listed.partial}
        for key in partial.intersection(lost) - self._expunged:
            text = f"{key}: too little of it is there"
            aside[_storage_index(one)] = self._findings.note_unresolved(text)


def _storage_index(one: Compared) -> bytes:
    key = parse_key(one.known[0] if one.known else one.listed[0].key)
    assert key is not None
    return key.storage_index


def _versions(there: Iterable[ListedObject]) -> list[tuple[VersionKey, int]]:
    return [
        (key, listed.size)
        for listed in there
        if isinstance(key := parse_key(listed.key), VersionKey)
    ]


def _not_older(
    versions: Sequence[tuple[VersionKey, int]], one: Compared
) -> list[tuple[VersionKey, int]]:
    """The versions to which a slot may be brought: never back before one that was acknowledged."""
    if not one.known:
        return list(versions)
    known = parse_key(one.known[0])
    assert isinstance(known, VersionKey)
    return [each for each in versions if each[0].version >= known.version]


def _shnum(key: str) -> str:
    return key[key.rfind("/") + 1 :].partition(".")[0]
