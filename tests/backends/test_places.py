from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.keys import is_key
from raic.backends.places import Listing, place
from tests.strategies import keys, long_keys


class Tree:
    """Files in folders, as sets of names."""

    def __init__(self, placed: set[str]) -> None:
        self.folders: dict[str, set[str]] = {".": set()}
        for key in placed:
            folder, name = place(key)
            parts = folder.split("/")
            for depth in range(len(parts)):
                parent = "/".join(parts[:depth]) or "."
                self.folders.setdefault(parent, set()).add(parts[depth])
            self.folders.setdefault(folder, set()).add(name)

    def names(self, folder: str) -> list[str]:
        return list(self.folders.get(folder, ()))


ANY_KEYS = st.one_of(keys(), long_keys())


class PlaceTests(SynchronousTestCase):
    @given(ANY_KEYS)
    def test_every_name_is_one_that_a_file_system_takes(self, key: str) -> None:
        self.assertTrue(is_key(key))
        folder, name = place(key)
        for part in (*folder.split("/"), name):
            self.assertTrue(0 < len(part) <= 255)
            self.assertNotIn(part, (".", ".."))

    @settings(max_examples=50, deadline=None)
    @given(st.sets(ANY_KEYS, max_size=30))
    def test_no_file_is_where_another_key_needs_a_folder(self, placed: set[str]) -> None:
        tree = Tree(placed)
        files = {"/".join(place(key)) for key in placed}
        self.assertEqual(len(files), len(placed))
        self.assertEqual(files & set(tree.folders), set())

    @settings(max_examples=50, deadline=None)
    @given(st.sets(ANY_KEYS, max_size=30), st.data())
    def test_a_listing_is_complete_and_ordered(self, placed: set[str], data: st.DataObject) -> None:
        names = Tree(placed).names
        prefix = data.draw(ANY_KEYS)[: data.draw(st.integers(0, 450))]
        after = data.draw(st.one_of(st.just(""), ANY_KEYS, st.sampled_from(sorted(placed) or [""])))
        found = list(Listing(names, prefix, after))
        expected = sorted(key for key in placed if key.startswith(prefix) and key > after)
        self.assertEqual([key for key, _ in found], expected)
        self.assertEqual([path for _, path in found], ["/".join(place(key)) for key in expected])

    def test_a_share_lies_in_the_folder_of_its_first_two_components(self) -> None:
        self.assertEqual(place("shares/aa/aab/0.t.1.2"), ("shares/aa", "aab,0.t.1.2"))
        self.assertEqual(place("index/x"), (",", "index,x"))

    def test_folders_that_cannot_matter_are_not_opened(self) -> None:
        tree = Tree({f"shares/{a}{b}/x/y" for a in "abc" for b in "xyz"} | {"slots/ax/x/y"})
        opened: list[str] = []

        def names(folder: str) -> list[str]:
            opened.append(folder)
            return tree.names(folder)

        list(Listing(names, "shares/b", "shares/by/z"))
        self.assertEqual(set(opened), {".", ",", "shares", "shares/by", "shares/bz"})

    def test_strange_folders_are_passed_over(self) -> None:
        tree = Tree({"shares/aa/x/y"})
        tree.folders["."] |= {"lost+found", ",,incoming"}
        tree.folders["shares"].add("Trash")
        self.assertEqual(len(list(Listing(tree.names, "", ""))), 1)
