"""How many bytes are stored of objects: what statements of the index ask Python."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import cbor2

from raic.fragmentkeys import FragmentKey, parse_fragment_key
from raic.shares.index.rows import chunk_lengths, share_bytes, slot_shares

Measure = Callable[[int], int]
"""How many bytes a provider stores of an object of a certain length; in an array, each of them."""


def as_it_is(length: int) -> int:
    """The measure of a provider that adds nothing."""
    return length


def teach(connection: sqlite3.Connection, measure: Measure) -> None:
    """Have a connection's statements know these functions:

    - ``stored_bytes(length)``: the measure;
    - ``all_stored_bytes(lengths)``: the sum for several objects, as CBOR;
    - ``object_lengths(size, manifest)``: of a slot's version object and its chunks, as CBOR;
    - ``manifest_bytes(manifest)``: how many bytes of a slot's shares are stored;
    - ``key_bytes(key)``: what is stored under a key of an object or a fragment; 0 if it does not
      tell;
    - ``key_number(key)``: the number of the fragment, NULL for an object.
    """

    def all_stored(lengths: bytes) -> int:
        found: list[int] = cbor2.loads(lengths)
        return sum(map(measure, found))

    def key_bytes(key: str) -> int:
        fragment = _fragment(key)
        if fragment is not None:
            return fragment.size
        size = key.rpartition(".")[2]
        return measure(int(size)) if size.isascii() and size.isdecimal() else 0

    made: dict[str, Callable[..., Any]] = {
        "stored_bytes": measure,
        "all_stored_bytes": all_stored,
        "object_lengths": _object_lengths,
        "manifest_bytes": _manifest_bytes,
        "key_bytes": key_bytes,
        "key_number": _key_number,
    }
    for name, function in made.items():
        arguments = 2 if function is _object_lengths else 1
        connection.create_function(name, arguments, function, deterministic=True)


def _fragment(key: str) -> FragmentKey | None:
    return parse_fragment_key(key) if "--" in key else None


def _key_number(key: str) -> int | None:
    fragment = _fragment(key)
    return None if fragment is None else fragment.number


def _object_lengths(size: int, manifest: bytes) -> bytes:
    return cbor2.dumps([size, *chunk_lengths(slot_shares(manifest).values()).values()])


def _manifest_bytes(manifest: bytes) -> int:
    return share_bytes(slot_shares(manifest).values())
