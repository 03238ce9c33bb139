"""Which members have which fragments."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.members import Member, Placement
from raic.backends.memory import MemoryProvider
from raic.values import Placed


class TestPlacement(SynchronousTestCase):
    def setUp(self) -> None:
        self.members = [Member(name, MemoryProvider(name)) for name in ("aws", "ovh", "b2")]

    def test_at_first_each_member_has_the_number_of_its_place(self) -> None:
        placement = Placement.initial(self.members)
        self.assertEqual(placement.numbers(), (0, 1, 2))
        self.assertEqual(placement.home(1).name, "ovh")
        self.assertIsNone(placement.also(1))
        self.assertEqual(placement.where(7), ())

    def test_rows_make_the_same_placement(self) -> None:
        rows = (Placed(1, "aws", "b2"), Placed(4, "ovh"))
        self.assertEqual(Placement.of(rows[::-1], self.members).rows(), rows)
        with self.assertRaises(KeyError):
            Placement.of((Placed(0, "shed"),), self.members)

    def test_while_fragments_move_they_are_in_two_places(self) -> None:
        aws, ovh, b2 = self.members
        moving = Placement.initial([aws, ovh]).moving(1, b2)
        self.assertEqual(moving.where(1), (b2, ovh))
        self.assertEqual(moving.where(0), (aws,))
        self.assertEqual(moving.moved(1).where(1), (b2,))

    def test_numbers_come_and_go(self) -> None:
        aws, ovh, b2 = self.members
        placement = Placement.initial([aws, ovh])
        self.assertEqual(placement.added(2, b2).numbers(), (0, 1, 2))
        self.assertEqual(placement.without(0).rows(), (Placed(1, "ovh"),))
        self.assertEqual(placement.numbers(), (0, 1))
