"""The rule for keys, and for ranges, that every provider checks."""

from __future__ import annotations

import re

MAX_KEY_CHARACTERS = 512

_KEY = re.compile(r"(?!\.{1,2}(?:/|\Z))[a-z0-9._-]+(?:/(?!\.{1,2}(?:/|\Z))[a-z0-9._-]+)*")


def is_key(key: str) -> bool:
    """Whether ``key`` may name an object, see :class:`raic.interfaces.IStorageProvider`."""
    return len(key) <= MAX_KEY_CHARACTERS and _KEY.fullmatch(key) is not None


def check_key(key: str) -> None:
    """Refuse what may not name an object.

    :raises ValueError: ``key`` breaks the rule.
    """
    if not is_key(key):
        raise ValueError(f"{key!r} is not a key")


def check_range(offset: int, length: int) -> None:
    """Refuse a range that no object can have.

    :raises ValueError: one of the two is negative.
    """
    if offset < 0 or length < 0:
        raise ValueError(f"offset {offset} and length {length} may not be negative")
