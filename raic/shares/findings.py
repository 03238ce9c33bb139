"""What a rebuild of the index finds."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, frozen

from raic.errors import ProviderError
from raic.shares.recovery import Unusable
from raic.values import UNRESOLVED, Totals

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
    :ivar known: of the shares and slots, how many the index had before, and the provider has still.
    :ivar gone: how many shares and slots the index had of which the provider has nothing any more.
    :ivar leases: how many leases the index has, when it is done.
    :ivar problem_count: how many objects could not be used; all objects of their storage indexes
        are set aside.
    :ivar problems: which, and why; the first thousand.
    :ivar unresolved_count: how many objects could not be read because a provider was away, but can
        perhaps when it is back; their storage indexes are set aside.
    :ivar unresolved: which, and why; the first thousand.
    """

    shares: int = 0
    share_bytes: int = 0
    slots: int = 0
    slot_bytes: int = 0
    deleted_slots: int = 0
    left_over: int = 0
    known: int = 0
    gone: int = 0
    leases: int = 0
    problem_count: int = 0
    problems: tuple[str, ...] = ()
    unresolved_count: int = 0
    unresolved: tuple[str, ...] = ()


class Findings:
    """Adds up what is found.

    :ivar report: what that is so far.
    """

    def __init__(self) -> None:
        self.report = RebuildReport()

    def count(self, **more: int) -> None:
        """Add to some of the report's counts."""
        report = self.report
        sums: Mapping[str, int] = {name: getattr(report, name) + n for name, n in more.items()}
        self.report = evolve(report, **sums)  # type: ignore[arg-type]  # all are counts

    def finish(self, totals: Totals) -> None:
        """Take the totals of all that the index has in the end."""
        self.report = evolve(
            self.report,
            shares=totals.shares,
            share_bytes=totals.share_bytes,
            slots=totals.slots,
            slot_bytes=totals.slot_bytes,
            leases=totals.leases,
        )

    def note(self, key: str, problem: Unusable | ProviderError) -> str:
        """Note an object that cannot be used, or not now; the reason for which its storage index
        is set aside.
        """
        if isinstance(problem, ProviderError):
            return self.note_unresolved(f"{key}: {problem.detail}")
        self.note_problem(str(problem))
        return str(problem)

    def note_unresolved(self, text: str) -> str:
        """Note what may be there; the reason for which its storage index is set aside."""
        report = self.report
        shown = report.unresolved
        if len(shown) < SHOWN_PROBLEMS:
            shown += (text,)
        self.report = evolve(report, unresolved_count=report.unresolved_count + 1, unresolved=shown)
        return UNRESOLVED + text

    def note_problem(self, text: str) -> None:
        """Note what cannot be used."""
        report = self.report
        problems = report.problems
        if len(problems) < SHOWN_PROBLEMS:
            problems += (text,)
        self.report = evolve(report, problem_count=report.problem_count + 1, problems=problems)
