from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from raic.backends.layers.readahead import Reads


class ReadAheadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reads = Reads(most=1_000, overlap=20)

    def test_one_read_says_nothing(self) -> None:
        self.assertEqual(self.reads.note(0, 100), (False, 0, 0))
        self.assertEqual(self.reads.note(500, 100), (False, 0, 0))

    def test_a_reader_that_goes_on_is_run_ahead_of_further_and_further(self) -> None:
        asked = [self.reads.note(at, 100) for at in range(0, 1_500, 100)]
        ranges = [(begin, end) for _, begin, end in asked if begin < end]
        self.assertEqual(ranges[0], (200, 400))
        for (_, end), (begin, _) in pairwise(ranges):
            self.assertEqual(end, begin)
        self.assertEqual([going_on for going_on, _, _ in asked], [False] + [True] * 14)
        fetched = 0
        for at, (_, _, end) in zip(range(0, 1_500, 100), asked, strict=True):
            fetched = max(fetched, end)
            self.assertLessEqual(fetched, at + 100 + 1_000)
        self.assertGreater(fetched, 2_000)
        self.assertLess(len(ranges), 8, "a large request now and then, not a small one each time")

    def test_reads_that_overlap_a_little_go_on(self) -> None:
        self.reads.note(0, 100)
        self.assertEqual(self.reads.note(80, 100), (True, 180, 380))
        self.assertEqual(self.reads.note(100, 20)[0], False)

    def test_the_same_read_again_does_not_go_on(self) -> None:
        for _ in range(3):
            self.assertFalse(self.reads.note(0, 10)[0])

    def test_nothing_is_fetched_beyond_the_end(self) -> None:
        self.reads.ends_by(250)
        self.reads.ends_by(900)
        self.reads.note(0, 100)
        self.assertEqual(self.reads.note(100, 100), (True, 200, 250))
        self.assertEqual(self.reads.note(200, 50), (True, 0, 0))

    def test_several_readers_are_followed_but_not_any_number(self) -> None:
        for at in range(0, 8_000, 1_000):
            self.reads.note(at, 100)
        self.assertTrue(self.reads.note(100, 100)[0])
        self.reads.note(50_000, 100)
        self.assertFalse(self.reads.note(1_100, 100)[0])
        self.assertTrue(self.reads.note(3_100, 100)[0])

    def test_it_can_be_switched_off(self) -> None:
        reads = Reads(most=0, overlap=20)
        for at in range(0, 1_000, 100):
            self.assertEqual(reads.note(at, 100)[1:], (0, 0))
