"""Expiring in the background."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import LogLevel, capturedLogs

from raic.errors import IndexBusy, IndexStopped
from raic.shares.ages import GARBAGE_SECONDS
from raic.shares.collector import Collector
from raic.shares.expirer import (
    BATCH_LEASES,
    FIRST_SECONDS,
    INTERVAL_SECONDS,
    PAUSE_SECONDS,
    RETRY_SECONDS,
    Expirer,
)
from raic.shares.keys import ShareKey
from raic.values import LEASE_SECONDS, ExpiryBatch, ExpiryPolicy, ExpiryRun, StoredShare
from tests.contracts.index_values import make_lease, txn
from tests.shares.stores import INDEX_A, NOW, StoreTestCase

DAY = 24 * 60 * 60
BATCH = ExpiryBatch(1, NOW, NOW, 10)


class ExpirerTestCase(StoreTestCase):
    policy = ExpiryPolicy()

    def setUp(self) -> None:
        super().setUp()
        self.expirer = Expirer(self.index, self.policy, self.clock, lambda: 0.5)
        self.addCleanup(self.expirer.stop)

    def put(self, shnum: int = 0) -> StoredShare:
        self.store(b"a share", shnum)
        return self.successResultOf(self.index.get_bucket(INDEX_A))[shnum]

    def count(self) -> int:
        return len(self.successResultOf(self.index.get_bucket(INDEX_A)))

    def runs(self) -> tuple[ExpiryRun, ...]:
        return self.successResultOf(self.index.get_expiry_runs(100))

    def many(self, count: int) -> None:
        """Shares whose leases are over."""
        found = []
        for number in range(count):
            index = number.to_bytes(16, "big")
            key = str(ShareKey(index, 0, txn(number), 10, 30))
            found.append((StoredShare(index, 0, key, 20, 10), [make_lease(1, NOW - 1)]))
        self.successResultOf(self.index.load(found, []))

    def let_index(self, method: str, answer: Callable[..., Deferred[Any]]) -> None:
        self.patch(self.index, method, answer)


class Expiring(ExpirerTestCase):
    def test_a_share_goes_31_days_after_its_last_renewal(self) -> None:
        self.put()
        self.clock.advance(LEASE_SECONDS)
        self.successResultOf(self.expirer.expire())
        self.assertEqual(self.count(), 1)
        self.clock.advance(1)
        run = self.successResultOf(self.expirer.expire())
        self.assertEqual((run.shares, run.share_bytes, run.leases), (1, 7, 1))
        self.assertEqual(self.count(), 0)

    def test_an_object_is_not_deleted_while_it_is_read(self) -> None:
        share = self.put()
        reader = self.buckets.open(share)
        self.clock.advance(LEASE_SECONDS + 1)
        self.successResultOf(self.expirer.expire())
        collector = Collector(self.memory, self.index, self.pins, self.clock)
        self.clock.advance(GARBAGE_SECONDS)
        self.successResultOf(collector.collect_once())
        self.assertEqual(self.successResultOf(reader.read(0, 7)), b"a share")
        reader.close()
        self.clock.advance(60)
        self.successResultOf(collector.collect_once())
        page = self.successResultOf(self.memory.list_objects("", None))
        self.assertEqual(page.objects, ())

    def test_it_drops_in_batches_and_lets_others_write_in_between(self) -> None:
        self.many(BATCH_LEASES + 1)
        running = self.expirer.expire()
        self.assertNoResult(running)
        self.assertEqual([run.shares for run in self.runs()], [BATCH_LEASES])
        self.assertIsNone(self.runs()[0].ended)
        self.clock.advance(PAUSE_SECONDS)
        self.assertEqual(self.successResultOf(running).shares, BATCH_LEASES + 1)
        self.assertEqual(self.runs()[0].ended, NOW)
        self.assertEqual(self.successResultOf(self.index.get_totals()).shares, 0)


class LongerLeases(ExpirerTestCase):
    policy = ExpiryPolicy(duration=62 * DAY)

    def test_the_age_is_counted_from_the_renewal(self) -> None:
        self.put()
        self.clock.advance(62 * DAY)
        self.successResultOf(self.expirer.expire())
        self.assertEqual(self.count(), 1)
        self.clock.advance(1)
        self.successResultOf(self.expirer.expire())
        self.assertEqual(self.count(), 0)


class CutOff(ExpirerTestCase):
    policy = ExpiryPolicy(cutoff=NOW + 5)

    def test_what_was_renewed_before_the_day_goes_at_once(self) -> None:
        self.put()
        self.clock.advance(5)
        self.put(shnum=1)
        self.successResultOf(self.expirer.expire())
        self.assertEqual(self.count(), 2)
        self.successResultOf(self.index.expire(ExpiryPolicy(cutoff=NOW + 6).rule(NOW), BATCH))
        self.assertEqual(self.count(), 0)


class InTheBackground(ExpirerTestCase):
    def test_it_runs_some_minutes_after_the_start_and_then_daily(self) -> None:
        self.many(1)
        self.expirer.start()
        first = FIRST_SECONDS * 1.5
        self.clock.advance(first - 1)
        self.assertEqual(self.runs(), ())
        with capturedLogs() as events:
            self.clock.advance(1)
        (event,) = events
        self.assertEqual(event["run"].shares, 1)
        self.clock.advance(INTERVAL_SECONDS * 0.95)
        self.assertEqual(len(self.runs()), 2)
        self.clock.advance(INTERVAL_SECONDS * 0.95)
        self.assertEqual(len(self.runs()), 3)

    def test_stopping_in_the_middle_of_a_run_ends_it(self) -> None:
        self.many(BATCH_LEASES + 1)
        self.expirer.start()
        self.clock.advance(FIRST_SECONDS * 1.5)
        self.successResultOf(self.expirer.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        (run,) = self.runs()
        self.assertEqual((run.shares, run.ended), (BATCH_LEASES, None))

    def test_stopping_does_not_wait_for_the_batch_under_way(self) -> None:
        held: Deferred[Any] = Deferred()
        self.let_index("expire", lambda *_: held)
        self.expirer.start()
        self.clock.advance(FIRST_SECONDS * 1.5)
        self.successResultOf(self.expirer.stop())

    def test_stopping_before_the_first_run_is_done_at_once(self) -> None:
        self.successResultOf(self.expirer.stop())
        self.expirer.start()
        self.successResultOf(self.expirer.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_failure_is_logged_and_the_run_begun_again(self) -> None:
        self.let_index("expire", lambda *_: fail(IndexBusy("locked")))
        self.expirer.start()
        with capturedLogs() as events:
            self.clock.advance(FIRST_SECONDS * 1.5)
        self.assertEqual([event["log_level"] for event in events], [LogLevel.warn])
        (call,) = self.clock.getDelayedCalls()
        self.assertEqual(call.getTime() - self.clock.seconds(), RETRY_SECONDS)

    def test_it_ends_with_the_index(self) -> None:
        self.let_index("expire", lambda *_: fail(IndexStopped("closed")))
        self.expirer.start()
        self.clock.advance(FIRST_SECONDS * 1.5)
        self.assertEqual(self.clock.getDelayedCalls(), [])
