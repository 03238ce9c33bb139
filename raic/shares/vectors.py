"""What test, read and write vectors mean, as pure functions on bytes and lengths.

The meaning is that of Tahoe 1.20's disk server.  A share after an update is its old bytes, then
zeros without end, overlaid with the writes in their order, and cut at its new length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from raic.errors import MessageMalformed, MessageTooLarge
from raic.values import (
    MAX_SHARES,
    ReadVector,
    SlotShare,
    TestVector,
    TestWriteVectors,
    WriteVector,
)


@frozen
class Outcome:
    """What becomes of a share that remains or is made.

    :ivar old: None for a share that is made.
    :ivar length: the new length.
    :ivar writes: empty for a share that is left alone.
    """

    old: SlotShare | None
    length: int
    writes: tuple[WriteVector, ...] = ()

    @property
    def old_length(self) -> int:
        """How many bytes the share had."""
        return 0 if self.old is None else self.old.length


def check_message(vectors: Mapping[int, TestWriteVectors], reads: Iterable[ReadVector]) -> None:
    """Refuse numbers that no share can have.

    :raises MessageMalformed: there are some.
    """
    check_reads(reads)
    for shnum, asked in vectors.items():
        if not 0 <= shnum < MAX_SHARES:
            raise MessageMalformed(f"share numbers are 0 to {MAX_SHARES - 1}")
        negative_test = any(test.offset < 0 or test.size < 0 for test in asked.tests)
        negative_write = any(write.offset < 0 for write in asked.writes)
        if negative_test or negative_write or (asked.new_length or 0) < 0:
            raise MessageMalformed("offsets and lengths cannot be negative")


def check_reads(reads: Iterable[ReadVector]) -> None:
    """Refuse negative numbers.

    :raises MessageMalformed: there are some.
    """
    if any(read.offset < 0 or read.size < 0 for read in reads):
        raise MessageMalformed("offsets and sizes cannot be negative")


def available(length: int, offset: int, size: int) -> int:
    """How many bytes of a range a share of ``length`` bytes has."""
    return max(0, min(size, length - offset))


def check_read_size(lengths: Iterable[int], reads: Sequence[ReadVector], limit: int) -> int:
    """Refuse to read too much.

    :param lengths: of the shares that are read, each with all of ``reads``.
    :return: how many bytes there will be.
    :raises MessageTooLarge: there would be more than ``limit`` bytes.
    """
    total = sum(available(length, read.offset, read.size) for length in lengths for read in reads)
    if total > limit:
        raise MessageTooLarge(f"{total} bytes asked for; the limit is {limit}")
    return total


def may_hold(test: TestVector, length: int) -> bool:
    """Whether the test can hold for some share of this length; if not, its bytes do not matter."""
    return available(length, test.offset, test.size) == len(test.specimen)


def outcomes(
    shares: Mapping[int, SlotShare], vectors: Mapping[int, TestWriteVectors], limit: int
) -> dict[int, Outcome]:
    """The shares of the next version, in ascending order.

    :raises MessageTooLarge: a share would grow beyond ``limit`` bytes, if only for a moment.
    """
    found = {}
    for shnum in sorted(shares.keys() | vectors.keys()):
        old = shares.get(shnum)
        asked = vectors.get(shnum)
        if asked is None:
            assert old is not None
            found[shnum] = Outcome(old, old.length)
        elif asked.new_length != 0:
            length = _length_after(0 if old is None else old.length, asked, limit)
            found[shnum] = Outcome(old, length, asked.writes)
    return found


def _length_after(length: int, asked: TestWriteVectors, limit: int) -> int:
    before = length
    for write in asked.writes:
        # as in Tahoe, an empty write beyond the end lengthens the share too
        length = max(length, write.offset + len(write.data))
    if length > max(limit, before):
        raise MessageTooLarge(f"the share would have {length} bytes; the limit is {limit}")
    return length if asked.new_length is None else min(length, asked.new_length)


def cover(writes: Iterable[WriteVector], begin: int, end: int) -> bool:
    """Whether the writes leave no old byte between ``begin`` and ``end``."""
    reached = begin
    for write in sorted(writes, key=lambda write: write.offset):
        if write.offset > reached or reached >= end:
            break
        reached = max(reached, write.offset + len(write.data))
    return reached >= end


def overlay(base: bytes, begin: int, end: int, writes: Sequence[WriteVector]) -> bytes:
    """The new bytes of a share between ``begin`` and ``end``.

    :param base: the old bytes from ``begin`` on; zeros follow where it is shorter.
    """
    size = end - begin
    if not writes and len(base) == size:
        return base
    content = bytearray(base[:size])
    content.extend(bytes(size - len(content)))
    for write in writes:
        start = max(write.offset, begin)
        stop = min(write.offset + len(write.data), end)
        if start < stop:
            piece = memoryview(write.data)[start - write.offset : stop - write.offset]
            content[start - begin : stop - begin] = piece
    return bytes(content)


def by_chunk(writes: Iterable[WriteVector], size: int) -> dict[int, list[WriteVector]]:
    """The writes that change each chunk of ``size`` bytes, in their order, by its position."""
    found: dict[int, list[WriteVector]] = {}
    for write in writes:
        end = write.offset + len(write.data)
        for position in range(write.offset // size, -(-end // size) if write.data else 0):
            found.setdefault(position, []).append(write)
    return found
