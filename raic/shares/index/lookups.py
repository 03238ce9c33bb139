"""What can be asked of the index: SQL, and rows turned into values."""

from __future__ import annotations

from raic.shares.index.rows import (
    SLOT_COLUMNS,
    Execute,
    folder,
    slot_version,
)
from raic.shares.index.verified import DAY_SECONDS
from raic.shares.keys import SHARES
from raic.values import (
    Garbage,
    Lease,
    SlotVersion,
    StoredShare,
    Totals,
    Usage,
)

_SHARES = "SELECT shnum, name, header_length, length FROM shares WHERE storage_index = ?"
_SLOT = f"SELECT {SLOT_COLUMNS} FROM slots WHERE storage_index = ?"  # noqa: S608 (a constant)
_LEASES = """
    SELECT renew_digest, cancel_digest, expires FROM leases WHERE storage_index = ?
    ORDER BY expires DESC, renew_digest
"""
_TOTALS = """
    SELECT shares, share_bytes, slots, slot_bytes, leases, garbage, intents, repairs, advisories
    FROM totals
"""
_USAGE = """
    SELECT share_bytes + slot_share_bytes, stored, garbage_bytes,
        (SELECT coalesce(sum(stored), 0) FROM leased_days WHERE day >= ?)
    FROM totals
"""
_FRAGMENTS = "SELECT number, missing_bytes, garbage_bytes FROM fragment_totals"
_ASIDE = "SELECT reason FROM set_aside WHERE storage_index = ?"
_GARBAGE = """
    SELECT key, not_before, passes FROM garbage AS mine
    WHERE not_before <= ? AND (tombstone = 0 OR NOT EXISTS (
        SELECT 1 FROM garbage AS other
        WHERE other.storage_index = mine.storage_index AND other.tombstone = 0))
    ORDER BY not_before LIMIT ?
"""


def bucket(execute: Execute, storage_index: bytes) -> dict[int, StoredShare]:
    """The immutable shares."""
    rows = execute(_SHARES, (storage_index,)).fetchall()
    if not rows:
        return {}
    start = folder(SHARES, storage_index)
    return {
        shnum: StoredShare(storage_index, shnum, start + name, header_length, length)
        for shnum, name, header_length, length in rows
    }


def slot(execute: Execute, storage_index: bytes) -> SlotVersion | None:
    """The slot's current version."""
    row = execute(_SLOT, (storage_index,)).fetchone()
    return None if row is None else slot_version(storage_index, row)


def leases(execute: Execute, storage_index: bytes) -> tuple[Lease, ...]:
    """The leases, the latest to expire first."""
    return tuple(Lease(*row) for row in execute(_LEASES, (storage_index,)).fetchall())


def totals(execute: Execute) -> Totals:
    """The running totals."""
    return Totals(*execute(_TOTALS).fetchone())


def usage(execute: Execute, since: int) -> Usage:
    """How much space everything takes."""
    share_bytes, stored, garbage, leased = execute(_USAGE, (since // DAY_SECONDS,)).fetchone()
    rows = execute(_FRAGMENTS).fetchall()
    missing = {number: size for number, size, _ in rows if size}
    fragments = {number: size for number, _, size in rows if size}
    return Usage(share_bytes, stored, leased, garbage, missing, fragments)


def due_garbage(execute: Execute, now: int, limit: int) -> tuple[Garbage, ...]:
    """The garbage whose time has come, the oldest first."""
    return tuple(Garbage(*row) for row in execute(_GARBAGE, (now, limit)).fetchall())


def why_set_aside(execute: Execute, storage_index: bytes) -> str | None:
    """The reason; None when it was not set aside."""
    row = execute(_ASIDE, (storage_index,)).fetchone()
    return None if row is None else str(row[0])
