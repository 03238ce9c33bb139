"""Finds objects that no one refers to."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from attrs import evolve, frozen
from twisted.internet.interfaces import IReactorTime

from raic.deferreds import async_to_deferred
from raic.interfaces import IIndex, IStorageProvider
from raic.shares.ages import UNKNOWN_SECONDS
from raic.shares.comparing import Compared, compare
from raic.shares.keys import CHUNKS, SHARES, SLOTS, VersionKey, parse_key
from raic.shares.listing import folder, pages
from raic.values import Garbage, ListedObject


@frozen
class OrphanReport:
    """What a search found.

    :ivar listed: how many objects there are.
    :ivar orphans: how many nobody referred to; they are garbage now.
    :ivar kept: how many were spared because older versions of their slots are still there.
    :ivar foreign: how many are not named as this node names objects; they are left alone.
    """

    listed: int = 0
    orphans: int = 0
    kept: int = 0
    foreign: int = 0


_AT_ONCE = 1000

REMEMBERED = 100_000
"""How many objects a rebuild remembers so that they need not be listed again."""


class Unclear:
    """Objects of which a rebuild has seen that shares and slots might not refer to all of them.

    :ivar objects: which; None when they were too many.
    """

    def __init__(self) -> None:
        self.objects: list[ListedObject] | None = []

    def add(self, listed: Iterable[ListedObject]) -> None:
        """Remember some."""
        if self.objects is not None:
            self.objects += listed
            if len(self.objects) > REMEMBERED:
                self.objects = None


@async_to_deferred
async def find_orphans_after(
    provider: IStorageProvider, index: IIndex, clock: IReactorTime, unclear: Unclear
) -> OrphanReport:
    """What :func:`find_orphans` does, just after a rebuild that has listed everything.

    Chunks are listed again: which of them a slot refers to was not known when they were.
    """
    if unclear.objects is None:
        return await find_orphans(provider, index, clock)
    search = _Search(provider, index, clock)
    await search.go_through([CHUNKS])
    for begin in range(0, len(unclear.objects), _AT_ONCE):
        await search.look_at(unclear.objects[begin : begin + _AT_ONCE])
    return search.report


@async_to_deferred
async def find_orphans(
    provider: IStorageProvider, index: IIndex, clock: IReactorTime
) -> OrphanReport:
    """Make garbage of the objects that nothing refers to; they stay for another day.

    Needed after an unclean stop on a provider with ``ILocalListing``, where intents are not on
    disk, and after a rebuild.  May run beside everything else: each page is listed first and what
    is unclear looked up afterwards, so what is being written is known by then.

    :return: fires with what was found; fails with a ``ProviderError`` or an ``IndexFailure``, and
        may simply be repeated.
    """
    search = _Search(provider, index, clock)
    await search.go_through([SHARES, CHUNKS, SLOTS])
    return search.report


@async_to_deferred
async def discard_orphans(
    provider: IStorageProvider,
    index: IIndex,
    clock: IReactorTime,
    listed: Collection[ListedObject],
) -> int:
    """Make garbage of those objects that nothing refers to; they stay for another day.

    :param listed: what was on the provider a moment ago.
    :return: fires with how many there were; fails as :func:`find_orphans` does.
    """
    search = _Search(provider, index, clock)
    await search.look_at(listed)
    return search.report.orphans


class _Search:
    def __init__(self, provider: IStorageProvider, index: IIndex, clock: IReactorTime) -> None:
        self._provider = provider
        self._index = index
        self._clock = clock
        self.report = OrphanReport()

    async def go_through(self, prefixes: Iterable[str]) -> None:
        """Look at all objects under some prefixes."""
        for prefix in prefixes:
            async for some in compare(self._provider, self._index, prefix, self.pass_over):
                await self.look_at([listed for one in some for listed in self.unclear(one)])

    def pass_over(self, _: str) -> None:
        """An object that is not named as this node names objects."""
        report = self.report
        self.report = evolve(report, listed=report.listed + 1, foreign=report.foreign + 1)

    def unclear(self, one: Compared) -> Collection[ListedObject]:
        """The objects of a storage index, unless shares and slots refer to them all."""
        if not one.is_same:
            return one.listed
        self.report = evolve(self.report, listed=self.report.listed + len(one.listed))
        return ()

    async def look_at(self, page: Collection[ListedObject]) -> None:
        if not page:
            return
        ours = [listed.key for listed in page if parse_key(listed.key) is not None]
        unknown = await self._index.unknown_keys(ours)
        kept = await self._tombstones_perhaps(unknown) if unknown else frozenset()
        orphans = unknown - kept
        if orphans:
            until = int(self._clock.seconds()) + UNKNOWN_SECONDS
            await self._index.release([Garbage(key, until) for key in sorted(orphans)])
        report = self.report
        self.report = evolve(
            report,
            listed=report.listed + len(page),
            orphans=report.orphans + len(orphans),
            kept=report.kept + len(kept),
            foreign=report.foreign + len(page) - len(ours),
        )

    async def _tombstones_perhaps(self, unknown: frozenset[str]) -> frozenset[str]:
        """Those that must outlive other objects.

        Where a slot is gone, the newest version that is still there may be the tombstone that
        keeps the older ones from coming back at a restore.  It is an orphan like others once it
        is the last.
        """
        parsed = [parse_key(key) for key in unknown]
        slots = {key.storage_index for key in parsed if type(key) is VersionKey}
        kept = set()
        for storage_index in slots:
            if await self._index.get_slot(storage_index) is None:
                versions = await self._versions(storage_index)
                newest = max(versions, key=lambda key: (key.version, key.txn), default=None)
                if newest is not None and len(versions) > 1:
                    kept.add(str(newest))
        return unknown.intersection(kept)

    async def _versions(self, storage_index: bytes) -> list[VersionKey]:
        found = []
        async for page in pages(self._provider, folder(SLOTS, storage_index)):
            parsed = (parse_key(listed.key) for listed in page)
            found += [key for key in parsed if isinstance(key, VersionKey)]
        return found
