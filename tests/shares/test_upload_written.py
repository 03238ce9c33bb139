"""Which bytes of a share have been written, against a plain array of bytes."""

from __future__ import annotations

import os
from typing import Literal

from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from raic.errors import ConflictingWrite, WriteOutOfBounds, WriteOutOfWindow
from raic.shares import streamed, window, written
from raic.shares.streamed import GRID_BYTES, TAIL_BYTES
from raic.shares.written import PIECE_BYTES, WINDOW_BYTES, Written
from tests.shares.stores import pattern

EXAMPLES = int(os.environ.get("RAIC_MODEL_EXAMPLES", "300"))
MIB = 1024 * 1024

SMALL_GRID = 8
SMALL_TAIL = 24
SMALL_SIZES = (
    (streamed, "GRID_BYTES", SMALL_GRID),
    (streamed, "TAIL_BYTES", SMALL_TAIL),
    (window, "PIECE_COST", 4),
    (window, "MERGED_BYTES", 6),
    (written, "PIECE_COST", 4),
    (written, "MERGED_BYTES", 6),
    (written, "WINDOW_BYTES", 48),
    (written, "BATCH_BYTES", 10),
    (written, "PIECE_BYTES", 20),
    (written, "_ZEROS", bytes(20)),
)

TRUTH = bytes(1 + place * 37 % 255 for place in range(400))


@frozen
class Step:
    """What a client, or the provider, does next.

    :ivar source: the bytes that belong there, zeros, or others; or batches are taken.
    """

    source: Literal["right", "zeros", "wrong", "take"]
    offset: int
    length: int

    @property
    def data(self) -> bytes:
        right = TRUTH[self.offset : self.offset + self.length]
        if self.source == "zeros":
            return bytes(len(right))
        if self.source == "wrong":
            return bytes(255 if byte != 255 else 1 for byte in right)
        return right


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(["right"] * 6 + ["take"] * 3 + ["zeros", "wrong"]),
        st.integers(0, 320) | st.integers(0, 40).map(lambda block: block * SMALL_GRID),
        st.integers(0, 12) | st.integers(0, 90),
    ),
    max_size=60,
)


class Model:
    """A share as one array of bytes, with a mark for each that was written."""

    def __init__(self, test: SynchronousTestCase, size: int, fills_gaps: bool) -> None:
        self.test = test
        self.size = size
        self.fills_gaps = fills_gaps
        self.real = Written(size, fills_gaps=fills_gaps)
        self.bytes = bytearray(size)
        self.marks = bytearray(size)
        self.taken = b""

    def missing(self) -> list[tuple[int, int]]:
        ranges = []
        begin = self.marks.find(0)
        while begin != -1:
            end = self.marks.find(1, begin)
            end = self.size if end == -1 else end
            ranges.append((begin, end))
            begin = self.marks.find(0, end)
        return ranges

    def step(self, step: Step) -> None:
        if step.source == "take":
            self.take(step.length)
        else:
            self.write(step.offset, step.data)
        self.test.assertEqual(self.real.missing(), self.missing())

    def write(self, offset: int, data: bytes) -> None:
        before = self.real.end
        try:
            self.real.add(offset, data)
        except WriteOutOfBounds:
            self.test.assertGreater(offset + len(data), self.size)
        except ConflictingWrite:
            self.test.assertTrue(self.differs(offset, data) or self.unprovable(offset, data))
        except WriteOutOfWindow as refusal:
            self.test.assertFalse(self.fills_gaps)
            self.test.assertGreater(offset, before)
            self.test.assertEqual(refusal.expected, before)
        else:
            self.test.assertFalse(self.differs(offset, data))
            self.bytes[offset : offset + len(data)] = data
            self.marks[offset : offset + len(data)] = b"\1" * len(data)
            if self.fills_gaps:
                self.marks[: self.real.end] = b"\1" * self.real.end

    def differs(self, offset: int, data: bytes) -> bool:
        return any(
            self.marks[place] and self.bytes[place] != byte
            for place, byte in enumerate(data, offset)
            if place < self.size
        )

    def unprovable(self, offset: int, data: bytes) -> bool:
        """Whether one end of it lies inside a block that is kept as a digest."""
        kept = (len(self.taken) - SMALL_TAIL) // SMALL_GRID * SMALL_GRID
        end = min(offset + len(data), kept)
        return offset < kept and bool(offset % SMALL_GRID or end % SMALL_GRID)

    def take(self, least: int) -> None:
        while self.real.waiting > least:
            batch = self.real.take()
            self.test.assertTrue(0 < len(batch) <= 20)
            self.taken += batch
        self.test.assertEqual(self.taken, self.bytes[: len(self.taken)])

    def finish(self) -> None:
        self.real.fill()
        self.test.assertEqual(self.real.missing(), [])
        self.take(0)
        self.test.assertEqual(self.taken, self.bytes)


class WrittenProperties(SynchronousTestCase):
    @settings(max_examples=EXAMPLES, deadline=None)
    @given(st.integers(0, 330), st.booleans(), STEPS)
    def test_behaves_like_an_array_of_bytes(
        self, size: int, fills_gaps: bool, steps: list[Step]
    ) -> None:
        for module, name, value in SMALL_SIZES:
            self.patch(module, name, value)
        model = Model(self, size, fills_gaps)
        for step in steps:
            model.step(step)
        model.finish()


class RetryTests(SynchronousTestCase):
    """A share of 8 MiB of which the first four have left."""

    def setUp(self) -> None:
        self.data = pattern(8 * MIB)
        self.written = Written(len(self.data), fills_gaps=False)
        for begin in range(0, 4 * MIB, 1_000_000):
            end = min(begin + 1_000_000, 4 * MIB)
            self.written.add(begin, self.data[begin:end])
            while self.written.waiting:
                self.written.take()

    def retry(self, begin: int, end: int) -> None:
        self.written.add(begin, self.data[begin:end])

    def test_a_retry_of_the_last_mebibyte_is_accepted_anywhere(self) -> None:
        self.retry(3 * MIB + 17, 4 * MIB - 5)
        self.retry(3 * MIB + 17, 4 * MIB)
        self.assertEqual(self.written.end, 4 * MIB)

    def test_a_retry_that_reaches_beyond_adds_what_is_new(self) -> None:
        self.retry(3 * MIB + 17, 5 * MIB + 1)
        self.assertEqual(self.written.end, 5 * MIB + 1)

    def test_an_old_retry_is_accepted_on_the_grid(self) -> None:
        self.retry(0, 4 * MIB)
        self.retry(GRID_BYTES, 3 * GRID_BYTES)

    def test_an_old_retry_off_the_grid_cannot_be_proved(self) -> None:
        self.assertRaises(ConflictingWrite, self.retry, 1, 4 * MIB)
        self.assertRaises(ConflictingWrite, self.retry, 0, 1_000_000)

    def test_other_bytes_conflict_wherever_they_are(self) -> None:
        for place in (0, GRID_BYTES - 1, 2 * MIB + 5, 4 * MIB - TAIL_BYTES, 4 * MIB - 1):
            data = bytearray(self.data[: 4 * MIB])
            data[place] ^= 1
            self.assertRaises(ConflictingWrite, self.written.add, 0, bytes(data))
        self.assertEqual(self.written.missing(), [(4 * MIB, 8 * MIB)])

    def test_a_conflict_with_what_waits_is_noticed(self) -> None:
        self.retry(4 * MIB, 4 * MIB + 10)
        self.assertRaises(ConflictingWrite, self.written.add, 4 * MIB + 5, bytes(10))
        self.assertEqual(self.written.end, 4 * MIB + 10)


class WindowTests(SynchronousTestCase):
    def test_pieces_may_come_in_any_order_within_the_window(self) -> None:
        data = pattern(3 * MIB)
        share = Written(len(data), fills_gaps=False)
        for begin in (2 * MIB, MIB, 0):
            share.add(begin, data[begin : begin + MIB])
        self.assertEqual(share.missing(), [])
        self.assertEqual(share.take_all(b"header"), b"header" + data)

    def test_a_full_window_refuses_and_says_what_comes_next(self) -> None:
        share = Written(100 * MIB, fills_gaps=False)
        share.add(0, b"begin")
        for place in range(10, 13):
            share.add(place * MIB, bytes(MIB))
        refusal = self.assertRaises(WriteOutOfWindow, share.add, 50 * MIB, bytes(MIB))
        self.assertEqual(refusal.expected, 5)
        self.assertEqual(share.missing()[-1], (13 * MIB, 100 * MIB))

    def test_tiny_pieces_count_more_than_their_bytes(self) -> None:
        share = Written(100 * MIB, fills_gaps=False)
        refused = 0
        for place in range(0, 2 * 20_000, 2):
            try:
                share.add(1 + place, b"x")
            except WriteOutOfWindow:
                refused += 1
        self.assertEqual(20_000 - refused, WINDOW_BYTES // 257)

    def test_neighbouring_tiny_pieces_are_one(self) -> None:
        share = Written(100_000, fills_gaps=False)
        for place in range(99_999, 0, -1):
            share.add(place, b"x")
        self.assertEqual(share.missing(), [(0, 1)])

    def test_a_gap_becomes_zeros_when_the_window_is_full(self) -> None:
        share = Written(200 * MIB, fills_gaps=True)
        share.add(0, b"header")
        for place in range(100, 105):
            share.add(place * MIB, b"x" * MIB)
        self.assertEqual(share.end, 105 * MIB)
        share.add(50 * MIB, bytes(MIB))
        self.assertRaises(ConflictingWrite, share.add, 50 * MIB, b"x")

    def test_a_piece_larger_than_the_window_is_taken_where_gaps_are_filled(self) -> None:
        share = Written(20 * MIB, fills_gaps=True)
        share.add(2 * MIB, b"x" * (WINDOW_BYTES + 1))
        self.assertEqual(share.end, 2 * MIB + WINDOW_BYTES + 1)
        taken = b""
        while share.waiting:
            taken += share.take()
        self.assertEqual(taken, bytes(2 * MIB) + b"x" * (WINDOW_BYTES + 1))


class TakingTests(SynchronousTestCase):
    def test_large_pieces_are_passed_on_as_they_are(self) -> None:
        share = Written(2 * MIB, fills_gaps=False)
        piece = pattern(MIB)
        share.add(0, piece)
        self.assertIs(share.take(), piece)

    def test_small_pieces_are_joined(self) -> None:
        data = pattern(MIB)
        share = Written(MIB, fills_gaps=False)
        for begin in range(0, MIB, 64 * 1024):
            share.add(begin, data[begin : begin + 64 * 1024])
        self.assertEqual(
            [share.take(), share.take()], [data[: 256 * 1024], data[256 * 1024 :][: 256 * 1024]]
        )

    def test_a_huge_piece_is_cut(self) -> None:
        data = pattern(3 * MIB + 5)
        share = Written(len(data), fills_gaps=False)
        share.add(0, data)
        batches = []
        while share.waiting:
            batches.append(share.take())
        self.assertEqual([len(batch) for batch in batches], [PIECE_BYTES] * 3 + [5])
        self.assertEqual(b"".join(batches), data)
