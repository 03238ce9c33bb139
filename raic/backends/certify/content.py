"""Bytes to send, of any number, without holding all of them."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from os import urandom

from raic.backends.certify.bench import MIB

PIECE = 256 * 1024
_STEP = 40_503
"""Each piece begins elsewhere in the random bytes, so no two of the first thousands are equal."""


class Content:
    """So many bytes that no link can compress."""

    def __init__(self, size: int) -> None:
        self.size = size
        block = urandom(MIB)
        self._block = block + block[:PIECE]

    def pieces(self) -> Iterator[bytes]:
        """All bytes, in order."""
        for at in range(0, self.size, PIECE):
            yield self._piece(at // PIECE)[: self.size - at]

    def part(self, offset: int, length: int) -> bytes:
        """The bytes of a range."""
        first, last = offset // PIECE, (offset + length) // PIECE
        near = b"".join(self._piece(number) for number in range(first, last + 1))
        begin = offset - first * PIECE
        return near[begin : begin + min(length, self.size - offset)]

    def digest(self) -> bytes:
        """Of all bytes, as :class:`Digest` makes it."""
        digest = Digest()
        for piece in self.pieces():
            digest.add(piece)
        return digest.value()

    def _piece(self, number: int) -> bytes:
        begin = number * _STEP % MIB
        return self._block[begin : begin + PIECE]


class Digest:
    """Of bytes as they come.

    :ivar size: how many there were.
    """

    def __init__(self) -> None:
        self.size = 0
        self._hash = sha256()

    def add(self, data: bytes) -> None:
        """Go on."""
        self.size += len(data)
        self._hash.update(data)

    def value(self) -> bytes:
        """The digest of what there was so far."""
        return self._hash.digest()
