"""Streams of an array: in order, at the consumer's pace, whatever becomes of the members."""

from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.settings import ArraySettings
from raic.errors import ProviderTimedOut, ProviderUnreachable
from tests.backends.array.reads import KEY, Rig, Trouble, content
from tests.contracts.consumer import Collector

BLOCK = 65_536
SIZE = 40 * 2 * BLOCK + 12_345
MIB = 1024 * 1024


class StreamTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig(2, 3, block_size=BLOCK)
        self.data = content(SIZE)
        self.rig.store(self.data)
        self.rig.lengths.note(KEY, self.rig.shape(SIZE))
        for link in self.rig.links:
            link.piece = MIB // 2
            link.delay = lambda: 0.01

    def stream(self, collector: Collector) -> Deferred[int]:
        return self.rig.reader.stream_object(KEY, 0, SIZE, collector)

    def all_comes(self) -> float:
        """How long a stream takes."""
        collector = Collector()
        streaming = self.stream(collector)
        seconds = self.rig.wait(streaming)
        self.assertEqual(self.successResultOf(streaming), SIZE)
        self.assertEqual(collector.data, self.data)
        self.assertFalse(collector.registered)
        self.assert_no_leaks()
        return seconds

    def test_it_takes_as_long_as_its_longest_lane(self) -> None:
        self.assertLess(self.all_comes(), 0.08)
        self.assertEqual([len(link.asked) for link in self.rig.links], [1, 1, 0])

    def test_a_member_dies_in_the_middle(self) -> None:
        for number in (0, 1):
            self.setUp()
            self.rig.links[number].trouble = Trouble(dies_at=20 * BLOCK)
            self.assertLess(self.all_comes(), 0.15)
            self.assertEqual(self.rig.ledger.noted, [])
            # The other one goes on from there.
            self.assertGreater(self.rig.links[2].asked[0].offset, 10 * BLOCK)

    def test_a_member_lies_in_the_middle(self) -> None:
        self.rig.links[0].trouble = Trouble(flips=[20 * BLOCK])
        self.assertLess(self.all_comes(), 0.15)
        self.assertEqual([key for key, _ in self.rig.ledger.noted], [self.key(0)])

    def test_a_member_has_but_the_beginning(self) -> None:
        self.rig.links[0].trouble = Trouble(keeps=20 * BLOCK)
        self.assertLess(self.all_comes(), 0.15)
        self.assertEqual([key for key, _ in self.rig.ledger.noted], [self.key(0)])

    def test_a_member_hangs_in_the_middle(self) -> None:
        self.rig.links[0].trouble = Trouble(hangs_at=20 * BLOCK)
        self.assertLess(self.all_comes(), 1.2)
        # It is not asked again while others are faster.
        asked = len(self.rig.links[0].asked)
        self.assertLess(self.all_comes(), 0.2)
        self.assertEqual(len(self.rig.links[0].asked), asked)

    def test_a_member_hangs_from_the_first_byte(self) -> None:
        self.rig.links[0].trouble = Trouble(hangs_at=0)
        self.assertLess(self.all_comes(), 1.2)
        self.all_comes()
        self.assertLess(self.all_comes(), 0.1)

    def test_a_lane_that_comes_back_goes_on(self) -> None:
        self.rig.links[0].delay = lambda: 0.7 if self.rig.clock.seconds() < 0.1 else 0.01
        self.rig.links[2].delay = lambda: 5.0 if self.rig.clock.seconds() < 0.6 else 0.01
        self.assertLess(self.all_comes(), 1.0)
        self.assertEqual(len(self.rig.links[2].asked), 1)

    def test_two_members_fail_at_different_places_and_have_the_rest(self) -> None:
        self.rig.links[0].trouble = Trouble(flips=[10 * BLOCK])
        self.rig.links[1].trouble = Trouble(flips=[30 * BLOCK])
        self.all_comes()
        self.assertEqual({key for key, _ in self.rig.ledger.noted}, {self.key(0), self.key(1)})

    def test_too_few_members_are_left_in_the_middle(self) -> None:
        for link in self.rig.links[:2]:
            link.trouble = Trouble(dies_at=20 * BLOCK)
        collector = Collector()
        streaming = self.stream(collector)
        self.rig.wait(streaming)
        self.failureResultOf(streaming, ProviderUnreachable)
        self.assertTrue(self.data.startswith(collector.data))
        self.assertGreater(len(collector.data), MIB)
        self.assert_no_leaks()

    def test_all_members_hang(self) -> None:
        for link in self.rig.links:
            link.trouble = Trouble(hangs_at=20 * BLOCK)
        collector = Collector()
        streaming = self.stream(collector)
        self.assertLess(self.rig.wait(streaming), 45)
        error = self.failureResultOf(streaming, ProviderTimedOut).value
        for name in ("m0", "m1", "m2"):
            self.assertIn(name, str(error))
        self.assertFalse(collector.registered)
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])

    def assert_no_leaks(self) -> None:
        self.rig.advance(16.0, 1.0)  # what a member has begun to read is read, or given up
        self.assertEqual(self.rig.leaks(), [])

    def key(self, number: int) -> str:
        return str(self.rig.fragment_key(SIZE, number))


class PaceTests(StreamTests):
    """The same, to a consumer that has its own pace."""

    def all_comes(self) -> float:
        collector = Collector(pausing=True)
        began = self.rig.clock.seconds()
        streaming = self.stream(collector)
        while collector.registered and self.rig.clock.seconds() - began < 100:
            collector.resume()
            self.rig.advance(0.001)
        self.assertEqual(self.successResultOf(streaming), SIZE)
        self.assertEqual(collector.data, self.data)
        seconds = self.rig.clock.seconds() - began
        self.assert_no_leaks()
        return seconds


class InspectedTests(StreamTests):
    """The same, from members that have what they read checked at once, and know how it is cut."""

    def setUp(self) -> None:
        super().setUp()
        for link in self.rig.links:
            link.inspects = True
            link.piece = 15 * (BLOCK + 16)


class InspectedPaceTests(PaceTests):
    """The same, from members that cut it otherwise."""

    def setUp(self) -> None:
        super().setUp()
        for link in self.rig.links:
            link.inspects = True


class BoundTests(SynchronousTestCase):
    def rig_with(self, needed: int, total: int, buffer: int, mib: int = 6) -> Rig:
        settings = evolve(ArraySettings(), stream_buffer=buffer)
        rig = Rig(needed, total, block_size=BLOCK, settings=settings)
        self.data = content(needed * mib * MIB)
        rig.store(self.data)
        for link in rig.links:
            link.piece = MIB
        return rig

    def held(self, rig: Rig, collector: Collector) -> int:
        return sum(rig.received()) - len(collector.data)

    def most_held(self, rig: Rig, collector: Collector) -> int:
        """Have a pausing consumer take everything; how much was in between at most."""
        most = 0
        while collector.registered:
            most = max(most, self.held(rig, collector))
            collector.resume()
        return most

    def test_a_consumer_that_pauses_stops_the_members(self) -> None:
        for buffer in (2 * MIB, 4 * MIB):
            rig = self.rig_with(2, 3, buffer)
            collector = Collector(pausing=True)
            streaming = rig.reader.stream_object(KEY, 0, len(self.data), collector)
            # One piece more is on its way to each lane, held by the member's own stream.
            most = self.most_held(rig, collector)
            self.assertEqual(self.successResultOf(streaming), len(self.data))
            self.assertLessEqual(most, 2 * (buffer + MIB) + len(self.data) // 4000)

    def test_large_pieces_stop_them_earlier(self) -> None:
        """A lane that has one does not wait for another; the member's own stream holds one."""
        rig = self.rig_with(2, 3, 11 * MIB // 2, mib=12)
        for link in rig.links:
            link.piece = 3 * MIB
        collector = Collector(pausing=True)
        streaming = rig.reader.stream_object(KEY, 0, len(self.data), collector)
        most = self.most_held(rig, collector)
        self.assertEqual(self.successResultOf(streaming), len(self.data))
        self.assertLessEqual(most, 2 * 8 * MIB)

    def test_a_member_that_lags_does_not_make_the_others_run_ahead(self) -> None:
        buffer = 3 * MIB
        rig = self.rig_with(2, 3, buffer)
        rig.links[0].delay = rig.links[2].delay = lambda: 0.2
        rig.links[1].delay = lambda: 0.001
        collector = Collector()
        streaming = rig.reader.stream_object(KEY, 0, len(self.data), collector)
        most = 0
        while collector.registered:
            rig.advance(0.01)
            most = max(most, self.held(rig, collector))
        self.assertEqual(self.successResultOf(streaming), len(self.data))
        self.assertLessEqual(most, 2 * (buffer + MIB))

    def test_a_consumer_that_stops_gets_no_more(self) -> None:
        for after in (0, 1, 3):
            rig = self.rig_with(2, 3, 2 * MIB)
            collector = Collector(stop_after=after)
            streaming = rig.reader.stream_object(KEY, 0, len(self.data), collector)
            self.assertEqual(self.successResultOf(streaming), len(collector.data))
            self.assertEqual(rig.leaks(), [])

    def test_a_stream_that_is_cancelled_lets_go(self) -> None:
        for advance in (0.0, 0.05):
            rig = self.rig_with(2, 3, 2 * MIB)
            for link in rig.links:
                link.delay = lambda: 0.02
            collector = Collector()
            streaming = rig.reader.stream_object(KEY, 0, len(self.data), collector)
            rig.advance(advance)
            streaming.cancel()
            self.failureResultOf(streaming, CancelledError)
            self.assertFalse(collector.registered)
            rig.advance(0.1)
            self.assertEqual(rig.leaks(), [])

    def test_pieces_of_large_blocks_are_no_larger_than_allowed(self) -> None:
        rig = Rig(2, 3, block_size=4 * MIB)
        data = content(9 * MIB)
        rig.store(data)
        collector = Collector()
        self.successResultOf(rig.reader.stream_object(KEY, 1, len(data), collector))
        self.assertEqual(collector.data, data[1:])
