"""The ledger in the SQLite index keeps the contract, with and without threads."""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock

from raic.deferreds import async_to_deferred
from raic.shares.index import SQLiteIndex, create_index, open_index
from raic.shares.index.ledger import SqliteLedger
from raic.values import Garbage, SlotVersion, Version
from tests.contracts.driving import ReactorSuite, SynchronousSuite, driven, reactor
from tests.contracts.index_values import NOW, inline, make_version
from tests.contracts.ledger import LATER, A, LedgerContract
from tests.shares.index.instruments import copy_index


class SqliteLedgerContract(LedgerContract):
    """The objects are versions of slots, because an index can drop these.

    :cvar reactor: None to have no threads.
    """

    reactor: IReactorFromThreads | None = None
    local_listing = False
    ledger: SqliteLedger

    def make_ledger(self) -> SqliteLedger:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.path = self.mktemp()
        create_index(self.path, 1)
        self.index = self.opened()
        self.addCleanup(self.close)
        return self.index.ledger

    def close(self) -> Deferred[None]:
        return self.index.close()

    def opened(self) -> SQLiteIndex:
        return open_index(
            self.path,
            self.clock,
            self.reactor,
            sync=False,
            local_listing=self.local_listing,
            on_fatal=self.fail,
        )

    def version(self, name: str) -> SlotVersion:
        number = ord(name)
        return make_version(Version(0, 1), [inline()], bytes([number] * 16), number=number)

    def key(self, name: str) -> str:
        return self.version(name).key

    def reserve(self, name: str) -> Deferred[None]:
        return self.index.reserve([self.key(name)])

    def commit(self, name: str, missing: Collection[str] = ()) -> Deferred[None]:
        return self.index.commit_slot(self.version(name), None, None, LATER, missing)

    @async_to_deferred
    async def drop(self, name: str) -> None:
        """The tombstone is deleted at once, so that it is in nobody's way."""
        version = self.version(name)
        tombstone = make_version(Version(0, 2), [], version.storage_index, number=1)
        await self.index.commit_slot(tombstone, version.version, None, 0)
        await self.index.settle_garbage([Garbage(tombstone.key, 0)])
        await self.index.release([Garbage(version.key, LATER)])

    def garbage(self) -> Deferred[tuple[Garbage, ...]]:
        return self.index.next_garbage(NOW + 10**6, 100)

    def settle_garbage(self, garbage: Collection[Garbage]) -> Deferred[None]:
        return self.index.settle_garbage(garbage)

    @async_to_deferred
    async def restart(self, clean: bool) -> None:
        killed = self.index
        if clean:
            await killed.close()
        else:
            copy = self.mktemp()
            copy_index(self.path, copy)
            self.path = copy
        self.index = self.opened()
        self.ledger = self.index.ledger
        if not clean:
            await killed.close()


class WithoutThreadsTests(SqliteLedgerContract, SynchronousSuite):
    """Every method does its work before it returns."""


class LocalListingTests(SqliteLedgerContract, SynchronousSuite):
    """Intents for objects, but not those for new fragments, are in memory only."""

    local_listing = True

    @driven
    async def test_intents_are_counted_wherever_they_are(self) -> None:
        await self.reserve(A)
        await self.ledger.begin_attempt(self.part(A, 0, 1))
        self.assertEqual((await self.index.get_totals()).intents, 2)


class WithThreadsTests(SqliteLedgerContract, ReactorSuite):
    """As a node has it."""

    reactor = reactor
