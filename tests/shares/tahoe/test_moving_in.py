"""A provider that goes wrong while share files are copied into it."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.faults import FaultPlan
from raic.backends.faulty import FaultyProvider
from raic.backends.memory import MemoryProvider
from raic.errors import IndexFailure, NoSpace, ObjectCorrupt, OutcomeUnknown, RaicError
from raic.shares.index import create_index, open_index
from raic.shares.sealing import Sealer
from raic.shares.tahoe.containers import immutable_frame, mutable_frame
from raic.shares.tahoe.folder import FoundSet, find_shares, share_path
from raic.shares.tahoe.moving_in import MovedSet, MovingIn
from raic.values import Lease, Totals
from raic.workers import InlineWorkers

INDEX = b"i" * 16
LEASE = Lease(b"r" * 32, b"c" * 32, 2_000_000_000)
SMALL, BIG = 1000, 3_000_000


class MovingInTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.plan = FaultPlan(seed=1)
        self.memory = MemoryProvider("memory")
        self.provider = FaultyProvider(self.memory, self.plan)
        self.successResultOf(self.provider.start())
        create_index("index", 1)
        self.index = open_index("index", self.clock, None, local_listing=False, on_fatal=self.fail)
        self.addCleanup(self.index.close)
        self.moving = MovingIn(
            self.provider,
            self.index,
            Sealer(b"k" * 32),
            InlineWorkers(),
            self.clock,
            surely=False,
        )

    def add(self, length: int, *, slot: bool = False) -> Path:
        if slot:
            frame = mutable_frame(length, [LEASE], b"e" * 32, b"n" * 20, b"n" * 20)
        else:
            frame = immutable_frame(length, [LEASE])
        path = share_path(Path(), INDEX, 0)
        path.parent.mkdir(parents=True)
        path.write_bytes(frame.before + os.urandom(length) + frame.after)
        return path

    def move(self) -> Deferred[MovedSet]:
        (found,) = find_shares(Path())
        assert isinstance(found, FoundSet)
        return Deferred.fromCoroutine(self.moving.move(found))

    def totals(self) -> Totals:
        return self.successResultOf(self.index.get_totals())

    def assert_nothing(self, error: type[RaicError], garbage: int = 1) -> None:
        """It fails, the index knows no share, and what was written will be deleted."""
        self.failureResultOf(self.move(), error)
        totals = self.totals()
        self.assertEqual((totals.shares, totals.slots, totals.leases, totals.intents), (0,) * 4)
        self.assertEqual(totals.garbage, garbage)

    def assert_moved(self) -> None:
        moved = self.successResultOf(self.move())
        self.assertEqual((moved.shares + moved.slots, moved.left), (1, ()))
        self.assertEqual(self.totals().leases, 1)
        self.assertEqual(self.successResultOf(self.move()).there, 1)

    def test_a_small_share_comes_back_altered(self) -> None:
        self.add(SMALL)
        self.plan.corrupt("get_object", 500)
        self.assert_nothing(ObjectCorrupt)
        self.assert_moved()

    def test_a_large_share_comes_back_altered(self) -> None:
        self.add(BIG)
        self.plan.corrupt("stream_object", 2_000_000)
        self.assert_nothing(ObjectCorrupt)
        self.assert_moved()

    def test_a_large_share_comes_back_short(self) -> None:
        self.add(BIG)
        self.plan.truncate("stream_object", 2_000_000)
        self.assert_nothing(ObjectCorrupt)

    def test_a_small_slot_comes_back_altered(self) -> None:
        self.add(SMALL, slot=True)
        self.plan.corrupt("get_object", 500)
        self.assert_nothing(ObjectCorrupt)
        self.assert_moved()

    def test_a_chunk_of_a_slot_comes_back_altered(self) -> None:
        self.add(BIG, slot=True)
        self.plan.corrupt("get_object", 500, nth=2)
        self.assert_nothing(ObjectCorrupt, garbage=2)
        self.assert_moved()

    def test_the_provider_is_full(self) -> None:
        self.add(BIG)
        self.plan.fail("write", NoSpace, nth=2)
        self.assert_nothing(NoSpace)
        self.assert_moved()

    def test_nobody_knows_whether_a_share_was_stored(self) -> None:
        for length in (SMALL, BIG):
            self.plan.lose_answer("put_object" if length == SMALL else "finish")
            path = self.add(length)
            self.failureResultOf(self.move(), OutcomeUnknown)
            path.unlink()
            path.parent.rmdir()
        late = self.successResultOf(self.index.next_garbage(2**40, 10))
        self.assertEqual([each.passes for each in late], [2, 2])

    def test_the_index_has_no_room(self) -> None:
        self.add(SMALL)
        self.successResultOf(self.index.close())
        self.failureResultOf(self.move(), IndexFailure)

    def test_a_file_is_cut_short_while_it_is_read(self) -> None:
        for slot in (False, True):
            path = self.add(BIG, slot=slot)
            gate = self.plan.hang("write" if not slot else "put_object")
            moving = self.move()
            os.truncate(path, BIG // 2)
            gate.release()
            (left,) = self.successResultOf(moving).left
            self.assertIn("cut short", left.why)
            self.assertEqual((self.totals().shares, self.totals().slots), (0, 0))
            path.unlink()
            path.parent.rmdir()
