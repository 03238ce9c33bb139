"""Blocks are the same whatever makes them."""

from __future__ import annotations

from functools import partial
from unittest import SkipTest

import zfec
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from raic.backends.array.isal import Coder, coder, library


def by_zfec(needed: int, number: int) -> Coder:
    """The coder that is always there."""
    return lambda rows: bytes(zfec.Encoder(needed, 256).encode(rows, (number,))[0])


def by_isal(needed: int, number: int) -> Coder:
    """The fast one; where there is none the test is skipped, which is a failure in CI."""
    isal = library()
    if isal is None:
        raise SkipTest("libisal2 is not installed; .ci/run does so")
    slow = by_zfec(needed, number)
    fast = coder(isal, slow, needed)
    assert fast is not slow
    return fast


class Liar:
    """A library that makes zeros of everything."""

    def ec_init_tables(self, *_: object) -> None:
        """Do nothing."""

    def ec_encode_data(self, *_: object) -> None:
        """Do nothing."""


class TestIsal(SynchronousTestCase):
    @given(st.integers(2, 64), st.data())
    def test_it_makes_the_same_blocks_as_zfec(self, needed: int, data: st.DataObject) -> None:
        number = data.draw(st.integers(needed, 255))
        size = data.draw(st.integers(0, 700))
        pool = data.draw(st.binary(min_size=256, max_size=256)) * 4
        rows = [pool[row : row + size] for row in range(needed)]
        made = by_isal(needed, number)(rows)
        self.assertEqual(bytes(made), by_zfec(needed, number)(rows))

    def test_without_it_zfec_makes_them(self) -> None:
        self.assertIsNone(library(("libnosuch.so.2", "libc.so.6")))
        slow = by_zfec(2, 2)
        self.assertIs(coder(None, slow, 2), slow)

    def test_what_makes_other_blocks_is_not_used(self) -> None:
        slow = by_zfec(2, 2)
        self.assertIs(coder(Liar(), slow, 2), slow)


class ThreadedTests(TestCase):
    async def test_threads_do_not_disturb_each_other(self) -> None:
        size = 300_000
        code, expected = by_isal(2, 2), by_zfec(2, 2)
        inputs = [
            [bytes([each]) * size, bytes(range(each, each + 100)) * 3000] for each in range(8)
        ]
        coding = [
            deferToThread(partial(lambda rows: [code(rows) for _ in range(20)], rows))
            for rows in inputs
        ]
        for rows, made in zip(inputs, coding, strict=True):
            self.assertEqual({bytes(each) for each in await made}, {expected(rows)})
