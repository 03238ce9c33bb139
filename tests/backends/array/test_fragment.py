"""Tags: nothing that a provider can do to a fragment goes unnoticed."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.fragment import HEADER_BYTES, FragmentTags, key_id
from raic.backends.tags import TAG_BYTES, TagMismatch
from raic.fragmentkeys import FragmentKey
from tests.backends.array.arrays import ARRAY_KEY

KEY = FragmentKey("shares/aa/x", 2, 65_536, 200_000, 1)
BLOCK = bytes(range(200))


class TestFragmentTags(SynchronousTestCase):
    def setUp(self) -> None:
        self.tags = FragmentTags(ARRAY_KEY, KEY)

    def refuses(self, tags: FragmentTags, stripe: int, stored: bytes) -> None:
        self.assertRaises(TagMismatch, tags.checked, stripe, memoryview(stored))

    @given(st.integers(0, 2**40), st.binary(max_size=300))
    def test_what_was_tagged_is_right(self, stripe: int, block: bytes) -> None:
        stored = self.tags.tagged(stripe, block)
        self.assertEqual(len(stored), len(block) + TAG_BYTES)
        self.assertEqual(bytes(self.tags.checked(stripe, memoryview(stored))), block)

    def test_every_flipped_bit_is_noticed(self) -> None:
        stored = self.tags.tagged(3, BLOCK)
        for bit in range(len(stored) * 8):
            altered = bytearray(stored)
            altered[bit // 8] ^= 1 << bit % 8
            self.refuses(self.tags, 3, bytes(altered))

    def test_every_flipped_bit_of_a_header_is_noticed(self) -> None:
        header = self.tags.header()
        self.assertEqual(len(header), HEADER_BYTES)
        self.tags.check_header(header)
        for bit in range(len(header) * 8):
            altered = bytearray(header)
            altered[bit // 8] ^= 1 << bit % 8
            self.assertRaises(TagMismatch, self.tags.check_header, bytes(altered))

    @given(st.integers(0, len(BLOCK) + TAG_BYTES - 1))
    def test_a_block_cut_short_is_noticed(self, size: int) -> None:
        self.refuses(self.tags, 3, self.tags.tagged(3, BLOCK)[:size])

    @given(st.binary(min_size=1, max_size=40))
    def test_an_extended_block_is_noticed(self, more: bytes) -> None:
        self.refuses(self.tags, 3, self.tags.tagged(3, BLOCK) + more)
        self.refuses(self.tags, 3, more + self.tags.tagged(3, BLOCK))

    @given(st.integers(0, 2**40), st.integers(0, 2**40))
    def test_the_block_of_another_stripe_is_noticed(self, one: int, other: int) -> None:
        if one != other:
            self.refuses(self.tags, other, self.tags.tagged(one, BLOCK))

    def test_a_block_of_another_fragment_is_noticed(self) -> None:
        for other in (
            KEY.sibling(0),
            KEY.sibling(1, "abcdefghijklmnopqrstuvwxy4"),
            evolve(KEY, object_key="shares/aa/y"),
            evolve(KEY, needed=3),
            evolve(KEY, block_size=32_768),
            evolve(KEY, length=200_001),
        ):
            foreign = FragmentTags(ARRAY_KEY, other)
            self.refuses(self.tags, 3, foreign.tagged(3, BLOCK))
            self.assertRaises(TagMismatch, self.tags.check_header, foreign.header())

    def test_what_was_tagged_with_another_key_is_noticed(self) -> None:
        foreign = FragmentTags(bytes(32), KEY)
        self.refuses(self.tags, 3, foreign.tagged(3, BLOCK))
        self.assertRaises(TagMismatch, self.tags.check_header, foreign.header())
        self.assertNotEqual(key_id(bytes(32)), key_id(ARRAY_KEY))

    def test_a_header_is_no_block(self) -> None:
        self.refuses(self.tags, 2**64 - 1, self.tags.header()[:80] + self.tags.header()[80:-1])

    def test_a_key_of_another_length_is_refused(self) -> None:
        self.assertRaises(ValueError, FragmentTags, b"short", KEY)
