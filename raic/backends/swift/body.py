"""The body of a GET."""

from __future__ import annotations

import re

from requests import Response

from raic.errors import ObjectCorrupt


class SwiftBody:
    """See :class:`raic.backends.blockingstore.Body`."""

    def __init__(self, answer: Response, length: int) -> None:
        self.length = length
        self._answer = answer

    def read(self, size: int) -> bytes:
        """See :class:`raic.backends.blockingstore.Body`."""
        piece: bytes = self._answer.raw.read(size, decode_content=False)
        return piece

    def close(self) -> None:
        """See :class:`raic.backends.blockingstore.Body`."""
        self._answer.close()


def checked_body(
    name: str, operation: str, answer: Response, offset: int, length: int
) -> SwiftBody:
    """The body of an answer that is what was asked for.

    :raises ObjectCorrupt: the answer is about another range; its connection is closed.
    """
    announced = int(answer.headers.get("content-length", -1))
    found = re.match(r"bytes (\d+)-(\d+)/", answer.headers.get("content-range", ""))
    if found is None:
        # The whole object: right only where no range was left out.
        begin, size = 0, announced
    else:
        begin, size = int(found[1]), int(found[2]) - int(found[1]) + 1
    if begin == offset and size == announced <= length:
        return SwiftBody(answer, announced)
    answer.close()
    asked = f"bytes {offset} to {offset + length}"
    detail = f"{announced} bytes from {begin} came as the answer to {asked}"
    remedy = "use a service that knows ranges: this one, or a proxy before it, does not"
    raise ObjectCorrupt(name, operation, detail, remedy)
