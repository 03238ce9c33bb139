"""The messages that clients send, checked against the protocol's schemas."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, TypeVar

from attrs import frozen

from raic.errors import MessageMalformed
from raic.server.http.encodings import Encoding
from raic.values import ReadVector, TestVector, TestWriteVectors, WriteVector

T = TypeVar("T")

MAX_SHARE_NUMBERS = 256
MAX_VECTORS = 30
MAX_REASON_BYTES = 32_765


@frozen
class Schema(Generic[T]):
    """A kind of message.

    :ivar read: makes its value of what was decoded; raises ``ValueError``, ``TypeError`` or
        ``KeyError`` when that is not of the schema.
    :ivar max_bytes: its largest encoded size; None for the configured ``max_message``.
    """

    read: Callable[[Any, Encoding], T]
    max_bytes: int | None

    def limit(self, encoding: Encoding, max_message: int) -> int:
        """The largest encoded size of a message."""
        limit = max_message if self.max_bytes is None else self.max_bytes
        return limit if encoding.max_bytes is None else min(limit, encoding.max_bytes)

    def decode(self, data: bytes, encoding: Encoding) -> T:
        """The message's value.

        :raises MessageMalformed: it does not parse or is not of this schema.
        """
        try:
            return self.read(encoding.loads(data), encoding)
        except (ValueError, TypeError, KeyError, RecursionError):
            raise MessageMalformed("the message does not follow its schema") from None


@frozen
class Allocation:
    """Which shares are to be uploaded, and how long each is."""

    shnums: Collection[int]
    size: int


@frozen
class Changes:
    """What is asked of the shares of a slot."""

    vectors: Mapping[int, TestWriteVectors]
    reads: tuple[ReadVector, ...]


def _record(value: Any, *names: str) -> tuple[Any, ...]:
    """The values of a map with exactly these keys."""
    if not isinstance(value, dict) or len(value) != len(names):
        raise TypeError("a map with other keys is expected")
    return tuple([value[name] for name in names])


def _items(value: Any, most: int | None = None) -> list[Any]:
    if not isinstance(value, list) or (most is not None and len(value) > most):
        raise TypeError("an array is expected, or a shorter one")
    return value


def _uint(value: Any) -> int:
    # Not isinstance: a boolean is an int to Python.
    if type(value) is not int or not 0 <= value < 2**64:
        raise TypeError("an unsigned integer is expected")
    return value


def _allocation(message: Any, encoding: Encoding) -> Allocation:
    shnums, size = _record(message, "share-numbers", "allocated-size")
    members = encoding.members(shnums)
    if len(members) > MAX_SHARE_NUMBERS:
        raise ValueError("too many share numbers")
    return Allocation(frozenset([_uint(member) for member in members]), _uint(size))


def _advisory(message: Any, _: Encoding) -> str:
    (reason,) = _record(message, "reason")
    if not isinstance(reason, str):
        raise TypeError("a text is expected")
    if not 1 <= len(reason.encode("utf-8")) <= MAX_REASON_BYTES:
        raise ValueError("the reason is empty or too long")
    return reason


def _read_vectors(value: Any) -> tuple[ReadVector, ...]:
    pairs = [_record(item, "offset", "size") for item in _items(value, MAX_VECTORS)]
    return tuple([ReadVector(_uint(offset), _uint(size)) for offset, size in pairs])


def _share_vectors(value: Any, encoding: Encoding) -> TestWriteVectors:
    tests, writes, new_length = _record(value, "test", "write", "new-length")
    return TestWriteVectors(
        tuple([_test(item, encoding) for item in _items(tests, MAX_VECTORS)]),
        tuple([_write(item, encoding) for item in _items(writes)]),
        None if new_length is None else _uint(new_length),
    )


def _test(value: Any, encoding: Encoding) -> TestVector:
    offset, size, specimen = _record(value, "offset", "size", "specimen")
    return TestVector(_uint(offset), _uint(size), encoding.octets(specimen))


def _write(value: Any, encoding: Encoding) -> WriteVector:
    offset, data = _record(value, "offset", "data")
    return WriteVector(_uint(offset), encoding.octets(data))


def _changes(message: Any, encoding: Encoding) -> Changes:
    shares, reads = _record(message, "test-write-vectors", "read-vector")
    if not isinstance(shares, dict) or len(shares) > MAX_SHARE_NUMBERS:
        raise TypeError("a map is expected, or a smaller one")
    vectors = {
        _uint(encoding.number(key)): _share_vectors(value, encoding)
        for key, value in shares.items()
    }
    return Changes(vectors, _read_vectors(reads))


ALLOCATION = Schema(_allocation, 8 * 1024)
CHANGES = Schema(_changes, None)
ADVISORY = Schema(
    _advisory,
    # JSON may need six characters for one byte of the reason.
    256 * 1024,
)
