"""The two encodings of messages: CBOR, and JSON for trying things by hand.

Where JSON has no such thing, byte strings are base64, sets are arrays, and integer keys strings.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Collection
from typing import Any, Protocol

import cbor2

from raic.server.http import cbor

MAX_JSON_BYTES = 1024 * 1024


class Encoding(Protocol):
    """How messages are written.

    ``octets``, ``members`` and ``number`` take what :meth:`loads` made, and raise ``ValueError``
    or ``TypeError`` when it is something else.

    :ivar media_type: its name in headers.
    :ivar max_bytes: the largest message that is taken; None for no limit of its own.
    """

    @property
    def media_type(self) -> str:
        """See above."""

    @property
    def max_bytes(self) -> int | None:
        """See above."""

    def loads(self, data: bytes) -> object:
        """The message; raises ``ValueError`` or ``RecursionError`` when it is none."""

    def dumps(self, message: object) -> bytes:
        """The message's bytes."""

    def octets(self, value: object) -> bytes:
        """A byte string."""

    def members(self, value: object) -> Collection[object]:
        """The members of a set."""

    def number(self, key: object) -> object:
        """The integer that is a map's key."""


class _CBOR:
    media_type = "application/cbor"
    max_bytes = None

    def loads(self, data: bytes) -> object:
        return cbor.loads(data)

    def dumps(self, message: object) -> bytes:
        return cbor2.dumps(message)

    def octets(self, value: object) -> bytes:
        if not isinstance(value, bytes):
            raise TypeError("a byte string is expected")
        return value

    def members(self, value: object) -> Collection[object]:
        if not isinstance(value, set):
            raise TypeError("a set is expected")
        return value

    def number(self, key: object) -> object:
        return key


class _JSON:
    media_type = "application/json"
    max_bytes = MAX_JSON_BYTES

    def loads(self, data: bytes) -> object:
        loaded: object = json.loads(data)
        return loaded

    def dumps(self, message: object) -> bytes:
        return json.dumps(_jsonable(message)).encode("ascii")

    def octets(self, value: object) -> bytes:
        if not isinstance(value, str):
            raise TypeError("base64 is expected")
        return b64decode(value, validate=True)

    def members(self, value: object) -> Collection[object]:
        if not isinstance(value, list):
            raise TypeError("an array is expected")
        return value

    def number(self, key: object) -> object:
        if not isinstance(key, str) or not (key.isascii() and key.isdigit()):
            raise TypeError("a number is expected")
        return int(key)


CBOR: Encoding = _CBOR()
JSON: Encoding = _JSON()


def _jsonable(value: Any) -> object:
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        # The keys of the version message are bytes, all others text or numbers.
        return {
            key.decode("ascii") if isinstance(key, bytes) else str(key): _jsonable(item)
            for key, item in value.items()
        }
    return value
