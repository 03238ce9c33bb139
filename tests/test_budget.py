from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from raic.budget import MemoryBudget
from raic.errors import ServiceBusy


class MemoryBudgetTests(SynchronousTestCase):
    def test_all_of_it_can_be_taken(self) -> None:
        budget = MemoryBudget(10)
        budget.take(4)
        budget.take(6)
        self.assertEqual(budget.taken, 10)

    def test_taking_too_much_takes_nothing(self) -> None:
        budget = MemoryBudget(10)
        budget.take(4)
        refused = self.assertRaises(ServiceBusy, budget.take, 7)
        self.assertTrue(refused.temporary)
        self.assertIn("6 left", str(refused))
        self.assertEqual(budget.taken, 4)

    def test_what_was_given_back_can_be_taken_again(self) -> None:
        budget = MemoryBudget(10)
        budget.take(10)
        budget.give_back(3)
        budget.take(3)
        self.assertEqual(budget.taken, 10)

    def test_no_more_can_be_given_back_than_was_taken(self) -> None:
        budget = MemoryBudget(10)
        budget.take(2)
        self.assertRaises(ValueError, budget.give_back, 3)
        self.assertEqual(budget.taken, 2)
