"""Reading the bodies of answers, in worker threads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred

from raic.backends.blockingstore import BlockingStore, Body
from raic.errors import ProviderError, ProviderUnreachable


def read_fully(body: Body, name: str, operation: str) -> bytes:
    """All of a body.

    :raises ProviderUnreachable: it was cut short.
    """
    try:
        return _read(body, body.length, name, operation)
    finally:
        body.close()


def _read(body: Body, size: int, name: str, operation: str) -> bytes:
    if not size:
        return b""
    piece = body.read(size)
    if len(piece) == size:
        return piece
    pieces = []
    while piece:
        pieces.append(piece)
        size -= len(piece)
        if not size:
            return b"".join(pieces)
        piece = body.read(size)
    raise ProviderUnreachable(name, operation, f"the answer ended {size} bytes too early")


class NoBody:
    """See :class:`raic.backends.blockingstore.Body`: an empty range."""

    length = 0

    def read(self, size: int) -> bytes:
        """See :class:`raic.backends.blockingstore.Body`."""
        return b""

    def close(self) -> None:
        """See :class:`raic.backends.blockingstore.Body`."""


class BodyReader:
    """Reads a range in pieces, one after the other, from one body.

    A body that breaks off is continued by another one from where it broke, as often as it brings
    at least a piece; objects never change, so the bytes belong together.

    :param run: runs a call in a worker, its errors translated: ``run(operation, function)``.
    """

    def __init__(
        self,
        name: str,
        store: BlockingStore,
        run: Callable[[str, Callable[[], bytes]], Deferred[bytes]],
        translate: Callable[[str, Callable[[], bytes]], bytes],
        key: str,
        end: int,
    ) -> None:
        self._name = name
        self._store = store
        self._run = run
        self._translate = translate
        self._key = key
        self._end = end
        # These belong to the worker while it reads.
        self._body: Body | None = None
        self._left = 0
        self._brought = False  # whether the present body has brought anything
        self._reading = False
        self._closed = False

    def read(self, position: int, size: int) -> Deferred[bytes]:
        """The next piece; fewer bytes than asked for only at the end of the object."""
        self._reading = True
        return self._run("stream_object", partial(self._next, position, size)).addBoth(self._ended)

    def close(self) -> None:
        """Let go of the connection, now or when the read under way has ended."""
        self._closed = True
        if self._body is not None and not self._reading:
            self._body.close()
            self._body = None

    def _ended(self, result: bytes) -> bytes:
        self._reading = False
        if self._closed:
            self.close()
        return result

    def _next(self, position: int, size: int) -> bytes:
        while True:
            try:
                return self._translate("stream_object", partial(self._from_body, position, size))
            except ProviderError as error:
                broken, self._body = self._body, None
                if broken is not None:
                    broken.close()
                if not (error.temporary and self._brought) or self._closed:
                    raise
                self._brought = False

    def _from_body(self, position: int, size: int) -> bytes:
        if self._body is None:
            self._body = self._store.open_body(
                "stream_object", self._key, position, self._end - position
            )
            self._left = self._body.length
        size = min(size, self._left)
        piece = _read(self._body, size, self._name, "stream_object")
        self._left -= size
        self._brought = True
        return piece
