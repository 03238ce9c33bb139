"""Ranges are read from the best members, and what comes is right."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from raic.backends.array.code import Code
from raic.backends.array.lengths import Shape
from raic.errors import (
    ObjectCorrupt,
    ObjectNotFound,
    ProviderError,
    ProviderTimedOut,
    ProviderUnreachable,
)
from raic.interfaces import IImmediateReads
from raic.values import FragmentState
from tests.backends.array.reads import KEY, Rig, Trouble, content
from tests.contracts.consumer import Collector

TAGGED = 64 + 16
EXAMPLES = int(os.environ.get("RAIC_ARRAY_EXAMPLES", "150"))


@st.composite
def troubles(draw: st.DrawFn, total: int, size: int) -> Trouble:
    """What may be wrong with a member that has a fragment of so many bytes."""
    kind = draw(st.sampled_from(["away", "forgets", "flips", "keeps", "swaps"]))
    if kind == "flips":
        places = st.integers(96, max(96, size - 1))
        return Trouble(flips=draw(st.lists(places, min_size=1, max_size=3)))
    if kind == "keeps":
        return Trouble(keeps=draw(st.integers(0, size - 1)))
    if kind == "swaps":
        return Trouble(swaps=draw(st.integers(0, total - 1)))
    return Trouble(away=kind == "away", forgets=kind == "forgets")


@st.composite
def cases(draw: st.DrawFn) -> tuple[Rig, bytes, int, int, int]:
    """An array with an object, a range of it, and how many of its members are well."""
    needed = draw(st.integers(1, 4))
    total = needed + draw(st.integers(0, 3))
    rig = Rig(needed, total)
    data = content(draw(st.integers(0, 5 * 64 * needed)))
    rig.store(data, everywhere=True)
    bad = draw(st.sets(st.integers(0, total - 1), max_size=total))
    size = rig.code.fragment_size(len(data))
    for number in bad:
        rig.links[number].trouble = draw(troubles(total, size))
    offset = draw(st.integers(0, len(data) + 10))
    length = draw(st.integers(0, len(data) + 10))
    return rig, data, offset, length, total - len(bad)


class AnyRangeTests(SynchronousTestCase):
    @settings(max_examples=EXAMPLES, deadline=None)
    @given(cases())
    def test_a_range_is_right_or_there_is_one_error(
        self, case: tuple[Rig, bytes, int, int, int]
    ) -> None:
        rig, data, offset, length, well = case
        rig.lengths.note(KEY, rig.shape(len(data)))
        reading = rig.reader.get_object(KEY, offset, length)
        if well >= rig.code.needed:
            self.assertEqual(self.successResultOf(reading), data[offset : offset + length])
        else:
            reading.addErrback(lambda failure: failure.trap(ProviderError))
            result = self.successResultOf(reading)
            if isinstance(result, bytes):
                self.assertEqual(result, data[offset : offset + length])
        self.assertEqual(rig.leaks(), [])

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(cases(), st.integers(1, 300))
    def test_so_is_a_stream(self, case: tuple[Rig, bytes, int, int, int], piece: int) -> None:
        rig, data, offset, length, well = case
        rig.lengths.note(KEY, rig.shape(len(data)))
        for link in rig.links:
            link.piece = piece
        collector = Collector()
        streaming = rig.reader.stream_object(KEY, offset, length, collector)
        wanted = data[offset : offset + length]
        if well >= rig.code.needed:
            self.assertEqual(self.successResultOf(streaming), len(wanted))
            self.assertEqual(collector.data, wanted)
        else:
            streaming.addErrback(lambda failure: failure.trap(ProviderError))
            self.successResultOf(streaming)
            self.assertTrue(wanted.startswith(collector.data))
        self.assertFalse(collector.registered)
        self.assertEqual(rig.leaks(), [])


class OnlyWhatIsNeededTests(SynchronousTestCase):
    def rig(self, needed: int = 3, total: int = 5) -> Rig:
        rig = Rig(needed, total)
        self.data = content(64 * 3 * 4)
        rig.store(self.data)
        rig.lengths.note(KEY, rig.shape(len(self.data)))
        return rig

    def read(self, rig: Rig, offset: int, length: int) -> None:
        found = self.successResultOf(rig.reader.get_object(KEY, offset, length))
        self.assertEqual(found, self.data[offset : offset + length])

    def test_a_range_within_a_block_asks_one_member_for_one_block(self) -> None:
        rig = self.rig()
        self.read(rig, 64 * 4 + 10, 20)
        self.assertEqual(rig.received(), [0, TAGGED, 0, 0, 0])

    def test_a_range_over_two_blocks_asks_two(self) -> None:
        rig = self.rig()
        self.read(rig, 64 * 4 + 10, 64)
        self.assertEqual(rig.received(), [0, TAGGED, TAGGED, 0, 0])

    def test_a_range_over_several_stripes_asks_each_once_for_its_part(self) -> None:
        rig = self.rig()
        self.read(rig, 64 * 2, 64 * 5)
        self.assertEqual(rig.received(), [2 * TAGGED, TAGGED, 2 * TAGGED, 0, 0])
        self.assertEqual([len(link.asked) for link in rig.links], [1, 1, 1, 0, 0])

    def test_a_stream_asks_for_no_more(self) -> None:
        rig = self.rig()
        collector = Collector()
        self.successResultOf(rig.reader.stream_object(KEY, 64 * 2, 64 * 5, collector))
        self.assertEqual(collector.data, self.data[64 * 2 : 64 * 7])
        self.assertEqual(rig.received(), [2 * TAGGED, TAGGED, 2 * TAGGED, 0, 0])
        self.assertEqual([len(link.asked) for link in rig.links], [1, 1, 1, 0, 0])

    def test_when_that_member_is_away_any_others_are_asked_for_that_stripe(self) -> None:
        rig = self.rig()
        rig.links[1].trouble = Trouble(away=True)
        self.read(rig, 64 * 4 + 10, 20)
        self.assertEqual(rig.received(), [TAGGED, 0, TAGGED, TAGGED, 0])

    def test_a_member_that_is_away_is_not_asked_again_at_once(self) -> None:
        rig = self.rig()
        rig.links[1].trouble = Trouble(away=True)
        self.read(rig, 0, 64 * 12)
        self.read(rig, 0, 64 * 12)
        self.assertEqual([len(link.asked) for link in rig.links], [2, 1, 2, 2, 0])

    def test_nothing_of_the_object_proves_its_length(self) -> None:
        rig = self.rig()
        self.read(rig, len(self.data), 5)
        self.assertEqual(rig.received(), [TAGGED, 0, 0, 0, 0])

    def test_a_fragment_known_to_be_missing_is_not_asked_for(self) -> None:
        rig = self.rig()
        rig.ledger.state = FragmentState(frozenset({0}))
        self.read(rig, 0, 64 * 12)
        self.assertEqual([len(link.asked) for link in rig.links], [0, 1, 1, 1, 0])

    def test_unless_there_are_not_enough_others(self) -> None:
        rig = self.rig(3, 3)
        rig.ledger.state = FragmentState(frozenset({0}))
        self.read(rig, 0, 64 * 12)

    def test_the_attempt_that_counts_is_read(self) -> None:
        rig = self.rig()
        attempt = "a" * 25 + "e"
        rig.links[0].trouble = Trouble()
        rig.stores[0].delete_objects([str(rig.fragment_key(len(self.data), 0))])
        key = rig.fragment_key(len(self.data), 0, attempt)
        rig.stores[0].put_object(str(key), rig.fragment(self.data, 0, attempt))
        rig.ledger.state = FragmentState(attempts={0: attempt})
        self.read(rig, 0, 64 * 12)
        self.assertEqual([len(link.asked) for link in rig.links], [1, 1, 1, 0, 0])

    def test_a_fragment_that_moves_is_found_where_it_was(self) -> None:
        rig = Rig(2, 3, extra=["new"])
        self.data = content(500)
        rig.store(self.data)
        new = rig.members[3]
        rig.placement = rig.placement.moving(0, new)
        rig.lengths.note(KEY, rig.shape(500))
        self.read(rig, 0, 500)
        collector = Collector()
        self.successResultOf(rig.reader.stream_object(KEY, 0, 500, collector))
        self.assertEqual(collector.data, self.data)
        self.assertEqual([len(link.asked) for link in rig.links], [2, 2, 0, 2])
        self.assertEqual(rig.ledger.noted, [])

    def test_the_cheapest_members_are_asked(self) -> None:
        rig = Rig(2, 4, prices=[3.0, 1.0, 2.0, 1.0])
        self.data = content(500)
        rig.store(self.data)
        self.read(rig, 0, 500)
        self.assertEqual([len(link.asked) for link in rig.links], [0, 1, 0, 1])


class LiarTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig(2, 3)
        self.data = content(1000)
        self.rig.store(self.data)
        self.rig.lengths.note(KEY, self.rig.shape(1000))

    def read(self) -> None:
        found = self.successResultOf(self.rig.reader.get_object(KEY, 0, 1000))
        self.assertEqual(found, self.data)

    def stream(self) -> None:
        collector = Collector()
        self.successResultOf(self.rig.reader.stream_object(KEY, 0, 1000, collector))
        self.assertEqual(collector.data, self.data)

    def noted(self) -> set[str]:
        return {key for key, _ in self.rig.ledger.noted}

    def test_it_is_masked_and_its_fragment_noted_for_repair(self) -> None:
        for trouble in (Trouble(flips=[150]), Trouble(keeps=300), Trouble(forgets=True)):
            for read in (self.read, self.stream):
                self.setUp()
                self.rig.links[1].trouble = trouble
                read()
                self.assertEqual(self.noted(), {str(self.rig.fragment_key(1000, 1))})
                self.assertIn("m1", self.rig.ledger.noted[0][1])

    def test_one_that_is_away_is_not_said_to_have_lost_anything(self) -> None:
        for read in (self.read, self.stream):
            self.setUp()
            self.rig.links[1].trouble = Trouble(away=True)
            read()
            self.assertEqual(self.noted(), set())

    def test_different_blocks_may_be_altered_everywhere(self) -> None:
        for number in range(3):
            self.rig.links[number].trouble = Trouble(flips=[96 + number * TAGGED])
        self.read()
        self.stream()
        self.assertEqual(len(self.noted()), 3)

    def test_a_member_that_altered_one_block_is_asked_for_another(self) -> None:
        # Block 1 of stripe 0 and block 0 of stripe 1 are wanted, and just these are altered.
        self.rig.links[1].trouble = Trouble(flips=[96])
        self.rig.links[0].trouble = Trouble(flips=[96 + TAGGED])
        reading = self.rig.reader.get_object(KEY, 64, 128)
        self.assertEqual(self.successResultOf(reading), self.data[64:192])

    def test_an_object_that_is_nowhere_is_not_repaired(self) -> None:
        for link in self.rig.links:
            link.trouble = Trouble(forgets=True)
        for store in self.rig.stores:
            store.delete_objects([str(self.rig.fragment_key(1000, n)) for n in range(3)])
        self.failureResultOf(self.rig.reader.get_object(KEY, 0, 1000), ObjectNotFound)
        collector = Collector()
        streaming = self.rig.reader.stream_object(KEY, 0, 1000, collector)
        self.failureResultOf(streaming, ObjectNotFound)
        self.failureResultOf(self.rig.reader.get_object(KEY, 0, 0), ObjectNotFound)
        self.assertFalse(collector.registered)
        self.assertEqual(self.noted(), set())

    def test_too_few_left_is_one_error_that_names_all(self) -> None:
        for bad, kind in (
            ([Trouble(away=True), Trouble(away=True)], ProviderUnreachable),
            ([Trouble(away=True), Trouble(forgets=True)], ProviderUnreachable),
            ([Trouble(flips=[100]), Trouble(forgets=True)], ObjectCorrupt),
            ([Trouble(flips=[100]), Trouble(away=True)], ProviderUnreachable),
        ):
            self.setUp()
            for number, trouble in enumerate(bad):
                self.rig.links[number].trouble = trouble
            for read in (
                self.rig.reader.get_object(KEY, 0, 1000),
                self.rig.reader.stream_object(KEY, 0, 1000, Collector()),
            ):
                error = self.failureResultOf(read).value
                self.assertIs(type(error), kind)
                self.assertIn("m0", str(error))
                self.assertIn("m1", str(error))


class FoundOutTests(SynchronousTestCase):
    """What a reader must find out first."""

    def setUp(self) -> None:
        self.rig = Rig(2, 3)
        self.data = content(1000)
        self.rig.store(self.data)

    def read(self, offset: int = 0, length: int = 1000) -> None:
        found = self.successResultOf(self.rig.reader.get_object(KEY, offset, length))
        self.assertEqual(found, self.data[offset : offset + length])

    def test_an_object_written_with_another_code_is_found(self) -> None:
        self.rig.lengths.note(KEY, Shape(Code(3, 128), 1000))
        self.read()
        self.rig.lengths.note(KEY, Shape(Code(2, 64), 999))
        collector = Collector()
        self.successResultOf(self.rig.reader.stream_object(KEY, 0, 1000, collector))
        self.assertEqual(collector.data, self.data)

    def test_a_ledger_that_fails_does_not_keep_anyone_from_reading(self) -> None:
        self.rig.ledger.failing = True
        self.rig.links[0].trouble = Trouble(flips=[100])
        self.read()
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_more_bytes_than_were_asked_for_are_wrong(self) -> None:
        self.rig.links[0].trouble = Trouble(adds=1)
        self.read()
        self.assertEqual(len(self.rig.ledger.noted), 1)

    def test_what_a_member_has_at_hand_is_read_without_waiting(self) -> None:
        for link in self.rig.links:
            alsoProvides(link, IImmediateReads)
            link.trouble = Trouble(away=True)
        self.read()
        self.read(500, 0)
        self.assertEqual(sum(self.rig.received()), 0)

    def test_it_is_checked_all_the_same(self) -> None:
        for link in self.rig.links:
            alsoProvides(link, IImmediateReads)
        key = str(self.rig.fragment_key(1000, 0))
        self.rig.stores[0].delete_objects([key])
        self.rig.stores[0].put_object(key, bytes(1000))
        self.read()
        self.assertEqual([noted for noted, _ in self.rig.ledger.noted], [key])

    def test_a_fragment_that_is_being_repaired_is_not_noted_again(self) -> None:
        self.rig.ledger.state = FragmentState(frozenset({0}))
        self.rig.links[0].trouble = Trouble(forgets=True)
        self.rig.links[1].trouble = Trouble(away=True)
        self.failureResultOf(self.rig.reader.get_object(KEY, 0, 1000))
        self.assertEqual(self.rig.ledger.noted, [])

    def test_a_plugin_may_fail_with_anything(self) -> None:
        self.rig.links[0].trouble = Trouble(raises=True)
        self.read()
        collector = Collector()
        self.successResultOf(self.rig.reader.stream_object(KEY, 0, 1000, collector))
        self.assertEqual(collector.data, self.data)


class CancelTests(SynchronousTestCase):
    def test_a_read_that_is_not_wanted_any_more_leaves_nothing(self) -> None:
        rig = Rig(2, 3)
        rig.store(content(1000))
        for link in rig.links:
            link.delay = lambda: 0.2
        for offset, length in ((0, 1000), (0, 0)):
            reading = rig.reader.get_object(KEY, offset, length)
            rig.clock.advance(0.01)
            reading.cancel()
            self.failureResultOf(reading, CancelledError)
            self.assertEqual(rig.leaks(), [])

    def test_a_read_is_given_up_within_the_budget(self) -> None:
        rig = Rig(2, 3)
        rig.store(content(1000))
        for link in rig.links[1:]:
            link.trouble = Trouble(hangs_at=0)
        reading = rig.reader.get_object(KEY, 0, 1000)
        waited = rig.wait(reading)
        self.assertIn("m1, m2", str(self.failureResultOf(reading, ProviderTimedOut).value))
        self.assertLessEqual(waited, 45.0)
        self.assertEqual(rig.leaks(), [])
