"""A look into the index's file that leaves it, and the files beside it, as they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from attrs import frozen

from raic.shares.index import arrays, lookups
from raic.shares.index.files import APPLICATION_ID, schema_scripts
from raic.values import Placed, Totals, Usage

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_VERSION_AT = 60
_APPLICATION_AT = 68
_STEPS = 1000
"""How many steps SQLite takes, or pages it looks at, before it is asked whether to go on."""


@frozen
class IndexState:
    """What was found.

    :ivar exists: whether there is a file.
    :ivar problem: why it is not usable; empty if it is, as far as could be seen.
    :ivar version: of its schema; None when it is no index.
    :ivar cut_short: whether a process that was killed left changes to be finished.
    :ivar epoch: None when that could not be seen.
    :ivar totals: None when that could not be seen.
    :ivar placement: where an array's fragments are; None when that could not be seen.
    :ivar usage: None when that could not be seen.
    """

    exists: bool
    problem: str = ""
    version: int | None = None
    cut_short: bool = False
    epoch: int | None = None
    totals: Totals | None = None
    placement: tuple[Placed, ...] | None = None
    usage: Usage | None = None


def known_version() -> int:
    """The version of the schema that this RAIC writes."""
    return len(schema_scripts())


def look_at_index(path: Path, *, running: bool) -> IndexState:
    """Look at an index; blocks.

    A connection to a file whose process is gone would make files beside it, or finish what the
    process left: such a file is opened as one that never changes, or, where changes are left in
    the log, not at all.

    :param running: whether a process has it open.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return IndexState(exists=False)
    except OSError as error:
        return IndexState(True, f"it cannot be read: {error.strerror}")
    version = int.from_bytes(header[_VERSION_AT : _VERSION_AT + 4], "big")
    application = int.from_bytes(header[_APPLICATION_AT : _APPLICATION_AT + 4], "big")
    if not header.startswith(_MAGIC) or application != APPLICATION_ID or version < 1:
        return IndexState(True, "it is not an index, or is half-made")
    if version != known_version():
        return IndexState(True, version=version)
    if not running and _has_bytes(path.with_name(path.name + "-wal")):
        return IndexState(True, version=version, cut_short=True)
    try:
        return _look_inside(path, version, running)
    except sqlite3.Error as error:
        return IndexState(True, f"it cannot be used: {error}", version)


def _has_bytes(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def find_damage(path: Path, go_on: Callable[[], bool]) -> str | None:
    """Look at every page of an index that no process has open; blocks.

    :param go_on: asked now and then whether there is time left.
    :return: what SQLite finds wrong, empty for nothing; None when there was no time to finish.
    """
    try:
        with closing(connect(path, running=False)) as connection:
            connection.set_progress_handler(lambda: not go_on(), _STEPS)
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        return None if "interrupted" in str(error) else str(error)
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if said == "ok" else str(said)


def connect(path: Path, *, running: bool) -> sqlite3.Connection:
    """A connection that can change nothing, to an index that was found usable."""
    mode = "mode=ro" if running else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=1.0)


def _look_inside(path: Path, version: int, running: bool) -> IndexState:
    with closing(connect(path, running=running)) as connection:
        row = connection.execute("SELECT epoch FROM meta").fetchone()
        if row is None:
            return IndexState(True, "it is half-made", version)
        totals = lookups.totals(connection.execute)
        placement = arrays.get_placement(connection.execute)
        usage = lookups.usage(connection.execute, 0)
    return IndexState(
        True, version=version, epoch=row[0], totals=totals, placement=placement, usage=usage
    )
