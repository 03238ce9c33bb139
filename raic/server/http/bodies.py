"""Request bodies: small messages are gathered, share data is streamed into an upload."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from raic.budget import MemoryBudget
from raic.interfaces import IBucketUpload
from raic.server.http.request import StorageRequest

PIECE_BYTES = 1024 * 1024
"""Share data is handed on in pieces of this size: what real clients send in one request, so each
of theirs costs one call."""


class Message:
    """A body that is needed whole.

    Its length is taken from the budget before a byte of it is read, and given back by
    :meth:`release`.

    :param complete: called with the whole body.
    :raises ServiceBusy: the budget does not allow for it.
    """

    def __init__(
        self, length: int, budget: MemoryBudget, complete: Callable[[bytes], None]
    ) -> None:
        budget.take(length)
        self._budget = budget
        self._taken = length
        self._complete = complete
        self._parts: list[bytes] = []

    def received(self, data: bytes) -> None:
        """See :class:`raic.server.http.request.Body`."""
        self._parts.append(data)

    def ended(self) -> None:
        """See :class:`raic.server.http.request.Body`."""
        parts, self._parts = self._parts, []
        self._complete(b"".join(parts))

    def lost(self) -> None:
        """See :class:`raic.server.http.request.Body`."""
        self._parts = []
        self.release()

    def release(self) -> None:
        """Give the budget back; the message is needed no more."""
        self._budget.give_back(self._taken)
        self._taken = 0


class ShareData:
    """A body on its way into an upload.

    At most two pieces are held: the one being written and the one being gathered; when both are
    full, the connection is read no further.  What came before a connection was lost is written.

    :param written: called when all of the body has been written, or what there was of it.
    :raises ServiceBusy: the budget does not allow for it.
    """

    def __init__(
        self,
        request: StorageRequest,
        upload: IBucketUpload,
        offset: int,
        length: int,
        budget: MemoryBudget,
        written: Callable[[], None],
    ) -> None:
        self._taken = min(length, 2 * PIECE_BYTES)
        budget.take(self._taken)
        self._budget = budget
        self._request = request
        self._upload = upload
        self._offset = offset
        self._written = written
        self._parts: list[bytes] = []
        self._gathered = 0
        self._writing = False
        self._over = False
        self._failed = False

    def received(self, data: bytes) -> None:
        """See :class:`raic.server.http.request.Body`."""
        if self._failed:
            return
        self._parts.append(data)
        self._gathered += len(data)
        if self._gathered >= PIECE_BYTES:
            if self._writing:
                self._request.channel.pause_body()
            else:
                self._write()

    def ended(self) -> None:
        """See :class:`raic.server.http.request.Body`."""
        self._over = True
        if not self._writing:
            self._go_on()

    def lost(self) -> None:
        """See :class:`raic.server.http.request.Body`."""
        self.ended()

    def _go_on(self) -> None:
        if self._failed:
            return
        if self._gathered >= PIECE_BYTES or (self._over and self._gathered):
            self._write()
        elif self._over:
            self._release()
            self._written()

    def _write(self) -> None:
        piece = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        offset = self._offset
        self._parts, self._gathered = [], 0
        self._offset += len(piece)
        self._writing = True
        writing: Deferred[None] = self._upload.write(offset, piece)
        writing.addCallbacks(self._was_written, self._was_refused)

    def _was_written(self, _: None) -> None:
        self._writing = False
        if not self._request.gone:
            self._request.channel.resume_body()
        self._go_on()

    def _was_refused(self, failure: Failure) -> None:
        self._failed = True
        self._parts = []
        self._release()
        # First, because the request may be over once it is answered.
        if not self._request.gone:
            self._request.channel.resume_body()
        self._request.failed(failure)

    def _release(self) -> None:
        self._budget.give_back(self._taken)
        self._taken = 0
