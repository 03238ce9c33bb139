"""Copies of the index's file: made while it is in use, and made fit for use after it was lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from attrs import frozen

from raic.errors import IndexFull
from raic.shares.index.files import (
    check_file,
    connect,
    must_exist,
    schema_scripts,
    translated,
)
from raic.shares.index.measures import Measure, as_it_is
from raic.shares.index.rows import Execute

SPARE_BYTES = 64 * 1024 * 1024
"""How much of the disk a copy leaves to the index itself, at least."""

_UNWANTED = ("intents", "garbage", "set_aside")
_SCRUBBED = "scrub"
_GRANT = "UPDATE leases SET expires = ?1 WHERE expires < ?1"
_ON_GRANT = """
    SELECT name, sql FROM sqlite_master
    WHERE type = 'trigger' AND tbl_name = 'leases' AND sql LIKE '%AFTER UPDATE%'
"""
_LAST_DAY = """SELECT stored, (
    SELECT max(expires) / 86400 FROM leases WHERE leases.storage_index = {0}.storage_index
    ) AS day FROM {0}
"""
_COUNT_DAYS = f"""
    INSERT INTO leased_days SELECT day, sum(stored) FROM (
        {_LAST_DAY.format("shares")} UNION ALL {_LAST_DAY.format("slots")})
    WHERE day IS NOT NULL GROUP BY day
"""  # noqa: S608 (constants)


class IndexCopy:
    """A copy of an index that is in use: of one moment, and without gaps.

    A paged backup of a busy database begins anew with each change; ``VACUUM INTO`` reads one
    state of it, and holds up nobody, only the log grows meanwhile.

    :param source: the index's file.
    """

    def __init__(self, source: Path) -> None:
        self._source = source
        self._connection: sqlite3.Connection | None = None
        self._interrupted = False

    def make(self, target: Path) -> None:
        """Make the copy; takes seconds for a million shares.

        The disk must have room for it and a compressed one.

        :param target: is replaced.
        :raises IndexFailure: it could not be made; ``IndexFull`` when there is no room.
        """
        discard_copy(target)
        with translated(), closing(connect(self._source)) as connection:
            self._connection = connection
            try:
                self._check_room(connection, target.parent)
                if not self._interrupted:
                    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                    connection.execute("VACUUM INTO ?", (str(target),))
            finally:
                self._connection = None

    def interrupt(self) -> None:
        """Have :meth:`make`, in another thread, fail soon."""
        self._interrupted = True
        if self._connection is not None:
            self._connection.interrupt()

    def _check_room(self, connection: sqlite3.Connection, folder: Path) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        wanted = 2 * pages * size + SPARE_BYTES
        free = shutil.disk_usage(folder).free
        if free < wanted:
            raise IndexFull(f"a copy of the index needs {wanted} bytes of disk, {free} are free")


def discard_copy(path: Path) -> None:
    """Delete a copy, whole or not, and what SQLite and upgrades put beside it."""
    for found in path.parent.glob(f"{path.name}*"):
        found.unlink(missing_ok=True)


@frozen
class RevivedIndex:
    """What a copy held when it was made fit for use.

    :ivar leases: how many leases got their full time.
    """

    shares: int
    slots: int
    leases: int


def revive_index(path: Path, expires: int, measure: Measure = as_it_is) -> RevivedIndex:
    """Make a copy fit to be opened and reconciled with what the provider holds by now.

    What was about to be written or deleted then says nothing of now, and is forgotten; leases may
    have been renewed since, so none ends before ``expires``; and an array is scrubbed again.

    :param measure: how many bytes each provider stores of an object, for one that has to be
        upgraded.
    :raises IndexFailure: it is not a usable copy.
    """
    with translated(), closing(connect(path, sync=False, measure=measure)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        check_file(connection, path, schema_scripts())
        connection.execute("BEGIN IMMEDIATE")
        for table in _UNWANTED:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 (constants)
        connection.execute("DELETE FROM notes WHERE name = ?", (_SCRUBBED,))
        granted = _grant(connection.execute, expires)
        connection.execute("UPDATE meta SET clean = 1")
        shares, slots = connection.execute("SELECT shares, slots FROM totals").fetchone()
        connection.execute("COMMIT")
    return RevivedIndex(shares, slots, granted)


def forget_set_aside(path: Path) -> None:
    """Have nothing count as set aside in an index that is about to be compared again.

    :raises IndexFailure: it is not usable.
    """
    must_exist(path)
    with translated(), closing(connect(path, sync=False)) as connection:
        check_file(connection, path, schema_scripts())
        connection.execute("DELETE FROM set_aside")


def _grant(execute: Execute, expires: int) -> int:
    """Let no lease end earlier; how many did.

    What follows from all leases is counted once, rather than for each of a million.
    """
    triggers = execute(_ON_GRANT).fetchall()
    for name, _ in triggers:
        execute(f"DROP TRIGGER {name}")
    granted = execute(_GRANT, (expires,)).rowcount
    for _, sql in triggers:
        execute(sql)
    execute("DELETE FROM leased_days")
    execute(_COUNT_DAYS)
    return granted
