"""Intents and garbage: objects and fragments that are on their way in, or out.

As in ``operations``, each function is one whole operation inside a transaction, or a part of one.
"""

from __future__ import annotations

from collections.abc import Collection

from raic.shares.index.rows import Execute, fragment_range, key_index
from raic.shares.keys import CHUNKS
from raic.values import Garbage

_INTEND = "INSERT INTO intents VALUES (?) ON CONFLICT DO NOTHING"
_END_INTENT = "DELETE FROM intents WHERE key = ?"
_IS_INTENDED = "SELECT 1 FROM intents WHERE key = ?"
_INTENDED = "SELECT key FROM intents"
_IS_GARBAGE = "SELECT 1 FROM garbage WHERE key = ?"
_DISCARD = """INSERT INTO garbage VALUES (?1, ?2, ?3, ?4, ?5, key_bytes(?1), key_number(?1))
    ON CONFLICT DO UPDATE SET
        not_before = max(not_before, excluded.not_before), passes = max(passes, excluded.passes)
"""
_SETTLE = "DELETE FROM garbage WHERE key = ? AND not_before <= ? AND passes = 1"
_SETTLE_IN_PART = (
    "UPDATE garbage SET not_before = ?, passes = passes - 1 WHERE key = ? AND passes > 1"
)
_DROP_REPAIRS = "DELETE FROM repairs WHERE fragment >= ? AND fragment < ?"
_DROP_VERIFIED = "DELETE FROM verified_chunks WHERE key = ?"
_DROP_ATTEMPTS = "DELETE FROM attempts WHERE object = ?"


def reserve(execute: Execute, keys: Collection[str]) -> None:
    """Note intents."""
    for key in keys:
        execute(_INTEND, (key,))


def intended(execute: Execute) -> tuple[str, ...]:
    """What is intended."""
    return tuple(key for (key,) in execute(_INTENDED).fetchall())


def end_intents(execute: Execute, keys: Collection[str]) -> None:
    """Forget intents."""
    for key in keys:
        execute(_END_INTENT, (key,))


def is_intended(execute: Execute, key: str) -> bool:
    """Whether there is an intent on disk."""
    return execute(_IS_INTENDED, (key,)).fetchone() is not None


def is_garbage(execute: Execute, key: str) -> bool:
    """Whether this is to be deleted."""
    return execute(_IS_GARBAGE, (key,)).fetchone() is not None


def release(execute: Execute, garbage: Collection[Garbage]) -> None:
    """Turn intents into garbage."""
    for one in garbage:
        execute(_END_INTENT, (one.key,))
        discard(execute, one.key, one.not_before, one.passes)


def discard(
    execute: Execute, key: str, not_before: int, passes: int = 1, tombstone: bool = False
) -> None:
    """Note that an object or a fragment is to be deleted.

    Nothing of an object is repaired any more, but its attempts are remembered until it is gone:
    who deletes it must find all its fragments.
    """
    execute(_DISCARD, (key, not_before, passes, key_index(key), tombstone))
    neglect(execute, key)


def neglect(execute: Execute, key: str) -> None:
    """Drop what only matters while an object is referred to."""
    execute(_DROP_REPAIRS, fragment_range(key))
    if key.startswith(CHUNKS):
        execute(_DROP_VERIFIED, (key,))


def settle_garbage(execute: Execute, settled: Collection[Garbage]) -> None:
    """Note deletions.

    A row that was noted anew since, for later or with more passes, stays: its object may have
    appeared after the deletion.
    """
    for one in settled:
        if one.passes > 1:
            execute(_SETTLE_IN_PART, (one.not_before, one.key))
        elif execute(_SETTLE, (one.key, one.not_before)).rowcount:
            execute(_DROP_ATTEMPTS, (one.key,))
