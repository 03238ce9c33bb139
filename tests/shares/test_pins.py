"""Objects that are being read."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from raic.shares.pins import Pins


class PinsTests(SynchronousTestCase):
    def test_an_object_is_pinned_until_its_last_reader_ends(self) -> None:
        pins = Pins()
        pins.pin(["a", "b"])
        pins.pin(["a"])
        pins.unpin(["a", "b"])
        self.assertTrue(pins.is_pinned("a"))
        self.assertFalse(pins.is_pinned("b"))
        pins.unpin(["a"])
        self.assertFalse(pins.is_pinned("a"))
