"""A look into the index of a node, whether it runs or not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from raic.assembly.checks.indexfile import connect, known_version, look_at_index
from raic.assembly.checks.process import find_runner
from raic.config.model import Config
from raic.errors import IndexBusy, IndexCorrupt, IndexFailure, IndexMissing, IndexTooNew
from raic.shares.index.rows import Execute

T = TypeVar("T")


def read_index(config: Config, ask: Callable[[Execute], T]) -> T:
    """Ask something of the index, all of it as of one moment; blocks, and changes nothing.

    :param ask: given what executes statements.
    :raises IndexFailure: it cannot be read.
    """
    path, running = config.index_path, find_runner(config.node_directory) is not None
    found = look_at_index(path, running=running)
    if not found.exists:
        raise _failure(IndexMissing, f"there is no index at {path} yet", "start the node first")
    if found.problem:
        raise IndexCorrupt(f"{path}: {found.problem}")
    if found.version is not None and found.version > known_version():
        raise IndexTooNew(f"{path} has version {found.version}, this RAIC knows {known_version()}")
    start = "start the node: it puts that in order"
    if found.cut_short:
        raise _failure(IndexFailure, f"{path}: the last run of the node was cut short", start)
    if found.totals is None:
        raise _failure(IndexFailure, f"{path} has the older version {found.version}", start)
    try:
        with closing(connect(path, running=running)) as connection:
            connection.execute("BEGIN")
            return ask(connection.execute)
    except sqlite3.OperationalError as error:
        raise IndexBusy(f"{path}: {error}") from error
    except sqlite3.Error as error:
        raise IndexCorrupt(f"{path}: {error}") from error


def _failure(kind: type[IndexFailure], text: str, remedy: str) -> IndexFailure:
    failure = kind(text)
    failure.remedy = remedy
    return failure
