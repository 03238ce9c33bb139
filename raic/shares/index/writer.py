"""The group commit: everything that was asked meanwhile goes into one transaction.

While one group of operations is being committed, the next gathers.  An operation that finds the
writer idle is sent to it at once, or, when the last group had several, at the end of the reactor's
turn: then others are likely to come in the same turn, and a group of its own for the first would
cost a sync, and two changes of threads, more.  All results of a group return to the reactor in
one call.

To change threads takes longer than the statements of most groups, and while they run two threads
would contend for the interpreter's lock.  So those of brief operations run in the reactor's
thread, and only the commit, which waits for the disk, in the writer's.  Where it does not wait it
is made in the reactor's thread as well, at the end of a turn; but every ``PROMPT_GROUPS``-th group
goes to the writer's thread, for there SQLite moves what the write-ahead log holds into the
database, which does wait.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads

from raic.errors import IndexFailure, IndexStopped
from raic.promptness import Promptness
from raic.shares.index.failures import index_failure, is_callers, is_passing, stopped_by

T = TypeVar("T")

PROMPT_GROUPS = 64

CHECKPOINT_PAGES = 1000
"""From how many pages on the write-ahead log is moved into the database; SQLite's own default."""

Operation = tuple[Callable[..., Any], tuple[Any, ...], "Deferred[Any]"]
"""A function from ``operations``, its arguments after ``execute``, and who waits for it."""


@frozen
class Broken:
    """A group's outcome when the index cannot go on."""

    reason: IndexFailure


Outcome = list[Any] | Broken
"""For each operation of a group what it returned, or the exception with which it failed."""


def run_group(connection: sqlite3.Connection, group: list[Operation]) -> Outcome:
    """Run some operations in one transaction."""
    return commit_group(connection, group, begin_group(connection, group))


def begin_group(connection: sqlite3.Connection, group: list[Operation]) -> Outcome:
    """Begin a transaction and run some operations in it.

    Operations check before they change, so as a rule no savepoints are needed.  When one is
    surprised all the same, the whole group is rolled back and run again with savepoints.
    """
    try:
        return _attempt(connection, group, _plainly)
    except Exception as error:  # noqa: BLE001 (whatever is not caught leaves callers waiting)
        if not is_callers(error):
            return _given_up(connection, group, error)
    try:
        connection.execute("ROLLBACK")
        return _attempt(connection, group, _with_savepoint)
    except Exception as error:  # noqa: BLE001 (as above)
        return _given_up(connection, group, error)


def commit_group(
    connection: sqlite3.Connection, group: list[Operation], outcome: Outcome
) -> Outcome:
    """Commit what :func:`begin_group` began, unless it gave up."""
    if isinstance(outcome, Broken) or not connection.in_transaction:
        return outcome
    try:
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 (as above)
        return _given_up(connection, group, error)
    return outcome


def _given_up(connection: sqlite3.Connection, group: list[Operation], error: Exception) -> Outcome:
    if isinstance(error, sqlite3.Error):
        failure = index_failure(error)
    else:
        failure = IndexStopped(f"the index failed: {error!r}")
        failure.__cause__ = error
    if not is_passing(failure):
        return Broken(failure)
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error as broken:
        return Broken(index_failure(broken))
    return [failure] * len(group)


Step = Callable[[Callable[..., sqlite3.Cursor], Operation], Any]


def _attempt(connection: sqlite3.Connection, group: list[Operation], step: Step) -> list[Any]:
    execute = connection.execute
    execute("BEGIN IMMEDIATE")
    return [step(execute, operation) for operation in group]


def _plainly(execute: Callable[..., sqlite3.Cursor], operation: Operation) -> Any:
    function, arguments, _ = operation
    try:
        return function(execute, *arguments)
    except IndexFailure as refusal:
        return refusal


def _with_savepoint(execute: Callable[..., sqlite3.Cursor], operation: Operation) -> Any:
    execute("SAVEPOINT operation")
    try:
        result = _plainly(execute, operation)
    except Exception as error:
        if not is_callers(error):
            raise
        execute("ROLLBACK TO operation")
        result = error
    execute("RELEASE operation")
    return result


class Writer:
    """The one that writes.

    :param connection: for this class alone.
    :param reactor: takes the results over from the writer's thread; None to have no thread and
        run each operation in its caller.
    :param on_broken: called in the reactor's thread when the index cannot go on, before any
        caller hears of it; it must call :meth:`fail`.
    :param brief: operations that take no longer than a look-up.
    :param prompt: runs what is brief in the reactor's thread.
    :param sync: whether commits wait for the disk.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        reactor: IReactorFromThreads | None,
        on_broken: Callable[[IndexFailure], None],
        brief: Collection[Callable[..., Any]],
        prompt: Promptness,
        *,
        sync: bool,
    ) -> None:
        self._connection = connection
        self._reactor = reactor
        self._on_broken = on_broken
        self._brief = brief
        self._prompt = prompt
        self._sync = sync
        self._prompt_groups = 0
        if reactor is not None and not sync:
            self._checkpoint_from(0)
        self._groups: SimpleQueue[tuple[list[Operation], Callable[[], Outcome]] | None]
        self._groups = SimpleQueue()
        self._thread = Thread(target=self._work, name="raic-index-writer", daemon=True)
        if reactor is not None:
            self._thread.start()
        self._waiting: list[Operation] = []
        self._busy = False
        self._crowded = False
        self._stopped: IndexStopped | None = None

    def submit(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Have an operation done.

        :return: fires with what it returns once that is durable; fails with what it raises, or
            an ``IndexFailure``.
        """
        if self._stopped is not None:
            return fail(self._stopped)
        deferred: Deferred[T] = Deferred()
        self._waiting.append((function, arguments, deferred))
        if self._busy:
            return deferred
        if self._reactor is not None and (self._crowded or not self._sync):
            self._busy = True
            self._reactor.callFromThread(self._send)
        else:
            self._send()
        return deferred

    def refuse(self, reason: IndexStopped) -> None:
        """Take no more; what was asked before is still done."""
        self._stopped = reason

    def fail(self, reason: IndexStopped) -> None:
        """Take no more, and refuse what has not been begun."""
        self._stopped = reason
        lost, self._waiting = self._waiting, []
        for _, _, deferred in lost:
            deferred.errback(reason)

    def release(self) -> None:
        """End the thread and close the connection, when nothing is under way any more."""
        if self._reactor is not None:
            self._groups.put(None)
            self._thread.join()
        else:
            self._connection.close()

    def _send(self) -> None:
        group, self._waiting = self._waiting, []
        self._busy = bool(group)
        if not group:
            return
        self._crowded = len(group) > 1
        if self._reactor is None:
            self._deliver(group, run_group(self._connection, group))
        elif not self._is_brief(group):
            self._groups.put((group, partial(self._run_elsewhere, group)))
        elif self._sync:
            outcome = self._prompt.call(partial(begin_group, self._connection, group))
            self._groups.put((group, partial(commit_group, self._connection, group, outcome)))
        elif self._prompt_groups == PROMPT_GROUPS:
            self._groups.put((group, partial(self._run_elsewhere, group)))
        else:
            self._prompt_groups += 1
            self._deliver(group, self._prompt.call(partial(run_group, self._connection, group)))

    def _is_brief(self, group: list[Operation]) -> bool:
        return self._prompt.is_expected() and all(each[0] in self._brief for each in group)

    def _run_elsewhere(self, group: list[Operation]) -> Outcome:
        """Run a group in the writer's thread."""
        if self._sync:
            return run_group(self._connection, group)
        self._prompt_groups = 0
        self._checkpoint_from(CHECKPOINT_PAGES)
        outcome = run_group(self._connection, group)
        self._checkpoint_from(0)
        return outcome

    def _checkpoint_from(self, pages: int) -> None:
        """Have commits move the log into the database once it has so many pages; 0 for never."""
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")

    def _work(self) -> None:
        assert self._reactor is not None
        deliver = self._reactor.callFromThread
        for group, run in iter(self._groups.get, None):
            deliver(self._deliver, group, run())
        self._connection.close()

    def _deliver(self, group: list[Operation], outcome: Outcome) -> None:
        if isinstance(outcome, Broken):
            self._on_broken(outcome.reason)
            stopped = stopped_by(outcome.reason)
            outcome = [stopped] * len(group)
        self._send()
        for (_, _, deferred), result in zip(group, outcome, strict=True):
            if isinstance(result, Exception):
                deferred.errback(result)
            else:
                deferred.callback(result)
