"""Walking through all objects in the order of their keys."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.shares.index import create_index, open_index
from raic.shares.index.objects import is_referred_to, next_objects
from raic.shares.index.rows import Execute
from raic.values import Chunk, Version
from tests.contracts.index_values import (
    INDEX_A,
    chunk,
    chunked,
    fragment,
    inline,
    make_share,
    make_version,
)

near = st.builds(
    lambda start, place, byte: bytes([*start[:place], byte, *start[place + 1 :]]),
    st.sampled_from([bytes(16), b"\xff" * 16, INDEX_A]),
    st.integers(0, 15),
    st.integers(0, 255),
)
"""Storage indexes that often begin, or even end, alike."""
indexes = st.one_of(st.binary(min_size=16, max_size=16), near)


class WalkTests(SynchronousTestCase):
    def setUp(self) -> None:
        path = self.mktemp()
        create_index(path, 1)
        self.index = open_index(path, Clock(), None, local_listing=True, on_fatal=self.fail)
        self.addCleanup(self.index.close)

    @property
    def execute(self) -> Execute:
        found: list[Execute] = []
        self.successResultOf(self.index._database.look_up(found.append))
        return found[0]

    def fill(self, shares: dict[bytes, int], slots: dict[bytes, int]) -> list[str]:
        """Store some shares, and slots of some chunks; all keys, in order."""
        stored = [
            make_share(storage_index, number, 1, number)
            for storage_index, count in shares.items()
            for number in range(count)
        ]
        versions = [
            make_version(
                Version(1, 9),
                [
                    inline(),
                    chunked(*(chunk(n, index) for n in range(count)), Chunk(None, 7), shnum=1),
                ],
                index,
            )
            for index, count in slots.items()
        ]
        self.successResultOf(
            self.index.load([(share, []) for share in stored], [(one, []) for one in versions])
        )
        keys = {share.key for share in stored}
        return sorted(keys.union(*(version.keys() for version in versions)))

    def walk(self, after: str, limit: int, at_once: int) -> list[str]:
        found: list[str] = []
        while page := next_objects(self.execute, found[-1] if found else after, limit, at_once):
            self.assertLessEqual(len(page), limit)
            found += page
        return found

    def test_digits_come_before_letters_as_in_listings(self) -> None:
        keys = self.fill({bytes([byte] * 16): 1 for byte in range(256)}, {})
        self.assertEqual(keys[0][len("shares/") :][:2], "23")
        for at_once in (1, 5, 1000):
            self.assertEqual(self.walk("", 7, at_once), keys)

    def test_shares_of_one_storage_index_that_are_too_many_to_divide(self) -> None:
        keys = self.fill({INDEX_A: 40, INDEX_A[:-1] + b"\0": 30}, {INDEX_A: 50})
        self.assertEqual(self.walk("", 9, 3), keys)

    def test_it_begins_after_any_text(self) -> None:
        keys = self.fill({bytes([byte] * 16): 2 for byte in (0, 1, 99)}, {INDEX_A: 3})
        places = [*keys, "chunks/", "shares/", "shares/aa", "shares/b", "shares/7/x", "slots/", "z"]
        places += [key[:length] for key in keys[::3] for length in (8, 9, 15, 36, 38)]
        places += [key + "0" for key in keys]
        for after in places:
            expected = [key for key in keys if key > after]
            self.assertEqual(self.walk(after, 4, 2), expected, after)

    @settings(max_examples=10, deadline=None)
    @given(
        st.dictionaries(indexes, st.integers(1, 3), max_size=30),
        st.dictionaries(indexes, st.integers(0, 3), max_size=10),
        st.integers(1, 20),
        st.integers(1, 9),
        st.data(),
    )
    def test_any_objects_come_in_order_each_once(
        self,
        shares: dict[bytes, int],
        slots: dict[bytes, int],
        limit: int,
        at_once: int,
        data: st.DataObject,
    ) -> None:
        self.setUp()
        keys = self.fill(shares, slots)
        self.assertEqual(self.walk("", limit, at_once), keys)
        if keys:
            after = data.draw(st.sampled_from(keys))
            self.assertEqual(self.walk(after, limit, at_once), [k for k in keys if k > after])

    def test_a_page_costs_the_same_wherever_it_is(self) -> None:
        many = {(n * 2**113 + n).to_bytes(16, "big"): 1 for n in range(5000)}
        keys = self.fill(many, {})
        steps = [self.steps(after) for after in ("", keys[2500], keys[4900])]
        self.assertLess(max(steps), 40_000)

    def steps(self, after: str) -> int:
        """How many steps SQLite's virtual machine takes for a page."""
        taken = [0]

        def count() -> None:
            taken[0] += 1

        connection = self.index._database._reads
        connection.set_progress_handler(count, 1)
        next_objects(connection.execute, after, 100, 200)
        connection.set_progress_handler(None, 1)
        return taken[0]

    def test_what_is_referred_to(self) -> None:
        keys = self.fill({INDEX_A: 2}, {INDEX_A: 2})
        self.assertEqual([key for key in keys if is_referred_to(self.execute, key)], keys)
        for key in keys:
            for other in (key + "0", key[:-1], fragment(key), key.replace("/aa/", "/ab/")):
                self.assertFalse(is_referred_to(self.execute, other), other)
        for other in ("", "a", "claims/1.a.5", "shares/aa/x/1", f"other/aa/{keys[0][10:]}"):
            self.assertFalse(is_referred_to(self.execute, other), other)
