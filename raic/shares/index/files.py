"""The index's file: making it, checking it, bringing it up to date, putting it in place."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path

from raic.errors import IndexCorrupt, IndexMissing, IndexTooNew
from raic.shares.index.failures import index_failure
from raic.shares.index.measures import Measure, as_it_is, teach

APPLICATION_ID = int.from_bytes(b"RAIC", "big")
BUSY_SECONDS = 10.0
"""How long to wait for another program that holds the index locked."""

_SIDECARS = ("-wal", "-shm")
_JOURNAL_LIMIT = 64 * 1024 * 1024
_CACHE_KIB = 16 * 1024
"""Of each connection, at most: the inner pages of a large index, and what one transaction of the
expiry changes, which would otherwise be written twice."""


def schema_scripts() -> tuple[str, ...]:
    """The numbered SQL files, in order: the first makes version 1, each other the next one."""
    folder = files(__package__).joinpath("schema")
    found = sorted((one for one in folder.iterdir()), key=lambda one: one.name)
    return tuple(one.read_text("ascii") for one in found if one.name.endswith(".sql"))


def create_index(path: str | os.PathLike[str], epoch: int) -> None:
    """Make an empty index.

    It is made aside and appears whole or not at all, durably.

    :param epoch: of the versions that will be written.
    :raises FileExistsError: there is one already; it was left alone.
    :raises IndexFailure: it cannot be made.
    """
    target = Path(path)
    aside = target.with_name(target.name + ".new")
    _remove(aside)
    os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with translated(), closing(connect(aside)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for version, script in enumerate(schema_scripts(), 1):
            _run_script(connection, version, script)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("INSERT INTO meta VALUES (1, ?, 0, 1)", (epoch,))
    _sync(aside)
    if not target.exists():
        _remove_sidecars(target)
    os.link(aside, target)
    os.unlink(aside)
    _sync(target.parent)


def replace_index(made: str | os.PathLike[str], path: str | os.PathLike[str]) -> Path | None:
    """Put a closed index in the place of another, which may be damaged or missing.

    A write-ahead log that an old index left behind would ruin the new one, so the two files are
    never simply renamed.  A crash in between leaves no index at ``path``, never a wrong one.

    :return: where the old index was put, its name followed by ``.old``; None when there was none.
    """
    source, target = Path(made), Path(path)
    old = target.with_name(target.name + ".old")
    kept = target.exists()
    if kept:
        _remove(old)
        for suffix in ("", *_SIDECARS):
            if os.path.exists(f"{target}{suffix}"):
                os.replace(f"{target}{suffix}", f"{old}{suffix}")
    _remove_sidecars(target)
    _sync(target.parent)
    for suffix in ("-wal", ""):
        if os.path.exists(f"{source}{suffix}"):
            os.replace(f"{source}{suffix}", f"{target}{suffix}")
    _sync(target.parent)
    return old if kept else None


def connect(
    path: Path,
    factory: type[sqlite3.Connection] = sqlite3.Connection,
    sync: bool = True,
    measure: Measure = as_it_is,
) -> sqlite3.Connection:
    """A connection to an existing file, in any thread, one at a time."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        factory=factory,
    )
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
        connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_LIMIT}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        teach(connection, measure)
    except BaseException:
        connection.close()
        raise
    return connection


def check_file(connection: sqlite3.Connection, path: Path, scripts: Sequence[str]) -> None:
    """Make sure that this is an index, and of this version; upgrade an older one.

    :raises IndexCorrupt: it is something else, or half-made.
    :raises IndexTooNew: a newer RAIC wrote it.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID or version < 1:
        raise IndexCorrupt(f"{path} is not an index, or is half-made")
    if version > len(scripts):
        raise IndexTooNew(f"{path} has version {version}, this RAIC knows {len(scripts)}")
    if version < len(scripts):
        _back_up(connection, path, version)
        for number in range(version + 1, len(scripts) + 1):
            _run_script(connection, number, scripts[number - 1])
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    rows = connection.execute("SELECT 1 FROM meta, totals").fetchall()
    if mode != "wal" or len(rows) != 1:
        raise IndexCorrupt(f"{path} is half-made")


def must_exist(path: Path) -> None:
    """:raises IndexMissing: there is no such file."""
    if not path.exists():
        raise IndexMissing(f"there is no index at {path}")


@contextmanager
def translated() -> Iterator[None]:
    """Raises SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise index_failure(error) from error


def _run_script(connection: sqlite3.Connection, version: int, script: str) -> None:
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {version};\nCOMMIT;"
        )
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _back_up(connection: sqlite3.Connection, path: Path, version: int) -> None:
    backup = path.with_name(f"{path.name}.version-{version}")
    aside = backup.with_name(backup.name + ".new")
    _remove(aside)
    connection.execute("VACUUM INTO ?", (str(aside),))
    _sync(aside)
    os.replace(aside, backup)
    _sync(path.parent)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _remove_sidecars(path)


def _remove_sidecars(path: Path) -> None:
    for suffix in _SIDECARS:
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
