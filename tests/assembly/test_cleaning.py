"""What a node clears of what earlier runs left behind, and when."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from raic.assembly.cleaning import Cleaning
from raic.backends.memory import MemoryProvider
from raic.errors import ProviderUnreachable
from raic.interfaces import IInterruptedUploads
from raic.shares.ages import REQUEST_SECONDS
from tests.shares.stores import StoreTestCase

OURS = "shares/aa/half"
ANOTHERS = "certify/half"


@implementer(IInterruptedUploads)
class Littered(MemoryProvider):
    """Has parts of uploads besides its objects."""

    away = False
    silent = False

    def __init__(self) -> None:
        super().__init__("cloud")
        self.parts: set[str] = set()

    def clear_interrupted_uploads(self, prefix: str) -> Deferred[int]:
        if self.silent:
            return Deferred()
        if self.away:
            return fail(ProviderUnreachable(self.name, "clear_interrupted_uploads", "away"))
        found = {part for part in self.parts if part.startswith(prefix)}
        self.parts -= found
        return succeed(len(found))


class InterruptedUploads(StoreTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.provider = Littered()
        self.successResultOf(self.provider.start())
        self.provider.parts = {OURS}
        self.cleaning = Cleaning(self.provider, self.index, self.pins, self.clock)
        self.addCleanup(lambda: self.successResultOf(self.cleaning.stop()))

    def test_they_are_cleared_at_the_start(self) -> None:
        self.cleaning.begin()
        self.assertEqual(self.provider.parts, set())

    def test_what_lands_only_then_is_cleared_once_it_must_have(self) -> None:
        self.cleaning.begin()
        self.provider.parts = {OURS, ANOTHERS}
        self.clock.advance(REQUEST_SECONDS - 1)
        self.assertEqual(self.provider.parts, {OURS, ANOTHERS})
        self.clock.advance(1)
        # What others do by now beside the node stays.
        self.assertEqual(self.provider.parts, {ANOTHERS})

    def test_a_cloud_that_is_away_is_asked_once_more(self) -> None:
        self.provider.away = True
        self.cleaning.begin()
        self.provider.away = False
        self.clock.advance(REQUEST_SECONDS)
        self.assertEqual(self.provider.parts, set())

    def test_a_node_that_stops_waits_for_nothing(self) -> None:
        for silent in (True, False):
            cleaning = Cleaning(self.provider, self.index, self.pins, self.clock)
            self.provider.silent = silent
            cleaning.begin()
            self.successResultOf(cleaning.stop())
            self.assertEqual(self.clock.getDelayedCalls(), [])
