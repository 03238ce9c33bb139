"""What everything that keeps an array up does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from raic.backends.array.maintenance import (
    ADD,
    DRAIN,
    REPAIR,
    REPLACE,
    SCRUB,
    IArrayMaintenance,
    Operation,
    Outcome,
    Progress,
)
from raic.errors import ConfigurationError, OperationRefused, RaicError
from tests.contracts.driving import Suite

ABSENT = "nobody"
"""No provider has this name."""


def nothing(_: Progress) -> None:
    """Follow without looking."""


class MaintenanceSuite(Suite):
    """Mixed into a test case that sets ``maintenance``.

    Its array is 2-of-3, ``happy`` 3 or 2, over the providers that ``members`` names, all well,
    and holds some objects, each whole; ``spare`` is a provider that may be added.
    """

    maintenance: IArrayMaintenance
    members: tuple[str, str, str]
    spare: str

    def finish(self) -> None:
        """Let what is under way come to its end."""
        raise NotImplementedError

    def outcome(self, started: Deferred[Outcome]) -> Outcome:
        self.finish()
        return self.successResultOf(started)

    def whats(self) -> list[str]:
        events = self.successResultOf(self.maintenance.history(100))
        return [event.what for event in events]

    def test_it_has_the_interface(self) -> None:
        self.assertTrue(verifyObject(IArrayMaintenance, self.maintenance))

    def test_the_status_tells_of_every_provider(self) -> None:
        status = self.successResultOf(self.maintenance.status())
        self.assertEqual(tuple(each.name for each in status.members), self.members)
        self.assertEqual([each.numbers for each in status.members], [(0,), (1,), (2,)])
        self.assertEqual({each.state for each in status.members}, {"well"})
        self.assertGreater(status.objects, 0)
        self.assertEqual((status.full, status.degraded, status.at_risk), (status.objects, 0, 0))
        self.assertEqual((status.needed, status.repair.queued, status.under_way), (2, 0, ()))

    def test_a_plan_touches_nothing(self) -> None:
        old = self.members[0]
        before = self.successResultOf(self.maintenance.status())
        for operation in (
            Operation(SCRUB),
            Operation(SCRUB, deep=True),
            Operation(REPAIR),
            Operation(REPLACE, (old, self.spare)),
            Operation(ADD, (self.spare,)),
        ):
            estimate = self.successResultOf(self.maintenance.plan(operation))
            self.assertEqual(estimate.operation, operation)
        self.finish()
        self.assertEqual(self.successResultOf(self.maintenance.status()), before)
        self.assertEqual(self.whats(), [])

    def test_what_a_replacement_takes_is_told_by_provider(self) -> None:
        names = (self.members[0], self.spare)
        plan = self.maintenance.plan(Operation(REPLACE, names))
        estimate = self.successResultOf(plan)
        status = self.successResultOf(self.maintenance.status())
        self.assertEqual(estimate.objects, status.objects)
        self.assertGreater(estimate.traffic[self.spare].uploaded, 0)
        self.assertGreater(estimate.traffic[self.spare].stored, 0)

    def test_a_scrub_ends_and_is_in_the_history(self) -> None:
        told: list[Progress] = []
        outcome = self.outcome(self.maintenance.scrub(False, told.append))
        status = self.successResultOf(self.maintenance.status())
        self.assertEqual(outcome.operation, Operation(SCRUB))
        self.assertEqual((outcome.objects, outcome.missing), (status.objects, 0))
        self.assertIsNotNone(status.scrub.finished)
        self.assertEqual(status.under_way, ())
        self.assertIn(SCRUB, self.whats())
        self.assertTrue(told)

    def test_who_asks_again_follows(self) -> None:
        first = self.maintenance.scrub(True, nothing)
        second = self.maintenance.scrub(True, nothing)
        status = self.successResultOf(self.maintenance.status())
        self.assertEqual(len(status.under_way), 1)
        self.assertEqual(self.outcome(first), self.outcome(second))

    def test_it_goes_on_though_nobody_waits(self) -> None:
        started = self.maintenance.replace(self.members[1], self.spare, nothing)
        started.cancel()
        self.failureResultOf(started)
        self.finish()
        status = self.successResultOf(self.maintenance.status())
        expected = {self.members[0], self.spare, self.members[2]}
        self.assertEqual({each.name for each in status.members if each.numbers}, expected)

    def test_the_new_provider_has_the_numbers_of_the_one_it_replaced(self) -> None:
        old = self.members[1]
        outcome = self.outcome(self.maintenance.replace(old, self.spare, nothing))
        status = self.successResultOf(self.maintenance.status())
        numbers = {each.name: each.numbers for each in status.members if each.numbers}
        self.assertEqual(numbers, {self.members[0]: (0,), self.spare: (1,), self.members[2]: (2,)})
        self.assertEqual(outcome.fragments, status.objects)
        self.assertEqual(set(outcome.providers), set(numbers))
        self.assertEqual(status.full, status.objects)
        self.assertIn(REPLACE, self.whats())

    def test_an_added_provider_has_a_number_of_its_own(self) -> None:
        outcome = self.outcome(self.maintenance.add(self.spare, nothing))
        status = self.successResultOf(self.maintenance.status())
        numbers = {each.name: each.numbers for each in status.members}
        self.assertEqual(numbers[self.spare], (3,))
        self.assertEqual(outcome.providers, (*self.members, self.spare))

    def test_unknown_and_known_names_are_mistakes(self) -> None:
        first, second, _ = self.members
        for started in (
            self.maintenance.replace(ABSENT, self.spare, nothing),
            self.maintenance.replace(first, ABSENT, nothing),
            self.maintenance.replace(first, second, nothing),
            self.maintenance.add(first, nothing),
            self.maintenance.add(ABSENT, nothing),
            self.maintenance.drain(ABSENT, nothing),
            self.maintenance.plan(Operation(DRAIN, (ABSENT,))),
        ):
            self.failureResultOf(started, ConfigurationError)

    def test_fragments_are_moved_by_one_operation_at_a_time(self) -> None:
        running = self.maintenance.replace(self.members[0], self.spare, nothing)
        self.refuses(lambda: self.maintenance.drain(self.members[1], nothing), OperationRefused)
        self.outcome(running)

    def test_a_drain_that_would_risk_objects_is_refused(self) -> None:
        """Of 2-of-3 one provider would have two fragments, and only one may be lost."""
        self.refuses(lambda: self.maintenance.drain(self.members[0], nothing), OperationRefused)

    def refuses(self, ask: Callable[[], Deferred[Any]], kind: type[RaicError]) -> None:
        failure = self.failureResultOf(ask(), kind)
        self.assertTrue(failure.value.remedy)
