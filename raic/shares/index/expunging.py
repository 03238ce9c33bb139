"""Taking down what is stored under a storage index, and the history of that.

As in ``operations`` and ``lookups``, each function is one whole operation inside a transaction, or
one question.
"""

from __future__ import annotations

from collections.abc import Collection

from raic.errors import VersionConflict
from raic.shares.index.dropping import drop_shares, drop_slot, slot_objects
from raic.shares.index.garbage import discard, end_intents
from raic.shares.index.rows import Execute, folder
from raic.shares.keys import SHARES
from raic.values import Expunged

_SHARES = "SELECT name FROM shares WHERE storage_index = ?"
_SLOTS = "SELECT name, chunk_count, manifest FROM slots WHERE storage_index = ?"
_GARBAGE = "SELECT key FROM garbage WHERE storage_index = ? AND tombstone = 0"
_DROP_LEASES = "DELETE FROM leases WHERE storage_index = ?"
_NOTE = """INSERT INTO expunged (time, storage_index, reason, shares, slots, bytes)
    VALUES (?, ?, ?, ?, ?, ?)
"""
_NEWEST = """
    SELECT time, storage_index, reason, shares, slots, bytes FROM expunged
    ORDER BY id DESC LIMIT ?
"""


def objects(execute: Execute, storage_index: bytes) -> frozenset[str]:
    """The keys of all objects of a storage index, but for tombstones."""
    garbage = {key for (key,) in execute(_GARBAGE, (storage_index,)).fetchall()}
    return _stored(execute, storage_index) | garbage


def _stored(execute: Execute, storage_index: bytes) -> frozenset[str]:
    start = folder(SHARES, storage_index)
    found = {start + name for (name,) in execute(_SHARES, (storage_index,)).fetchall()}
    for row in execute(_SLOTS, (storage_index,)).fetchall():
        found |= slot_objects(storage_index, *row)
    return frozenset(found)


def expunge(
    execute: Execute,
    storage_index: bytes,
    named: Collection[str],
    tombstone: str,
    reason: str,
    now: int,
    not_before: int,
    ended: Collection[str],
) -> Expunged:
    """Drop all shares of a storage index.

    :param named: the objects that the tombstone names.
    :param ended: the intents that end.
    :raises VersionConflict: the tombstone does not name all that is there.
    """
    if not _stored(execute, storage_index) <= frozenset(named):
        raise VersionConflict("the shares were changed meanwhile")
    dropped = drop_shares(execute, storage_index, not_before)
    dropped += drop_slot(execute, storage_index, not_before)
    execute(_DROP_LEASES, (storage_index,))
    discard(execute, tombstone, not_before, tombstone=True)
    end_intents(execute, ended)
    size = dropped.share_bytes + dropped.slot_bytes
    note = Expunged(now, storage_index, reason, dropped.shares, dropped.slots, size)
    execute(_NOTE, (now, storage_index, reason, dropped.shares, dropped.slots, size))
    return note


def get_expunged(execute: Execute, limit: int) -> tuple[Expunged, ...]:
    """The newest first."""
    return tuple(Expunged(*row) for row in execute(_NEWEST, (limit,)).fetchall())
