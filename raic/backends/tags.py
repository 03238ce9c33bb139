"""Blocks and their tags, specified in ``docs/specifications/tags.rst``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from hmac import compare_digest

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
BLOCK_BYTES = 65_536
TAG_BYTES = 16
STORED_BLOCK_BYTES = BLOCK_BYTES + TAG_BYTES

_INNER = bytes(4)
_LAST = bytes([0, 0, 0, 1])


class TagMismatch(Exception):
    """Stored bytes are not those that were written."""


def block_count(size: int) -> int:
    """How many blocks an object of ``size`` bytes has: one at least."""
    return max(1, -(-size // BLOCK_BYTES))


def stored_size(size: int) -> int:
    """How many bytes are stored of an object of ``size`` bytes."""
    return size + TAG_BYTES * block_count(size)


def plain_size(stored: int) -> int | None:
    """The size of the object of which ``stored`` bytes are stored; None when there is none."""
    size = stored - TAG_BYTES * -(-stored // STORED_BLOCK_BYTES)
    return size if size >= 0 and stored_size(size) == stored else None


class ObjectTags:
    """Makes and checks the tags of one object.

    :param tag_key: 32 secret bytes, the same for all objects.
    :param key: the object's.
    """

    def __init__(self, tag_key: bytes, key: str) -> None:
        derived = blake2b(key.encode("ascii"), digest_size=32, key=tag_key, person=b"raic-tag")
        self._cipher = AESGCM(derived.digest())

    def tag(self, number: int, is_last: bool, block: bytes | bytearray | memoryview) -> bytes:
        """The tag of a block.

        :param number: counted from 0.
        """
        nonce = number.to_bytes(8, "big") + (_LAST if is_last else _INNER)
        return self._cipher.encrypt(nonce, b"", block)

    def tagged(self, data: bytes) -> bytes:
        """A whole object, as it is stored."""
        last = block_count(len(data)) - 1
        view = memoryview(data)
        starts = range(0, (last + 1) * BLOCK_BYTES, BLOCK_BYTES)
        blocks = [view[start : start + BLOCK_BYTES] for start in starts]
        return b"".join(self.with_tags(0, blocks, last))

    def with_tags(
        self, number: int, blocks: Sequence[bytearray | memoryview], last: int
    ) -> list[bytes | bytearray | memoryview]:
        """Blocks that follow one another, each with its tag after it.

        :param number: of the first one.
        :param last: of the object's last one.
        """
        parts: list[bytes | bytearray | memoryview] = []
        for each, block in enumerate(blocks, number):
            parts += (block, self.tag(each, each == last, block))
        return parts

    def inner_block(self, number: int, stored: memoryview) -> memoryview:
        """A block that is known to be followed by others.

        :raises TagMismatch: it was altered.
        """
        return self.inner_blocks(number, stored, 1)[0]

    def inner_blocks(self, number: int, stored: memoryview, count: int) -> list[memoryview]:
        """The first blocks of what was read, which are known to be followed by others.

        :param number: of the first one.
        :raises TagMismatch: one was altered.
        """
        # A whole stream passes through here: what is looked up, is looked up once.
        encrypt, blocks, begin = self._cipher.encrypt, [], 0
        for each in range(number, number + count):
            end = begin + BLOCK_BYTES
            block = stored[begin:end]
            begin = end + TAG_BYTES
            tag = encrypt(each.to_bytes(8, "big") + _INNER, b"", block)
            if not compare_digest(tag, stored[end:begin]):
                raise TagMismatch(f"block {each} was altered")
            blocks.append(block)
        return blocks

    def final_block(self, number: int, stored: memoryview, at_end: bool) -> memoryview:
        """The last block of what was read.

        :param at_end: whether it is known to be the object's last; a short one always is.
        :raises TagMismatch: it was altered.
        """
        size = len(stored) - TAG_BYTES
        if size < 0:
            raise TagMismatch(f"block {number} is cut short")
        block, tag = stored[:size], stored[size:]
        if compare_digest(self.tag(number, True, block), tag):
            return block
        if at_end or size < BLOCK_BYTES:
            raise TagMismatch(f"block {number} was altered, or the object is cut short")
        return self.inner_block(number, stored)

    def checked(self, number: int, stored: memoryview, at_end: bool) -> Iterator[memoryview]:
        """The blocks of what was read, of which the first one has this number.

        :param at_end: whether the object is known to end here.
        :raises TagMismatch: a block was altered.
        """
        while len(stored) > STORED_BLOCK_BYTES:
            yield self.inner_block(number, stored[:STORED_BLOCK_BYTES])
            stored = stored[STORED_BLOCK_BYTES:]
            number += 1
        yield self.final_block(number, stored, at_end)
