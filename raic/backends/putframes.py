"""What a node and its putting process tell each other: frames on two pipes.

To the process::

    0   4  number, from 1 on; 0 for the first frame, whose data are the folders known to be durable
    4   4  length of the data
    8   2  length of the key
   10   .  key, then data

And back, for each frame, in any order: its number, and one byte that is 1 when the object is
stored.  The answer to the first says that the process is ready.  Numbers are big-endian.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

_HEAD = Struct(">IIH")
_ANSWER = Struct(">I?")
ANSWER_BYTES = _ANSWER.size


def order(number: int, key: str, data: bytes) -> bytes:
    """A frame to the process."""
    name = key.encode("ascii")
    return _HEAD.pack(number, len(data), len(name)) + name + data


def answer(number: int, is_stored: bool) -> bytes:
    """A frame back; short enough to be written to a pipe in one piece."""
    return _ANSWER.pack(number, is_stored)


class Orders:
    """Cuts what arrives into frames."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, str, bytes]]:
        """The frames that are complete now: number, key, data."""
        stream, at = self._left + data, 0
        while len(stream) - at >= _HEAD.size:
            number, length, name_length = _HEAD.unpack_from(stream, at)
            begin = at + _HEAD.size
            end = begin + name_length + length
            if end > len(stream):
                break
            name_end = begin + name_length
            yield number, stream[begin:name_end].decode("ascii"), stream[name_end:end]
            at = end
        self._left = stream[at:]


class Answers:
    """Cuts what comes back into frames."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bool]]:
        """The frames that are complete now: number, and whether the object is stored."""
        stream = self._left + data
        whole = len(stream) - len(stream) % ANSWER_BYTES
        self._left = stream[whole:]
        return _ANSWER.iter_unpack(stream[:whole])
