"""What is remembered of slots is what the index would say; the state machine tries the rest."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.shares.index import create_index, open_index
from raic.shares.index.recent import MOST_LEASES, MOST_SHARES, RECENT_SLOTS, RecentSlots
from raic.values import ExpiryBatch, ExpiryRule, Lease, SlotVersion, Version
from tests.contracts.index_values import (
    INDEX_A,
    INDEX_B,
    NOW,
    chunk,
    chunked,
    inline,
    make_lease,
    make_share,
    make_version,
)
from tests.shares.index.instruments import Instruments
from tests.shares.index.model import Model

KINDS = ("slot", "slot", "slot", "renew", "renew", "tombstone", "load", "expire", "expunge")


class RecentSlotsTests(SynchronousTestCase):
    """By itself."""

    def setUp(self) -> None:
        self.recent = RecentSlots()
        self.version = make_version(Version(1, 1), [inline()])
        self.recent.committed(self.version, make_lease())

    def test_leases_are_known_once_they_were_looked_up(self) -> None:
        self.assertEqual(self.recent.version(INDEX_A), self.version)
        self.assertIsNone(self.recent.leases(INDEX_A))
        first, second = make_lease(1, NOW), make_lease(2, NOW + 5)
        self.recent.looked_up((first,), INDEX_A)
        self.recent.renewed(INDEX_A, second)
        self.assertEqual(self.recent.leases(INDEX_A), (second, first))
        self.recent.committed(make_version(Version(1, 2), [inline()]), make_lease(1, NOW + 9))
        self.assertEqual(self.recent.leases(INDEX_A), (make_lease(1, NOW + 9), second))
        self.recent.renewed(INDEX_A, make_lease(1, NOW))
        self.assertEqual(self.recent.leases(INDEX_A), (make_lease(1, NOW + 9), second))

    def test_many_leases_are_not_remembered(self) -> None:
        self.recent.looked_up(tuple(make_lease(n) for n in range(MOST_LEASES)), INDEX_A)
        self.recent.renewed(INDEX_A, make_lease(0))
        self.assertIsNotNone(self.recent.leases(INDEX_A))
        self.recent.renewed(INDEX_A, make_lease(MOST_LEASES))
        self.assertIsNone(self.recent.leases(INDEX_A))
        self.recent.looked_up(tuple(make_lease(n) for n in range(MOST_LEASES + 1)), INDEX_A)
        self.assertIsNone(self.recent.leases(INDEX_A))

    def test_tombstones_and_large_slots_are_forgotten(self) -> None:
        many = [inline(shnum) for shnum in range(MOST_SHARES + 1)]
        for shares in ([], [chunked(chunk(1))], many):
            self.recent.committed(self.version, None)
            self.recent.committed(make_version(Version(1, 2), shares), None)
            self.assertIsNone(self.recent.version(INDEX_A))

    def test_the_oldest_gives_way(self) -> None:
        for number in range(RECENT_SLOTS):
            other = make_version(Version(1, 1), [inline()], number.to_bytes(16, "little"))
            self.recent.committed(other, None)
        self.assertIsNone(self.recent.version(INDEX_A))
        self.assertIsNotNone(self.recent.version(bytes(16)))

    def test_nothing_is_remembered_while_everything_may_go(self) -> None:
        first: Deferred[None] = Deferred()
        second: Deferred[None] = Deferred()
        self.recent.sweeping(first)
        self.recent.sweeping(second)
        self.assertIsNone(self.recent.version(INDEX_A))
        first.callback(None)
        self.recent.committed(self.version, None)
        self.assertIsNone(self.recent.version(INDEX_A))
        second.errback(OSError())
        self.failureResultOf(second, OSError)
        self.recent.committed(self.version, None)
        self.assertEqual(self.recent.version(INDEX_A), self.version)


class RememberingIndexTests(SynchronousTestCase):
    """In an index."""

    def setUp(self) -> None:
        self.instruments = Instruments()
        self.looked_up = 0
        self.instruments.before_read = self.look_up
        path = self.mktemp()
        create_index(path, 1)
        self.index = open_index(
            path,
            Clock(),
            None,
            local_listing=True,
            on_fatal=self.fail,
            factory=self.instruments.factory,
        )
        self.addCleanup(self.index.close)

    def look_up(self) -> None:
        self.looked_up += 1

    def commit(self, old: SlotVersion | None, index: bytes = INDEX_A) -> SlotVersion:
        new = make_version(self.index.next_version(), [inline()], index)
        expected = None if old is None else old.version
        self.successResultOf(self.index.commit_slot(new, expected, make_lease(), NOW))
        return new

    def test_the_second_update_asks_nothing(self) -> None:
        version = self.commit(None)
        self.successResultOf(self.index.get_leases(INDEX_A))
        version = self.commit(version)
        self.successResultOf(self.index.commit_share(make_share(), make_lease(3, NOW)))
        self.looked_up = 0
        self.assertEqual(self.successResultOf(self.index.get_slot(INDEX_A)), version)
        leases = self.successResultOf(self.index.get_leases(INDEX_A))
        self.assertEqual(leases, (make_lease(), make_lease(3, NOW)))
        self.assertEqual(self.looked_up, 0)

    def test_what_expires_is_forgotten(self) -> None:
        self.commit(None)
        other = self.commit(None, INDEX_B)
        self.successResultOf(self.index.renew_lease(INDEX_B, make_lease(1, NOW + 10_000)))
        rule = ExpiryRule(NOW + 5000)
        self.successResultOf(self.index.expire(rule, ExpiryBatch(NOW, NOW, NOW, 100)))
        self.assertIsNone(self.successResultOf(self.index.get_slot(INDEX_A)))
        self.assertEqual(self.successResultOf(self.index.get_slot(INDEX_B)), other)

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 3), st.booleans()), min_size=5)
    )
    def test_what_is_remembered_is_what_is_there(self, steps: list[tuple[str, int, bool]]) -> None:
        model = Model()
        for number, (kind, count, flag) in enumerate(steps):
            index, lease = (INDEX_B if flag else INDEX_A), make_lease(count, NOW + number)
            method, arguments = self.step(model, kind, index, lease, number)
            self.successResultOf(getattr(self.index, method)(*arguments))
            getattr(model, method)(*arguments)
            for each in (INDEX_A, INDEX_B):
                slot = self.successResultOf(self.index.get_slot(each))
                self.assertEqual(slot, model.slots.get(each))
                leases = self.successResultOf(self.index.get_leases(each))
                self.assertEqual(set(leases), model.leases_of(each))
                self.assertEqual([*leases], sorted(leases, key=lambda one: -one.expires))
        self.empty(model)

    def step(self, model: Model, kind: str, index: bytes, lease: Lease, number: int) -> Any:
        """A method that the index and the model both have, and its arguments."""
        old = model.slots.get(index)
        if kind == "slot":
            new = make_version(self.index.next_version(), [inline()], index, number=number)
            return "commit_slot", (new, None if old is None else old.version, lease, NOW, ())
        if kind == "tombstone" and old is not None:
            gone = make_version(self.index.next_version(), [], index, number=number)
            return "commit_slot", (gone, old.version, None, NOW, ())
        if kind == "load":
            slot = make_version(self.index.next_version(), [inline(1)], index, number=number)
            return "load", ([], [(slot, [lease])])
        if kind == "expire":
            rule = ExpiryRule(NOW + max(0, number - 2))
            return "expire", (rule, ExpiryBatch(number, NOW, NOW, 100))
        if kind == "expunge":
            objects = frozenset() if old is None else old.keys()
            return "expunge", (index, objects, f"expunged/aa/{number}.1", "reason", NOW, NOW)
        return "renew_lease", (index, lease)

    def empty(self, model: Model) -> None:
        """Drop everything, for the next run."""
        for index in (INDEX_A, INDEX_B):
            _, arguments = self.step(model, "expunge", index, make_lease(), 10**6 + index[0])
            self.successResultOf(self.index.expunge(*arguments))
