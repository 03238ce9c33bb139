"""Which storage indexes there are: questions of operators."""

from __future__ import annotations

from raic.shares.index.objects import bounds
from raic.shares.index.rows import Execute
from raic.shares.keys import decode_index

_PLACES = """
    SELECT storage_index FROM shares
        WHERE storage_index BETWEEN ?1 AND ?2 AND storage_index > ?3
    UNION SELECT storage_index FROM slots
        WHERE storage_index BETWEEN ?1 AND ?2 AND storage_index > ?3
    ORDER BY storage_index LIMIT ?4
"""
_WHOLE = 26


def storage_indexes(execute: Execute, prefix: str, after: bytes, limit: int) -> tuple[bytes, ...]:
    """Storage indexes under which something is stored, in the order of their bytes.

    :param prefix: what their texts begin with.
    :param after: where the last page ended; empty for the first.
    :raises ValueError: no text of a storage index begins so.
    """
    if any(symbol not in "abcdefghijklmnopqrstuvwxyz234567" for symbol in prefix):
        raise ValueError("a storage index consists of the letters a to z and the digits 2 to 7")
    if len(prefix) < _WHOLE:
        first, last = bounds(prefix)
    else:
        first = last = decode_index(prefix)
    return tuple(found for (found,) in execute(_PLACES, (first, last, after, limit)).fetchall())
