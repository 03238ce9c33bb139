"""Which members have which fragments, by what is found there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.members import Member, Placement
from raic.backends.array.placing import placement_found
from raic.backends.memory import MemoryProvider
from raic.errors import StorageUnusable


class Placing(SynchronousTestCase):
    def found(self, held: Mapping[str, Mapping[int, int]], names: Sequence[str]) -> Placement:
        members = [Member(name, MemoryProvider(name)) for name in names]
        return placement_found("clouds", members, held)

    def places(self, held: Mapping[str, Mapping[int, int]], names: Sequence[str]) -> list[str]:
        """By number, the home and where else fragments may be."""
        rows = self.found(held, names).rows()
        return [f"{row.number} {row.provider} {row.former or ''}".strip() for row in rows]

    def test_of_an_array_that_has_nothing_the_configuration_tells(self) -> None:
        self.assertEqual(self.places({"a": {}, "b": {}}, "ab"), ["0 a", "1 b"])
        self.assertEqual(self.places({"b": {}}, "ab"), ["0 a", "1 b"])

    def test_members_keep_their_numbers_whatever_the_order_in_the_configuration(self) -> None:
        held = {"a": {2: 9}, "b": {0: 9}, "c": {5: 8}}
        self.assertEqual(self.places(held, "abc"), ["0 b", "2 a", "5 c"])

    def test_a_member_that_was_taking_the_place_of_another_is_asked_too(self) -> None:
        held = {"a": {0: 9}, "b": {1: 9}, "new": {1: 2}}
        self.assertEqual(self.places(held, ("a", "b", "new")), ["0 a", "1 b new"])

    def test_one_that_has_lost_everything_gets_a_number_that_is_free(self) -> None:
        self.assertEqual(self.places({"a": {0: 9}, "b": {}, "c": {2: 9}}, "abc")[1], "1 b")
        self.assertEqual(self.places({"a": {1: 9}, "b": {}, "c": {3: 9}}, "abc")[0], "0 b")

    def test_one_that_is_away_is_thought_to_have_the_number_of_its_place(self) -> None:
        self.assertEqual(self.places({"a": {0: 9}, "c": {2: 9}}, "abc"), ["0 a", "1 b", "2 c"])

    def test_but_not_where_others_have_not_those_of_their_places(self) -> None:
        failure = self.assertRaises(StorageUnusable, self.found, {"a": {0: 9}, "c": {3: 9}}, "abc")
        self.assertIn("b cannot be listed, so nobody knows", str(failure))
        self.assertIn("bring b back", failure.remedy)
