"""When the fragments of each object were last found to be right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from raic.shares.index.rows import Execute, folder, key_index, manifest_chunks
from raic.shares.keys import CHUNKS, SHARES, SLOTS
from raic.values import ArrayTotals

DAY_SECONDS = 24 * 60 * 60

_NOTE_SHARE = """UPDATE shares SET verified = max(coalesce(verified, 0), ?)
    WHERE storage_index = ? AND name = ?
"""
_NOTE_SLOT = """UPDATE slots SET verified = max(coalesce(verified, 0), ?)
    WHERE storage_index = ? AND name = ?
"""
_NOTE_CHUNK = """INSERT INTO verified_chunks VALUES (?, ?)
    ON CONFLICT DO UPDATE SET verified = max(verified, excluded.verified)
"""
_SHARE = "SELECT verified FROM shares WHERE storage_index = ? AND name = ?"
_SLOT = "SELECT verified FROM slots WHERE storage_index = ? AND name = ?"
_CHUNK = "SELECT verified FROM verified_chunks WHERE key = ?"
_MANIFEST = "SELECT manifest FROM slots WHERE storage_index = ? AND chunk_count > 0"
_TOTALS = "SELECT repairs, attempts, shares + slots + chunks FROM totals"
_DAYS = "SELECT coalesce(sum(objects), 0), min(day) FROM verified_days WHERE objects > 0"

_NOTES = {SHARES: _NOTE_SHARE, SLOTS: _NOTE_SLOT}
_QUERIES = {SHARES: _SHARE, SLOTS: _SLOT}


def note_verified(execute: Execute, keys: Iterable[str], when: int) -> None:
    """Note a time for objects that are referred to."""
    chunks: dict[bytes, set[str]] = {}
    for key in keys:
        kind, storage_index = _kind(key), key_index(key)
        if storage_index is None:
            continue
        if kind in _NOTES:
            name = key[len(folder(kind, storage_index)) :]
            execute(_NOTES[kind], (when, storage_index, name))
        elif kind == CHUNKS:
            chunks.setdefault(storage_index, set()).add(key)
    for storage_index, some in chunks.items():
        row = execute(_MANIFEST, (storage_index,)).fetchone()
        for key in some & manifest_chunks(row[0]) if row is not None else ():
            execute(_NOTE_CHUNK, (key, when))


def get_verified(execute: Execute, keys: Iterable[str]) -> Mapping[str, int]:
    """When objects were verified last."""
    found = {}
    for key in keys:
        kind, storage_index = _kind(key), key_index(key)
        if kind in _QUERIES and storage_index is not None:
            name = key[len(folder(kind, storage_index)) :]
            row = execute(_QUERIES[kind], (storage_index, name)).fetchone()
        else:
            row = execute(_CHUNK, (key,)).fetchone()
        if row is not None and row[0] is not None:
            found[key] = row[0]
    return found


def array_totals(execute: Execute) -> ArrayTotals:
    """The running totals."""
    repairs, attempts, objects = execute(_TOTALS).fetchone()
    verified, day = execute(_DAYS).fetchone()
    oldest = None if day is None else day * DAY_SECONDS
    return ArrayTotals(repairs, attempts, objects, verified, oldest)


def _kind(key: str) -> str:
    return key[: key.find("/") + 1]
