"""The names of fragments, specified in ``docs/specifications/fragments.rst``."""

from __future__ import annotations

import re
from base64 import b32decode, b32encode
from os import urandom

from attrs import evolve, frozen

FIRST_ATTEMPT = "0"
"""The attempt of the fragments that are written together with their object."""

MAX_OBJECT_KEY_CHARACTERS = 450
"""The longest key, escaped, that an object of an array may have: its fragments' keys are longer."""

MAX_NEEDED = 64
MIN_LOG2_BLOCK = 6
MAX_LOG2_BLOCK = 22
MAX_NUMBER = 255

FRAGMENT_HEADER_BYTES = 96
FRAGMENT_TAG_BYTES = 16
"""What follows each block of a fragment."""

_NUMBER = r"0|[1-9][0-9]{0,18}"
_SMALL = r"0|[1-9][0-9]{0,2}"
_KEY = re.compile(
    rf"(?P<object>.+)--(?P<needed>{_SMALL})\.(?P<log2>{_SMALL})\.(?P<length>{_NUMBER})"
    rf"\.(?P<number>{_SMALL})\.(?P<attempt>0|[a-z2-7]{{26}})",
    re.DOTALL,
)


@frozen
class FragmentKey:
    """The key of a fragment; its text is what a provider stores it under.

    :ivar object_key: of the object, as the array's callers know it.
    :ivar needed: how many fragments suffice to read the object.
    :ivar block_size: how many bytes of a stripe one fragment holds: a power of two.
    :ivar length: the object's.
    :ivar number: which of the code's blocks it holds.
    :ivar attempt: ``"0"``, or what :func:`new_attempt` made.
    """

    object_key: str
    needed: int
    block_size: int
    length: int
    number: int
    attempt: str = FIRST_ATTEMPT

    def __str__(self) -> str:
        return (
            f"{escaped(self.object_key)}--{self.needed}.{self.block_size.bit_length() - 1}"
            f".{self.length}.{self.number}.{self.attempt}"
        )

    @property
    def size(self) -> int:
        """How many bytes the fragment has."""
        return fragment_size(self.needed, self.block_size, self.length)

    def sibling(self, number: int, attempt: str = FIRST_ATTEMPT) -> FragmentKey:
        """The key of another fragment of the same object."""
        return evolve(self, number=number, attempt=attempt)


def fragment_size(needed: int, block_size: int, length: int) -> int:
    """How many bytes are stored as one fragment of an object.

    :param needed: how many fragments suffice to read it.
    :param block_size: how many bytes of each stripe but the last one a fragment holds.
    :param length: the object's.
    """
    stripe = needed * block_size
    last = max(1, -(-length // stripe)) - 1
    blocks = last * block_size + -(-(length - last * stripe) // needed)
    return FRAGMENT_HEADER_BYTES + blocks + (last + 1) * FRAGMENT_TAG_BYTES


def escaped(object_key: str) -> str:
    """How an object's key, or the beginning of one, stands in the keys of its fragments."""
    return object_key.replace("-", "-.")


fragment_prefix = escaped
"""What the fragments' keys begin with, of the objects, and only them, whose keys begin so."""


def all_fragments_prefix(object_key: str) -> str:
    """What the keys of one object's fragments begin with, and no others."""
    return escaped(object_key) + "--"


def parse_fragment_key(text: str) -> FragmentKey | None:
    """What a key says of its fragment; None when it is not one that an array makes."""
    found = _KEY.fullmatch(text)
    if found is None:
        return None
    needed, log2, number = int(found["needed"]), int(found["log2"]), int(found["number"])
    if not (1 <= needed <= MAX_NEEDED and MIN_LOG2_BLOCK <= log2 <= MAX_LOG2_BLOCK):
        return None
    if number > MAX_NUMBER:
        return None
    key = FragmentKey(
        found["object"].replace("-.", "-"),
        needed,
        1 << log2,
        int(found["length"]),
        number,
        found["attempt"],
    )
    return key if str(key) == text and _is_attempt(key.attempt) else None


def new_attempt() -> str:
    """26 characters of base32 that no other fragment has."""
    return b32encode(urandom(16))[:26].decode("ascii").lower()


def attempt_id(attempt: str) -> bytes:
    """The 16 bytes of an attempt: zeros for the first."""
    if attempt == FIRST_ATTEMPT:
        return bytes(16)
    return b32decode(attempt.upper() + "======")


def _is_attempt(attempt: str) -> bool:
    """Whether it is the first, or the text form of 16 bytes that are not all zero."""
    if attempt == FIRST_ATTEMPT:
        return True
    raw = attempt_id(attempt)
    return any(raw) and b32encode(raw)[:26].decode("ascii").lower() == attempt
