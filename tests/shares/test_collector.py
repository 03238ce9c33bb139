"""Deleting garbage."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import capturedLogs

from raic.errors import IndexStopped, ProviderBusy, ProviderUnreachable
from raic.shares.ages import REQUEST_SECONDS
from raic.shares.collector import (
    BATCH_OBJECTS,
    INTERVAL_SECONDS,
    LONGEST_INTERVAL_SECONDS,
    PINNED_SECONDS,
    REFUSED_SECONDS,
    Collector,
)
from raic.values import Garbage
from tests.contracts.index_values import fragment, inline, make_version
from tests.shares.slot_machine_world import Held, Send, busy
from tests.shares.stores import NOW
from tests.shares.upload_world import UploadTestCase


def unreachable(send: Send) -> Deferred[object]:
    return fail(ProviderUnreachable("attic", "delete_objects", "no answer"))


class CollectorTestCase(UploadTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.collector = Collector(self.remote, self.index, self.pins, self.clock)

    def litter(self, *names: str, not_before: int = NOW, passes: int = 1) -> None:
        """Objects that are garbage."""
        for name in names:
            self.successResultOf(self.remote.put_object(name, b"x"))
        self.successResultOf(
            self.index.release([Garbage(name, not_before, passes) for name in names])
        )

    def collect(self) -> int:
        return self.successResultOf(self.collector.collect_once())


class CollectOnceTests(CollectorTestCase):
    def test_garbage_goes_when_its_time_has_come(self) -> None:
        self.litter("a", "b")
        self.litter("c", not_before=NOW + 10)
        self.assertEqual(self.collect(), 2)
        self.assertEqual(list(self.objects()), ["c"])
        self.assertEqual(self.collect(), 0)
        self.clock.advance(10)
        self.assertEqual(self.collect(), 1)
        self.assertEqual(self.objects(), {})
        self.assertEqual(self.garbage(), ())

    def test_what_is_being_read_stays(self) -> None:
        self.litter("a", "b")
        self.pins.pin(["a"])
        self.assertEqual(self.collect(), 2)
        self.assertEqual(list(self.objects()), ["a"])
        self.assertEqual(self.garbage(), (Garbage("a", NOW + PINNED_SECONDS),))
        self.pins.unpin(["a"])
        self.clock.advance(PINNED_SECONDS)
        self.collect()
        self.assertEqual(self.objects(), {})

    def test_what_is_being_read_is_not_in_the_way(self) -> None:
        names = [f"o/{number}" for number in range(BATCH_OBJECTS + 1)]
        self.litter(*names)
        self.pins.pin(names[:-1])
        self.collect()
        self.collect()
        self.assertNotIn(names[-1], self.objects())

    def test_what_may_land_again_is_deleted_twice(self) -> None:
        self.litter("a", passes=2)
        self.collect()
        self.assertEqual(self.objects(), {})
        self.assertEqual(self.garbage(), (Garbage("a", NOW + REQUEST_SECONDS),))
        self.successResultOf(self.remote.put_object("a", b"late"))
        self.clock.advance(REQUEST_SECONDS - 1)
        self.assertEqual(self.collect(), 0)
        self.clock.advance(1)
        self.collect()
        self.assertEqual(self.objects(), {})
        self.assertEqual(self.garbage(), ())

    def test_what_the_provider_did_not_delete_is_tried_again_later(self) -> None:
        def refuses_a(send: Send) -> Deferred[object]:
            send()
            self.successResultOf(self.remote.put_object("a", b"x"))
            return succeed(frozenset(["a"]))

        self.litter("a", "b", passes=2)
        self.remote.steps["delete"] = [refuses_a]
        self.collect()
        self.assertEqual(
            self.garbage(),
            (Garbage("b", NOW + REQUEST_SECONDS), Garbage("a", NOW + REFUSED_SECONDS, 2)),
        )

    def test_fragments_go_as_objects_do_and_with_an_object_what_is_known_of_them(self) -> None:
        version = make_version(self.index.next_version(), [inline()])
        self.successResultOf(self.index.commit_slot(version, None, None, NOW))
        old, new = fragment(version.key), fragment(version.key, 0, 1)
        for key in (version.key, old, new):
            self.successResultOf(self.remote.put_object(key, b"x"))
        ledger = self.index.ledger
        self.assertTrue(self.successResultOf(ledger.commit_attempt(new, old, NOW)))
        self.collect()
        self.assertEqual(set(self.objects()), {version.key, new})
        self.assertEqual(self.garbage(), (Garbage(old, NOW + REQUEST_SECONDS),))
        self.clock.advance(REQUEST_SECONDS)
        self.collect()
        self.assertEqual(self.garbage(), ())
        tombstone = make_version(self.index.next_version(), [])
        gone = self.index.commit_slot(tombstone, version.version, None, NOW)
        self.successResultOf(gone)
        self.assertEqual(len(self.successResultOf(ledger.lookup(version.key)).attempts), 1)
        self.collect()
        self.assertEqual(self.successResultOf(ledger.lookup(version.key)).attempts, {})
        self.collect()
        self.assertEqual(self.garbage(), ())

    def test_a_tombstone_waits_for_the_fragments_of_older_versions(self) -> None:
        old = make_version(self.index.next_version(), [inline()])
        tombstone = make_version(self.index.next_version(), [])
        self.successResultOf(self.index.commit_slot(old, None, None, NOW))
        self.successResultOf(self.index.commit_slot(tombstone, old.version, None, NOW))
        straggler = Garbage(fragment(old.key), NOW + 10)
        self.successResultOf(self.index.ledger.release([straggler]))
        self.collect()
        self.collect()
        self.assertEqual(self.garbage(), (straggler,))
        self.assertEqual(self.successResultOf(self.index.get_totals()).garbage, 2)
        self.clock.advance(10)
        self.collect()
        self.collect()
        self.assertEqual(self.successResultOf(self.index.get_totals()).garbage, 0)

    def test_a_failure_changes_nothing(self) -> None:
        self.litter("a")
        self.remote.steps["delete"] = [busy]
        self.failureResultOf(self.collector.collect_once(), ProviderBusy)
        self.assertEqual(self.garbage(), (Garbage("a", NOW),))
        self.assertEqual(self.collect(), 1)

    def test_a_batch_is_of_bounded_size(self) -> None:
        self.litter(*[f"o/{number}" for number in range(BATCH_OBJECTS + 1)])
        self.assertEqual(self.collect(), BATCH_OBJECTS)
        self.assertEqual(self.collect(), 1)


class LoopTests(CollectorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.collector.stop)

    def test_garbage_goes_without_being_asked(self) -> None:
        self.litter("a")
        self.collector.start()
        self.assertEqual(self.objects(), {})
        self.litter("b")
        self.clock.advance(INTERVAL_SECONDS)
        self.assertEqual(self.objects(), {})

    def test_where_there_is_more_the_next_batch_follows_at_once(self) -> None:
        self.litter(*[f"o/{number}" for number in range(BATCH_OBJECTS + 1)])
        self.collector.start()
        self.assertEqual(len(self.objects()), 1)
        self.clock.advance(0)
        self.assertEqual(self.objects(), {})

    def test_failures_make_it_slower_but_do_not_stop_it(self) -> None:
        self.litter("a")
        self.remote.steps["delete"] = [busy] * 20
        self.collector.start()
        waits = []
        while self.objects():
            (call,) = self.clock.getDelayedCalls()
            waits.append(call.getTime() - self.clock.seconds())
            self.clock.advance(waits[-1])
        self.assertEqual(waits[:3], [60, 120, 240])
        self.assertEqual(waits[-1], LONGEST_INTERVAL_SECONDS)
        (call,) = self.clock.getDelayedCalls()
        self.assertEqual(call.getTime() - self.clock.seconds(), INTERVAL_SECONDS)

    def test_a_kind_of_failure_is_logged_once_until_it_is_over(self) -> None:
        self.litter("a")
        self.remote.steps["delete"] = [busy, busy, unreachable, busy, None, busy]
        with capturedLogs() as events:
            self.collector.start()
            for _ in range(4):
                self.clock.advance(LONGEST_INTERVAL_SECONDS)
            self.litter("b")
            self.clock.advance(LONGEST_INTERVAL_SECONDS)
        logged = [type(event["error"]) for event in events]
        self.assertEqual(logged, [ProviderBusy, ProviderUnreachable, ProviderBusy])

    def test_it_ends_with_the_index(self) -> None:
        def stopped(send: Send) -> Deferred[object]:
            return fail(IndexStopped("closed"))

        self.let_index("next_garbage", stopped)
        self.collector.start()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopping_waits_for_the_batch_under_way(self) -> None:
        held = Held()
        self.remote.steps["delete"] = [held]
        self.litter("a")
        self.collector.start()
        stopping, again = self.collector.stop(), self.collector.stop()
        self.assertNoResult(stopping)
        held.let_go()
        self.successResultOf(stopping)
        self.successResultOf(again)
        self.assertEqual(self.garbage(), ())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopping_between_batches_is_done_at_once(self) -> None:
        self.successResultOf(self.collector.stop())
        self.collector.start()
        self.successResultOf(self.collector.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
