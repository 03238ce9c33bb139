"""The folders below a provider's directory: making them, durably and no more often than needed."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress

from raic.backends.disk import Disk

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Folders:
    """Folders below an open directory.  May be used by several threads.

    :param root: the directory's descriptor.
    :param fsync: whether a folder that was made survives a power cut.
    """

    def __init__(self, disk: Disk, root: int, fsync: bool) -> None:
        self._disk = disk
        self._root = root
        self._fsync = fsync
        self._known: set[str] = set()  # those whose own names are durable

    def make(self, folder: str) -> None:
        """Have a folder, and what leads to it."""
        if folder in self._known:
            return
        parent, path = ".", ""
        for part in folder.split("/"):
            path = f"{path}/{part}" if path else part
            self._make_one(path)
            # One that exists was perhaps made a moment ago, by another thread or a process that
            # is gone: it is known to be durable only once this thread has synced its parent.
            self.sync(parent)
            parent = path
        self._known.add(folder)

    def make_all(self, folders: Collection[str]) -> None:
        """Have many folders: as :meth:`make` for each, but each parent is synced once."""
        parents = {os.path.dirname(folder) for folder in folders}
        for parent in parents - {""}:
            self.make(parent)
        for folder in folders:
            self._make_one(folder)
        for parent in parents:
            self.sync(parent or ".")
        self._known.update(folders)

    def know(self, folders: Collection[str]) -> None:
        """Take folders for durable."""
        self._known.update(folders)

    def known(self) -> Collection[str]:
        """Those that are known to be."""
        return frozenset(self._known)

    def forget(self, folder: str) -> None:
        """Look again, at the next :meth:`make`, whether it is there."""
        self._known.discard(folder)

    def sync(self, folder: str) -> None:
        """Make what a folder names durable."""
        if self._fsync:
            sync_directory(self._disk, folder, self._root)

    def _make_one(self, path: str) -> None:
        with suppress(FileExistsError):
            self._disk.mkdir(path, 0o700, dir_fd=self._root)


def sync_directory(disk: Disk, path: str, root: int | None = None) -> None:
    """Make what a directory names durable."""
    fd = disk.open(path, DIRECTORY, dir_fd=root)
    try:
        disk.fsync(fd)
    finally:
        disk.close(fd)
