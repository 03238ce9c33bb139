"""The headers of objects, specified in ``docs/specifications/objects.rst``.

A header is a frame of 36 bytes, an open part and a sealed part, both CBOR::

     0   8  magic
     8   4  header length: frame, open and sealed part
    12   4  length of the open part
    16   8  id of the node key that seals
    24  12  nonce
    36   .  open part
     .   .  sealed part: ChaCha20-Poly1305 of CBOR, bound to the object's key and all before it

Numbers are big-endian.  Share bytes follow the header.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import Any, cast

import cbor2
from attrs import field, frozen

from raic.errors import ObjectCorrupt, SealBroken
from raic.shares.sealing import KEY_ID_BYTES, NONCE_BYTES, TAG_BYTES, Sealer, new_nonce
from raic.values import Chunk, Inline, Lease, SlotShare, Version

SHARE_MAGIC = b"RAICshr1"
SLOT_MAGIC = b"RAICslt1"
CLAIM_MAGIC = b"RAICclm1"
MAX_HEADER_BYTES = 16 * 1024 * 1024

_FRAME = Struct(f">8sII{KEY_ID_BYTES}s{NONCE_BYTES}s")
FRAME_BYTES = _FRAME.size


@frozen
class Header:
    """A header taken apart, its sealed part opened."""

    length: int
    open_part: Mapping[str, Any]
    sealed_part: Mapping[str, Any] = field(repr=False)


class UnsealedHeader:
    """A header whose length is known before its object's key is.

    An object's length is part of its key, and the seal is bound to the key, so a header is made
    in two steps: this one, which fixes the length, and :meth:`sealed_for`.
    """

    def __init__(
        self, magic: bytes, open_part: Mapping[str, Any], sealed_part: Mapping[str, Any]
    ) -> None:
        self._magic = magic
        self._open = cbor2.dumps(open_part)
        self._sealed = cbor2.dumps(sealed_part)
        self.length = FRAME_BYTES + len(self._open) + len(self._sealed) + TAG_BYTES

    def sealed_for(self, key: str, sealer: Sealer) -> bytes:
        """The header's bytes, for the object named ``key``."""
        nonce = new_nonce()
        frame = _FRAME.pack(self._magic, self.length, len(self._open), sealer.key_id, nonce)
        before = frame + self._open
        name = key.encode("ascii")
        return before + sealer.seal(name, self._sealed, name + before, nonce)


def header_length(key: str, frame: bytes) -> int:
    """How long the header is, from an object's first ``FRAME_BYTES`` bytes.

    :raises ObjectCorrupt: these bytes do not begin a header.
    """
    if len(frame) < FRAME_BYTES:
        raise _corrupt(key, "it is shorter than a header")
    magic, length, open_length, _, _ = _FRAME.unpack_from(frame)
    if magic not in (SHARE_MAGIC, SLOT_MAGIC, CLAIM_MAGIC):
        raise _corrupt(key, "it does not begin with a known magic")
    if not FRAME_BYTES + open_length + TAG_BYTES <= length <= MAX_HEADER_BYTES:
        raise _corrupt(key, "its header length is impossible")
    return int(length)


def read_header(key: str, magic: bytes, data: bytes, sealer: Sealer) -> Header:
    """Take a header apart.

    :param data: the object's beginning, at least the whole header.
    :raises ObjectCorrupt: it is not such a header.
    :raises SealBroken: it was sealed with another node key, or altered.
    """
    length = header_length(key, data)
    found, _, open_length, key_id, nonce = _FRAME.unpack_from(data)
    if found != magic or len(data) < length:
        raise _corrupt(key, "its header is of another kind or cut short")
    if key_id != sealer.key_id:
        raise SealBroken(f"{key} was sealed with the key of another node")
    split = FRAME_BYTES + open_length
    name = key.encode("ascii")
    sealed = sealer.open(name, data[split:length], name + data[:split], nonce)
    try:
        return Header(length, cbor2.loads(data[FRAME_BYTES:split]), cbor2.loads(sealed))
    except (cbor2.CBORDecodeError, ValueError) as error:
        raise _corrupt(key, f"its header is not CBOR: {error}") from error


def read_open_part(key: str, data: bytes) -> Mapping[str, Any]:
    """What a header says to everybody, also to those who cannot tell whether it is true.

    :param data: the object's beginning, at least the whole header.
    :raises ObjectCorrupt: it is not a header.
    """
    length = header_length(key, data)
    if len(data) < length:
        raise _corrupt(key, "its header is cut short")
    open_length = int(_FRAME.unpack_from(data)[2])
    try:
        said = cbor2.loads(data[FRAME_BYTES : FRAME_BYTES + open_length])
    except (cbor2.CBORDecodeError, ValueError) as error:
        raise _corrupt(key, f"its header is not CBOR: {error}") from error
    if not isinstance(said, Mapping):
        raise _corrupt(key, "its open part is not a map")
    return cast(Mapping[str, Any], said)


def _corrupt(key: str, detail: str) -> ObjectCorrupt:
    return ObjectCorrupt("objects", "read_header", f"{key}: {detail}")


# The parts of the three kinds of header.


def share_header(
    storage_index: bytes, shnum: int, length: int, created: int, leases: Iterable[Lease]
) -> UnsealedHeader:
    """The header of an immutable share."""
    open_part = {
        "storage-index": storage_index,
        "share-number": shnum,
        "length": length,
        "created": created,
    }
    return UnsealedHeader(SHARE_MAGIC, open_part, {"leases": _leases_out(leases)})


def slot_header(
    storage_index: bytes,
    version: Version,
    shares: Sequence[SlotShare],
    created: int,
    write_enabler: bytes,
    nodeid: bytes,
    leases: Iterable[Lease],
) -> UnsealedHeader:
    """The header of a slot version; without shares, of a tombstone."""
    open_part = {
        "storage-index": storage_index,
        "epoch": version.epoch,
        "counter": version.counter,
        "shares": [manifest_entry(share) for share in shares],
        "created": created,
    }
    sealed_part = {
        "write-enabler": write_enabler,
        "write-enabler-nodeid": nodeid,
        "leases": _leases_out(leases),
    }
    return UnsealedHeader(SLOT_MAGIC, open_part, sealed_part)


def claim_header(server_id: str, epoch: int, created: int, host: str, place: str) -> UnsealedHeader:
    """The header of a claim, which is all of it."""
    open_part = {"server-id": server_id, "epoch": epoch, "created": created, "host": host}
    return UnsealedHeader(CLAIM_MAGIC, open_part, {"place": place})


def manifest_entry(share: SlotShare) -> list[object]:
    """A share's line in a slot header: number, length, and where its bytes are.

    The third item is an offset after the header, or a list of chunks, each its key and length;
    a chunk of zeros has null for its key.
    """
    if isinstance(share.content, Inline):
        return [share.shnum, share.length, share.content.offset]
    return [share.shnum, share.length, [[chunk.key, chunk.length] for chunk in share.content]]


def slot_share(entry: Sequence[Any], head: bytes) -> SlotShare:
    """The share that a header's line describes."""
    shnum, length, where = entry
    content: Inline | tuple[Chunk, ...]
    if isinstance(where, int):
        content = Inline(where)
    else:
        content = tuple(Chunk(key, size) for key, size in where)
    return SlotShare(shnum, length, head, content)


def leases_in(header: Header) -> tuple[Lease, ...]:
    """The leases in a header's sealed part."""
    return tuple(Lease(*lease) for lease in cast(list[Any], header.sealed_part["leases"]))


def _leases_out(leases: Iterable[Lease]) -> list[list[object]]:
    return [[lease.renew_digest, lease.cancel_digest, lease.expires] for lease in leases]
