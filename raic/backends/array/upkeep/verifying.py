"""Checking the bytes of a whole fragment as they come."""

from __future__ import annotations

from raic.backends.array.code import HEADER_BYTES, Code
from raic.backends.array.fragment import FragmentTags
from raic.backends.tags import TAG_BYTES, TagMismatch
from raic.fragmentkeys import FragmentKey


def fragment_size(key: FragmentKey) -> int:
    """How many bytes are stored as a fragment."""
    return key.size


class FragmentVerifier:
    """Passes on what was checked; keeps less than a block."""

    def __init__(self, array_key: bytes, key: FragmentKey) -> None:
        self._tags = FragmentTags(array_key, key)
        self._code = Code(key.needed, key.block_size)
        self._length = key.length
        self._stripes = self._code.stripe_count(key.length)
        self._next = -1  # the header
        self._carry = bytearray()

    def add(self, data: bytes) -> bytes:
        """Take the fragment's next bytes.

        :return: those that are proved by now, and were not returned before.
        :raises TagMismatch: they are not the fragment's.
        """
        self._carry += data
        proved = 0
        view = memoryview(bytes(self._carry))
        while self._next < self._stripes and len(view) - proved >= self._awaited():
            piece = view[proved : proved + self._awaited()]
            if self._next < 0:
                self._tags.check_header(piece)
            else:
                self._tags.checked(self._next, piece)
            proved += len(piece)
            self._next += 1
        if self._next == self._stripes and len(view) > proved:
            raise TagMismatch("there is more than the fragment has")
        del self._carry[:proved]
        return bytes(view[:proved])

    def end(self) -> None:
        """Nothing comes any more.

        :raises TagMismatch: that is too little.
        """
        if self._next < self._stripes:
            raise TagMismatch("it is cut short")

    def _awaited(self) -> int:
        if self._next < 0:
            return HEADER_BYTES
        return self._code.block_length(self._next, self._length) + TAG_BYTES
