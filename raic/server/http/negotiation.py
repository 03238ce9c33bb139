"""Which encoding a message has, and which one the answer gets."""

from __future__ import annotations

import re
from collections.abc import Sequence

from raic.server.http.encodings import CBOR, JSON, Encoding

_KNOWN = (CBOR, JSON)
_CBOR_ALONE = [b"application/cbor"]
_EMPTY = [b""]
_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def answer_encoding(accept: Sequence[bytes] | None) -> Encoding | None:
    """The encoding for an answer, given the values of ``Accept``.

    :return: the one that the client prefers, CBOR where it has no preference; None when it
        accepts neither.
    """
    if not accept or accept == _CBOR_ALONE:
        return CBOR
    ranges = _media_ranges(b",".join(accept).decode("latin-1").lower())
    best = max(_KNOWN, key=lambda known: _quality(known.media_type, ranges))
    return best if _quality(best.media_type, ranges) > 0 else None


def request_encoding(content_type: Sequence[bytes] | None) -> Encoding | None:
    """The encoding of a request's message, given the values of ``Content-Type``.

    :return: CBOR where there is none, or an empty one; None when it is neither CBOR nor JSON.
    """
    if not content_type or content_type in (_CBOR_ALONE, _EMPTY):
        return CBOR
    named = content_type[0].decode("latin-1").partition(";")[0].strip().lower()
    return next((known for known in _KNOWN if known.media_type == named), None)


def _media_ranges(header: str) -> dict[str, float]:
    """The weight of each media range in an ``Accept`` header; malformed weights are 0."""
    ranges: dict[str, float] = {}
    for item in header.split(","):
        media, *parameters = [part.strip() for part in item.split(";")]
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                weight = float(value) if _WEIGHT.fullmatch(value.strip()) else 0.0
        if media:
            ranges[media] = max(weight, ranges.get(media, 0.0))
    return ranges


def _quality(media: str, ranges: dict[str, float]) -> float:
    """The weight of the most specific range that covers ``media``."""
    for candidate in (media, "application/*", "*/*"):
        if candidate in ranges:
            return ranges[candidate]
    return 0.0
