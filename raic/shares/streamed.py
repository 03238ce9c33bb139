"""What can still be proved about bytes that have left for the provider."""

from __future__ import annotations

from collections import deque

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

GRID_BYTES = 64 * 1024
TAIL_BYTES = 1024 * 1024 + GRID_BYTES

_DIGEST_BYTES = 16


class Streamed:
    """The bytes of a share up to :attr:`end`: the last of them raw, the others as digests.

    At least the last ``TAIL_BYTES`` are kept as they came.  Before them there is one digest for
    each block of a fixed grid: AES-256-GMAC under a key that never leaves this object, a
    twentieth of the cost of BLAKE2b.

    :ivar end: how many bytes there are.
    """

    def __init__(self) -> None:
        self._pieces: deque[bytes | memoryview] = deque()
        self._start = 0
        self._kept = 0
        self._digests = bytearray()
        self._cipher: AESGCM | None = None
        self.end = 0

    def append(self, piece: bytes | memoryview) -> None:
        """Add bytes at the end; the object is kept, not copied."""
        self._pieces.append(piece)
        self.end += len(piece)
        beyond = (self.end - TAIL_BYTES) // GRID_BYTES * GRID_BYTES
        while self._kept < beyond:
            self._digests += self._digest(self._kept, self._first_block())
            self._kept += GRID_BYTES
            while self._start + len(self._pieces[0]) <= self._kept:
                self._start += len(self._pieces.popleft())

    def agrees(self, offset: int, data: bytes) -> bool:
        """Whether ``data`` can be shown to equal what was streamed, as far as they overlap."""
        stop = min(offset + len(data), self.end)
        if offset >= stop:
            return True
        proved = offset >= self._kept or self._agrees_by_digests(
            offset, data, min(stop, self._kept)
        )
        return proved and self._agrees_raw(offset, data, stop)

    def clear(self) -> None:
        """Drop the bytes."""
        self._pieces.clear()
        self._digests.clear()

    def _agrees_by_digests(self, offset: int, data: bytes, stop: int) -> bool:
        if offset % GRID_BYTES or stop % GRID_BYTES:
            return False
        view = memoryview(data)
        for block in range(offset, stop, GRID_BYTES):
            digest = self._digest(block, view[block - offset : block - offset + GRID_BYTES])
            place = block // GRID_BYTES * _DIGEST_BYTES
            if digest != self._digests[place : place + _DIGEST_BYTES]:
                return False
        return True

    def _agrees_raw(self, offset: int, data: bytes, stop: int) -> bool:
        start = self._start
        for piece in self._pieces:
            low = max(start, offset, self._kept)
            high = min(start + len(piece), stop)
            # Slices of bytes, because memoryviews are compared byte by byte.
            if (
                low < high
                and bytes(piece[low - start : high - start]) != (data[low - offset : high - offset])
            ):
                return False
            start += len(piece)
        return True

    def _first_block(self) -> bytes | memoryview:
        """The block at ``_kept``, which the first pieces hold."""
        skip = self._kept - self._start
        first = memoryview(self._pieces[0])[skip : skip + GRID_BYTES]
        if len(first) == GRID_BYTES:
            return first
        parts = [first]
        missing = GRID_BYTES - len(first)
        for place in range(1, len(self._pieces)):
            part = memoryview(self._pieces[place])[:missing]
            parts.append(part)
            missing -= len(part)
            if not missing:
                break
        return b"".join(parts)

    def _digest(self, block: int, data: bytes | memoryview) -> bytes:
        if self._cipher is None:
            self._cipher = AESGCM(AESGCM.generate_key(256))
        # A block's offset is its nonce.  Digests are only compared here, so that a retry with
        # other bytes uses it again gives nothing away.
        return self._cipher.encrypt(block.to_bytes(12, "big"), b"", data)
