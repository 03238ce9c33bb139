"""An object on its way into a directory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.backends.filestore import FileStore, Piece
from raic.backends.incoming import Incoming
from raic.deferreds import apart
from raic.errors import StorageUnusable
from raic.interfaces import IMadeUpload, IObjectUpload
from raic.values import Stored

T = TypeVar("T")


class Run(Protocol):
    """Runs a blocking call in a worker, its errors translated; it is never cancelled."""

    def __call__(
        self, operation: str, function: Callable[[], T], *, stopping: bool = False
    ) -> Deferred[T]:
        """:param stopping: whether the call may also be made while the provider stops."""


@implementer(IObjectUpload, IMadeUpload)
class FileUpload:
    """Writes a file and gives it its key in the end.

    :param name: the provider's.
    :param ended: called once, when there is nothing left to abort.
    """

    def __init__(
        self,
        name: str,
        store: FileStore,
        run: Run,
        ended: Callable[[FileUpload], None],
        key: str,
        size: int,
    ) -> None:
        self._name = name
        self._store = store
        self._run = run
        self._ended = ended
        self._key = key
        self._size = size
        self._written = 0
        # The next four belong to the workers while calls are under way.
        self._incoming: Incoming | None = None
        self._is_new = False
        self._writers = 0
        self._broken = False
        self._lock = Lock()
        self._under_way = 0
        self._dead = False
        self._finished = False
        self._aborting: list[Deferred[None]] | None = None

    def write(self, data: bytes) -> Deferred[None]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        return self.write_made(len(data), lambda: (data,))

    def write_made(self, size: int, make: Callable[[], Sequence[Piece]]) -> Deferred[None]:
        """See :class:`raic.interfaces.IMadeUpload`."""
        if self._dead:
            return fail(self._over("write"))
        offset = self._written
        self._written += size
        if self._written > self._size:
            return succeed(None)  # finish will refuse
        return apart(self._do("write", partial(self._write, offset, size, make)))

    def finish(self) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        if self._dead:
            return fail(self._over("finish"))
        if self._written != self._size:
            wrong = ValueError(f"{self._written} bytes were written, not {self._size}")
            return self.abort().addCallback(lambda _: fail(wrong))
        return apart(self._do("finish", self._publish).addCallback(self._published))

    def abort(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        if self._finished:
            return succeed(None)
        self._dead = True
        done: Deferred[None] = Deferred()
        if self._aborting is None:
            self._aborting = [done]
            if not self._under_way:
                self._discard()
        else:
            self._aborting.append(done)
        return done

    def _over(self, operation: str) -> StorageUnusable:
        return StorageUnusable(self._name, operation, "the upload has ended")

    def _do(self, operation: str, function: Callable[[], T]) -> Deferred[T]:
        self._under_way += 1
        return self._run(operation, function).addBoth(self._settled)

    def _settled(self, result: T | Failure) -> T | Failure:
        self._under_way -= 1
        if isinstance(result, Failure):
            self._dead = True
        if self._aborting is not None and not self._under_way:
            self._discard()
        return result

    def _published(self, _: None) -> Stored | Deferred[Stored]:
        if self._aborting is not None:
            return self.abort().addCallback(lambda _: fail(self._over("finish")))
        self._dead = self._finished = True
        self._ended(self)
        return Stored(self._key, self._size)

    def _discard(self) -> None:
        if self._incoming is None and not self._is_new:
            self._discarded(None)
        else:
            self._run("abort", self._remove, stopping=True).addBoth(self._discarded)

    def _discarded(self, _: object) -> None:
        self._finished = True
        self._ended(self)
        waiting, self._aborting = self._aborting, []
        for done in waiting or ():
            done.callback(None)

    # In workers

    def _write(self, offset: int, size: int, make: Callable[[], Sequence[Piece]]) -> None:
        incoming = self._enter()
        try:
            self._store.write(incoming, offset, *make())
            self._store.write_early(incoming, offset, size)
        except BaseException:
            self._broken = True
            raise
        finally:
            self._leave()

    def _enter(self) -> Incoming:
        with self._lock:
            if self._incoming is None:
                self._incoming = self._store.create(self._key)
            self._writers += 1
            return self._incoming

    def _leave(self) -> None:
        """Close the file when one has failed and none writes to it any more."""
        with self._lock:
            self._writers -= 1
            if self._broken and not self._writers:
                self._close()

    def _publish(self) -> None:
        try:
            if self._incoming is None:
                self._incoming = self._store.create(self._key)
            self._is_new = self._store.publish("finish", self._incoming)
        finally:
            self._close()

    def _close(self) -> None:
        if self._incoming is not None:
            self._store.discard(self._incoming)
            self._incoming = None

    def _remove(self) -> None:
        self._close()
        if self._is_new:
            self._store.withdraw(self._key)
            self._is_new = False
