"""What can be asked of the index: SQL, and rows turned into values."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from raic.shares.index.rows import (
    SLOT_COLUMNS,
    Execute,
    folder,
    key_index,
    slot_shares,
    slot_version,
)
from raic.shares.keys import SHARES, SLOTS
from raic.values import (
    Advisory,
    Garbage,
    Inline,
    Lease,
    SlotVersion,
    StoredShare,
    Totals,
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
_ADVISORIES = """
    SELECT kind, storage_index, shnum, reason, received FROM advisories ORDER BY id DESC LIMIT ?
"""
_GARBAGE = """
    SELECT key, not_before, passes FROM garbage AS mine
    WHERE not_before <= ? AND (tombstone = 0 OR NOT EXISTS (
        SELECT 1 FROM garbage AS other
        WHERE other.storage_index = mine.storage_index AND other.tombstone = 0))
    ORDER BY not_before LIMIT ?
"""
_NAMED = """
    SELECT 1 FROM intents WHERE key = ?1 UNION ALL SELECT 1 FROM garbage WHERE key = ?1
    UNION ALL SELECT 1 FROM repairs WHERE fragment = ?1
"""
_SET_ASIDE = "SELECT 1 FROM set_aside WHERE storage_index = ?"
_SHARE_NAMES = "SELECT name FROM shares WHERE storage_index = ?"
_SLOT_NAMES = "SELECT name, chunk_count, manifest FROM slots WHERE storage_index = ?"


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


def advisories(execute: Execute, limit: int) -> tuple[Advisory, ...]:
    """The newest advisories first."""
    return tuple(Advisory(*row) for row in execute(_ADVISORIES, (limit,)).fetchall())


def due_garbage(execute: Execute, now: int, limit: int) -> tuple[Garbage, ...]:
    """The garbage whose time has come, the oldest first."""
    return tuple(Garbage(*row) for row in execute(_GARBAGE, (now, limit)).fetchall())


def unknown_keys(execute: Execute, keys: Iterable[str]) -> frozenset[str]:
    """Those keys that nothing refers to, in one reading transaction.

    A key tells its storage index, so shares, versions and chunks need no index of their keys.
    """
    by_index: dict[bytes | None, list[str]] = {}
    for key in keys:
        by_index.setdefault(key_index(key), []).append(key)
    execute("BEGIN")
    try:
        return frozenset(
            key
            for storage_index, some in by_index.items()
            for key in _not_stored(execute, storage_index, some)
            if execute(_NAMED, (key,)).fetchone() is None
        )
    finally:
        execute("COMMIT")


def _not_stored(
    execute: Execute, storage_index: bytes | None, keys: Collection[str]
) -> Collection[str]:
    if storage_index is None:
        return keys
    if execute(_SET_ASIDE, (storage_index,)).fetchone() is not None:
        return ()
    stored = set()
    start = folder(SHARES, storage_index)
    for (name,) in execute(_SHARE_NAMES, (storage_index,)).fetchall():
        stored.add(start + name)
    for name, chunk_count, manifest in execute(_SLOT_NAMES, (storage_index,)).fetchall():
        stored.add(folder(SLOTS, storage_index) + name)
        if chunk_count:
            stored |= manifest_chunks(manifest)
    return [key for key in keys if key not in stored]


def manifest_chunks(manifest: bytes) -> frozenset[str]:
    """The chunk objects that a slot's manifest names."""
    return frozenset(
        chunk.key
        for share in slot_shares(manifest).values()
        if not isinstance(share.content, Inline)
        for chunk in share.content
        if chunk.key is not None
    )
