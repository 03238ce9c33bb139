"""The index's connections: who may use them when, and what becomes of failures."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from typing import Any, NoReturn, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from raic.errors import IndexFailure, IndexStopped
from raic.interfaces import IWorkers
from raic.promptness import Promptness
from raic.shares.index import garbage as due
from raic.shares.index import operations
from raic.shares.index.failures import index_failure, is_callers, is_passing, stopped_by
from raic.shares.index.writer import Writer
from raic.workers import InlineWorkers, ThreadWorkers

T = TypeVar("T")

_PASSING = frozenset(
    [
        due.release,
        due.reserve,
        due.settle_garbage,
        operations.end_use,
        operations.extend_counters,
        operations.raise_epoch,
    ]
)
"""Operations on which a node spends its time when nothing happens to its shares."""

_BRIEF: Collection[Callable[..., Any]] = frozenset(
    [
        due.reserve,
        operations.commit_share,
        operations.commit_slot,
        operations.renew_lease,
    ]
)
"""What clients ask for, in their numbers; each changes a few rows."""


class Database:
    """An open index.

    Point look-ups are answered at once, in the caller, from a connection of their own; what may
    be large or cold is read in a thread; everything else goes through the :class:`Writer`.

    :param reactor: None to have no threads.
    :param on_fatal: called once, when the index cannot go on.
    :param prompt: makes short calls in the reactor's thread.
    :param sync: whether commits wait for the disk.
    :ivar stopped: why it takes no more calls; None while it does.
    :ivar changes: how many operations were asked for that change what a copy of the index is
        kept for.
    """

    def __init__(
        self,
        writes: sqlite3.Connection,
        reads: sqlite3.Connection,
        scans: sqlite3.Connection,
        reactor: IReactorFromThreads | None,
        on_fatal: Callable[[Exception], None],
        prompt: Promptness,
        *,
        sync: bool,
    ) -> None:
        self._reads = reads
        self._scans = scans
        self._workers: IWorkers = (
            InlineWorkers() if reactor is None else ThreadWorkers(reactor, 1, "raic-index-reader")
        )
        self.writer = Writer(writes, reactor, self._break, _BRIEF, prompt, sync=sync)
        self.changes = 0
        self._on_fatal = on_fatal
        self.stopped: IndexStopped | None = None
        self._broken = False
        self._closed = False

    def close(self) -> Deferred[None]:
        """See :meth:`raic.interfaces.IIndex.close`."""
        if self._closed:
            return succeed(None)
        self._closed = True
        ended = self.submit(operations.end_use)
        if self.stopped is None:
            self.stopped = IndexStopped("the index is closed")
            self.writer.refuse(self.stopped)
        return ended.addBoth(self._release)

    def submit(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Have an operation done: see :meth:`Writer.submit`."""
        if function not in _PASSING:
            self.changes += 1
        return self.writer.submit(function, *arguments)

    def look_up(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Answer from the index at once.

        :param function: called with the connection's ``execute`` and the arguments.
        """
        if self.stopped is not None:
            return fail(self.stopped)
        try:
            return succeed(function(self._reads.execute, *arguments))
        except Exception as error:  # noqa: BLE001 (it goes to the caller)
            return fail(self._meaning(error))

    def scan(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """As :meth:`look_up`, in a thread."""
        if self.stopped is not None:
            return fail(self.stopped)
        execute = self._scans.execute
        return self._workers.run(lambda: function(execute, *arguments)).addErrback(self._unread)

    def _unread(self, failure: Failure) -> NoReturn:
        assert failure.value is not None
        raise self._meaning(failure.value)

    def _meaning(self, error: BaseException) -> BaseException:
        """What a reader hears; an error that means more than one failed call stops the index."""
        if not isinstance(error, sqlite3.Error) or is_callers(error):
            return error
        reason = index_failure(error)
        if is_passing(reason):
            return reason
        self._break(reason)
        return stopped_by(reason)

    def _break(self, reason: IndexFailure) -> None:
        if not self._broken:
            self._broken = True
            self.stopped = stopped_by(reason)
            self._on_fatal(reason)
            self.writer.fail(self.stopped)

    def _release(self, _: object) -> Deferred[None]:
        return self._workers.stop().addCallback(self._close_connections)

    def _close_connections(self, _: None) -> None:
        self._reads.close()
        self._scans.close()
        self.writer.release()
