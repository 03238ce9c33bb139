"""What tests of indexes put into them."""

from __future__ import annotations

from collections.abc import Sequence

from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey
from raic.shares.keys import ChunkKey, ShareKey, VersionKey, encode_index
from raic.values import (
    Chunk,
    Inline,
    Lease,
    SlotShare,
    SlotVersion,
    StoredShare,
    Version,
    WriteEnabler,
)

NOW = 1_700_000_000
INDEX_A = bytes(range(16))
INDEX_B = bytes(range(16, 32))
ENABLER = WriteEnabler(b"d" * 32, b"sealed", b"n" * 20)


def txn(number: int) -> str:
    """A transaction id."""
    return encode_index(number.to_bytes(16, "big"))


def make_share(
    storage_index: bytes = INDEX_A, shnum: int = 0, length: int = 100, number: int = 0
) -> StoredShare:
    """A share; its key differs with ``number``."""
    key = ShareKey(storage_index, shnum, txn(number), length, length + 20)
    return StoredShare(storage_index, shnum, str(key), 20, length)


def make_version(
    version: Version,
    shares: Sequence[SlotShare] = (),
    storage_index: bytes = INDEX_A,
    size: int = 1000,
    number: int = 0,
) -> SlotVersion:
    """A slot version, without shares a tombstone."""
    key = VersionKey(storage_index, version, txn(number), size)
    by_number = {share.shnum: share for share in shares}
    return SlotVersion(storage_index, version, str(key), 50, size, by_number, ENABLER)


def inline(shnum: int = 0, length: int = 10) -> SlotShare:
    """A share that lies in its version object."""
    return SlotShare(shnum, length, bytes(min(length, 256)), Inline(0))


def chunk(number: int, storage_index: bytes = INDEX_A, length: int = 50) -> Chunk:
    """A chunk."""
    return Chunk(str(ChunkKey(storage_index, Version(0, 1), txn(number), length)), length)


def chunked(*chunks: Chunk, shnum: int = 0) -> SlotShare:
    """A share that lies in chunks."""
    return SlotShare(shnum, sum(one.length for one in chunks), b"head", chunks)


def fragment(object_key: str, number: int = 0, attempt: int = 0) -> str:
    """The key of a fragment; ``attempt`` 0 is the first."""
    text = txn(attempt) if attempt else FIRST_ATTEMPT
    return str(FragmentKey(object_key, 2, 65536, 120, number, text))


def fragments_of(object_key: str) -> tuple[str, ...]:
    """Two fragments of an object."""
    return fragment(object_key, 0), fragment(object_key, 1)


def make_lease(secret: int = 0, expires: int = NOW + 1000) -> Lease:
    """A lease."""
    return Lease(bytes([secret]) * 32, bytes([secret + 1]) * 32, expires)
