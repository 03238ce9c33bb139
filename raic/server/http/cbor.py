"""A decoder for the part of CBOR that the protocol uses, and nothing else.

General decoders make dates, fractions, regular expressions and numbers of any size of what a
client sends, and the CDDL validator at hand lets some values of a wrong type pass and panics at
others.  This one knows unsigned integers, byte and text strings, arrays, maps, sets (tag 258),
false, true and null; everything else is an error, found before anything is made of it.  Time and
memory are bounded by a limit on the number of items.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

MAX_ITEMS = 65_536
"""A write vector is five items, so this is some thirteen thousand of them."""

MAX_DEPTH = 8
"""The deepest message of the protocol has six levels."""

_UNSIGNED, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = 0, 2, 3, 4, 5, 6, 7
_ARGUMENT_BYTES = {24: 1, 25: 2, 26: 4, 27: 8}
_INDEFINITE = 31
_BREAK = 0xFF
_SET = 258
_CONSTANTS = {20: False, 21: True, 22: None}


def loads(data: bytes) -> object:
    """The one item that ``data`` is.

    :raises ValueError: it is not CBOR, not of the part that is known, or has too many items.
    """
    decoder = _Decoder(data)
    try:
        item = decoder.item(MAX_DEPTH)
    except (IndexError, TypeError) as error:  # cut short; a key or element without a hash
        raise ValueError("the message is malformed") from error
    if decoder.at != len(data):
        raise ValueError("something follows the message")
    return item


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        self._left = MAX_ITEMS

    def item(self, depth: int) -> object:
        """The next item, which may contain ``depth`` levels of others."""
        kind, argument = self._head(depth)
        if kind == _TEXT:
            return self._string(kind, argument).decode("utf-8")
        if kind == _UNSIGNED and argument is not None:
            return argument
        if kind == _BYTES:
            return self._string(kind, argument)
        item, depth = self.item, depth - 1
        if kind == _MAP:
            return {item(depth): item(depth) for _ in self._entries(argument)}
        if kind == _ARRAY:
            return [item(depth) for _ in self._entries(argument)]
        return self._special(kind, argument, depth)

    def _special(self, kind: int, argument: int | None, depth: int) -> object:
        if kind == _TAG and argument == _SET:
            content = self.item(depth)
            if isinstance(content, list):
                return set(content)
        if kind == _SIMPLE and argument in _CONSTANTS:
            return _CONSTANTS[argument]
        raise ValueError("the message has an item of another kind than any that is known")

    def _head(self, depth: int) -> tuple[int, int | None]:
        """The next item's major type and argument; None for an indefinite length."""
        self._left -= 1
        if self._left < 0 or depth < 0:
            raise ValueError("the message has too many items, or too many levels")
        initial = self._data[self.at]
        self.at += 1
        short = initial & 31
        if short < 24:
            return initial >> 5, short
        if short == _INDEFINITE:
            return initial >> 5, None
        size = _ARGUMENT_BYTES.get(short, 0)
        end = self.at + size
        if not size or end > len(self._data):
            raise ValueError("the message is malformed")
        argument = int.from_bytes(self._data[self.at : end], "big")
        self.at = end
        return initial >> 5, argument

    def _entries(self, length: int | None) -> Iterable[object]:
        """Iterate as often as a container has entries; a length that lies ends in an error."""
        return self._until_break() if length is None else range(length)

    def _until_break(self) -> Iterator[None]:
        while self._data[self.at] != _BREAK:
            yield
        self.at += 1

    def _string(self, kind: int, length: int | None) -> bytes:
        if length is None:
            return b"".join(self._piece(kind) for _ in self._until_break())
        end = self.at + length
        if end > len(self._data):
            raise ValueError("the message is cut short")
        text = self._data[self.at : end]
        self.at = end
        return text

    def _piece(self, kind: int) -> bytes:
        found, length = self._head(0)
        if found != kind or length is None:
            raise ValueError("a string of indefinite length has a piece of another kind")
        return self._string(kind, length)
