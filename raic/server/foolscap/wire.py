"""Between the tuples that go over the wire and the values that the storage service takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raic.errors import MessageMalformed
from raic.values import MAX_SHARES, ReadVector, TestVector, TestWriteVectors, WriteVector

MAX_REASON = 32765
"""How many characters of an advisory's reason are kept: HTTP's own limit."""

Tests = Sequence[tuple[int, int, bytes, bytes]]
Writes = Sequence[tuple[int, bytes]]
Reads = Sequence[tuple[int, int]]
ReadData = dict[int, list[bytes]]


def check_not_negative(*numbers: int) -> None:
    """:raises MessageMalformed: one of the offsets or sizes is negative."""
    if min(numbers) < 0:
        raise MessageMalformed("offsets and sizes cannot be negative")


def read_vectors(reads: Reads) -> tuple[ReadVector, ...]:
    """:raises MessageMalformed: an offset or a size is negative."""
    for offset, size in reads:
        check_not_negative(offset, size)
    return tuple(ReadVector(offset, size) for offset, size in reads)


def test_write_vectors(
    shnum: int, tests: Tests, writes: Writes, new_length: int | None
) -> TestWriteVectors:
    """What is asked of one share.

    :raises MessageMalformed: there can be no such share, a number is negative, or a comparison is
        not for equality: Tahoe 1.20 knows no other, and no client ever sent one.
    """
    if not 0 <= shnum < MAX_SHARES:
        raise MessageMalformed(f"share numbers go from 0 to {MAX_SHARES - 1}")
    check_not_negative(0 if new_length is None else new_length)
    for offset, size, operator, _ in tests:
        check_not_negative(offset, size)
        if operator != b"eq":
            raise MessageMalformed("the only comparison is b'eq'")
    for offset, _ in writes:
        check_not_negative(offset)
    return TestWriteVectors(
        tests=tuple(TestVector(offset, size, specimen) for offset, size, _, specimen in tests),
        writes=tuple(WriteVector(offset, data) for offset, data in writes),
        new_length=new_length,
    )


def read_data(data: Mapping[int, Sequence[bytes]]) -> ReadData:
    """The answer's form: a list of texts for each share."""
    return {shnum: list(texts) for shnum, texts in data.items()}


def reason_text(reason: bytes) -> str:
    """An advisory's reason, as far as it is kept."""
    return reason.decode("utf-8", "replace")[:MAX_REASON]
