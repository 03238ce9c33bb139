"""The group commit: what is asked together is committed together, and fails alone."""

from __future__ import annotations

import os
from threading import current_thread

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from raic.errors import IndexCorrupt, IndexFull, IndexStopped, VersionConflict
from raic.promptness import PAUSE_SECONDS, SLOW_SECONDS
from raic.shares.index import create_index, open_index
from raic.shares.index.writer import CHECKPOINT_PAGES, PROMPT_GROUPS
from raic.values import Garbage
from tests.contracts.index_values import (
    INDEX_A,
    INDEX_B,
    NOW,
    inline,
    make_lease,
    make_share,
    make_version,
)
from tests.shares.index.instruments import (
    Instruments,
    PumpedReactor,
    disk_full,
    io_error,
    malformed,
)


def traced(instruments: Instruments) -> dict[str, str]:
    """In which thread the last statement of each kind ran; filled as they run."""
    threads: dict[str, str] = {}

    def note(statement: str) -> None:
        threads[statement.split(maxsplit=1)[0]] = current_thread().name

    instruments.writes.set_trace_callback(note)
    return threads


class PumpedTestCase(SynchronousTestCase):
    """An index whose writer's thread reports to a reactor that waits to be told."""

    sync = True

    def setUp(self) -> None:
        self.reactor = PumpedReactor()
        self.clock = Clock()
        self.instruments = Instruments()
        self.fatal: list[Exception] = []
        self.path = self.mktemp()
        create_index(self.path, 1)
        self.index = open_index(
            self.path,
            self.clock,
            self.reactor,
            sync=self.sync,
            local_listing=False,
            on_fatal=self.fatal.append,
            factory=self.instruments.factory,
        )
        self.addCleanup(self.close)

    def close(self) -> None:
        closing = self.index.close()
        while not closing.called:
            self.reactor.pump()


class GroupCommitTests(PumpedTestCase):
    """While one group is committed the next gathers."""

    def setUp(self) -> None:
        super().setUp()
        self.first = self.index.commit_share(make_share(), make_lease())
        self.reactor.wait()
        self.instruments.commits = 0

    def finish_first(self) -> None:
        """Have the first operation delivered, and the group that gathered meanwhile begun."""
        self.reactor.pump()
        self.successResultOf(self.first)

    def test_what_was_asked_meanwhile_is_one_transaction_and_one_delivery(self) -> None:
        asked = [self.index.renew_lease(INDEX_A, make_lease(n)) for n in range(20)]
        self.finish_first()
        for one in asked:
            self.assertNoResult(one)
        self.reactor.pump()
        self.assertEqual([self.successResultOf(one) for one in asked], [True] * 20)
        self.assertEqual(self.instruments.commits, 1)
        self.assertEqual(len(self.successResultOf(self.index.get_leases(INDEX_A))), 20)

    def test_an_operation_alone_does_not_wait(self) -> None:
        self.finish_first()
        alone = self.index.renew_lease(INDEX_B, make_lease())
        self.reactor.pump()
        self.assertFalse(self.successResultOf(alone))

    def test_after_a_crowd_an_operation_waits_for_others_of_the_same_turn(self) -> None:
        crowd = [self.index.renew_lease(INDEX_A, make_lease(n)) for n in range(2)]
        self.finish_first()
        self.reactor.pump()
        self.instruments.commits = 0
        asked = [self.index.renew_lease(INDEX_A, make_lease(n)) for n in range(5)]
        self.reactor.pump()
        self.reactor.pump()
        self.assertEqual([self.successResultOf(one) for one in crowd + asked], [True] * 7)
        self.assertEqual(self.instruments.commits, 1)

    def test_statements_run_here_and_the_commit_waits_for_the_disk_elsewhere(self) -> None:
        self.finish_first()
        threads = traced(self.instruments)
        self.index.renew_lease(INDEX_A, make_lease(1))
        self.reactor.pump()
        here, there = current_thread().name, "raic-index-writer"
        self.assertEqual(threads, {"BEGIN": here, "INSERT": here, "COMMIT": there})
        self.index.release([Garbage("a", NOW)])
        self.reactor.pump()
        self.assertEqual(set(threads.values()), {there}, "what takes longer runs there as a whole")

    def test_after_slow_statements_they_run_elsewhere_for_a_while(self) -> None:
        self.finish_first()
        self.instruments.writes.set_trace_callback(lambda _: self.clock.advance(SLOW_SECONDS))
        self.index.renew_lease(INDEX_A, make_lease(1))
        self.reactor.pump()
        threads = traced(self.instruments)
        self.index.renew_lease(INDEX_A, make_lease(1))
        self.reactor.pump()
        self.assertEqual(set(threads.values()), {"raic-index-writer"})
        self.clock.advance(PAUSE_SECONDS)
        self.index.renew_lease(INDEX_A, make_lease(1))
        self.reactor.pump()
        self.assertEqual(threads["INSERT"], current_thread().name)

    def test_damage_met_by_a_reader_stops_what_waits_but_not_what_is_under_way(self) -> None:
        waiting = self.index.renew_lease(INDEX_A, make_lease(5))
        self.instruments.before_read = malformed
        self.failureResultOf(self.index.get_bucket(INDEX_A), IndexStopped)
        self.failureResultOf(waiting, IndexStopped)
        self.failureResultOf(self.index.reserve(["a"]), IndexStopped)
        self.assertEqual([type(one) for one in self.fatal], [IndexCorrupt])
        self.finish_first()

    def test_a_conflict_fails_alone(self) -> None:
        version = make_version(self.index.next_version(), [inline()])
        before = self.index.renew_lease(INDEX_A, make_lease(7))
        conflicts: list[Deferred[None]] = [
            self.index.commit_share(make_share(number=1), make_lease(8)),
            self.index.commit_slot(version, version.version, make_lease(9), NOW),
        ]
        after = self.index.commit_share(make_share(INDEX_B), make_lease())
        self.finish_first()
        self.reactor.pump()
        for conflict in conflicts:
            self.failureResultOf(conflict, VersionConflict)
        self.assertTrue(self.successResultOf(before))
        self.successResultOf(after)
        self.assertEqual(self.instruments.commits, 1)
        self.assertEqual(len(self.successResultOf(self.index.get_leases(INDEX_A))), 2)
        self.assertEqual([*self.successResultOf(self.index.get_bucket(INDEX_B))], [0])

    def test_an_operation_that_fails_half_way_is_undone_alone(self) -> None:
        before = self.index.release([Garbage("before", NOW)])
        surprise = self.index.release([Garbage("half", NOW), Garbage("bad", 2**63)])
        conflict = self.index.commit_share(make_share(number=1), make_lease(8))
        after = self.index.release([Garbage("after", NOW)])
        self.finish_first()
        self.reactor.pump()
        self.failureResultOf(surprise, OverflowError)
        self.failureResultOf(conflict, VersionConflict)
        self.successResultOf(before)
        self.successResultOf(after)
        self.assertEqual(self.successResultOf(self.index.get_totals()).garbage, 2)

    def test_a_full_disk_refuses_the_whole_group_and_no_later_one(self) -> None:
        asked = [self.index.renew_lease(INDEX_A, make_lease(n)) for n in range(3)]
        self.instruments.before_commit = disk_full
        self.finish_first()
        self.reactor.pump()
        for one in asked:
            self.failureResultOf(one, IndexFull)
        self.instruments.before_commit = lambda: None
        later = self.index.renew_lease(INDEX_A, make_lease())
        self.reactor.pump()
        self.reactor.pump()
        self.assertTrue(self.successResultOf(later))
        self.assertEqual(self.successResultOf(self.index.get_totals()).leases, 1)
        self.assertEqual(self.fatal, [])

    def test_a_failed_commit_stops_its_group_and_all_that_wait(self) -> None:
        group = [self.index.renew_lease(INDEX_A, make_lease(n)) for n in range(3)]
        told: list[int] = []

        def note(failure: Failure) -> Failure:
            told.append(len(self.fatal))
            return failure

        for one in group:
            one.addErrback(note)
        self.instruments.before_commit = io_error
        self.finish_first()
        waiting = [self.index.renew_lease(INDEX_A, make_lease(n)) for n in range(3)]
        self.reactor.pump()
        for one in group + waiting:
            self.failureResultOf(one, IndexStopped)
        self.failureResultOf(self.index.reserve(["a"]), IndexStopped)
        self.assertEqual(len(self.fatal), 1)
        self.assertEqual(told, [1] * 3, "the node is told before any caller")

    def test_closing_waits_for_what_was_asked(self) -> None:
        asked = self.index.renew_lease(INDEX_A, make_lease(5))
        closing = self.index.close()
        self.failureResultOf(self.index.renew_lease(INDEX_A, make_lease(6)), IndexStopped)
        self.finish_first()
        self.assertNoResult(closing)
        self.reactor.pump()
        self.assertTrue(self.successResultOf(asked))
        self.successResultOf(closing)

    def test_a_commit_waits_for_the_disk_unless_told_otherwise(self) -> None:
        self.finish_first()
        (level,) = self.instruments.writes.execute("PRAGMA synchronous").fetchone()
        self.assertEqual(level, 2)
        self.close()
        relaxed = Instruments()
        index = open_index(
            self.path,
            Clock(),
            None,
            sync=False,
            local_listing=False,
            on_fatal=self.fatal.append,
            factory=relaxed.factory,
        )
        (level,) = relaxed.writes.execute("PRAGMA synchronous").fetchone()
        self.assertEqual(level, 1)
        self.successResultOf(index.close())


class PromptTests(PumpedTestCase):
    """Commits that do not wait for the disk are made in the reactor's thread, at its turn's end."""

    sync = False

    def setUp(self) -> None:
        super().setUp()
        self.threads: list[str] = []
        self.instruments.before_commit = lambda: self.threads.append(current_thread().name)

    def renew(self, count: int = 1) -> list[Deferred[bool]]:
        return [self.index.renew_lease(INDEX_A, make_lease(n)) for n in range(count)]

    def test_all_of_a_turn_are_one_transaction(self) -> None:
        asked = self.renew(20)
        self.assertEqual(self.threads, [])
        self.reactor.pump()
        self.assertEqual([self.successResultOf(one) for one in asked], [False] * 20)
        self.assertEqual(self.threads, [current_thread().name])

    def test_what_takes_longer_is_left_to_the_thread(self) -> None:
        releasing = self.index.release([Garbage("a", NOW)])
        self.renew()
        self.reactor.pump()
        self.assertNoResult(releasing)
        (meanwhile,) = self.renew()
        self.reactor.pump()
        self.successResultOf(releasing)
        self.assertEqual(self.threads, ["raic-index-writer", current_thread().name])
        self.successResultOf(meanwhile)

    def test_after_a_slow_commit_the_thread_makes_them_for_a_while(self) -> None:
        self.instruments.after_commit = lambda: self.clock.advance(SLOW_SECONDS * 2)
        self.renew()
        self.reactor.pump()
        self.instruments.after_commit = lambda: None
        self.renew()
        self.reactor.pump()
        self.reactor.pump()
        self.clock.advance(PAUSE_SECONDS)
        self.renew()
        self.reactor.pump()
        here = current_thread().name
        self.assertEqual(self.threads, [here, "raic-index-writer", here])

    def test_the_thread_moves_the_log_into_the_database_now_and_then(self) -> None:
        sizes = []
        for number in range(12 * PROMPT_GROUPS):
            committing = self.index.commit_share(
                make_share(number.to_bytes(16, "big")), make_lease()
            )
            while not committing.called:
                self.reactor.pump()
            self.successResultOf(committing)
            sizes.append(os.path.getsize(f"{self.path}-wal"))
        self.assertEqual(self.threads.count("raic-index-writer"), 12 * PROMPT_GROUPS // 65)
        self.assertLess(max(sizes), 2 * CHECKPOINT_PAGES * 4096)

    def test_a_failed_commit_stops_the_index(self) -> None:
        (asked,) = self.renew()
        self.instruments.before_commit = io_error
        self.reactor.pump()
        self.failureResultOf(asked, IndexStopped)
        self.assertEqual(len(self.fatal), 1)
        self.failureResultOf(self.index.renew_lease(INDEX_A, make_lease()), IndexStopped)
