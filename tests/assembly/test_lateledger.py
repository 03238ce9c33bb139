"""The ledger of an array that begins before there is an index."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from raic.assembly.lateledger import LateLedger
from raic.backends.array.memoryledger import MemoryLedger
from raic.values import Placed

BEGUN = (Placed(0, "a"), Placed(1, "b"))
KNOWN = (Placed(0, "b"), Placed(2, "a"))


class Attaching(SynchronousTestCase):
    def setUp(self) -> None:
        self.late, self.ledger = LateLedger(), MemoryLedger()

    def begin(self) -> None:
        """As an array does that finds nothing."""
        self.assertEqual(self.successResultOf(self.late.get_placement()), ())
        self.successResultOf(self.late.set_placement(BEGUN))
        self.successResultOf(self.late.set_note("codes", "begun"))
        self.assertEqual(self.successResultOf(self.late.get_notes()), {"codes": "begun"})

    def know(self) -> None:
        self.successResultOf(self.ledger.set_placement(KNOWN))
        self.successResultOf(self.ledger.set_note("codes", "known"))

    def told(self) -> tuple[tuple[Placed, ...], str]:
        placement = self.successResultOf(self.ledger.get_placement())
        return placement, self.successResultOf(self.ledger.get_notes())["codes"]

    def test_a_new_index_is_told_what_the_array_began_with(self) -> None:
        self.begin()
        self.successResultOf(self.late.attach(self.ledger))
        self.assertEqual(self.told(), (BEGUN, "begun"))

    def test_an_array_that_begins_afterwards_goes_by_the_index(self) -> None:
        self.know()
        self.successResultOf(self.late.attach(self.ledger))
        self.assertEqual(self.successResultOf(self.late.get_placement()), KNOWN)

    def test_what_an_index_says_is_never_lost_to_an_array_that_began_without_it(self) -> None:
        self.begin()
        self.know()
        self.failureResultOf(self.late.attach(self.ledger), RuntimeError)
        self.assertEqual(self.told(), (KNOWN, "known"))

    def test_one_that_is_made_anew_of_a_copy_is_told_where_fragments_are(self) -> None:
        self.begin()
        self.know()
        self.successResultOf(self.late.attach(self.ledger, is_anew=True))
        self.assertEqual(self.told(), (BEGUN, "known"))
