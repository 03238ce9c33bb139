"""One process per node directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from raic.errors import NodeDirectoryLocked

LOCK_NAME = "running.lock"


class NodeLock:
    """Holds a node directory for this process.

    The kernel lets go of it when the process ends, however it ends, so a file that a killed
    process left behind is no lock.

    :raises NodeDirectoryLocked: another process holds it.
    """

    def __init__(self, node_directory: Path) -> None:
        path = node_directory / LOCK_NAME
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 20).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise NodeDirectoryLocked(
                f"{node_directory} is in use by process {holder or 'unknown'}"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Let go of the directory.  The file stays: removing it would be a race."""
        os.close(self._descriptor)
