"""Messages in and out: CBOR and JSON, checked against the protocol's schemas.

Every message is validated by its CDDL schema before a Python object is made of it, so a CBOR tag,
a bignum or a deep nesting reaches nobody.  A JSON message is first turned into the CBOR message
that it stands for: its byte strings are base64, its sets arrays, its integer keys strings.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any

import cbor2
import pycddl
from attrs import frozen

from raic.errors import MessageMalformed
from raic.server.http.negotiation import CBOR
from raic.server.http.structure import check_structure
from raic.values import ReadVector, TestVector, TestWriteVectors, WriteVector

UNSCANNED_BYTES = 64 * 1024
"""Messages up to this size cannot hold enough items to matter."""

MAX_JSON_BYTES = 1024 * 1024
"""JSON is for trying things by hand."""


@frozen
class Schema:
    """What a message must be.

    :ivar max_bytes: its largest encoded size; None for the configured ``max_message``.
    """

    cddl: pycddl.Schema
    from_json: Callable[[Any], object]
    max_bytes: int | None

    def limit(self, encoding: str, max_message: int) -> int:
        """The largest encoded size of a message."""
        limit = max_message if self.max_bytes is None else self.max_bytes
        return limit if encoding == CBOR else min(limit, MAX_JSON_BYTES)

    def decode(self, data: bytes, encoding: str) -> Any:
        """The message's content.

        :raises MessageMalformed: it does not parse or is not of this schema.
        """
        try:
            if encoding != CBOR:
                data = cbor2.dumps(self.from_json(json.loads(data)))
            elif len(data) > UNSCANNED_BYTES:
                check_structure(data)
            return self.cddl.validate_cbor(data, True)
        except _UNDECODABLE:
            raise MessageMalformed("the message does not follow its schema") from None


_UNDECODABLE = (
    pycddl.ValidationError,
    cbor2.CBOREncodeError,
    ValueError,  # not JSON, base64 or UTF-8; a tag unknown to pycddl; too many items
    TypeError,  # JSON of another shape than the schema's
    KeyError,
    AttributeError,
    RecursionError,
    OverflowError,
)


def _allocation(message: Any) -> object:
    return {**message, "share-numbers": set(message["share-numbers"])}


def _read_test_write(message: Any) -> object:
    def with_bytes(vectors: Any, name: str) -> object:
        return [{**vector, name: b64decode(vector[name], validate=True)} for vector in vectors]

    return {
        **message,
        "test-write-vectors": {
            int(number): {
                **vectors,
                "test": with_bytes(vectors["test"], "specimen"),
                "write": with_bytes(vectors["write"], "data"),
            }
            for number, vectors in message["test-write-vectors"].items()
        },
    }


ALLOCATION = Schema(
    pycddl.Schema(
        """
        request = {
          share-numbers: #6.258([0*256 uint])
          allocated-size: uint
        }
        """
    ),
    _allocation,
    8 * 1024,
)

ADVISORY = Schema(
    pycddl.Schema("request = {reason: tstr .size (1..32765)}"),
    lambda message: message,
    # JSON may need six characters for one byte of the reason.
    256 * 1024,
)

READ_TEST_WRITE = Schema(
    pycddl.Schema(
        """
        request = {
          "test-write-vectors": {
            0*256 share_number : {
              "test": [0*30 {"offset": uint, "size": uint, "specimen": bstr}]
              "write": [* {"offset": uint, "data": bstr}]
              "new-length": uint / null
            }
          }
          "read-vector": [0*30 {"offset": uint, "size": uint}]
        }
        share_number = uint
        """
    ),
    _read_test_write,
    None,
)


def read_vectors(message: Mapping[str, Any]) -> tuple[ReadVector, ...]:
    """The read vectors of a decoded read-test-write."""
    return tuple(ReadVector(item["offset"], item["size"]) for item in message["read-vector"])


def share_vectors(message: Mapping[str, Any]) -> dict[int, TestWriteVectors]:
    """What a decoded read-test-write asks of each share."""
    return {
        shnum: TestWriteVectors(
            tuple(
                TestVector(item["offset"], item["size"], item["specimen"]) for item in of["test"]
            ),
            tuple(WriteVector(item["offset"], item["data"]) for item in of["write"]),
            of["new-length"],
        )
        for shnum, of in message["test-write-vectors"].items()
    }


def encode(message: object, encoding: str) -> bytes:
    """An answer's message, encoded."""
    if encoding == CBOR:
        return cbor2.dumps(message)
    return json.dumps(_jsonable(message)).encode("ascii")


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
