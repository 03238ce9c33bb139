"""The body of a GET."""

from __future__ import annotations

from typing import Any

from raic.errors import ObjectCorrupt


class S3Body:
    """See :class:`raic.backends.blockingstore.Body`."""

    def __init__(self, stream: Any, length: int) -> None:
        self.length = length
        self._stream = stream

    def read(self, size: int) -> bytes:
        """See :class:`raic.backends.blockingstore.Body`."""
        piece: bytes = self._stream.read(size)
        return piece

    def close(self) -> None:
        """See :class:`raic.backends.blockingstore.Body`."""
        self._stream.close()


def checked_body(
    name: str, operation: str, answer: dict[str, Any], offset: int, length: int
) -> S3Body:
    """The body of an answer that is what was asked for.

    :raises ObjectCorrupt: the answer is about another range; its connection is closed.
    """
    stream, announced = answer["Body"], answer["ContentLength"]
    begin, size = _range(answer)
    if begin is None:
        # The whole object: right only where no range was left out.
        begin, size = 0, announced
    if begin == offset and size == announced <= length:
        return S3Body(stream, announced)
    stream.close()
    asked = f"bytes {offset} to {offset + length}"
    detail = f"{announced} bytes from {begin} came as the answer to {asked}"
    remedy = "use an endpoint that knows ranges: this one, or a proxy before it, does not"
    raise ObjectCorrupt(name, operation, detail, remedy)


def _range(answer: dict[str, Any]) -> tuple[int | None, int]:
    """Where the answer's range begins and how long it is, as in ``bytes 10-19/100``."""
    text: str = answer.get("ContentRange", "")
    first, _, last = text.removeprefix("bytes ").partition("/")[0].partition("-")
    if not (first.isdigit() and last.isdigit()):
        return None, 0
    return int(first), int(last) - int(first) + 1
