"""The two headers that name a range of bytes, read strictly.

Tahoe answers 416 to whatever it does not understand in either, so malformed headers are not
ignored as RFC 9110 would allow.
"""

from __future__ import annotations

import re

# Python converts no number of more than 4,300 digits, and takes long for some of fewer.
_RANGE = re.compile(rb"bytes=[ \t]*([0-9]{1,99})-([0-9]{1,99})[ \t]*", re.IGNORECASE)
_CONTENT_RANGE = re.compile(
    rb"bytes[ \t]+([0-9]{1,20})-([0-9]{1,20})/(\*|[0-9]{1,20})", re.IGNORECASE
)


def parse_range(header: bytes) -> tuple[int, int] | None:
    """The half-open range that a ``Range`` header asks for.

    :return: None unless it is one closed range of bytes.
    """
    if (found := _RANGE.fullmatch(header)) is None:
        return None
    begin, last = int(found[1]), int(found[2])
    return (begin, last + 1) if begin <= last else None


def parse_content_range(header: bytes) -> tuple[int, int, int | None] | None:
    """The half-open range that a ``Content-Range`` header announces, and the total length.

    :return: the total is None where the header has ``*``; None in place of all when the header is
        not of this form or contradicts itself.
    """
    if (found := _CONTENT_RANGE.fullmatch(header)) is None:
        return None
    begin, end = int(found[1]), int(found[2]) + 1
    total = None if found[3] == b"*" else int(found[3])
    if begin >= end or (total is not None and end > total):
        return None
    return begin, end, total
