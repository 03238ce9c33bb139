"""What clients say of shares, and what became of that.

As in ``operations`` and ``lookups``, each function is one whole operation inside a transaction, or
one question.
"""

from __future__ import annotations

from raic.shares.index.rows import Execute
from raic.values import Advisory

KEPT = 10_000
"""How many advisories are kept: the newest."""

OF_ONE_SHARE = 10
"""How many of one share are taken within ``OF_ONE_SHARE_SECONDS``: each has it read once."""

OF_ONE_SHARE_SECONDS = 24 * 60 * 60

_COLUMNS = "kind, storage_index, shnum, reason, received, checked, verdict"
_RECENT = """
    SELECT count(*) FROM advisories
    WHERE storage_index = ? AND kind = ? AND shnum = ? AND received > ?
"""
_ADVISE = f"INSERT INTO advisories ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_TRIM = "DELETE FROM advisories WHERE id <= (SELECT max(id) FROM advisories) - ?"
_NEWEST = f"SELECT {_COLUMNS} FROM advisories ORDER BY id DESC LIMIT ?"  # noqa: S608
_UNCHECKED = f"""
    SELECT {_COLUMNS} FROM advisories WHERE checked IS NULL ORDER BY id LIMIT 1
"""  # noqa: S608 (a constant, as above)
_CHECKED = """UPDATE advisories SET checked = ?, verdict = ?
    WHERE storage_index = ? AND kind = ? AND shnum = ? AND received <= ? AND checked IS NULL
"""


def advise(execute: Execute, advisory: Advisory) -> bool:
    """Keep an advisory, unless there are many of its share already."""
    one = advisory
    since = one.received - OF_ONE_SHARE_SECONDS
    (recent,) = execute(_RECENT, (one.storage_index, one.kind, one.shnum, since)).fetchone()
    if recent >= OF_ONE_SHARE:
        return False
    row = (one.kind, one.storage_index, one.shnum, one.reason, one.received)
    execute(_ADVISE, (*row, one.checked, one.verdict))
    execute(_TRIM, (KEPT,))
    return True


def newest(execute: Execute, limit: int) -> tuple[Advisory, ...]:
    """The newest advisories first."""
    return tuple(Advisory(*row) for row in execute(_NEWEST, (limit,)).fetchall())


def next_unchecked(execute: Execute) -> Advisory | None:
    """The oldest advisory that nobody has looked into."""
    row = execute(_UNCHECKED).fetchone()
    return None if row is None else Advisory(*row)


def settle(execute: Execute, advisory: Advisory, checked: int, verdict: str) -> None:
    """Note what was found, with all advisories of the same share up to this one's time."""
    one = advisory
    place = (one.storage_index, one.kind, one.shnum, one.received)
    execute(_CHECKED, (checked, verdict, *place))
