"""The index's file: made whole or not at all, checked, upgraded, replaced."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.errors import (
    IndexBusy,
    IndexCorrupt,
    IndexFailure,
    IndexMissing,
    IndexStopped,
    IndexTooNew,
)
from raic.shares.index import SQLiteIndex, create_index, open_index, replace_index
from raic.shares.index.files import schema_scripts
from raic.values import Version
from tests.contracts.index_values import INDEX_A, make_lease, make_share
from tests.shares.index.instruments import Instruments, copy_index, no_file_may_grow

NEXT = "CREATE TABLE made_up (one INTEGER NOT NULL); INSERT INTO made_up VALUES (7);"


class FilesTestCase(SynchronousTestCase):
    """Has an index file."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        create_index(self.path, 3)

    def opened(self, path: Path | None = None, scripts: tuple[str, ...] = ()) -> SQLiteIndex:
        index = open_index(
            path or self.path,
            Clock(),
            None,
            local_listing=False,
            on_fatal=self.fail,
            scripts=scripts,
        )
        self.addCleanup(index.close)
        return index

    def fill(self, path: Path | None = None) -> None:
        index = self.opened(path)
        self.successResultOf(index.commit_share(make_share(), make_lease()))
        self.successResultOf(index.close())

    def is_filled(self, path: Path | None = None) -> bool:
        index = self.opened(path)
        bucket = self.successResultOf(index.get_bucket(INDEX_A))
        self.successResultOf(index.close())
        return bool(bucket)

    def refused(self, error: type[IndexFailure]) -> IndexFailure:
        before = self.path.read_bytes() if self.path.exists() else b""
        caught = self.assertRaises(error, self.opened)
        assert isinstance(caught, IndexFailure)
        self.assertIn("raic", caught.remedy.lower() + "raic" * (error is IndexStopped))
        self.assertEqual(self.path.read_bytes() if self.path.exists() else b"", before)
        return caught


class CreatingTests(FilesTestCase):
    def test_only_the_owner_may_read_it(self) -> None:
        self.opened()
        for suffix in ("", "-wal", "-shm"):
            self.assertEqual(os.stat(f"{self.path}{suffix}").st_mode & 0o777, 0o600)

    def test_versions_carry_its_epoch(self) -> None:
        self.assertEqual(self.opened().next_version(), Version(3, 1))

    def test_nothing_is_left_beside_it(self) -> None:
        self.assertEqual(os.listdir(self.path.parent), [self.path.name])

    def test_an_index_that_is_there_stays(self) -> None:
        self.fill()
        self.assertRaises(FileExistsError, create_index, self.path, 4)
        self.assertTrue(self.is_filled())

    def test_what_an_interrupted_creation_left_is_no_hindrance(self) -> None:
        other = self.path.with_name("other")
        for suffix in (".new", ".new-wal", ".new-shm"):
            Path(f"{other}{suffix}").write_bytes(b"half")
        create_index(other, 1)
        self.assertFalse(self.is_filled(other))

    def test_the_log_of_a_deleted_index_is_not_taken_for_that_of_the_new_one(self) -> None:
        index = self.opened()
        self.successResultOf(index.commit_share(make_share(), make_lease()))
        copy = self.path.with_name("copy")
        copy_index(self.path, copy)
        copy.unlink()
        create_index(copy, 1)
        self.assertFalse(self.is_filled(copy))

    def test_a_disk_without_room_leaves_nothing_half_made(self) -> None:
        small, other = self.path.with_name("small"), self.path.with_name("other")
        small.write_bytes(b"x" * 8192)
        with no_file_may_grow(str(small)):
            self.assertRaises(IndexStopped, create_index, other, 1)
        self.assertFalse(other.exists())


class OpeningTests(FilesTestCase):
    def test_a_missing_file(self) -> None:
        self.path.unlink()
        self.refused(IndexMissing)

    def test_a_file_of_no_bytes(self) -> None:
        self.path.write_bytes(b"")
        self.refused(IndexCorrupt)

    def test_a_file_that_is_something_else(self) -> None:
        self.path.write_bytes(b"something else" * 1000)
        self.refused(IndexCorrupt)

    def test_a_truncated_file(self) -> None:
        self.fill()
        whole = self.path.read_bytes()
        for length in (1, 99, 100, 4095, 4096, 5000, len(whole) - 4096):
            self.path.write_bytes(whole[:length])
            self.refused(IndexCorrupt)

    def test_a_database_of_another_program(self) -> None:
        self.path.unlink()
        with closing(sqlite3.connect(self.path)) as other:
            other.execute("CREATE TABLE meta (id)")
        self.refused(IndexCorrupt)

    def test_a_half_made_index(self) -> None:
        for damage in ("DELETE FROM meta", "DROP TABLE meta", "DROP TABLE totals"):
            with closing(sqlite3.connect(self.path)) as other:
                other.execute(damage)
                other.commit()
            self.refused(IndexCorrupt)
            self.path.unlink()
            create_index(self.path, 1)

    def test_a_newer_index(self) -> None:
        with closing(sqlite3.connect(self.path)) as other:
            other.execute(f"PRAGMA user_version = {len(schema_scripts()) + 1}")
        self.refused(IndexTooNew)

    def test_a_folder_in_its_place(self) -> None:
        self.path.unlink()
        self.path.mkdir()
        self.assertRaises(IndexStopped, self.opened)

    def test_an_index_that_another_program_locks(self) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            instruments = Instruments()

            class Impatient(instruments.factory):  # type: ignore[name-defined,misc]  # a variable
                def __init__(self, *args: object, **kwargs: object) -> None:
                    super().__init__(*args, **{**kwargs, "timeout": 0})

            self.assertRaises(
                IndexBusy,
                open_index,
                self.path,
                Clock(),
                None,
                local_listing=False,
                on_fatal=self.fail,
                factory=Impatient,
            )

    def test_opening_costs_the_same_whatever_it_holds(self) -> None:
        small = self.steps_to_open()
        index = self.opened()
        many = [(make_share(bytes([n % 256] * 16), n // 256), [make_lease()]) for n in range(5000)]
        self.successResultOf(index.load(many, []))
        self.successResultOf(index.close())
        self.assertEqual(self.steps_to_open(), small)

    def steps_to_open(self) -> int:
        """How many steps SQLite's virtual machine takes to open the index."""
        steps = [0]

        def count() -> None:
            steps[0] += 1

        class Counting(sqlite3.Connection):
            def __init__(self, *args: object, **kwargs: object) -> None:
                super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on
                self.set_progress_handler(count, 1)

        index = open_index(
            self.path,
            Clock(),
            None,
            local_listing=False,
            on_fatal=self.fail,
            factory=Counting,
        )
        taken = steps[0]
        self.successResultOf(index.close())
        return taken


class UpgradingTests(FilesTestCase):
    def test_an_older_index_is_upgraded_and_the_old_one_kept(self) -> None:
        self.fill()
        index = self.opened(scripts=(*schema_scripts(), NEXT))
        self.assertEqual([*self.successResultOf(index.get_bucket(INDEX_A))], [0])
        self.successResultOf(index.close())
        with closing(sqlite3.connect(self.path)) as upgraded:
            self.assertEqual(upgraded.execute("SELECT one FROM made_up").fetchall(), [(7,)])
        self.refused(IndexTooNew)
        version = len(schema_scripts())
        backup = self.path.with_name(f"{self.path.name}.version-{version}")
        with closing(sqlite3.connect(backup)) as old:
            found = old.execute("SELECT shares FROM totals").fetchall()
            self.assertEqual(found, [(1,)])
            self.assertEqual(old.execute("PRAGMA user_version").fetchall(), [(version,)])
        replace_index(backup, self.path)
        with closing(sqlite3.connect(self.path)) as restored:
            restored.execute("PRAGMA journal_mode = WAL")
        self.assertTrue(self.is_filled())

    def test_a_failed_upgrade_leaves_the_old_version_and_can_be_tried_again(self) -> None:
        self.fill()
        failing = (*schema_scripts(), NEXT + "INSERT INTO missing VALUES (1);")
        for _ in range(2):
            self.assertRaises(IndexFailure, self.opened, scripts=failing)
            self.assertTrue(self.is_filled())
        self.opened(scripts=(*schema_scripts(), NEXT))


class ReplacingTests(FilesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.made = self.path.with_name("made")
        create_index(self.made, 4)

    def test_the_old_index_is_kept_with_its_log(self) -> None:
        index = self.opened()
        self.successResultOf(index.commit_share(make_share(), make_lease()))
        killed = self.path.with_name("killed")
        copy_index(self.path, killed)
        old = replace_index(self.made, killed)
        assert old is not None
        self.assertFalse(self.is_filled(killed))
        self.assertTrue(self.is_filled(old))
        create_index(self.made, 5)
        self.assertEqual(replace_index(self.made, killed), old)
        self.assertFalse(self.is_filled(old))

    def test_the_log_of_a_deleted_index_is_not_taken_for_that_of_the_new_one(self) -> None:
        index = self.opened()
        self.successResultOf(index.commit_share(make_share(), make_lease()))
        killed = self.path.with_name("killed")
        copy_index(self.path, killed)
        killed.unlink()
        self.assertIsNone(replace_index(self.made, killed))
        self.assertFalse(self.is_filled(killed))

    def test_a_made_index_that_has_a_log_still_brings_it_along(self) -> None:
        index = self.opened(self.made)
        self.successResultOf(index.commit_share(make_share(), make_lease()))
        unclosed = self.path.with_name("unclosed")
        copy_index(self.made, unclosed)
        replace_index(unclosed, self.path)
        self.assertTrue(self.is_filled())
