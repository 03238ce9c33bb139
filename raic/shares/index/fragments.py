"""What is out of the ordinary with the fragments of an array: repairs and attempts.

As in ``operations`` and ``lookups``, each function is one whole operation inside a transaction, or
one question.  A fragment's key begins as those of all fragments of its object, and of no other,
so the repairs of an object are neighbours.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey, parse_fragment_key
from raic.shares.index.garbage import discard, end_intents, is_garbage, is_intended
from raic.shares.index.objects import is_referred_to
from raic.shares.index.rows import Execute, fragment_range
from raic.shares.keys import CHECKPOINTS, CLAIMS
from raic.values import FragmentState

_REPAIR = """INSERT INTO repairs VALUES (?1, ?2, key_bytes(?1), key_number(?1))
    ON CONFLICT DO NOTHING
"""
_REPAIRED = "DELETE FROM repairs WHERE fragment = ?"
_REPAIRS = "SELECT fragment FROM repairs WHERE fragment >= ? AND fragment < ?"
_NEXT_REPAIRS = "SELECT fragment FROM repairs WHERE fragment > ? ORDER BY fragment LIMIT ?"
_ATTEMPT = "SELECT attempt FROM attempts WHERE object = ? AND number = ?"
_ATTEMPTS = "SELECT number, attempt FROM attempts WHERE object = ?"
_SET_ATTEMPT = """INSERT INTO attempts VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET attempt = excluded.attempt
"""


def fragment_key(text: str) -> FragmentKey:
    """What a fragment's key says.

    :raises ValueError: it is none.
    """
    key = parse_fragment_key(text)
    if key is None:
        raise ValueError(f"{text!r} is no fragment's key")
    return key


# Asking


def state(execute: Execute, object_key: str) -> FragmentState:
    """What is noted of an object."""
    missing = [number for number, _ in _repairs(execute, object_key)]
    attempts = execute(_ATTEMPTS, (object_key,)).fetchall()
    return FragmentState(frozenset(missing), dict(attempts))


def next_repairs(execute: Execute, limit: int, after: str) -> tuple[str, ...]:
    """The fragments to be repaired."""
    return tuple(key for (key,) in execute(_NEXT_REPAIRS, (after, limit)).fetchall())


def is_ordinary(execute: Execute) -> bool:
    """Whether nothing is noted of any object."""
    repairs, attempts = execute("SELECT repairs, attempts FROM totals").fetchone()
    return not repairs and not attempts


def counts(execute: Execute, key: FragmentKey) -> bool:
    """Whether a fragment is of the attempt that counts."""
    return _attempt(execute, key) == key.attempt


def _attempt(execute: Execute, key: FragmentKey) -> str:
    row = execute(_ATTEMPT, (key.object_key, key.number)).fetchone()
    return FIRST_ATTEMPT if row is None else str(row[0])


def _repairs(execute: Execute, object_key: str) -> list[tuple[int, str]]:
    found = execute(_REPAIRS, fragment_range(object_key)).fetchall()
    return [(fragment_key(key).number, key) for (key,) in found]


# Writing


def note_repairs(execute: Execute, fragments: Collection[str]) -> None:
    """Note repairs of objects that are just being committed."""
    for fragment in fragments:
        execute(_REPAIR, (fragment, ""))


def note_missing(execute: Execute, fragments: Sequence[str], reason: str) -> None:
    """Note repairs of fragments that count, of objects that are referred to."""
    for fragment in fragments:
        key = fragment_key(fragment)
        if counts(execute, key) and is_referred_to(execute, key.object_key):
            execute(_REPAIR, (fragment, reason))


def settle(execute: Execute, fragment: str, intended: bool) -> tuple[bool, bool]:
    """Drop the repair of a fragment that is durable after all.

    :param intended: whether there is an intent for its object in memory.
    :return: whether the fragment is of use, and whether its object is yet to be committed.
    """
    key = fragment_key(fragment)
    if not counts(execute, key) or is_garbage(execute, fragment):
        return False, False
    if is_referred_to(execute, key.object_key):
        execute(_REPAIRED, (fragment,))
        return True, False
    waiting = _is_intended(execute, key.object_key, intended)
    # Nothing is kept here of claims and checkpoints: it cannot be told which are obsolete.
    return waiting or key.object_key.startswith((CLAIMS, CHECKPOINTS)), waiting


def commit_attempt(
    execute: Execute, fragment: str, replaced: str | None, not_before: int, intended: bool
) -> bool:
    """Have a new fragment count, or make garbage of it.

    :param replaced: the fragment that counted; None when there was none.
    :param intended: whether there is an intent for its object in memory.
    """
    key = fragment_key(fragment)
    before = FIRST_ATTEMPT if replaced is None else fragment_key(replaced).attempt
    end_intents(execute, [fragment])
    if (
        _attempt(execute, key) not in (before, key.attempt)
        or is_garbage(execute, fragment)
        or not _is_alive(execute, key.object_key, intended)
    ):
        discard(execute, fragment, not_before)
        return False
    for number, repaired in _repairs(execute, key.object_key):
        if number == key.number:
            execute(_REPAIRED, (repaired,))
    if key.attempt != FIRST_ATTEMPT:
        execute(_SET_ATTEMPT, (key.object_key, key.number, key.attempt))
    if replaced is not None:
        # Whether it ever was durable is not known: a write of it may yet land.
        discard(execute, replaced, not_before, 2)
    return True


def _is_alive(execute: Execute, object_key: str, intended: bool) -> bool:
    return is_referred_to(execute, object_key) or _is_intended(execute, object_key, intended)


def _is_intended(execute: Execute, object_key: str, in_memory: bool) -> bool:
    # An intent in memory is forgotten only after the operation that ends it, so it may be stale.
    if in_memory:
        return not is_garbage(execute, object_key)
    return is_intended(execute, object_key)
