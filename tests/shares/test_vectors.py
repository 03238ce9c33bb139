"""Vectors against a plain model: a growing bytearray."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from raic.errors import MessageMalformed, MessageTooLarge
from raic.shares.vectors import (
    Outcome,
    available,
    by_chunk,
    check_message,
    check_read_size,
    check_reads,
    cover,
    may_hold,
    outcomes,
    overlay,
)
from raic.values import Inline, ReadVector, SlotShare, TestVector, TestWriteVectors, WriteVector

offsets = st.integers(0, 40)
texts = st.binary(max_size=20)
writes = st.lists(st.builds(WriteVector, offsets, texts), max_size=5)


def written(old: bytes, changes: list[WriteVector], new_length: int | None) -> bytes:
    """What Tahoe's server makes of a share, one write after the other."""
    content = bytearray(old)
    for change in changes:
        content.extend(bytes(max(0, change.offset - len(content))))
        content[change.offset : change.offset + len(change.data)] = change.data
    if new_length is not None:
        del content[new_length:]
    return bytes(content)


def share(shnum: int, data: bytes) -> SlotShare:
    return SlotShare(shnum, len(data), data[:256], Inline(0))


class Overlaying(SynchronousTestCase):
    @given(texts, writes, st.none() | st.integers(1, 60), offsets, offsets)
    def test_any_range_is_what_the_writes_make_of_it(
        self,
        old: bytes,
        changes: list[WriteVector],
        new_length: int | None,
        begin: int,
        size: int,
    ) -> None:
        expected = written(old, changes, new_length)
        asked = TestWriteVectors((), tuple(changes), new_length)
        after = outcomes({3: share(3, old)}, {3: asked}, 1000)[3]
        self.assertEqual(after.length, len(expected))
        begin, end = min(begin, len(expected)), min(begin + size, len(expected))
        self.assertEqual(overlay(old[begin:], begin, end, after.writes), expected[begin:end])

    @given(writes, offsets, offsets)
    def test_covered_ranges_do_not_depend_on_the_old_bytes(
        self, changes: list[WriteVector], begin: int, size: int
    ) -> None:
        end = begin + size
        nought = overlay(b"\x00" * size, begin, end, changes)
        ones = overlay(b"\xff" * size, begin, end, changes)
        self.assertEqual(cover(changes, begin, end), nought == ones)

    @given(writes, st.integers(1, 16))
    def test_each_chunk_gets_the_writes_that_change_it_in_order(
        self, changes: list[WriteVector], size: int
    ) -> None:
        found = by_chunk(changes, size)
        for position in range(80 // size + 1):
            begin, end = position * size, (position + 1) * size
            touching = [
                change
                for change in changes
                if change.offset < end and change.offset + len(change.data) > begin
                if change.data
            ]
            self.assertEqual(found.get(position, []), touching)

    def test_the_old_bytes_themselves_are_passed_on_when_nothing_is_written(self) -> None:
        old = b"something long enough not to be interned"
        self.assertIs(overlay(old, 0, len(old), ()), old)


class Outcomes(SynchronousTestCase):
    def test_shares_are_kept_made_and_deleted(self) -> None:
        held = {5: share(5, b"five"), 2: share(2, b"two"), 9: share(9, b"nine")}
        asked = {
            9: TestWriteVectors(new_length=0),
            1: TestWriteVectors(),
            200: TestWriteVectors(new_length=0),
        }
        after = outcomes(held, asked, 100)
        self.assertEqual(
            after, {1: Outcome(None, 0), 2: Outcome(held[2], 3), 5: Outcome(held[5], 4)}
        )
        self.assertEqual(list(after), [1, 2, 5])

    def test_an_empty_write_beyond_the_end_lengthens(self) -> None:
        asked = TestWriteVectors(writes=(WriteVector(10, b""),))
        self.assertEqual(outcomes({}, {0: asked}, 100)[0].length, 10)

    def test_a_write_is_dropped_with_a_share_that_it_would_have_made_too_large(self) -> None:
        asked = TestWriteVectors(writes=(WriteVector(2**60, b"x"),), new_length=0)
        self.assertEqual(outcomes({}, {0: asked}, 100), {})

    def test_growth_beyond_the_limit_is_refused_even_if_cut_again(self) -> None:
        asked = TestWriteVectors(writes=(WriteVector(100, b"x"),), new_length=5)
        self.assertRaises(MessageTooLarge, outcomes, {}, {0: asked}, 100)
        self.assertEqual(outcomes({}, {0: asked}, 101)[0].length, 5)

    def test_a_share_above_a_lowered_limit_can_still_be_changed_and_cut(self) -> None:
        held = {0: share(0, b"x" * 50)}
        change = TestWriteVectors(writes=(WriteVector(40, b"y" * 10),))
        self.assertEqual(outcomes(held, {0: change}, 20)[0].length, 50)
        longer = TestWriteVectors(writes=(WriteVector(41, b"y" * 10),))
        self.assertRaises(MessageTooLarge, outcomes, held, {0: longer}, 20)


class Refusing(SynchronousTestCase):
    def test_reads_are_counted_by_what_the_shares_have(self) -> None:
        huge = [ReadVector(0, 2**60)] * 30
        check_read_size([10] * 256, huge, 10 * 256 * 30)
        self.assertRaises(MessageTooLarge, check_read_size, [10] * 256, huge, 10 * 256 * 30 - 1)

    def test_share_numbers_beyond_255_are_malformed(self) -> None:
        check_message({255: TestWriteVectors()}, [])
        for shnum in (-1, 256, 2**64):
            self.assertRaises(MessageMalformed, check_message, {shnum: TestWriteVectors()}, [])

    def test_negative_numbers_are_malformed(self) -> None:
        for asked in (
            TestWriteVectors(tests=(TestVector(-1, 1, b""),)),
            TestWriteVectors(tests=(TestVector(0, -1, b""),)),
            TestWriteVectors(writes=(WriteVector(-1, b""),)),
            TestWriteVectors(new_length=-1),
        ):
            self.assertRaises(MessageMalformed, check_message, {0: asked}, [])
        for read in (ReadVector(-1, 1), ReadVector(0, -1)):
            self.assertRaises(MessageMalformed, check_reads, [read])
            self.assertRaises(MessageMalformed, check_message, {}, [read])

    @given(st.integers(0, 30), offsets, offsets)
    def test_available_is_the_length_of_a_slice(self, length: int, offset: int, size: int) -> None:
        self.assertEqual(available(length, offset, size), len(bytes(length)[offset:][:size]))

    def test_a_test_whose_specimen_has_another_length_than_the_bytes_cannot_hold(self) -> None:
        self.assertTrue(may_hold(TestVector(0, 1, b""), 0))
        self.assertFalse(may_hold(TestVector(0, 1, b""), 1))
        self.assertFalse(may_hold(TestVector(0, 1, b"x"), 0))
        self.assertTrue(may_hold(TestVector(0, 9, b"xyz"), 3))
        self.assertTrue(may_hold(TestVector(9, 9, b""), 3))
