"""What a server holds, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, frozen
from twisted.internet.interfaces import IReactorTime

from raic.assembly.status.cached import Cached
from raic.deferreds import async_to_deferred
from raic.interfaces import IIndex
from raic.shares.keys import encode_index
from raic.status import Collection, Expiry, Holding, ProviderSpace, RecentAdvisory, Upcoming
from raic.status.hiding import without_indexes
from raic.values import Advisory, ExpiryRun, NodeSpace, UpcomingLeases
from raic.values import ProviderSpace as ProviderSpaceHeld

if TYPE_CHECKING:
    from raic.assembly.status.gathering import Gathered

ADVISORIES = 20
"""How many advisories are told."""

MOST_COUNTED = 100_000
"""How many upcoming expirations are counted."""

SLOW_SECONDS = 60.0
"""How often what takes longer to find out is asked for."""


@frozen
class Held:
    """What is held as of a moment."""

    holding: Holding
    expiry: Expiry
    space: NodeSpace


class Holdings:
    """Asks the index what there is."""

    def __init__(self, parts: Gathered, clock: IReactorTime) -> None:
        self._parts = parts
        self._clock = clock
        self._upcoming = Cached(self._ask_upcoming, SLOW_SECONDS, clock)

    @async_to_deferred
    async def gather(self) -> Held:
        """What is held now; fails with an ``IndexFailure``."""
        index, uploads = self._parts.index, self._parts.service.uploads
        totals = await index.get_totals()
        holding = Holding(
            totals.shares,
            totals.share_bytes,
            totals.slots,
            totals.slot_bytes,
            totals.leases,
            totals.garbage,
            totals.intents,
            totals.repairs,
            totals.advisories,
            len(uploads),
            uploads.reserved,
        )
        return Held(holding, await self._expiry(index), await self._parts.stack.book.get())

    def collection(self) -> Collection:
        """How the deletion of garbage goes."""
        collector = self._parts.collector
        problem = collector.problem
        told = "" if problem is None else without_indexes(str(problem))
        return Collection(collector.looked, collector.deleted, told)

    @async_to_deferred
    async def advisories(self, *, reveal: bool) -> tuple[RecentAdvisory, ...]:
        """The newest ones; fails with an ``IndexFailure``."""
        found = await self._parts.index.get_advisories(ADVISORIES)
        return tuple(_advisory(each, reveal=reveal) for each in found)

    def space_of(self, name: str, told: ProviderSpace, held: Held) -> ProviderSpace:
        """What a provider holds for this server.

        :param told: what is known from the provider itself.
        """
        for each in held.space.providers:
            if each.name == name:
                return evolve(
                    told,
                    used=each.used,
                    leased=each.leased,
                    garbage=each.garbage,
                    overhead=each.overhead,
                    quota=each.quota,
                    available=_available(each, told.available),
                )
        return told

    async def _expiry(self, index: IIndex) -> Expiry:
        storage = self._parts.config.storage
        runs = await index.get_expiry_runs(1)
        upcoming = await self._upcoming.get()
        told = Expiry(
            storage.expires, Upcoming(upcoming.first, upcoming.day, upcoming.week, MOST_COUNTED)
        )
        return told if not runs else _with_run(told, runs[0])

    @async_to_deferred
    async def _ask_upcoming(self) -> UpcomingLeases:
        """By the rule that is configured, or would be."""
        now = int(self._clock.seconds())
        policy = self._parts.config.storage.expiry
        if policy.cutoff is not None:
            return UpcomingLeases(None, 0, 0)  # no moment makes a lease over that is not
        before = policy.rule(now).before
        found = await self._parts.index.get_upcoming(before, MOST_COUNTED)
        first = None if found.first is None else found.first - before + now
        return evolve(found, first=first)


def _available(space: ProviderSpaceHeld, told: int | None) -> int | None:
    if space.quota is None:
        return told
    left = max(0, space.quota - space.used)
    return left if told is None else min(left, told)


def _with_run(expiry: Expiry, run: ExpiryRun) -> Expiry:
    return evolve(
        expiry,
        last_started=run.started,
        last_ended=run.ended,
        last_leases=run.leases,
        last_shares=run.shares,
        last_slots=run.slots,
        last_bytes=run.share_bytes + run.slot_bytes,
    )


def _advisory(advisory: Advisory, *, reveal: bool) -> RecentAdvisory:
    return RecentAdvisory(
        advisory.kind,
        advisory.shnum,
        advisory.received,
        advisory.checked,
        advisory.verdict if reveal else without_indexes(advisory.verdict),
        encode_index(advisory.storage_index) if reveal else None,
    )
