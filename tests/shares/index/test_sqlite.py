"""The SQLite index keeps the contract, with and without threads."""

from __future__ import annotations

from attrs import evolve
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock

from raic.interfaces import IIndex
from raic.shares.index import SQLiteIndex, create_index, open_index
from tests.contracts.driving import ReactorSuite, SynchronousSuite, driven, reactor
from tests.contracts.index import NOTHING
from tests.contracts.index_expiry import ExpiryContract, make_advisory
from tests.contracts.index_values import NOW
from tests.shares.index.instruments import copy_index


class SQLiteContract(ExpiryContract):
    """:cvar reactor: None to have no threads."""

    reactor: IReactorFromThreads | None = None

    def make_index(self, clock: Clock) -> IIndex:
        self.path = self.mktemp()
        create_index(self.path, 1)
        return self.opened()

    def opened(self) -> SQLiteIndex:
        return open_index(
            self.path,
            self.clock,
            self.reactor,
            sync=False,
            local_listing=self.local_listing,
            on_fatal=self.fail,
        )

    def after_close(self, index: IIndex) -> IIndex:
        return self.opened()

    def after_kill(self, index: IIndex) -> IIndex:
        copy = self.mktemp()
        copy_index(self.path, copy)
        self.path = copy
        return self.opened()


class WithoutThreadsTests(SQLiteContract, SynchronousSuite):
    """Every method does its work before it returns."""


class LocalListingTests(SQLiteContract, SynchronousSuite):
    """Intents are in memory only."""

    local_listing = True


class WithThreadsTests(SQLiteContract, ReactorSuite):
    """As a node has it."""

    reactor = reactor

    @driven
    async def test_the_newest_ten_thousand_advisories_are_kept(self) -> None:
        day = 86400
        giving = [self.index.advise(make_advisory(NOW + n * day)) for n in range(10_002)]
        for one in giving:
            await one
        kept = await self.index.get_advisories(20_000)
        self.assertEqual(len(kept), 10_000)
        self.assertEqual(kept[-1].received, NOW + 2 * day)
        self.assertEqual((await self.index.get_totals()), evolve(NOTHING, advisories=10_000))
