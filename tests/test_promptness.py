"""Short calls are made here, until one was long."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.promptness import Promptness


class PromptnessTests(SynchronousTestCase):
    """A call is long from half a second on; the next ten seconds are for others to work in."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.prompt = Promptness(self.clock, slow=0.5, pause=10)

    def fail_after(self, seconds: float) -> None:
        self.clock.advance(seconds)
        raise OSError("no room")

    def test_calls_are_made_here_while_they_are_short(self) -> None:
        for _ in range(3):
            self.assertTrue(self.prompt.is_expected())
            self.assertEqual(self.prompt.call(lambda: 7), 7)
            self.clock.advance(0.4)

    def test_after_a_long_one_they_are_made_elsewhere_for_a_while(self) -> None:
        self.prompt.call(lambda: self.clock.advance(0.6))
        self.assertFalse(self.prompt.is_expected())
        self.clock.advance(9.9)
        self.assertFalse(self.prompt.is_expected())
        self.clock.advance(0.2)
        self.assertTrue(self.prompt.is_expected())

    def test_one_that_fails_counts_as_well(self) -> None:
        self.assertRaises(OSError, self.prompt.call, lambda: self.fail_after(0.1))
        self.assertTrue(self.prompt.is_expected())
        self.assertRaises(OSError, self.prompt.call, lambda: self.fail_after(0.6))
        self.assertFalse(self.prompt.is_expected())
