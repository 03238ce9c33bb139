"""Which keys of objects, and of fragments, nothing refers to."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from attrs import frozen

from raic.fragmentkeys import parse_fragment_key
from raic.shares.index.fragments import counts
from raic.shares.index.rows import Execute, folder, key_index, manifest_chunks
from raic.shares.keys import SHARES, SLOTS

_NAMED = """
    SELECT 1 FROM intents WHERE key = ?1 UNION ALL SELECT 1 FROM garbage WHERE key = ?1
    UNION ALL SELECT 1 FROM repairs WHERE fragment = ?1
"""
_SET_ASIDE = "SELECT 1 FROM set_aside WHERE storage_index = ?"
_SHARE_NAMES = "SELECT name FROM shares WHERE storage_index = ?"
_SLOT_NAMES = "SELECT name, chunk_count, manifest FROM slots WHERE storage_index = ?"


def unknown_keys(
    execute: Execute, keys: Iterable[str], intended: Collection[str]
) -> frozenset[str]:
    """Those keys that nothing refers to, in one reading transaction.

    A key tells its storage index, so shares, versions and chunks need no index of their keys.

    :param intended: the intents in memory.
    """
    by_index: dict[bytes | None, list[str]] = {}
    for key in keys:
        by_index.setdefault(key_index(key), []).append(key)
    execute("BEGIN")
    try:
        unknown: set[str] = set()
        for storage_index, some in by_index.items():
            known = _Known(execute, _stored(execute, storage_index), intended)
            if not _is_set_aside(execute, storage_index):
                unknown.update(key for key in some if not known.has(key))
        return frozenset(unknown)
    finally:
        execute("COMMIT")


@frozen
class _Known:
    """What is known of one storage index.

    :ivar stored: the objects that its shares and its slot refer to.
    """

    execute: Execute
    stored: Collection[str]
    intended: Collection[str]

    def has(self, key: str) -> bool:
        """A fragment is known if its object is, unless another attempt has taken its place."""
        if self._has_object(key):
            return True
        fragment = parse_fragment_key(key) if "--" in key else None
        return (
            fragment is not None
            and self._has_object(fragment.object_key)
            and counts(self.execute, fragment)
        )

    def _has_object(self, key: str) -> bool:
        return (
            key in self.stored
            or key in self.intended
            or self.execute(_NAMED, (key,)).fetchone() is not None
        )


def _is_set_aside(execute: Execute, storage_index: bytes | None) -> bool:
    return execute(_SET_ASIDE, (storage_index,)).fetchone() is not None


def _stored(execute: Execute, storage_index: bytes | None) -> frozenset[str]:
    if storage_index is None:
        return frozenset()
    stored = set()
    start = folder(SHARES, storage_index)
    for (name,) in execute(_SHARE_NAMES, (storage_index,)).fetchall():
        stored.add(start + name)
    for name, chunk_count, manifest in execute(_SLOT_NAMES, (storage_index,)).fetchall():
        stored.add(folder(SLOTS, storage_index) + name)
        if chunk_count:
            stored |= manifest_chunks(manifest)
    return frozenset(stored)
