"""The bytes of a checkpoint: a compressed database in sealed blocks.

::

     0   8  magic
     8   8  id of the node key that seals
    16   4  length of a block before it is sealed
    20   .  blocks, each 16 bytes longer than that, the last one shorter or as long

Numbers are big-endian.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from struct import Struct
from typing import BinaryIO

from raic.errors import SealBroken
from raic.shares.sealing import KEY_ID_BYTES, NONCE_BYTES, TAG_BYTES, Sealer

MAGIC = b"RAICidx1"
BLOCK_BYTES = 1024 * 1024
MAX_BLOCK_BYTES = 16 * 1024 * 1024

_HEAD = Struct(f">8s{KEY_ID_BYTES}sI")
_LEVEL = 1
"""Of zlib: most of an index is random, and a higher one saves little of the rest."""

_READ_BYTES = 1024 * 1024


class CheckpointDamaged(Exception):
    """The bytes are not a checkpoint that this node made; the text says why."""


def seal_file(
    name: str, source: Path, target: Path, sealer: Sealer, go_on: Callable[[], bool]
) -> None:
    """Write a checkpoint of a database.

    :param name: the first part of the key that it will have.
    :param go_on: asked now and then.
    :raises InterruptedError: ``go_on`` said no.
    """
    head = _HEAD.pack(MAGIC, sealer.key_id, BLOCK_BYTES)
    with source.open("rb") as plain, target.open("wb") as sealed:
        sealed.write(head)
        sealing = _Sealing(name, head, sealer)
        for block, is_last in _with_end(_blocks(_compressed(plain, go_on))):
            sealed.write(sealing.seal(block, is_last))


class Opener:
    """Takes a checkpoint apart, piece by piece.

    :param target: where the database goes.
    """

    def __init__(self, name: str, target: BinaryIO, sealer: Sealer) -> None:
        self._name = name
        self._target = target
        self._sealer = sealer
        self._waiting = bytearray()
        self._opening: _Sealing | None = None
        self._sealed_bytes = 0
        self._unpack = zlib.decompressobj()

    def add(self, data: bytes) -> None:
        """Take the next bytes.

        :raises CheckpointDamaged: they are wrong.
        """
        self._waiting += data
        if self._opening is None:
            if len(self._waiting) < _HEAD.size:
                return
            self._begin(bytes(self._waiting[: _HEAD.size]))
            del self._waiting[: _HEAD.size]
        while len(self._waiting) > self._sealed_bytes:
            self._open(bytes(self._waiting[: self._sealed_bytes]), False)
            del self._waiting[: self._sealed_bytes]

    def end(self) -> None:
        """There are no more bytes.

        :raises CheckpointDamaged: some are missing.
        """
        if self._opening is None:
            raise CheckpointDamaged("it is too short")
        self._open(bytes(self._waiting), True)
        if not self._unpack.eof:
            raise CheckpointDamaged("what it holds is cut short")

    def _begin(self, head: bytes) -> None:
        magic, key_id, block = _HEAD.unpack(head)
        if magic != MAGIC or not 0 < block <= MAX_BLOCK_BYTES:
            raise CheckpointDamaged("it is of a kind unknown to this RAIC")
        if key_id != self._sealer.key_id:
            raise CheckpointDamaged("it was sealed with the key of another node")
        self._sealed_bytes = block + TAG_BYTES
        self._opening = _Sealing(self._name, head, self._sealer)

    def _open(self, sealed: bytes, is_last: bool) -> None:
        assert self._opening is not None
        try:
            self._target.write(self._unpack.decompress(self._opening.open(sealed, is_last)))
        except SealBroken:
            raise CheckpointDamaged("it was cut short or altered") from None
        except zlib.error as error:
            raise CheckpointDamaged(f"it cannot be unpacked: {error}") from None


class _Sealing:
    """Seals or opens one block after the other."""

    def __init__(self, name: str, head: bytes, sealer: Sealer) -> None:
        self._context = name.encode("ascii")
        self._head = head
        self._sealer = sealer
        self._number = 0

    def seal(self, block: bytes, is_last: bool) -> bytes:
        return self._sealer.seal(self._context, block, self._head, self._nonce(is_last))

    def open(self, sealed: bytes, is_last: bool) -> bytes:
        return self._sealer.open(self._context, sealed, self._head, self._nonce(is_last))

    def _nonce(self, is_last: bool) -> bytes:
        # Each name has a key of its own, so a number is used once.
        number = self._number.to_bytes(NONCE_BYTES - 1, "big")
        self._number += 1
        return bytes([is_last]) + number


def _compressed(plain: BinaryIO, go_on: Callable[[], bool]) -> Iterator[bytes]:
    packing = zlib.compressobj(_LEVEL)
    for data in iter(lambda: plain.read(_READ_BYTES), b""):
        if not go_on():
            raise InterruptedError
        yield packing.compress(data)
    yield packing.flush()


def _blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= BLOCK_BYTES:
            yield bytes(waiting[:BLOCK_BYTES])
            del waiting[:BLOCK_BYTES]
    if waiting:
        yield bytes(waiting)


def _with_end(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each block, and whether it is the last one; there is one at least."""
    last = next(blocks)
    for block in blocks:
        yield last, False
        last = block
    yield last, True
