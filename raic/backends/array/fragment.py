"""The header of a fragment, and the tags of its blocks.

Specified in ``docs/specifications/fragments.rst``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
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
_BLOCK_NONCE = bytes(4)


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
        return self._encrypt(stripe.to_bytes(8, "big") + _BLOCK_NONCE, b"", block)

    def tagged(self, stripe: int, block: Block) -> bytes:
        """A block as it is stored."""
        return b"".join((block, self.tag(stripe, block)))

    def all_tagged(self, stripe: int, blocks: Sequence[Block]) -> list[Block]:
        """Blocks of stripes in a row, each followed by its tag.

        :param stripe: the first one.
        """
        encrypt = self._encrypt
        pieces: list[Block] = []
        for each, block in enumerate(blocks, stripe):
            pieces += (block, encrypt(each.to_bytes(8, "big") + _BLOCK_NONCE, b"", block))
        return pieces

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

    def whole_blocks(
        self, stripe: int, stored: memoryview, size: int, count: int
    ) -> Iterator[memoryview]:
        """The blocks of some stripes in a row, one after the other, each when it was checked.

        :param stripe: the first one.
        :param stored: begins with these blocks and their tags.
        :param size: of each block.
        :raises TagMismatch: one was altered; those before it were right.
        """
        # A whole stream passes through here: what is looked up, is looked up once.
        encrypt, begin = self._encrypt, 0
        for each in range(stripe, stripe + count):
            end = begin + size
            block = stored[begin:end]
            begin = end + TAG_BYTES
            tag = encrypt(each.to_bytes(8, "big") + _BLOCK_NONCE, b"", block)
            if not compare_digest(tag, stored[end:begin]):
                raise TagMismatch(f"stripe {each} was altered, or is cut short")
            yield block
