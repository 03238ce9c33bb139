"""How many items a CBOR message has, found without making any of them.

A large message of one-byte items would become a hundred times its size in memory.  This walks
over the headers of the items and stops at a limit, so it takes a bounded time for any message.
"""

from __future__ import annotations

MAX_ITEMS = 65_536
"""A write vector is five items, so this is some thirteen thousand of them."""

_ARGUMENT_BYTES = {24: 1, 25: 2, 26: 4, 27: 8}
_INDEFINITE = 31
_BYTES, _TEXT = 2, 3


def check_structure(data: bytes) -> None:
    """Walk over all items of ``data``.

    Whether they fit together is for the decoder to find out.

    :raises ValueError: there are more than ``MAX_ITEMS``.
    """
    at, end = 0, len(data)
    for _ in range(MAX_ITEMS):
        if at >= end:
            return
        initial = data[at]
        kind, short = initial >> 5, initial & 31
        size = _ARGUMENT_BYTES.get(short, 0)
        argument = int.from_bytes(data[at + 1 : at + 1 + size], "big") if size else short
        at += 1 + size
        # The pieces of a string of indefinite length are strings themselves.
        if kind in (_BYTES, _TEXT) and short != _INDEFINITE:
            at += argument
    raise ValueError("the message has too many items")
