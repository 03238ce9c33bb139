"""Which fragments count as known; what the ledger remembers in memory."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.errors import IndexFull, IndexStopped
from raic.ledger import IFragmentLedger
from raic.shares.index import SQLiteIndex, create_index, open_index
from raic.shares.index.rows import Execute, fragment_range
from raic.shares.index.verified import DAY_SECONDS
from raic.values import ArrayEvent, FragmentState, Garbage
from tests.contracts.index_values import (
    INDEX_A,
    INDEX_B,
    NOW,
    chunk,
    chunked,
    fragment,
    make_lease,
    make_share,
    make_version,
)
from tests.shares.index.instruments import Instruments, disk_full, malformed
from tests.strategies import keys

SHARE = make_share()
LATER = NOW + 300


class LedgerTestCase(SynchronousTestCase):
    local_listing = False

    def setUp(self) -> None:
        self.path = self.mktemp()
        create_index(self.path, 1)
        self.clock = Clock()
        self.clock.advance(NOW)
        self.fatal: list[Exception] = []
        self.index = self.opened()

    def opened(self) -> SQLiteIndex:
        self.instruments = Instruments()
        index = open_index(
            self.path,
            self.clock,
            None,
            local_listing=self.local_listing,
            on_fatal=self.fatal.append,
            factory=self.instruments.factory,
        )
        self.addCleanup(index.close)
        self.ledger = index.ledger
        return index

    def done(self, deferred: Deferred[Any]) -> None:
        self.successResultOf(deferred)

    def known(self, *keys: str) -> set[str]:
        unknown = self.successResultOf(self.index.unknown_keys(keys))
        return set(keys).difference(unknown)

    def repair(self, key: str, number: int, attempt: int) -> bool:
        return self.successResultOf(
            self.ledger.commit_attempt(fragment(key, number, attempt), fragment(key, number), LATER)
        )


def _run(execute: Execute, statement: str) -> None:
    execute(statement)


class KnownFragmentsTests(LedgerTestCase):
    def test_the_fragments_that_count_of_what_is_stored_are_known(self) -> None:
        version = make_version(self.index.next_version(), [chunked(chunk(1))])
        self.done(self.index.commit_share(SHARE, make_lease()))
        self.done(self.index.commit_slot(version, None, None, NOW))
        for key in (SHARE.key, version.key, str(chunk(1).key)):
            fragments = [fragment(key, number) for number in range(5)]
            self.assertEqual(self.known(*fragments), set(fragments))
            self.assertEqual(self.known(fragment(key, 0, 1), fragment(key + "0")), set())

    def test_an_attempt_takes_the_place_of_the_first(self) -> None:
        self.done(self.index.commit_share(SHARE, make_lease()))
        self.assertTrue(self.repair(SHARE.key, 0, 1))
        first, second = fragment(SHARE.key), fragment(SHARE.key, 0, 1)
        other = fragment(SHARE.key, 0, 2)
        self.assertEqual(self.known(first, second, other), {first, second})
        self.done(self.index.settle_garbage([Garbage(first, LATER, 2)]))
        self.done(self.index.settle_garbage([Garbage(first, LATER)]))
        self.assertEqual(self.known(first, second, other), {second})

    def test_what_is_intended_or_to_be_deleted_or_repaired_is_known(self) -> None:
        begun = fragment(SHARE.key, 0, 1)
        self.done(self.ledger.begin_attempt(begun))
        self.done(self.index.reserve([make_share(number=1).key]))
        self.done(self.index.release([Garbage(make_share(number=2).key, LATER)]))
        of_intent, of_garbage = (fragment(make_share(number=n).key) for n in (1, 2))
        self.assertEqual(
            self.known(begun, of_intent, of_garbage, fragment(SHARE.key)),
            {begun, of_intent, of_garbage},
        )
        self.done(self.ledger.release([Garbage(begun, LATER)]))
        self.assertEqual(self.known(begun), {begun})

    def test_nothing_of_what_was_set_aside_is_unknown(self) -> None:
        self.done(self.index.set_aside({INDEX_A: "broken"}))
        aside = [fragment(SHARE.key), fragment(SHARE.key, 0, 1)]
        other = fragment(make_share(INDEX_B).key)
        self.assertEqual(self.known(*aside, other), set(aside))

    def test_what_only_looks_like_a_fragment_is_not_known(self) -> None:
        self.done(self.index.commit_share(SHARE, make_lease()))
        self.assertEqual(self.known(f"{SHARE.key}--", f"{SHARE.key}--2.16.120.0"), set())


class KnownLocallyTests(LedgerTestCase):
    local_listing = True

    def test_fragments_of_intents_in_memory_are_known(self) -> None:
        self.done(self.index.reserve([SHARE.key]))
        known = {SHARE.key, fragment(SHARE.key), fragment(SHARE.key, 3)}
        self.assertEqual(self.known(*known, fragment(SHARE.key, 0, 1)), known)

    def test_an_intent_in_memory_may_be_released_meanwhile(self) -> None:
        """Asked for before the answer to the release; the queue decides."""
        self.done(self.index.reserve([SHARE.key]))
        self.done(self.ledger.settle(fragment(SHARE.key)))
        self.done(self.index.release([Garbage(SHARE.key, LATER)]))
        self.index._intents.kept.add(SHARE.key)
        self.assertFalse(self.successResultOf(self.ledger.settle(fragment(SHARE.key))))


class OrdinaryTests(LedgerTestCase):
    """Where nothing is noted of any object, the file is not read."""

    def reads(self) -> int:
        """How often the file is read to look an object up."""
        count = [0]

        def count_one() -> None:
            count[0] += 1

        self.instruments.before_read = count_one
        self.successResultOf(self.ledger.lookup(SHARE.key))
        self.instruments.before_read = lambda: None
        return count[0]

    def test_nothing_is_read_while_nothing_is_noted(self) -> None:
        self.assertEqual(self.reads(), 0)
        self.done(self.index.commit_share(SHARE, make_lease()))
        self.done(self.ledger.settle(fragment(SHARE.key)))
        self.done(self.ledger.begin_attempt(fragment(SHARE.key, 0, 1)))
        self.assertEqual(self.reads(), 0)

    def test_it_is_read_while_something_is_noted(self) -> None:
        self.done(self.index.commit_share(SHARE, make_lease(), [fragment(SHARE.key)]))
        self.assertGreater(self.reads(), 0)
        self.done(self.ledger.settle(fragment(SHARE.key)))
        self.assertEqual(self.reads(), 0)
        self.done(self.ledger.note_missing([fragment(SHARE.key)], "gone"))
        self.assertGreater(self.reads(), 0)
        self.done(self.ledger.settle(fragment(SHARE.key, 1)))
        self.assertGreater(self.reads(), 0)

    def test_it_is_read_until_an_attempt_is_forgotten(self) -> None:
        version = make_version(self.index.next_version(), [chunked(chunk(1))])
        self.done(self.index.commit_slot(version, None, None, NOW))
        self.assertTrue(self.repair(version.key, 0, 1))
        tombstone = make_version(self.index.next_version(), [], number=1)
        self.done(self.index.commit_slot(tombstone, version.version, None, NOW))
        self.assertGreater(self.reads(), 0)
        self.done(self.index.settle_garbage([Garbage(version.key, NOW)]))
        self.assertEqual(self.reads(), 0)

    def test_it_is_read_by_the_next_process_while_something_is_noted(self) -> None:
        self.done(self.index.commit_share(SHARE, make_lease(), [fragment(SHARE.key)]))
        self.done(self.index.close())
        self.index = self.opened()
        self.assertGreater(self.reads(), 0)
        found = self.successResultOf(self.ledger.lookup(SHARE.key))
        self.assertEqual(found, FragmentState(frozenset({0})))

    def test_an_addition_that_fails_does_no_harm(self) -> None:
        self.done(self.index.commit_share(SHARE, make_lease()))
        self.instruments.before_commit = disk_full
        self.failureResultOf(self.ledger.note_missing([fragment(SHARE.key)], "x"), IndexFull)
        self.instruments.before_commit = lambda: None
        self.assertEqual(self.successResultOf(self.ledger.lookup(SHARE.key)), FragmentState())
        self.done(self.ledger.settle(fragment(SHARE.key)))
        self.assertEqual(self.reads(), 0)


class FragmentRangeTests(SynchronousTestCase):
    @given(keys(), keys(), st.sampled_from(["", "-", "--", ".", "-.", "0", "/x"]))
    def test_the_fragments_of_an_object_and_no_others_are_in_it(
        self, one: str, other: str, end: str
    ) -> None:
        first, last = fragment_range(one)
        self.assertTrue(first <= fragment(one, 7, 1) < last)
        for different in {other, one + end} - {one}:
            self.assertFalse(first <= fragment(different) < last, different)


class VerifiedTests(LedgerTestCase):
    def verified(self, *keys: str) -> set[str]:
        found = self.successResultOf(self.ledger.get_verified(keys))
        return set(found)

    def test_each_share_version_and_chunk_has_its_own_time(self) -> None:
        old = make_version(self.index.next_version(), [chunked(chunk(1), chunk(2))], number=1)
        new = make_version(self.index.next_version(), [chunked(chunk(2), chunk(3))], number=2)
        keys = [SHARE.key, *old.keys(), *new.keys()]
        self.done(self.index.commit_share(SHARE, make_lease()))
        self.done(self.index.commit_slot(old, None, None, NOW))
        self.done(self.ledger.note_verified(keys, NOW))
        self.assertEqual(self.verified(*keys), {SHARE.key, *old.keys()})
        self.assertEqual(self.successResultOf(self.ledger.get_array_totals()).verified, 4)
        self.done(self.index.commit_slot(new, old.version, None, NOW))
        self.assertEqual(self.verified(*keys), {SHARE.key, str(chunk(2).key)})
        totals = self.successResultOf(self.ledger.get_array_totals())
        self.assertEqual((totals.verified, totals.objects), (2, 4))

    def test_a_time_rises_and_never_falls(self) -> None:
        version = make_version(self.index.next_version(), [chunked(chunk(1))])
        self.done(self.index.commit_share(SHARE, make_lease()))
        self.done(self.index.commit_slot(version, None, None, NOW))
        objects = [SHARE.key, *version.keys()]
        for when in (NOW, NOW - DAY_SECONDS, NOW + DAY_SECONDS, NOW):
            self.done(self.ledger.note_verified(objects, when))
        found = self.successResultOf(self.ledger.get_verified(objects))
        self.assertEqual(found, dict.fromkeys(objects, NOW + DAY_SECONDS))
        totals = self.successResultOf(self.ledger.get_array_totals())
        day = NOW - NOW % DAY_SECONDS
        self.assertEqual((totals.verified, totals.oldest), (3, day + DAY_SECONDS))

    def test_totals_are_right_whoever_deletes(self) -> None:
        version = make_version(self.index.next_version(), [chunked(chunk(1))])
        self.done(self.index.commit_share(SHARE, make_lease()))
        self.done(self.index.commit_slot(version, None, None, NOW))
        self.done(self.ledger.note_verified([SHARE.key, *version.keys()], NOW))
        for left, table in enumerate(["verified_chunks", "slots", "shares"][::-1]):
            delete = f"DELETE FROM {table}"
            self.done(self.index._database.submit(_run, delete))
            totals = self.successResultOf(self.ledger.get_array_totals())
            self.assertEqual(totals.verified, 2 - left)
        self.assertEqual((totals.objects, totals.oldest), (0, None))

    def test_what_is_no_object_has_no_time(self) -> None:
        keys = ["", "a", "claims/1.a.5", "shares/aa/x/1", fragment(SHARE.key)]
        self.done(self.index.commit_share(SHARE, make_lease()))
        self.done(self.ledger.note_verified(keys, NOW))
        self.assertEqual(self.verified(*keys, SHARE.key), set())


class FaultsTests(LedgerTestCase):
    def test_a_fragment_that_could_not_be_settled_is_noted_at_the_commit(self) -> None:
        self.done(self.index.reserve([SHARE.key]))
        self.instruments.before_commit = disk_full
        self.failureResultOf(self.ledger.settle(fragment(SHARE.key)), IndexFull)
        self.instruments.before_commit = lambda: None
        self.done(self.index.commit_share(SHARE, make_lease(), [fragment(SHARE.key)]))
        found = self.successResultOf(self.ledger.lookup(SHARE.key))
        self.assertEqual(found.missing, {0})

    def test_what_was_settled_before_is_not_forgotten_when_it_fails_again(self) -> None:
        self.done(self.index.reserve([SHARE.key]))
        self.done(self.ledger.settle(fragment(SHARE.key)))
        self.instruments.before_commit = disk_full
        self.failureResultOf(self.ledger.settle(fragment(SHARE.key)), IndexFull)
        self.instruments.before_commit = lambda: None
        self.done(self.index.commit_share(SHARE, make_lease(), [fragment(SHARE.key)]))
        self.assertEqual(self.successResultOf(self.ledger.lookup(SHARE.key)), FragmentState())

    def test_a_commit_that_fails_can_be_repeated_without_what_was_settled(self) -> None:
        self.done(self.index.reserve([SHARE.key]))
        self.done(self.ledger.settle(fragment(SHARE.key)))
        self.instruments.before_commit = disk_full
        missing = [fragment(SHARE.key, number) for number in (0, 1)]
        refused = self.index.commit_share(SHARE, make_lease(), missing)
        self.failureResultOf(refused, IndexFull)
        self.instruments.before_commit = lambda: None
        self.done(self.index.commit_share(SHARE, make_lease(), missing))
        self.assertEqual(self.successResultOf(self.ledger.lookup(SHARE.key)).missing, {1})

    def test_a_settled_fragment_is_forgotten_with_its_object(self) -> None:
        for number in range(3):
            share = make_share(shnum=number)
            self.done(self.index.reserve([share.key]))
            self.done(self.ledger.settle(fragment(share.key)))
        self.done(self.index.release([Garbage(SHARE.key, NOW)]))
        for number in (1, 2):
            self.done(self.index.commit_share(make_share(shnum=number), make_lease()))
        self.assertEqual(self.index._intents._settled, {})

    def test_a_loaded_version_ends_the_repairs_of_the_one_before(self) -> None:
        old = make_version(self.index.next_version(), [chunked(chunk(1), chunk(2))], number=1)
        new = make_version(self.index.next_version(), [chunked(chunk(2))], number=2)
        missing = [fragment(key) for key in sorted(old.keys())]
        self.done(self.index.commit_slot(old, None, None, NOW, missing))
        self.done(self.ledger.note_verified(old.keys(), NOW))
        self.done(self.index.load([], [(new, [])]))
        repairs = self.successResultOf(self.ledger.next_repairs(10, ""))
        self.assertEqual(repairs, (fragment(str(chunk(2).key)),))
        totals = self.successResultOf(self.ledger.get_array_totals())
        self.assertEqual((totals.verified, totals.objects), (1, 2))

    def test_only_the_newest_events_are_kept(self) -> None:
        fill = """INSERT INTO events (time, what, detail)
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
            SELECT i, 'scrub', '' FROM n"""
        self.done(self.index._database.submit(lambda execute: execute(fill).rowcount))
        self.done(self.ledger.add_event(ArrayEvent(NOW, "drain", "")))
        events = self.successResultOf(self.ledger.get_events(20_000))
        self.assertEqual((len(events), events[0].what, events[-1].time), (10_000, "drain", 2))

    def test_a_closed_ledger_refuses_everything(self) -> None:
        self.done(self.index.close())
        self.check_stopped()

    def test_damage_found_by_a_look_up_stops_the_index(self) -> None:
        self.done(self.index.commit_share(SHARE, make_lease(), [fragment(SHARE.key)]))
        self.instruments.before_read = malformed
        self.failureResultOf(self.ledger.lookup(SHARE.key), IndexStopped)
        self.assertEqual(len(self.fatal), 1)
        self.instruments.before_read = lambda: None
        self.check_stopped()

    def check_stopped(self) -> None:
        ledger: IFragmentLedger = self.ledger
        first, second = fragment(SHARE.key), fragment(SHARE.key, 0, 1)
        for call in (
            lambda: ledger.lookup(SHARE.key),
            lambda: ledger.note_missing([first], "gone"),
            lambda: ledger.settle(first),
            lambda: ledger.next_repairs(1, ""),
            lambda: ledger.begin_attempt(second),
            lambda: ledger.commit_attempt(second, first, NOW),
            lambda: ledger.release([]),
            ledger.get_placement,
            lambda: ledger.set_placement([]),
            lambda: ledger.next_objects("", 1),
            lambda: ledger.note_verified([], 0),
            lambda: ledger.get_verified([]),
            ledger.get_array_totals,
            lambda: ledger.add_event(ArrayEvent(0, "", "")),
            lambda: ledger.get_events(1),
        ):
            self.failureResultOf(call(), IndexStopped)
