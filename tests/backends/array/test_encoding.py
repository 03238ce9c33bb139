from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.code import Code
from raic.backends.array.encoding import FragmentEncoder
from raic.fragmentkeys import FragmentKey

NUMBERS = range(4)


def encoder(code: Code, length: int) -> FragmentEncoder:
    keys = {n: FragmentKey("an/object", code.needed, code.block_size, length, n) for n in NUMBERS}
    return FragmentEncoder(code, length, bytes(32), keys)


class TestEncoder(SynchronousTestCase):
    @given(st.integers(1, 3), st.lists(st.integers(0, 700), max_size=9))
    def test_fragments_are_the_same_however_the_object_comes(
        self, needed: int, sizes: list[int]
    ) -> None:
        code = Code(needed, 64)
        data = bytes(at * 7 % 251 for at in range(sum(sizes)))
        whole, cut = encoder(code, len(data)), encoder(code, len(data))
        expected = whole.add(data)
        self.assertEqual(expected.size, code.fragment_size(len(data)))
        got = {number: b"" for number in NUMBERS}
        cuts = []
        at = 0
        for size in sizes or [0]:
            cuts.append(cut.add(data[at : at + size]))
            at += size
        # Later, and of one fragment after the other, as lanes have them made.
        for number in NUMBERS:
            for each in cuts:
                pieces = cut.make(number, each)
                self.assertEqual(sum(map(len, pieces)), each.size)
                got[number] += b"".join(pieces)
            self.assertEqual(got[number], b"".join(whole.make(number, expected)))
