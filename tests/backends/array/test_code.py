"""From stripes to blocks and back."""

from __future__ import annotations

import zfec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.code import HEADER_BYTES, Code
from raic.backends.tags import TAG_BYTES
from tests.strategies import sizes

CODES = st.builds(Code, st.integers(1, 6), st.just(64))


class TestCode(SynchronousTestCase):
    @given(CODES, st.data())
    def test_any_blocks_make_the_stripe_in_whatever_order_they_come(
        self, code: Code, data: st.DataObject
    ) -> None:
        stripe = data.draw(st.binary(max_size=code.stripe_size))
        numbers = data.draw(
            st.lists(st.integers(0, 12), min_size=code.needed, max_size=9, unique=True)
        )
        blocks = dict(zip(numbers, code.encode(stripe, numbers), strict=True))
        for _ in range(2):
            self.assertEqual(code.decode(blocks, len(stripe)), stripe)
            self.assertEqual(list(blocks), numbers)

    def test_zfec_spoils_the_lists_that_it_is_given(self) -> None:
        """Why ``decode`` makes new lists: a second call with the same ones is wrong."""
        code, decoder = Code(4, 64), zfec.Decoder(4, 256)
        stripe = bytes(range(256))
        numbers = [3, 0, 4, 2]
        blocks = code.encode(stripe, numbers)
        self.assertEqual(b"".join(decoder.decode(blocks, numbers)), stripe)
        self.assertEqual(numbers, [3, 0, 4, 2])
        self.assertNotEqual(blocks, code.encode(stripe, numbers))
        self.assertNotEqual(b"".join(decoder.decode(blocks, numbers)), stripe)

    def test_blocks_in_descending_order_make_the_stripe(self) -> None:
        code = Code(3, 64)
        stripe = bytes(range(192))
        for numbers in ([4, 3, 0], [5, 1, 2], [2, 4, 1]):
            blocks = dict(zip(numbers, code.encode(stripe, numbers), strict=True))
            self.assertEqual(code.decode(blocks, 192), stripe)

    @given(CODES, st.data())
    def test_a_block_is_the_same_whatever_others_are_made(
        self, code: Code, data: st.DataObject
    ) -> None:
        stripe = data.draw(st.binary(max_size=code.stripe_size))
        together = code.encode(stripe, range(8))
        alone = [code.encode(stripe, [number])[0] for number in range(8)]
        self.assertEqual([bytes(block) for block in together], [bytes(block) for block in alone])

    @given(CODES, st.integers(0, 8), st.integers(0, 1500))
    def test_blocks_made_in_one_go_are_the_same(self, code: Code, number: int, length: int) -> None:
        data = bytes(at * 7 % 251 for at in range(length))
        size = code.stripe_size
        stripes = [memoryview(data)[at : at + size] for at in range(0, length, size)]
        expected = [bytes(code.encode(stripe, [number])[0]) for stripe in stripes]
        self.assertEqual([bytes(block) for block in code.column(stripes, number)], expected)

    @given(CODES, st.data())
    def test_the_first_blocks_are_the_plain_data(self, code: Code, data: st.DataObject) -> None:
        stripe = data.draw(st.binary(max_size=code.stripe_size))
        blocks = code.encode(stripe, range(code.needed))
        joined = b"".join(blocks)
        self.assertEqual(joined[: len(stripe)], stripe)
        self.assertEqual(joined[len(stripe) :].strip(b"\0"), b"")
        self.assertEqual({len(block) for block in blocks}, {-(-len(stripe) // code.needed)})

    def test_when_one_suffices_all_are_copies(self) -> None:
        blocks = Code(1, 64).encode(b"0123", [0, 1, 5])
        self.assertEqual([bytes(block) for block in blocks], [b"0123"] * 3)

    @given(st.integers(1, 5), sizes(256))
    def test_sizes_add_up(self, needed: int, length: int) -> None:
        code = Code(needed, 64)
        stripes = range(code.stripe_count(length))
        self.assertEqual(sum(code.stripe_length(s, length) for s in stripes), length)
        stored = sum(code.block_length(s, length) + TAG_BYTES for s in stripes)
        self.assertEqual(code.fragment_size(length), HEADER_BYTES + stored)
        for stripe in stripes[:-1]:
            self.assertEqual(code.block_length(stripe, length), 64)

    def test_an_empty_object_has_a_stripe(self) -> None:
        code = Code(2)
        self.assertEqual(code.stripe_count(0), 1)
        self.assertEqual(code.fragment_size(0), HEADER_BYTES + TAG_BYTES)
        self.assertEqual(code.decode(dict(enumerate(code.encode(b"", [0, 1]))), 0), b"")

    def test_what_is_no_code_is_refused(self) -> None:
        for needed, block_size in ((0, 64), (65, 64), (2, 63), (2, 32), (2, 1 << 23), (2, 0)):
            self.assertRaises(ValueError, Code, needed, block_size)
