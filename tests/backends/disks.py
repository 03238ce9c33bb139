"""Disks that misbehave, and one that is watched."""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import Any

from raic.backends.disk import Disk

CALLS = (
    *("open", "close", "read", "read_into", "write", "write_pieces", "fsync", "fstat", "link"),
    *("unlink", "mkdir", "stat", "statvfs", "names", "start_writing"),
)


class ScriptedDisk(Disk):
    """Notes every call, and lets some of them fail.

    :ivar calls: the name of each call, and the path that it is about where it has one.
    :ivar early: offset and length of what began to be written before it was synced.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.early: list[tuple[int, int]] = []
        self._errors: dict[str, list[int]] = {}
        for name in CALLS:
            setattr(self, name, partial(self._call, name))

    def fail(self, name: str, error: int, after: int = 0) -> None:
        """Let the calls of one name fail, after ``after`` more that succeed."""
        self._errors[name] = [error, after]

    def heal(self) -> None:
        """Let everything succeed again."""
        self._errors.clear()

    def called(self, *names: str) -> list[tuple[str, str]]:
        """The calls of these names."""
        return [call for call in self.calls if call[0] in names]

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((name, self._subject(name, args)))
        if name == "start_writing":
            self.early.append(args[1:])
        failure = self._errors.get(name)
        if failure is not None:
            if failure[1] == 0:
                raise OSError(failure[0], os.strerror(failure[0]))
            failure[1] -= 1
        return getattr(Disk, name)(*args, **kwargs)

    def _subject(self, name: str, args: tuple[Any, ...]) -> str:
        if name == "link":
            return str(args[1])
        if isinstance(args[0], str):
            return args[0]
        path = os.readlink(f"/proc/self/fd/{args[0]}")
        return "a nameless file" if path.endswith("(deleted)") else os.path.relpath(path)


class OldDisk(ScriptedDisk):
    """A file system without nameless files."""

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "open" and args[1] & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return super()._call(name, *args, **kwargs)


class ImpatientDisk(Disk):
    """Waits for no disk."""

    @staticmethod
    def fsync(fd: Any) -> None:
        os.fstat(fd)  # it must be open all the same


class DiskWithoutProc(ScriptedDisk):
    """A system where ``/proc`` is not mounted."""

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "link" and args[0].startswith("/proc/"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return super()._call(name, *args, **kwargs)


class ShortDisk(ScriptedDisk):
    """Reads and writes at most a thousand bytes at a time."""

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "write":
            return super()._call(name, args[0], args[1][:1000], args[2])
        if name == "write_pieces":
            return super()._call("write", args[0], b"".join(args[1])[:1000], args[2])
        if name == "read":
            return super()._call(name, args[0], min(args[1], 1000), args[2])
        return super()._call(name, *args, **kwargs)
