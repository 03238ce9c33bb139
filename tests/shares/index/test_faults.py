"""Failing and full disks, damaged pages, other programs."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from attrs import evolve
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.errors import (
    IndexBusy,
    IndexCorrupt,
    IndexFailure,
    IndexFull,
    IndexStopped,
    VersionConflict,
)
from raic.shares.index import SQLiteIndex, create_index, open_index
from raic.values import Advisory, Garbage, Totals
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
from tests.shares.index.instruments import (
    Instruments,
    copy_index,
    disk_full,
    full_disk,
    io_error,
    no_file_may_grow,
)

LARGE = Advisory("mutable", INDEX_A, 0, "x" * 30_000, NOW)


class FaultsTestCase(SynchronousTestCase):
    """An index without threads that has one share, and instruments."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.instruments = Instruments()
        self.fatal: list[Exception] = []
        self.path = self.mktemp()
        create_index(self.path, 1)
        self.index = self.opened(self.instruments)
        self.successResultOf(self.index.commit_share(make_share(), make_lease()))

    def opened(self, instruments: Instruments) -> SQLiteIndex:
        index = open_index(
            self.path,
            self.clock,
            None,
            local_listing=False,
            on_fatal=self.fatal.append,
            factory=instruments.factory,
        )
        self.addCleanup(index.close)
        return index

    def restart(self, path: str | None = None) -> SQLiteIndex:
        """What the next process finds."""
        self.successResultOf(self.index.close())
        self.path = self.path if path is None else path
        return self.opened(Instruments())

    def totals(self) -> Totals:
        return self.successResultOf(self.index.get_totals())

    def check_stopped(self, *reasons: type[IndexFailure]) -> None:
        self.failureResultOf(self.index.renew_lease(INDEX_A, make_lease()), IndexStopped)
        self.failureResultOf(self.index.get_bucket(INDEX_A), IndexStopped)
        self.failureResultOf(self.index.next_garbage(NOW, 1), IndexStopped)
        self.failureResultOf(self.index.reserve(["a"]), IndexStopped)
        self.assertEqual([type(one) for one in self.fatal], [*reasons])


class FailingDiskTests(FaultsTestCase):
    """Whoever meets it stops, touches nothing, and leaves the truth to the next start."""

    def test_a_write_that_the_disk_refuses_stops_the_index(self) -> None:
        with no_file_may_grow(f"{self.path}-wal"):
            self.failureResultOf(self.index.renew_lease(INDEX_A, make_lease(9)), IndexStopped)
        self.check_stopped(IndexStopped)
        index = self.restart()
        self.assertFalse(index.was_clean())
        self.assertEqual(self.successResultOf(index.get_leases(INDEX_A)), (make_lease(),))

    def test_a_commit_that_failed_though_it_landed_is_found_by_the_next_start(self) -> None:
        self.instruments.after_commit = io_error
        self.failureResultOf(self.index.renew_lease(INDEX_A, make_lease(9)), IndexStopped)
        self.check_stopped(IndexStopped)
        index = self.restart()
        self.assertEqual(len(self.successResultOf(index.get_leases(INDEX_A))), 2)

    def test_a_commit_that_failed_before_it_landed_leaves_nothing(self) -> None:
        self.instruments.before_commit = io_error
        self.failureResultOf(self.index.commit_share(make_share(INDEX_B), make_lease()))
        self.check_stopped(IndexStopped)
        index = self.restart()
        self.assertEqual(self.successResultOf(index.get_bucket(INDEX_B)), {})
        self.assertEqual(self.successResultOf(index.get_totals()).shares, 1)

    def test_a_mistake_of_ours_stops_the_index_rather_than_leave_callers_waiting(self) -> None:
        def mistake() -> None:
            raise RuntimeError("unforeseen")

        self.instruments.before_commit = mistake
        self.failureResultOf(self.index.renew_lease(INDEX_A, make_lease(9)), IndexStopped)
        self.check_stopped(IndexStopped)

    def test_a_failed_rollback_stops_the_index(self) -> None:
        self.instruments.before_commit = disk_full
        self.instruments.before_rollback = io_error
        self.failureResultOf(self.index.renew_lease(INDEX_A, make_lease(9)), IndexStopped)
        self.check_stopped(IndexStopped)

    def test_damage_met_while_reading_stops_the_index(self) -> None:
        self.successResultOf(self.index.close())
        size = os.path.getsize(self.path)
        self.index = self.opened(Instruments())
        with open(self.path, "r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        self.failureResultOf(self.index.get_bucket(INDEX_A), IndexStopped)
        self.check_stopped(IndexCorrupt)

    def test_damage_met_by_a_scan_stops_the_index(self) -> None:
        self.successResultOf(self.index.close())
        self.index = self.opened(Instruments())
        with open(self.path, "r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (os.path.getsize(self.path) - 4096))
        self.failureResultOf(self.index.unknown_keys([make_share().key]), IndexStopped)
        self.check_stopped(IndexCorrupt)

    def test_a_damaged_manifest_is_damage_of_one_slot(self) -> None:
        version = make_version(self.index.next_version(), [inline()])
        self.successResultOf(self.index.commit_slot(version, None, None, 0))
        self.successResultOf(self.index.close())
        self.index = self.opened(Instruments())  # which has to read what it does not remember
        for damage in (b"", b"\xff", b"\x01", b"\x81\x80"):
            with closing(sqlite3.connect(self.path)) as other:
                other.execute("UPDATE slots SET manifest = ?", (damage,))
                other.commit()
            self.failureResultOf(self.index.get_slot(INDEX_A), IndexCorrupt)
        self.assertEqual(self.fatal, [])


class FullDiskTests(FaultsTestCase):
    """Nothing changes, and all goes on once there is room."""

    def check_refused_then_accepted(self) -> None:
        self.assertEqual(self.totals().advisories, 0)
        self.assertEqual(self.totals().shares, 1)
        self.assertEqual(self.fatal, [])

    def test_a_file_that_cannot_grow_refuses_what_needs_room(self) -> None:
        execute = self.instruments.writes.execute
        (pages,) = execute("PRAGMA page_count").fetchone()
        (limit,) = execute(f"PRAGMA max_page_count = {pages}").fetchone()
        self.assertEqual(limit, pages)
        self.failureResultOf(self.index.advise(LARGE), IndexFull)
        many = [(make_share(INDEX_B, number), [make_lease(number)]) for number in range(200)]
        self.failureResultOf(self.index.load(many, []), IndexFull)
        self.check_refused_then_accepted()
        self.assertTrue(self.successResultOf(self.index.renew_lease(INDEX_A, make_lease())))
        execute("PRAGMA max_page_count = 1000000")
        self.successResultOf(self.index.advise(LARGE))
        self.successResultOf(self.index.load(many, []))
        self.assertEqual(self.totals().advisories, 1)
        self.assertEqual(self.totals().shares, 201)

    def test_a_disk_that_is_full_at_the_commit_refuses_it(self) -> None:
        with full_disk(f"{self.path}-wal"):
            self.failureResultOf(self.index.advise(LARGE), IndexFull)
        self.check_refused_then_accepted()
        copy = self.mktemp()
        copy_index(self.path, copy)
        self.successResultOf(self.index.advise(LARGE))
        self.assertEqual(self.totals().advisories, 1)
        killed = self.restart(copy)
        self.assertEqual(self.successResultOf(killed.get_totals()).advisories, 0)
        self.assertEqual(self.successResultOf(killed.get_leases(INDEX_A)), (make_lease(),))

    def test_versions_are_given_from_the_reserve_until_it_is_used_up(self) -> None:
        self.successResultOf(self.index.close())
        instruments = Instruments()
        self.index = open_index(
            self.path,
            self.clock,
            None,
            local_listing=False,
            on_fatal=self.fatal.append,
            factory=instruments.factory,
            counters=10,
        )
        instruments.before_commit = disk_full
        given = [self.index.next_version() for _ in range(10)]
        self.assertRaises(IndexFull, self.index.next_version)
        instruments.before_commit = lambda: None
        given += [self.index.next_version() for _ in range(30)]
        self.assertEqual(given, sorted(set(given)))
        self.index = self.restart()
        self.assertGreater(self.index.next_version(), given[-1])


class OtherProgramTests(FaultsTestCase):
    """An operator's SQLite shell, say."""

    def test_an_index_that_another_program_locks_refuses_until_it_is_unlocked(self) -> None:
        self.instruments.writes.execute("PRAGMA busy_timeout = 0")
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            error = self.failureResultOf(self.index.renew_lease(INDEX_A, make_lease()), IndexBusy)
            assert isinstance(error.value, IndexBusy)
            self.assertTrue(error.value.temporary)
            other.execute("ROLLBACK")
        self.assertTrue(self.successResultOf(self.index.renew_lease(INDEX_A, make_lease())))
        self.assertEqual(self.fatal, [])

    def test_a_reader_that_is_kept_out_is_told_so_and_nothing_stops(self) -> None:
        def locked() -> None:
            raise sqlite3.OperationalError("database is locked")

        self.instruments.before_read = locked
        self.failureResultOf(self.index.get_bucket(INDEX_A), IndexBusy)
        self.instruments.before_read = lambda: None
        self.assertEqual([*self.successResultOf(self.index.get_bucket(INDEX_A))], [0])
        self.assertEqual(self.fatal, [])


class BadArgumentsTests(FaultsTestCase):
    """Mistakes of a caller harm nobody else."""

    def test_a_key_of_another_storage_index_is_refused(self) -> None:
        elsewhere = make_share(INDEX_B)
        mistaken = evolve(elsewhere, storage_index=INDEX_A, shnum=1)
        self.failureResultOf(self.index.commit_share(mistaken, make_lease()), ValueError)
        version = make_version(self.index.next_version(), [chunked(chunk(1, INDEX_B))])
        self.failureResultOf(self.index.commit_slot(version, None, None, 0), ValueError)
        self.assertEqual([*self.successResultOf(self.index.get_bucket(INDEX_A))], [0])

    def test_a_number_that_cannot_be_stored_is_refused(self) -> None:
        self.failureResultOf(self.index.release([Garbage("a", 2**63)]), OverflowError)
        self.failureResultOf(self.index.next_garbage(2**63, 1), OverflowError)
        self.failureResultOf(self.index.load([], [None]), TypeError)  # type: ignore[list-item]
        self.assertEqual(self.totals().garbage, 0)
        self.failureResultOf(
            self.index.commit_share(make_share(number=9), make_lease()), VersionConflict
        )
        self.assertEqual(self.fatal, [])
