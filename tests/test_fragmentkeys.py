"""The names of fragments."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.keys import is_key
from raic.fragmentkeys import (
    FIRST_ATTEMPT,
    FragmentKey,
    all_fragments_prefix,
    attempt_id,
    fragment_prefix,
    new_attempt,
    parse_fragment_key,
)
from tests.strategies import keys

ATTEMPT = "abcdefghijklmnopqrstuvwxy4"


def fragment_keys() -> st.SearchStrategy[FragmentKey]:
    return st.builds(
        FragmentKey,
        keys(),
        st.integers(1, 64),
        st.integers(6, 22).map(lambda log2: 1 << log2),
        st.integers(0, 10**18),
        st.integers(0, 255),
        st.one_of(st.just(FIRST_ATTEMPT), st.builds(new_attempt)),
    )


class TestFragmentKey(SynchronousTestCase):
    def test_reads_as_specified(self) -> None:
        key = FragmentKey("shares/aa/x-y", 2, 65_536, 131_073, 2, ATTEMPT)
        self.assertEqual(str(key), f"shares/aa/x-.y--2.16.131073.2.{ATTEMPT}")
        self.assertEqual(str(key.sibling(0)), "shares/aa/x-.y--2.16.131073.0.0")

    @given(fragment_keys())
    def test_says_all_about_the_fragment(self, key: FragmentKey) -> None:
        self.assertEqual(parse_fragment_key(str(key)), key)
        self.assertTrue(is_key(str(key)))

    @given(st.text("ab-./0123456789", max_size=30))
    def test_only_what_an_array_writes_is_one(self, text: str) -> None:
        key = parse_fragment_key(text)
        self.assertTrue(key is None or str(key) == text)

    @given(fragment_keys(), fragment_keys())
    def test_keys_of_fragments_are_in_the_order_of_their_objects(
        self, one: FragmentKey, other: FragmentKey
    ) -> None:
        if one.object_key < other.object_key:
            self.assertLess(str(one), str(other))
        elif one.object_key > other.object_key:
            self.assertGreater(str(one), str(other))

    @given(fragment_keys(), keys(), st.integers(0, 8))
    def test_a_prefix_finds_the_fragments_of_the_objects_that_it_finds(
        self, key: FragmentKey, other: str, size: int
    ) -> None:
        for prefix in (key.object_key[:size], other[:size], other):
            found = str(key).startswith(fragment_prefix(prefix))
            self.assertEqual(found, key.object_key.startswith(prefix), prefix)

    @given(fragment_keys(), keys())
    def test_the_fragments_of_one_object_have_a_prefix_of_their_own(
        self, key: FragmentKey, other: str
    ) -> None:
        self.assertTrue(str(key).startswith(all_fragments_prefix(key.object_key)))
        mine = str(key).startswith(all_fragments_prefix(other))
        self.assertEqual(mine, key.object_key == other)

    def test_what_is_not_exactly_a_fragments_key_is_refused(self) -> None:
        good = f"a--2.16.5.0.{ATTEMPT}"
        self.assertIsNotNone(parse_fragment_key(good))
        for bad in (
            "a",
            "a--2.16.5.0",
            "--2.16.5.0.0",
            "a-b--2.16.5.0.0",
            "a--02.16.5.0.0",
            "a--0.16.5.0.0",
            "a--65.16.5.0.0",
            "a--2.5.5.0.0",
            "a--2.23.5.0.0",
            "a--2.16.05.0.0",
            "a--2.16.5.256.0",
            "a--2.16.5.0.1",
            "a--2.16.5.0." + "a" * 26,
            "a--2.16.5.0." + ATTEMPT[:-1] + "b",
            good + "\n",
            good + "x",
        ):
            self.assertIsNone(parse_fragment_key(bad), bad)

    def test_an_attempt_has_an_id_of_16_bytes(self) -> None:
        self.assertEqual(attempt_id(FIRST_ATTEMPT), bytes(16))
        self.assertEqual(len(attempt_id(new_attempt())), 16)
        self.assertNotEqual(new_attempt(), new_attempt())
