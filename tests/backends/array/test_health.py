"""What is made of how the members have been doing."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.health import ENOUGH, HealthBook, Patience, size_class
from raic.backends.array.members import Member
from raic.backends.array.reports import INTERVAL, Reports
from raic.backends.array.unreadable import unreadable
from raic.backends.memory import MemoryProvider
from raic.errors import (
    AccessDenied,
    CircuitOpen,
    ObjectCorrupt,
    ObjectNotFound,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    ProviderUnreachable,
    StorageUnusable,
)
from raic.ledger import IFragmentLedger

SIZE = 65_632


class BookTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.book = HealthBook(self.clock, Patience())
        self.homes = [(n, Member(f"m{n}", MemoryProvider(f"m{n}"))) for n in range(3)]

    def took(self, name: str, seconds: float, times: int = ENOUGH, size: int = SIZE) -> None:
        for _ in range(times):
            self.book.of(name).took(size, seconds)

    def ranked(self) -> list[int]:
        return self.book.ranked(self.homes, SIZE)

    def patience(self, name: str, *others: str) -> float:
        return self.book.patience(name, SIZE, others)

    def test_sizes_fall_into_classes(self) -> None:
        sizes = (0, 1, 4096, 4097, 16_384, 16_385, 2**24, 2**24 + 1, 2**40)
        self.assertEqual([size_class(size) for size in sizes], [0, 0, 0, 1, 1, 2, 6, 7, 7])

    def test_members_about_as_fast_are_ranked_by_number(self) -> None:
        for number, seconds in enumerate((0.030, 0.020, 0.025)):
            self.took(f"m{number}", seconds)
        self.assertEqual(self.ranked(), [0, 1, 2])

    def test_one_that_takes_twice_as_long_comes_later(self) -> None:
        for number, seconds in enumerate((0.050, 0.020, 0.025)):
            self.took(f"m{number}", seconds)
        self.assertEqual(self.ranked(), [1, 2, 0])

    def test_a_failing_one_comes_last(self) -> None:
        self.book.of("m0").failed()
        for _ in range(2):
            self.book.of("m1").overtaken(SIZE, 1.0)
        self.assertEqual(self.ranked(), [2, 1, 0])
        states = [figures.state for figures in self.book.figures()]
        self.assertEqual(states, ["failing", "slow"] + ["well"] * (len(states) - 2))

    def test_one_wrong_answer_does_not_make_a_member_failing_three_do(self) -> None:
        health = self.book.of("m0")
        health.wrong()
        health.wrong()
        self.assertTrue(health.is_well)
        health.was_right()
        health.wrong()
        health.wrong()
        self.assertTrue(health.is_well)
        health.wrong()
        self.assertTrue(health.is_failing)

    def test_patience_is_what_a_member_rarely_exceeds(self) -> None:
        self.took("m0", 0.1, 61)
        self.took("m0", 0.2, 3)
        self.assertEqual(self.patience("m0", "m1"), 0.1)
        self.took("m0", 0.2, ENOUGH)
        self.assertEqual(self.patience("m0", "m1"), 0.2)

    def test_patience_is_bounded(self) -> None:
        self.assertEqual(self.patience("m0", "m1"), 0.5)
        self.took("m0", 0.0001)
        self.assertEqual(self.patience("m0", "m1"), 0.010)
        self.took("m0", 30.0)
        self.took("m1", 30.0)
        self.assertEqual(self.patience("m0", "m1"), 5.0)

    def test_patience_is_shorter_where_another_one_is_much_faster(self) -> None:
        self.took("m0", 2.0)
        self.took("m1", 0.1)
        self.assertEqual(self.patience("m0", "m1", "m2"), 0.2)

    def test_patience_is_longer_where_no_other_one_is_well(self) -> None:
        self.took("m0", 0.05)
        self.book.of("m1").failed()
        self.assertEqual(self.patience("m0", "m1"), 0.5)
        self.assertEqual(self.patience("m0"), 0.5)

    def test_probes_get_rarer(self) -> None:
        health = self.book.of("m0")
        health.failed()
        probes = []
        for _ in range(1000):
            self.clock.advance(1.0)
            if health.may_probe():
                self.assertFalse(health.may_probe())
                probes.append(self.clock.seconds())
                health.failed()
                health.probed()
        pauses = [after - before for before, after in pairwise(probes)]
        self.assertEqual(pauses[:8], [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0])

    def test_a_member_that_left_is_forgotten(self) -> None:
        self.took("m0", 0.1)
        self.book.forget(["m0", "unknown"])
        self.assertEqual(self.book.figures(), ())


class ReportsTests(SynchronousTestCase):
    def test_the_like_is_logged_once_a_minute_and_counted(self) -> None:
        events: list[LogEvent] = []
        observer = cast(ILogObserver, events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        clock = Clock()
        noted: list[str] = []

        class Noting:
            def note_missing(self, keys: list[str], reason: str) -> Deferred[None]:
                noted.extend(keys)
                return succeed(None)

        reports = Reports("array", cast(IFragmentLedger, Noting()), clock)
        corrupt = ObjectCorrupt("m0", "get_object", "altered")
        for number in range(5):
            reports.bad(f"k{number}", "m0", corrupt)
        reports.bad("k5", "m0", ObjectNotFound("m0", "get_object", "gone"))
        reports.bad("k6", "m1", corrupt)
        clock.advance(INTERVAL)
        reports.bad("k7", "m0", corrupt)
        ours = [event for event in events if event.get("array") == "array"]
        self.assertEqual(noted, [f"k{number}" for number in range(8)])
        self.assertEqual([event["member"] for event in ours], ["m0", "m0", "m1", "m0"])
        self.assertEqual(ours[-1]["more"], " (4 more like it before)")


class UnreadableTests(SynchronousTestCase):
    def kind(self, needed: int, hopeful: int, *said: type[ProviderError]) -> type[ProviderError]:
        verdicts = {n: [(f"m{n}", kind(f"m{n}", "get", "why"))] for n, kind in enumerate(said)}
        error = unreadable("array", "get_object", "key", verdicts, needed, hopeful)
        for name in (f"m{number}" for number in range(len(said))):
            self.assertIn(name, str(error))
        return type(error)

    def test_it_is_temporary_only_if_those_away_might_do(self) -> None:
        away, gone, bad = ProviderUnreachable, ObjectNotFound, ObjectCorrupt
        for expected, needed, hopeful, said in (
            (ObjectNotFound, 2, 0, (gone, gone, gone)),
            (ObjectNotFound, 2, 0, (gone, gone, away)),
            (ObjectCorrupt, 2, 1, (gone, gone)),
            (ObjectCorrupt, 2, 0, (gone, gone, bad)),
            (ObjectCorrupt, 2, 0, (bad, bad, away)),
            (ProviderUnreachable, 2, 1, (gone, away)),
            (ProviderUnreachable, 2, 0, (CircuitOpen, away, gone)),
            (ProviderBusy, 3, 1, (ProviderBusy, ProviderBusy, away, gone)),
            (ProviderTimedOut, 2, 1, (ProviderTimedOut, bad)),
            (AccessDenied, 2, 1, (AccessDenied, gone)),
            (StorageUnusable, 2, 0, (StorageUnusable, StorageUnusable, away)),
            (ProviderUnreachable, 2, 1, (StorageUnusable, away)),
        ):
            self.assertIs(self.kind(needed, hopeful, *said), expected, (needed, hopeful, said))
