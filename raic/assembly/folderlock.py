"""One node for each directory of shares on this machine."""

from __future__ import annotations

import fcntl
import os
from functools import partial
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from raic.backends.disk import translated
from raic.backends.filesystem import FilesystemProvider
from raic.deferreds import async_to_deferred
from raic.errors import StorageUnusable
from raic.interfaces import IWorkers

LOCK_NAME = ",,lock"
"""No object has a name with commas like these."""


class FolderLock:
    """Holds a directory of shares for this process.

    The kernel lets go of it when the process ends, however it ends.

    :param name: the provider's.
    :param path: the directory; it exists.
    :raises StorageUnusable: another process holds it.
    :raises ProviderError: it cannot be used at all.
    """

    _log = Logger()

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(path / LOCK_NAME, flags, 0o600)
        except OSError as error:
            raise translated(name, "start", str(path), error) from error
        try:
            self._hold()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let go of it.  The file stays: removing it would be a race."""
        os.close(self._descriptor)

    def _hold(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._in_use() from None
        except OSError as error:
            self._log.warn(
                "{path} cannot be locked ({reason}): make sure that no other node uses it",
                path=self._path,
                reason=error.strerror,
            )
            return
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def _in_use(self) -> StorageUnusable:
        holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip()
        return StorageUnusable(
            self._name,
            "start",
            f"{self._path} is in use by another node, process {holder or 'unknown'}",
            "give each node a path of its own, or stop the other node",
        )


class HeldFolder(FilesystemProvider):
    """A directory of shares that no other node uses while it is started.

    :param used: whether it was used before: then it is not made anew, and an empty one is taken
        for the place where a disk should be mounted.
    """

    def __init__(
        self,
        name: str,
        path: str,
        workers: IWorkers,
        *args: Any,
        used: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, path, workers, *args, **kwargs)
        self._used = used
        self._folder = Path(path)
        self._locking = workers
        self._lock: FolderLock | None = None

    @async_to_deferred
    async def start(self) -> None:
        """See :class:`raic.interfaces.IStorageProvider`."""
        if self._used and self._lock is None:
            await self._locking.run(self._must_hold_something)
        await FilesystemProvider.start(self)
        self._used = True
        if self._lock is None:
            try:
                self._lock = await self._locking.run(partial(FolderLock, self.name, self._folder))
            except BaseException:
                await FilesystemProvider.stop(self)
                raise

    @async_to_deferred
    async def stop(self) -> None:
        """See :class:`raic.interfaces.IStorageProvider`."""
        await FilesystemProvider.stop(self)
        lock, self._lock = self._lock, None
        if lock is not None:  # held until nothing is written any more
            lock.release()

    def _must_hold_something(self) -> None:
        """Raise ``StorageUnusable`` when there is nothing, where there was something before."""
        try:
            with os.scandir(self._folder) as found:
                if next(found, None) is not None:
                    return
            what = f"{self._folder} is empty, though it was used before"
        except FileNotFoundError:
            what = f"{self._folder} is not there any more"
        except OSError:
            return  # which the start itself will tell better
        raise StorageUnusable(
            self.name,
            "start",
            what,
            f"mount the disk; or, if what it held is lost: mkdir -p {self._folder}/shares",
        )
