from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from raic.assembly.checks import Level, index
from raic.assembly.checks.indexfile import find_damage, known_version, look_at_index
from raic.config.lock import NodeLock
from raic.shares.index import create_index
from tests.checks.world import CheckCase


@contextmanager
def changed(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection whose changes end up in the file itself."""
    with closing(sqlite3.connect(path)) as connection:
        yield connection
        connection.commit()


class Index(CheckCase):
    def setUp(self) -> None:
        super().setUp()
        self.file = self.path / "index.sqlite"
        create_index(self.file, 3)

    def set_version(self, version: int) -> None:
        with changed(self.file) as connection:
            connection.execute(f"PRAGMA user_version = {version}")

    async def test_one_that_nobody_uses_is_looked_at_wholly(self) -> None:
        await self.assert_found("index", Level.OK, "^in order: 0 shares")
        self.assertEqual(look_at_index(self.file, running=False).epoch, 3)

    async def test_one_that_is_too_large_is_looked_at_in_part(self) -> None:
        with changed(self.file) as connection:
            connection.execute("CREATE TABLE large (x)")
            connection.executemany("INSERT INTO large VALUES (?)", [(b"x" * 500,)] * 20_000)
            connection.execute("CREATE INDEX ordered ON large (x)")
        self.assertEqual(find_damage(self.file, lambda: True), "")
        self.assertIsNone(find_damage(self.file, lambda: False))
        self.patch(index, "DAMAGE_SECONDS", -1.0)
        await self.assert_found("index", Level.OK, "as far as was looked: 0 shares")

    async def test_one_in_use_is_read_beside_the_node(self) -> None:
        lock = NodeLock(self.path)
        self.addCleanup(lock.release)
        with closing(sqlite3.connect(self.file, isolation_level=None)) as node:
            node.execute("UPDATE totals SET shares = 7")
            await self.assert_found("index", Level.OK, "^in use: 7 shares")
            node.execute("UPDATE totals SET shares = 8")

    async def test_what_a_killed_process_left_is_not_finished(self) -> None:
        with closing(sqlite3.connect(self.file, isolation_level=None)) as killed:
            killed.execute("UPDATE totals SET shares = 7")
            log = Path(f"{self.file}-wal").read_bytes()
        Path(f"{self.file}-wal").write_bytes(log)
        await self.assert_found("index", Level.OK, "cut short")

    async def test_there_may_be_none_yet(self) -> None:
        self.file.unlink()
        await self.assert_found("index", Level.OK, "first start")

    async def test_what_is_no_index_is_an_error(self) -> None:
        for data in (b"", b"no database at all" * 100):
            self.file.write_bytes(data)
            await self.assert_found("index", Level.ERROR, "not an index", "raic restore --local")

    async def test_a_half_made_one_is_an_error(self) -> None:
        with changed(self.file) as connection:
            connection.execute("DELETE FROM meta")
        await self.assert_found("index", Level.ERROR, "half-made", "raic restore --local")
        with changed(self.file) as connection:
            connection.execute("DROP TABLE meta")
        await self.assert_found("index", Level.ERROR, "no such table", "raic restore --local")

    async def test_damage_is_found(self) -> None:
        with changed(self.file) as connection:
            (size,) = connection.execute("PRAGMA page_size").fetchone()
            (root,) = connection.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = 'shares'"
            ).fetchone()
        with self.file.open("r+b") as file:
            file.seek((root - 1) * size)
            file.write(os.urandom(size))
        await self.assert_found("index", Level.ERROR, "damaged|malformed", "raic restore --local")

    async def test_versions(self) -> None:
        self.set_version(known_version() + 1)
        await self.assert_found("index", Level.ERROR, "this RAIC knows", "install")

    async def test_one_that_is_no_file_is_an_error(self) -> None:
        self.file.unlink()
        self.file.mkdir()
        await self.assert_found("index", Level.ERROR, "cannot be read", "restore")
