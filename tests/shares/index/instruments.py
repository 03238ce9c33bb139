"""Instruments: connections that do as they are told, killed processes, failing disks."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from zope.interface import implementer


def copy_index(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Copy an index that is in use: the file and its write-ahead log, as they are now.

    The shared memory is left behind: it does not outlive the processes that have it.
    """
    for suffix in ("", "-wal"):
        if Path(f"{source}{suffix}").exists():
            shutil.copyfile(f"{source}{suffix}", f"{target}{suffix}")


class Instruments:
    """Makes an index's connections, and says what happens around their commits.

    :ivar commits: how many there were.
    :ivar before_commit: called before each COMMIT, in the writer's thread; may raise.
    :ivar after_commit: called after each.
    :ivar before_rollback: called before each ROLLBACK of a whole transaction.
    :ivar before_read: called before each point look-up.
    """

    def __init__(self) -> None:
        self.commits = 0
        self.before_commit: Callable[[], object] = lambda: None
        self.after_commit: Callable[[], object] = lambda: None
        self.before_rollback: Callable[[], object] = lambda: None
        self.before_read: Callable[[], object] = lambda: None
        self.connections: list[sqlite3.Connection] = []
        instruments = self

        class Connection(sqlite3.Connection):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                instruments.connections.append(self)

            def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
                if sql == "ROLLBACK":
                    instruments.before_rollback()
                if self in instruments.connections[1:2]:
                    instruments.before_read()
                if sql != "COMMIT" or self is not instruments.connections[0]:
                    return super().execute(sql, *args)
                instruments.commits += 1
                instruments.before_commit()
                cursor = super().execute(sql, *args)
                instruments.after_commit()
                return cursor

        self.factory: type[sqlite3.Connection] = Connection

    @property
    def writes(self) -> sqlite3.Connection:
        """The writer's connection."""
        return self.connections[0]


def io_error() -> None:
    """Raise what SQLite raises when the disk fails."""
    raise sqlite3.OperationalError("disk I/O error")


def disk_full() -> None:
    """Raise what SQLite raises when there is no room."""
    raise sqlite3.OperationalError("database or disk is full")


def malformed() -> None:
    """Raise what SQLite raises when it reads what it has not written."""
    raise sqlite3.DatabaseError("database disk image is malformed")


@contextmanager
def no_file_may_grow(path: str) -> Iterator[None]:
    """Make the system refuse to write beyond the end of this file, or any longer one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(path), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def full_disk(path: str) -> Iterator[None]:
    """Make every write of this process to this open file fail as on a full disk."""
    found = [fd for fd in map(int, os.listdir("/proc/self/fd")) if _is_open(fd, path)]
    kept = [(fd, os.dup(fd)) for fd in found]
    full = os.open("/dev/full", os.O_RDWR)
    try:
        for fd, _ in kept:
            os.dup2(full, fd, inheritable=False)
        yield
    finally:
        os.close(full)
        for fd, copy in kept:
            os.dup2(copy, fd, inheritable=False)
            os.close(copy)


def _is_open(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


Call = Callable[[], object]


@implementer(IReactorFromThreads)
class PumpedReactor:
    """Takes calls from threads, and makes them when told."""

    def __init__(self) -> None:
        self._calls: Queue[Call] = Queue()
        self._next: Call | None = None

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:
        self._calls.put(partial(callable, *args, **kwargs))

    def wait(self) -> None:
        """Wait until there is a call to make."""
        if self._next is None:
            self._next = self._calls.get(timeout=10)

    def pump(self) -> None:
        """Wait for one call, and make it."""
        self.wait()
        assert self._next is not None
        call, self._next = self._next, None
        call()
