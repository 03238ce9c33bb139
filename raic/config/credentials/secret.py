"""A secret that shows itself only when it is asked to."""

from __future__ import annotations

from hmac import compare_digest
from typing import NoReturn

REDACTED = "<redacted>"


class Secret:
    """One line of text that must not end up in a log, a message, a pickle or a traceback.

    Two secrets are equal when their texts are; finding that out takes the same time for any two
    of the same length.

    :raises ValueError: the text is empty, or not one line of printable text.  Line breaks and
        control characters could not be sent in a header, and libraries print the headers that
        they refuse.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not text:
            raise ValueError("it is empty")
        if not text.isprintable():
            raise ValueError("it is not one line of printable text")
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return REDACTED

    __str__ = __repr__

    def __format__(self, specification: str) -> str:
        return REDACTED

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(self._text.encode(), other._text.encode())

    # A hash would tell equal secrets apart from others in a dump of memory or a log.
    __hash__ = None  # type: ignore[assignment] # which is how Python spells "not hashable"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled or copied")


def one_line(text: str) -> Secret | None:
    """The secret in a file, a variable or a keychain; a line break at its end does not count.

    :return: None for nothing.
    :raises ValueError: as :class:`Secret` does.
    """
    text = text.removesuffix("\n").removesuffix("\r")
    return Secret(text) if text else None
