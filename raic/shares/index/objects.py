"""Which objects the index refers to, in the order of their keys.

The order of storage indexes as text is not that of their bytes, because base32 has its digits
after its letters; but those whose texts begin alike are neighbours in both.  So a walk goes from
one such neighbourhood to the next, divides those with many rows, and sorts each of the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

import cbor2
from attrs import frozen

from raic.shares.index.rows import Execute, folder, key_index, manifest_chunks
from raic.shares.keys import CHUNKS, SHARES, SLOTS

SORTED_AT_ONCE = 4096
"""How many rows are read and sorted together."""

_SYMBOLS = "234567abcdefghijklmnopqrstuvwxyz"
_DEEPEST = 25
"""The last symbol has two bits that mean nothing: beyond here no text would begin in one place."""
_VALUES = {symbol: (place - 6) % 32 for place, symbol in enumerate(_SYMBOLS)}

_SHARE = "SELECT 1 FROM shares WHERE storage_index = ? AND name = ?"
_SLOT = "SELECT 1 FROM slots WHERE storage_index = ? AND name = ?"
_CHUNK = "SELECT 1 FROM slots WHERE storage_index = ? AND chunk_count > 0 AND instr(manifest, ?)"
_MANIFEST = "SELECT manifest FROM slots WHERE storage_index = ?"


def is_referred_to(execute: Execute, key: str) -> bool:
    """Whether a share, a slot version or a chunk of one is stored in this object."""
    storage_index = key_index(key)
    if storage_index is None:
        return False
    for kind, query in ((SHARES, _SHARE), (SLOTS, _SLOT)):
        start = folder(kind, storage_index)
        if key.startswith(start):
            return execute(query, (storage_index, key[len(start) :])).fetchone() is not None
    if not key.startswith(CHUNKS):
        return False
    # Looked for as it stands in the manifest: reading one of a large slot takes far longer.
    return execute(_CHUNK, (storage_index, cbor2.dumps(key))).fetchone() is not None


def next_objects(
    execute: Execute, after: str, limit: int, at_once: int = SORTED_AT_ONCE
) -> tuple[str, ...]:
    """The keys that follow ``after``, in ascending order."""
    walks = (_Walk(execute, kind, after, at_once).below("") for kind in _KINDS)
    return tuple(islice(chain.from_iterable(walks), limit))


@frozen
class _Kind:
    """Where the keys of one kind come from.

    :ivar rows: storage indexes in a range, and the ends of keys; null for the keys of chunks.
    """

    prefix: str
    count: str
    rows: str


_COUNT = "SELECT count(*) FROM (SELECT 1 FROM {} WHERE storage_index BETWEEN ? AND ? {} LIMIT ?)"
_ROWS = "SELECT storage_index, {} FROM {} WHERE storage_index BETWEEN ? AND ? {}"
_CHUNKED = "AND chunk_count > 0"

_KINDS = (
    _Kind(CHUNKS, _COUNT.format("slots", _CHUNKED), _ROWS.format("NULL", "slots", _CHUNKED)),
    _Kind(SHARES, _COUNT.format("shares", ""), _ROWS.format("name", "shares", "")),
    _Kind(SLOTS, _COUNT.format("slots", ""), _ROWS.format("name", "slots", "")),
)


@frozen
class _Walk:
    """All keys of a kind after a certain one."""

    execute: Execute
    kind: _Kind
    after: str
    at_once: int

    def below(self, start: str) -> Iterator[str]:
        """The keys of storage indexes whose text begins with ``start``."""
        text = self._key_start(start)
        if text < self.after[: len(text)]:
            return
        between = bounds(start)
        (count,) = self.execute(self.kind.count, (*between, self.at_once + 1)).fetchone()
        if count > self.at_once and len(start) < _DEEPEST:
            for symbol in _SYMBOLS:
                yield from self.below(start + symbol)
        elif count:
            yield from self._sorted(between)

    def _sorted(self, bounds: tuple[bytes, bytes]) -> Iterator[str]:
        found = sorted(
            (folder(self.kind.prefix, storage_index) + (name or ""), storage_index)
            for storage_index, name in self.execute(self.kind.rows, bounds).fetchall()
        )
        for key, storage_index in found:
            if self.kind.prefix == CHUNKS:
                yield from self._chunks(key, storage_index)
            elif key > self.after:
                yield key

    def _chunks(self, start: str, storage_index: bytes) -> Iterator[str]:
        if start < self.after[: len(start)]:
            return
        row = self.execute(_MANIFEST, (storage_index,)).fetchone()
        if row is not None:
            yield from sorted(key for key in manifest_chunks(row[0]) if key > self.after)

    def _key_start(self, start: str) -> str:
        rest = f"{start[:2]}/{start}" if len(start) > 1 else start
        return self.kind.prefix + rest


def bounds(start: str) -> tuple[bytes, bytes]:
    """The first and the last storage index whose text begins with ``start``, of 25 symbols or
    fewer.
    """
    free = 128 - 5 * len(start)
    value = 0
    for symbol in start:
        value = value << 5 | _VALUES[symbol]
    low = value << free
    return low.to_bytes(16, "big"), (low | (1 << free) - 1).to_bytes(16, "big")
