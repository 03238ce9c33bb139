"""One fragment of an upload on its way to its member."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from raic.backends.array.code import Block
from raic.backends.array.turns import Turns
from raic.backends.array.unwritten import translated
from raic.errors import OutcomeUnknown, ProviderError
from raic.interfaces import IMadeUpload, IObjectUpload
from raic.values import Stored

MAX_WRITE_BYTES = 1024 * 1024
"""The most that is written at once to an upload, of an array or of a member, as a rule."""

_GATHERED_BYTES = 256 * 1024
"""Pieces below this are joined: a copy costs less than a request."""

_MADE_BYTES = 3 * 512 * 1024
"""The same where bytes are made when they are written: nothing is copied then."""

_AT_ONCE = 2
"""How many requests are under way there: while one is written, one is coded."""


Make = Callable[[], "list[Block]"]
"""Makes some of a fragment's bytes."""


class Lane:
    """Hands pieces on, one request at a time or few, and keeps those that wait.

    :param turns: where bytes are made, each request needs one.
    :param changed: called whenever it took a piece off the queue, failed, or was stored.
    :ivar error: why it never will be stored; None while it may be.
    :ivar stored: whether it is.
    :ivar finishing: whether the member was asked to make it visible, and has not said that it
        never will be.
    :ivar waiting_bytes: what it keeps.
    """

    def __init__(
        self,
        member: str,
        upload: IObjectUpload,
        room: int,
        turns: Turns,
        changed: Callable[[Lane], None],
    ) -> None:
        self.member = member
        self.error: ProviderError | None = None
        self.stored = False
        self.finishing = False
        self.waiting_bytes = 0
        self._upload = upload
        self._room = room
        self._turns = turns
        self._changed = changed
        self._making: IMadeUpload | None = IMadeUpload(upload, None)
        self._queue: deque[tuple[int, Make]] = deque()
        self._under_way = 0
        self._pumping = False
        self._ending = False
        self._aborting: Deferred[None] | None = None

    @property
    def has_room(self) -> bool:
        """Whether it may be given more."""
        return self.waiting_bytes <= self._room

    def push(self, size: int, make: Make) -> None:
        """Add bytes to the fragment, which are made when they are wanted."""
        if self.error is None:
            self._queue.append((size, make))
            self.waiting_bytes += size
            self.go_on()

    def finish(self) -> None:
        """No more will come."""
        self._ending = True
        self.go_on()

    def drop(self, error: ProviderError) -> None:
        """Give up."""
        if self.error is None and not self.stored:
            self._fail(error)

    def abort(self) -> Deferred[None]:
        """Have the member discard what was sent, unless it is stored already.

        A ``finish`` under way then ends in one way or the other, and soon.

        :return: fires when that is done; never fails.
        """
        if self._aborting is None:
            self._aborting = maybeDeferred(self._upload.abort).addErrback(lambda _: None)
        done: Deferred[None] = Deferred()
        self._aborting.addCallback(done.callback)
        return done

    def go_on(self) -> None:
        """Begin the next requests, in a loop: they may be done at once."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self.error is None and self._queue and self._begin():
                pass
        finally:
            self._pumping = False
        if self._ending and self.error is None and not (self._queue or self._under_way):
            self._under_way = 1
            self.finishing = True
            maybeDeferred(self._upload.finish).addCallbacks(self._finished, self._failed)

    def _begin(self) -> bool:
        """Begin another request, if it may be now."""
        if self._making is None:
            return not self._under_way and self._write()
        if self._under_way >= _AT_ONCE:
            return False
        turn = self._turns.take(self)
        return turn is not None and self._write_made(self._making, turn)

    def _write(self) -> bool:
        size, make = self._take(_GATHERED_BYTES)
        self._under_way += 1
        writing = maybeDeferred(self._upload.write, b"".join(make()))
        writing.addCallbacks(self._written, self._failed, (size,))
        return True

    def _write_made(self, making: IMadeUpload, turn: object) -> bool:
        size, make = self._take(_MADE_BYTES)
        self._under_way += 1
        writing = maybeDeferred(making.write_made, size, make)
        writing.addCallbacks(self._written, self._failed, (size,))
        writing.addCallback(lambda _: self._turns.give_back(turn, self))
        return True

    def _take(self, enough: int) -> tuple[int, Make]:
        """What goes into the next request: how many bytes, and what makes them."""
        size, make = self._queue.popleft()
        makes = [make]
        while self._queue and size < enough:
            more, make = self._queue.popleft()
            size += more
            makes.append(make)
        return size, lambda: [piece for make in makes for piece in make()]

    def _written(self, _: None, size: int) -> None:
        self._under_way -= 1
        if self.error is None:
            self.waiting_bytes -= size
            if self._making is None:
                self.go_on()
            self._changed(self)

    def _finished(self, _: Stored) -> None:
        if self.error is None:
            self.stored = True
            self._changed(self)

    def _failed(self, failure: Failure) -> None:
        self._under_way -= 1
        error = translated(self.member, "finish" if self.finishing else "write", failure)
        if not isinstance(error, OutcomeUnknown):
            self.finishing = False
        if self.error is None:
            self._fail(error)

    def _fail(self, error: ProviderError) -> None:
        self.error = error
        self._queue.clear()
        self.waiting_bytes = 0
        self._changed(self)
