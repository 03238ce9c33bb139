"""Values as rows of the index, and back.

A share's or a version's row holds only the end of its object's key, for everything before it
follows from the storage index.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import cbor2

from raic.errors import IndexCorrupt
from raic.fragmentkeys import all_fragments_prefix
from raic.shares.keys import CHUNKS, SHARES, SLOTS, decode_index, encode_index
from raic.shares.layout import manifest_entry, slot_share
from raic.values import Inline, SlotShare, SlotVersion, StoredShare, Version, WriteEnabler

Execute = Callable[..., sqlite3.Cursor]
"""A connection's ``execute``: the statement, then its parameters."""

SLOT_COLUMNS = (
    "epoch, counter, name, header_length, size,"
    " manifest, enabler_digest, enabler_sealed, enabler_nodeid"
)


def folder(kind: str, storage_index: bytes) -> str:
    """How the keys of one kind of object of a storage index begin."""
    text = encode_index(storage_index)
    return f"{kind}{text[:2]}/{text}/"


def key_name(kind: str, storage_index: bytes, key: str) -> str:
    """The end of a key.

    :raises ValueError: it is not of that kind, or of another storage index.
    """
    start = folder(kind, storage_index)
    if not key.startswith(start):
        raise ValueError(f"{key} does not begin with {start}")
    return key[len(start) :]


def key_index(key: str) -> bytes | None:
    """The storage index that an object's or a fragment's key tells; None when it tells none."""
    parts = key.split("/")
    try:
        return decode_index(parts[2])
    except (IndexError, ValueError):
        return None


def fragment_range(object_key: str) -> tuple[str, str]:
    """Between which texts the keys of an object's fragments are, and no others: the first is in
    the range, the second beyond it.
    """
    start = all_fragments_prefix(object_key)
    return start, start[:-1] + chr(ord(start[-1]) + 1)


def share_row(share: StoredShare) -> tuple[bytes, int, str, int, int]:
    """A row of ``shares``."""
    index = share.storage_index
    name = key_name(SHARES, index, share.key)
    return index, share.shnum, name, share.header_length, share.length


def slot_row(version: SlotVersion) -> tuple[Any, ...]:
    """A row of ``slots`` but for its last columns: then, as CBOR, the lengths of its objects, and
    how many bytes of shares are stored in them.
    """
    index = version.storage_index
    name = key_name(SLOTS, index, version.key)
    shares = version.shares.values()
    chunks = chunk_lengths(shares)
    for key in chunks:
        key_name(CHUNKS, index, key)
    manifest = [[*manifest_entry(share), share.head] for share in shares]
    enabler = version.write_enabler
    return (
        index,
        version.version.epoch,
        version.version.counter,
        name,
        version.header_length,
        version.size,
        len(chunks),
        sum(chunks.values()),
        cbor2.dumps(manifest),
        enabler.digest,
        enabler.sealed,
        enabler.nodeid,
        cbor2.dumps([version.size, *chunks.values()]),
        share_bytes(shares),
    )


def chunk_lengths(shares: Iterable[SlotShare]) -> Mapping[str, int]:
    """The chunk objects of a slot, and how long they are."""
    return {
        chunk.key: chunk.length
        for share in shares
        if not isinstance(share.content, Inline)
        for chunk in share.content
        if chunk.key is not None
    }


def share_bytes(shares: Iterable[SlotShare]) -> int:
    """How many bytes of a slot's shares are stored: all but zeros that are stored nowhere."""
    inline = sum(share.length for share in shares if isinstance(share.content, Inline))
    return inline + sum(chunk_lengths(shares).values())


def slot_version(storage_index: bytes, row: tuple[Any, ...]) -> SlotVersion:
    """The version that a row, read as ``SLOT_COLUMNS``, holds."""
    epoch, counter, name, header_length, size, manifest, digest, sealed, nodeid = row
    return SlotVersion(
        storage_index,
        Version(epoch, counter),
        folder(SLOTS, storage_index) + name,
        header_length,
        size,
        slot_shares(manifest),
        WriteEnabler(digest, sealed, nodeid),
    )


def slot_shares(manifest: bytes) -> dict[int, SlotShare]:
    """The shares of a manifest.

    :raises IndexCorrupt: it cannot be read.
    """
    try:
        entries = cast(list[list[Any]], cbor2.loads(manifest))
        return {entry[0]: slot_share(entry[:3], entry[3]) for entry in entries}
    except (cbor2.CBORDecodeError, ValueError, TypeError, LookupError) as error:
        raise IndexCorrupt(f"a slot's manifest is damaged: {error}") from error


def manifest_chunks(manifest: bytes) -> frozenset[str]:
    """The chunk objects that a slot's manifest names."""
    return frozenset(chunk_lengths(slot_shares(manifest).values()))
