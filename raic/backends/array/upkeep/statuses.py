"""How an array is doing, from what is known without asking anybody."""

from __future__ import annotations

from collections import Counter

from attrs import define, field

from raic.backends.array.health import MemberFigures
from raic.backends.array.maintenance import (
    ArrayStatus,
    MemberStatus,
    RepairStatus,
    ScrubStatus,
    UnderWay,
)
from raic.backends.array.members import Member
from raic.backends.array.provider import ArrayProvider
from raic.backends.array.upkeep.pacing import Pace
from raic.backends.array.upkeep.repairing import Repairer
from raic.errors import ProviderError
from raic.fragmentkeys import FragmentKey, parse_fragment_key
from raic.ledger import IFragmentLedger
from raic.values import ArrayTotals

SCRUB_NOTE = "scrub"
_PAGE = 5000


@define
class Lacking:
    """What is noted for repair.

    :ivar total: how many fragments each object should have.
    :ivar by_number: how many fragments of each number are noted.
    :ivar degraded: how many objects lack some, and can bear to lose one more.
    :ivar at_risk: how many cannot.
    """

    total: int
    by_number: Counter[int] = field(factory=Counter)
    degraded: int = 0
    at_risk: int = 0
    _current: FragmentKey | None = None
    _missing: int = 0

    def add(self, key: FragmentKey) -> None:
        """One more; those of an object follow one another."""
        if self._current is None or key.object_key != self._current.object_key:
            self.end()
            self._current = key
        self._missing += 1
        self.by_number[key.number] += 1

    def end(self) -> None:
        """That was all of an object."""
        if self._current is not None:
            if self.total - self._missing > self._current.needed:
                self.degraded += 1
            else:
                self.at_risk += 1
        self._current, self._missing = None, 0


async def count_lacking(ledger: IFragmentLedger, total: int) -> Lacking:
    """Go through the repairs."""
    lacking, after = Lacking(total), ""
    while True:
        page = await ledger.next_repairs(_PAGE, after)
        for key in map(parse_fragment_key, page):
            if key is not None:
                lacking.add(key)
        if not page:
            lacking.end()
            return lacking
        after = page[-1]


async def status_of(
    array: ArrayProvider,
    ledger: IFragmentLedger,
    repairer: Repairer,
    pace: Pace,
    under_way: tuple[UnderWay, ...],
) -> ArrayStatus:
    """See :meth:`raic.backends.array.maintenance.IArrayMaintenance.status`."""
    totals = await ledger.get_array_totals()
    notes = await ledger.get_notes()
    lacking = await count_lacking(ledger, len(array.placement().lasting()))
    finished = notes.get(SCRUB_NOTE)
    at_risk = max(lacking.at_risk, len(repairer.lost))
    return ArrayStatus(
        array.name,
        array.code.needed,
        array.happy,
        _members(array, totals, lacking),
        totals.objects,
        max(0, totals.objects - lacking.degraded - at_risk),
        lacking.degraded,
        at_risk,
        RepairStatus(totals.repairs, repairer.done, pace.rate(), pace.limit),
        ScrubStatus(None if finished is None else int(finished), totals.verified, totals.oldest),
        under_way,
    )


def _members(
    array: ArrayProvider, totals: ArrayTotals, lacking: Lacking
) -> tuple[MemberStatus, ...]:
    figures = {each.name: each for each in array.health.figures()}
    errors = array.membership.missing()
    members = sorted(array.placement().members(), key=lambda member: _order(array, member))
    return tuple(
        _member(array, member, figures.get(member.name), errors.get(member.name), totals, lacking)
        for member in members
    )


def _order(array: ArrayProvider, member: Member) -> tuple[int, bool]:
    placement = array.placement()
    first = min(n for n in placement.numbers() if member in placement.where(n))
    return first, placement.home(first) is not member


def _member(
    array: ArrayProvider,
    member: Member,
    figures: MemberFigures | None,
    error: ProviderError | None,
    totals: ArrayTotals,
    lacking: Lacking,
) -> MemberStatus:
    placement = array.placement()
    numbers = [n for n in placement.numbers() if placement.home(n) is member]
    former = [n for n in placement.numbers() if placement.also(n) is member]
    missing = sum(lacking.by_number[n] for n in numbers)
    moving = former or any(n in placement.partial or placement.also(n) for n in numbers)
    held = None if moving else max(0, totals.objects * len(numbers) - missing)
    state = "well" if figures is None else figures.state
    return MemberStatus(
        member.name,
        tuple(numbers),
        tuple(former),
        "away" if error is not None else state,
        None if figures is None else figures.seconds,
        held,
        missing,
        "" if error is None else f"{error}; {error.remedy}",
    )
