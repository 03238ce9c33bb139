"""What clients ask of slots, and what they are told."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen
class ServiceSizes:
    """What the version message announces."""

    maximum_immutable_share_size: int
    maximum_mutable_share_size: int
    available_space: int


@frozen
class TestVector:
    """A comparison: the share's bytes at ``offset``, at most ``size``, must equal ``specimen``."""

    __test__ = False  # not a test case, whatever its name

    offset: int
    size: int
    specimen: bytes = field(repr=False)


@frozen
class WriteVector:
    """Bytes to be written at ``offset``; a gap before it reads as zeros."""

    offset: int
    data: bytes = field(repr=False)


@frozen
class ReadVector:
    """A range to be read; short at the end of the share."""

    offset: int
    size: int


@frozen
class TestWriteVectors:
    """What is asked of one share of a slot.

    :ivar new_length: None to leave the length, 0 to delete the share, else the length to truncate
        to when the share is longer; it never lengthens.
    """

    __test__ = False

    tests: tuple[TestVector, ...] = ()
    writes: tuple[WriteVector, ...] = ()
    new_length: int | None = None


@frozen
class ReadTestWriteResult:
    """:ivar data: for every share of the slot, one text per read vector, before any write."""

    success: bool
    data: Mapping[int, tuple[bytes, ...]] = field(repr=False)
