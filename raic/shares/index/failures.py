"""What SQLite's errors mean for the index."""

from __future__ import annotations

import sqlite3

from raic.errors import IndexBusy, IndexCorrupt, IndexFailure, IndexFull, IndexStopped

_CALLERS = (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError)


def is_callers(error: BaseException) -> bool:
    """Whether a value that cannot be stored or looked for is to blame; SQLite itself is well."""
    return not isinstance(error, sqlite3.Error) or isinstance(error, _CALLERS)


def index_failure(error: sqlite3.Error) -> IndexFailure:
    """The error of ours that says what ``error`` means.

    SQLite's texts are compared, not its codes: Python 3.10 does not pass the codes on, and the
    texts have not changed in twenty years.

    :return: ``IndexFull`` or ``IndexBusy``, after which the index can go on; ``IndexCorrupt`` or
        ``IndexStopped``, after which it cannot.
    """
    text = str(error)
    failure: IndexFailure
    if text == "database or disk is full":
        failure = IndexFull("there is no room for the index")
    elif text.endswith("is locked"):
        failure = IndexBusy("another program is writing to the index")
    elif isinstance(error, sqlite3.OperationalError) and not text.startswith("no such"):
        failure = IndexStopped(f"the index failed: {text}")
    else:
        failure = IndexCorrupt(f"the index is damaged: {text}")
    failure.__cause__ = error
    return failure


def is_passing(failure: IndexFailure) -> bool:
    """Whether the index can go on after it."""
    return isinstance(failure, IndexFull | IndexBusy)


def stopped_by(reason: IndexFailure) -> IndexStopped:
    """What callers hear when the index cannot go on."""
    stopped = IndexStopped(str(reason))
    stopped.__cause__ = reason
    return stopped
