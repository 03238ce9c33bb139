"""Dropping all shares of a storage index; their objects become garbage.

As in ``operations``, each function is a part of an operation inside a transaction.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from raic.shares.index.garbage import discard
from raic.shares.index.rows import Execute, folder, manifest_chunks
from raic.shares.keys import SHARES, SLOTS

_SHARES = "SELECT name, length FROM shares WHERE storage_index = ?"
_DROP_SHARES = "DELETE FROM shares WHERE storage_index = ?"
_SLOT = """
    SELECT name, chunk_count, manifest, size + chunk_bytes FROM slots WHERE storage_index = ?
"""
_DROP_SLOT = "DELETE FROM slots WHERE storage_index = ?"


@frozen
class Dropped:
    """What was dropped.

    :ivar objects: how many became garbage.
    """

    shares: int = 0
    share_bytes: int = 0
    slots: int = 0
    slot_bytes: int = 0
    objects: int = 0

    def __add__(self, other: Dropped) -> Dropped:
        return Dropped(
            self.shares + other.shares,
            self.share_bytes + other.share_bytes,
            self.slots + other.slots,
            self.slot_bytes + other.slot_bytes,
            self.objects + other.objects,
        )


def drop_shares(execute: Execute, storage_index: bytes, not_before: int) -> Dropped:
    """Drop the immutable shares; their leases stay."""
    rows = execute(_SHARES, (storage_index,)).fetchall()
    start = folder(SHARES, storage_index)
    for name, _ in rows:
        discard(execute, start + name, not_before)
    execute(_DROP_SHARES, (storage_index,))
    return Dropped(len(rows), sum(length for _, length in rows), objects=len(rows))


def drop_slot(execute: Execute, storage_index: bytes, not_before: int) -> Dropped:
    """Drop the slot, if there is one; its leases stay."""
    row = execute(_SLOT, (storage_index,)).fetchone()
    if row is None:
        return Dropped()
    keys = slot_objects(storage_index, *row[:3])
    for key in keys:
        discard(execute, key, not_before)
    execute(_DROP_SLOT, (storage_index,))
    return Dropped(slots=1, slot_bytes=row[3], objects=len(keys))


def slot_objects(
    storage_index: bytes, name: str, chunk_count: int, manifest: Any
) -> frozenset[str]:
    """The objects that a row of ``slots`` refers to."""
    keys = frozenset([folder(SLOTS, storage_index) + name])
    return keys | manifest_chunks(manifest) if chunk_count else keys
