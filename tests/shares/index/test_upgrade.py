"""An index that version 1 of the schema left behind, brought up to date."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

from attrs import evolve
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.fragmentkeys import parse_fragment_key
from raic.shares.ages import REQUEST_SECONDS
from raic.shares.index import SQLiteIndex, create_index, open_index
from raic.values import ArrayTotals, Garbage, Totals, Usage, Version
from tests.contracts.index_values import (
    INDEX_A,
    INDEX_B,
    NOW,
    chunk,
    chunked,
    fragment,
    inline,
    make_lease,
    make_share,
    make_version,
)

FILE = Path(__file__).with_name("version-1.db.gz")
"""Made by the release that knew version 1 only; closed, with an intent left."""

SLOT = make_version(
    Version(3, 2),
    [inline(0, 300), chunked(chunk(2), chunk(3), shnum=1)],
    number=2,
)
SHARES = {0: make_share()}
REPAIRS = (f"{chunk(3).key}--2.16.50.0.0", f"{make_share().key}--2.16.120.1.0")


class UpgradeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_bytes(gzip.decompress(FILE.read_bytes()))
        with closing(sqlite3.connect(self.path)) as old, old:
            old.execute("INSERT INTO repairs VALUES ('no fragment of an array', 'a')")
        self.clock = Clock()
        self.clock.advance(NOW)
        self.index = self.opened()

    def opened(self) -> SQLiteIndex:
        index = open_index(
            self.path,
            self.clock,
            None,
            local_listing=False,
            on_fatal=self.fail,
            measure=lambda length: 2 * length + 1,
        )
        self.addCleanup(index.close)
        return index

    def test_all_that_was_stored_is_there(self) -> None:
        index = self.index
        self.assertEqual(self.successResultOf(index.get_bucket(INDEX_A)), SHARES)
        other = {7: make_share(INDEX_B, 7)}
        self.assertEqual(self.successResultOf(index.get_bucket(INDEX_B)), other)
        self.assertEqual(self.successResultOf(index.get_slot(INDEX_A)), SLOT)
        leases = self.successResultOf(index.get_leases(INDEX_A))
        self.assertEqual(set(leases), {make_lease(), make_lease(2)})
        totals = self.successResultOf(index.get_totals())
        self.assertEqual(totals, Totals(2, 200, 1, 1100, 3, 4, 0, 2, 1))
        unknown = self.successResultOf(index.unknown_keys([*SLOT.keys(), *REPAIRS, "a"]))
        self.assertEqual(unknown, {"a"})

    def test_what_was_to_be_deleted_is(self) -> None:
        due = NOW + REQUEST_SECONDS
        garbage = self.successResultOf(self.index.next_garbage(due, 10))
        self.assertIn(Garbage(make_share(number=9).key, due), garbage)
        self.assertIn(Garbage("stray", NOW, 2), garbage)
        self.assertEqual(len(garbage), 4)

    def test_repairs_are_of_the_objects_that_their_keys_tell(self) -> None:
        ledger = self.index.ledger
        self.assertEqual(self.successResultOf(ledger.next_repairs(10, "")), REPAIRS)
        for key, number in ((str(chunk(3).key), 0), (make_share().key, 1)):
            state = self.successResultOf(ledger.lookup(key))
            self.assertEqual(state.missing, {number})
        self.assertEqual(self.successResultOf(ledger.lookup(SLOT.key)).missing, set())

    def test_totals_are_right_from_the_beginning(self) -> None:
        ledger = self.index.ledger
        totals = ArrayTotals(repairs=2, attempts=0, objects=5, verified=0, oldest=None)
        self.assertEqual(self.successResultOf(ledger.get_array_totals()), totals)
        new = make_version(self.index.next_version(), [chunked(chunk(2))], number=3)
        done = self.index.commit_slot(new, SLOT.version, None, NOW, [fragment(new.key)])
        self.successResultOf(done)
        self.successResultOf(ledger.note_verified([new.key], NOW))
        expected = evolve(totals, objects=4, verified=1, oldest=NOW - NOW % 86400)
        self.assertEqual(self.successResultOf(ledger.get_array_totals()), expected)

    def test_space_is_counted_from_the_beginning(self) -> None:
        usage = self.successResultOf(self.index.get_usage(NOW))
        fragments = map(parse_fragment_key, REPAIRS)
        missing = {each.number: each.size for each in fragments if each is not None}
        stored = 2 * 241 + 2001 + 2 * 101
        keys = [one.key for one in self.successResultOf(self.index.next_garbage(NOW * 2, 10))]
        garbage = sum(2 * int(key.rpartition(".")[2]) + 1 for key in keys if key != "stray")
        self.assertEqual(usage, Usage(200 + 300 + 100, stored, stored, garbage, missing))
        later = self.successResultOf(self.index.get_usage(NOW + 40 * 24 * 3600))
        self.assertEqual(later, evolve(usage, leased=0))

    def test_it_goes_on_as_any_other(self) -> None:
        self.assertEqual(self.index.next_version().epoch, 3)
        self.assertTrue(self.index.was_clean())
        self.successResultOf(self.index.commit_share(make_share(shnum=1), make_lease()))
        self.successResultOf(self.index.close())
        again = self.opened()
        self.assertEqual(len(self.successResultOf(again.get_bucket(INDEX_A))), 2)

    def test_the_old_file_is_kept(self) -> None:
        backup = self.path.with_name(f"{self.path.name}.version-1")
        with closing(sqlite3.connect(backup)) as old:
            self.assertEqual(old.execute("PRAGMA user_version").fetchone(), (1,))
            self.assertEqual(old.execute("SELECT count(*) FROM shares").fetchone(), (2,))
            self.assertEqual(old.execute("SELECT count(*) FROM repairs").fetchone(), (3,))

    def test_its_tables_are_those_of_a_new_one(self) -> None:
        other = self.path.with_name("other")
        create_index(other, 1)
        found = []
        for path in (self.path, other):
            with closing(sqlite3.connect(path)) as database:
                query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2"
                found.append(database.execute(query).fetchall())
        self.assertEqual(*found)
