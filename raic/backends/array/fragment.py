"""The header of a fragment, and the tags of its blocks.

Specified in ``docs/specifications/fragments.rst``.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from hmac import compare_digest

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from raic.backends.array.code import HEADER_BYTES, Block
from raic.backends.tags import KEY_BYTES, TAG_BYTES, TagMismatch
from raic.fragmentkeys import FragmentKey, attempt_id

__all__ = ["HEADER_BYTES", "FragmentTags", "key_id"]

MAGIC = b"raicfrg1"

_OPEN = struct.Struct(">8sBBB5xQ32s16s8s")
_HEADER_NONCE = b"\xff" * 8 + bytes(4)


def key_id(array_key: bytes) -> bytes:
    """Eight bytes that say which array key tags were made with, and nothing about it."""
    return blake2b(digest_size=8, key=array_key, person=b"raic-array").digest()


class FragmentTags:
    """Makes and checks the header and the tags of one fragment.

    :param array_key: 32 secret bytes, the same for all fragments of an array.
    :param key: the fragment's.
    """

    def __init__(self, array_key: bytes, key: FragmentKey) -> None:
        if len(array_key) != KEY_BYTES:
            raise ValueError(f"an array key has {KEY_BYTES} bytes")
        self._open = _OPEN.pack(
            MAGIC,
            key.needed,
            key.number,
            key.block_size.bit_length() - 1,
            key.length,
            blake2b(key.object_key.encode(), digest_size=32, person=b"raic-object").digest(),
            attempt_id(key.attempt),
            key_id(array_key),
        )
        derived = blake2b(self._open, digest_size=32, key=array_key, person=b"raic-fragment")
        self._encrypt = AESGCM(derived.digest()).encrypt

    def header(self) -> bytes:
        """The fragment's first bytes."""
        return self._open + self._encrypt(_HEADER_NONCE, b"", self._open)

    def check_header(self, stored: bytes | memoryview) -> None:
        """Make sure that a header is this fragment's.

        :raises TagMismatch: it is another's, or was altered.
        """
        if not compare_digest(stored, self.header()):
            raise TagMismatch("the header was altered, or is another fragment's")

    def tag(self, stripe: int, block: Block) -> bytes:
        """What follows a block."""
        return self._encrypt(stripe.to_bytes(8, "big") + b"\0\0\0\0", b"", block)

    def tagged(self, stripe: int, block: Block) -> bytes:
        """A block as it is stored."""
        return b"".join((block, self.tag(stripe, block)))

    def checked(self, stripe: int, stored: memoryview) -> memoryview:
        """The block of what was stored of it.

        :raises TagMismatch: it was altered, cut short, or is another stripe's.
        """
        size = len(stored) - TAG_BYTES
        if size < 0:
            raise TagMismatch(f"stripe {stripe} is cut short")
        block = stored[:size]
        if not compare_digest(self.tag(stripe, block), stored[size:]):
            raise TagMismatch(f"stripe {stripe} was altered, or is cut short")
        return block
