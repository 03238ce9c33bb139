"""The ledger in memory keeps the contract."""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.defer import Deferred, succeed

from raic.backends.array.memoryledger import MemoryLedger
from raic.values import Garbage
from tests.contracts.driving import SynchronousSuite
from tests.contracts.index_values import NOW
from tests.contracts.ledger import LATER, LedgerContract


class MemoryLedgerTests(LedgerContract, SynchronousSuite):
    """As the tests of arrays have it."""

    ledger: MemoryLedger

    def make_ledger(self) -> MemoryLedger:
        return MemoryLedger()

    def key(self, name: str) -> str:
        return f"shares/a-a/{name}"

    def reserve(self, name: str) -> Deferred[None]:
        self.ledger.reserve([self.key(name)])
        return succeed(None)

    def commit(self, name: str, missing: Collection[str] = ()) -> Deferred[None]:
        self.ledger.commit([self.key(name)], missing)
        return succeed(None)

    def drop(self, name: str) -> Deferred[None]:
        self.ledger.commit([], dropped=[self.key(name)], not_before=LATER)
        return succeed(None)

    def garbage(self) -> Deferred[tuple[Garbage, ...]]:
        return succeed(tuple(self.ledger.garbage.values()))

    def settle_garbage(self, garbage: Collection[Garbage]) -> Deferred[None]:
        self.ledger.settle_garbage(garbage)
        return succeed(None)

    def restart(self, clean: bool) -> Deferred[None]:
        self.ledger.restart(NOW, clean)
        return succeed(None)
