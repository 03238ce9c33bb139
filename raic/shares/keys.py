"""The names of objects, specified in ``docs/specifications/objects.rst``.

Every key ends in its object's exact length and carries a transaction id of 128 random bits, so
it is written at most once and a listing alone says how long each object is.
"""

from __future__ import annotations

import re
from base64 import b32decode
from calendar import timegm
from functools import lru_cache
from os import urandom
from time import gmtime, strftime, strptime
from typing import ClassVar

from attrs import frozen

from raic.values import MAX_SHARES, Version

SHARES = "shares/"
SLOTS = "slots/"
CHUNKS = "chunks/"
CLAIMS = "claims/"
EXPUNGED = "expunged/"
CHECKPOINTS = "index/"

HIGHEST_EPOCH = 2**32
"""No node comes near it: a key with a higher epoch was not made by one."""

_MOMENT = "%Y%m%dt%H%M%Sz"

_SHNUM = r"0|[1-9][0-9]{0,2}"
_NUMBER = r"0|[1-9][0-9]{0,18}"
_PLACE = r"(?P<dir>[a-z2-7]{2})/(?P<si>[a-z2-7]{26})"
_TXN = r"(?P<txn>[a-z2-7]{26})"
_SHARE = re.compile(
    rf"shares/{_PLACE}/(?P<shnum>{_SHNUM})\.{_TXN}\.(?P<length>{_NUMBER})\.(?P<size>{_NUMBER})"
)
_VERSIONED = re.compile(
    rf"(?P<kind>slots|chunks)/{_PLACE}/"
    rf"(?P<epoch>{_NUMBER})\.(?P<counter>{_NUMBER})\.{_TXN}\.(?P<size>{_NUMBER})"
)

_CLAIM = re.compile(rf"claims/(?P<epoch>{_NUMBER})\.{_TXN}\.(?P<size>{_NUMBER})")
_CHECKPOINT = re.compile(rf"(?P<name>index/[0-9]{{8}}t[0-9]{{6}}z\.{_TXN})\.(?P<size>{_NUMBER})")
_EXPUNGED = re.compile(rf"expunged/{_PLACE}/{_TXN}\.(?P<size>{_NUMBER})")


# Python's own base32 takes several times as long, and each request needs some.
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_DIGITS = str.maketrans(_LETTERS, "0123456789abcdefghijklmnopqrstuv")  # those of int()
_PAIRS = [a + b for a in _LETTERS for b in _LETTERS]
_SHIFTS = range(120, -1, -10)


@lru_cache(maxsize=4096)
def encode_index(storage_index: bytes) -> str:
    """The text form of a storage index: 26 characters of lower-case unpadded base32.

    Cached, because one request asks several times.
    """
    return _encode(storage_index)


def _encode(data: bytes) -> str:
    value = int.from_bytes(data, "big") << 2
    return "".join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS])


def decode_index(text: str) -> bytes:
    """The 16 bytes of a storage index.

    :raises ValueError: it is not the text form of one.
    """
    if len(text) != 26 or text.strip(_LETTERS):
        raise ValueError("a storage index has 26 lower-case base32 characters")
    value = int(text.translate(_DIGITS), 32)
    if value & 3:
        raise ValueError("the last character of a storage index has unused bits set")
    return (value >> 2).to_bytes(16, "big")


def new_transaction_id() -> str:
    """26 characters of base32 that no other object has."""
    return _encode(urandom(16))


def usual_folders() -> list[str]:
    """The first two components of the keys of all shares and slots."""
    return [prefix + pair for prefix in (SHARES, SLOTS) for pair in _PAIRS]


def _place(storage_index: bytes) -> str:
    text = encode_index(storage_index)
    return f"{text[:2]}/{text}"


@frozen
class ShareKey:
    """The key of an immutable share's object.

    :ivar length: the share's own length.
    :ivar size: the object's length.
    """

    storage_index: bytes
    shnum: int
    txn: str
    length: int
    size: int

    def __str__(self) -> str:
        return (
            f"{SHARES}{_place(self.storage_index)}/"
            f"{self.shnum}.{self.txn}.{self.length}.{self.size}"
        )


@frozen
class VersionKey:
    """The key of a slot's version object.

    :ivar size: the object's length.
    """

    prefix: ClassVar[str] = SLOTS

    storage_index: bytes
    version: Version
    txn: str
    size: int

    def __str__(self) -> str:
        return (
            f"{self.prefix}{_place(self.storage_index)}/"
            f"{self.version.epoch}.{self.version.counter}.{self.txn}.{self.size}"
        )


@frozen
class ChunkKey(VersionKey):
    """The key of a chunk of a large mutable share, with the version that wrote it."""

    prefix: ClassVar[str] = CHUNKS

    def __str__(self) -> str:
        return VersionKey.__str__(self)


def parse_key(key: str) -> ShareKey | VersionKey | ChunkKey | None:
    """What a key says of its object; None when it is not a share's, a version's or a chunk's."""
    if found := _SHARE.fullmatch(key):
        parsed: ShareKey | VersionKey = ShareKey(
            _storage_index(found["si"]),
            int(found["shnum"]),
            found["txn"],
            int(found["length"]),
            int(found["size"]),
        )
        if int(found["shnum"]) >= MAX_SHARES:
            return None
    elif found := _VERSIONED.fullmatch(key):
        kind = VersionKey if found["kind"] == "slots" else ChunkKey
        parsed = kind(
            _storage_index(found["si"]),
            Version(int(found["epoch"]), int(found["counter"])),
            found["txn"],
            int(found["size"]),
        )
    else:
        return None
    return parsed if str(parsed) == key else None


@frozen
class ExpungedKey:
    """The key of an object that names objects which must not come back at a restore.

    :ivar size: the object's length.
    """

    storage_index: bytes
    txn: str
    size: int

    def __str__(self) -> str:
        return f"{EXPUNGED}{_place(self.storage_index)}/{self.txn}.{self.size}"


def parse_expunged_key(key: str) -> ExpungedKey | None:
    """What such a key says; None when it is not one that a node made."""
    found = _EXPUNGED.fullmatch(key)
    if found is None:
        return None
    parsed = ExpungedKey(_storage_index(found["si"]), found["txn"], int(found["size"]))
    return parsed if str(parsed) == key else None


@frozen(order=True)
class ClaimKey:
    """The key of a claim on the prefix.  Of two claims the one with the higher key counts.

    :ivar txn: decides between claims that were made at once; the node that made one knows it by
        this.
    :ivar size: the object's length.
    """

    epoch: int
    txn: str
    size: int

    def __str__(self) -> str:
        return f"{CLAIMS}{self.epoch}.{self.txn}.{self.size}"


def parse_claim_key(key: str) -> ClaimKey | None:
    """What a claim's key says; None when it is not one that a node made."""
    found = _CLAIM.fullmatch(key)
    if found is None or int(found["epoch"]) > HIGHEST_EPOCH:
        return None
    return ClaimKey(int(found["epoch"]), found["txn"], int(found["size"]))


@frozen(order=True)
class CheckpointKey:
    """The key of a copy of the index.  The higher key is that of the later copy, by the node's
    clock.

    :ivar name: the key but for the length, which is not known before the copy is made.
    :ivar size: the object's length.
    """

    name: str
    size: int

    @property
    def created(self) -> int:
        """When the copy was begun."""
        moment = self.name[len(CHECKPOINTS) :].partition(".")[0]
        return timegm(strptime(moment, _MOMENT))

    def __str__(self) -> str:
        return f"{self.name}.{self.size}"


def new_checkpoint_name(created: int) -> str:
    """What the key of a copy of the index is to begin with."""
    return f"{CHECKPOINTS}{strftime(_MOMENT, gmtime(created))}.{new_transaction_id()}"


def parse_checkpoint_key(key: str) -> CheckpointKey | None:
    """What such a key says; None when it is not one that a node made."""
    found = _CHECKPOINT.fullmatch(key)
    if found is None:
        return None
    parsed = CheckpointKey(found["name"], int(found["size"]))
    try:
        return parsed if parsed.created >= 0 else None
    except ValueError:
        return None


def _storage_index(text: str) -> bytes:
    return b32decode(text.upper() + "======")
