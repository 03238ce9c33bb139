"""The process for many small objects, without a process."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.python.failure import Failure

from raic.backends.disk import Disk
from raic.backends.filestore import FileStore
from raic.backends.putchild import serve
from raic.backends.putprocess import PutProcess

KILLED = ProcessTerminated(signal=9)
GAVE_UP = ProcessTerminated(exitCode=1)


class FakePutProcess:
    """What spawns itself: it does as it is told, at once, unless it is held.

    :ivar started: how often.
    :ivar held: orders that were not carried out yet.
    """

    def __init__(self, path: str, disk: Disk | None = None) -> None:
        self.started = 0
        self.holds = False
        self.held: list[bytes] = []
        self._path = path
        self._disk = disk or Disk()
        self._process: PutProcess | None = None

    def spawn(self, root: int, process: PutProcess) -> None:
        """Start."""
        self.started += 1
        self._process = process
        self._store = FileStore("child", self._path, self._disk, fsync=True)
        self._store.adopt(root)
        process.makeConnection(self)

    def write(self, order: bytes) -> None:
        """See ``ITransport``."""
        self.held.append(order)
        if not self.holds:
            self.release()

    def release(self) -> None:
        """Carry out what was held."""
        held, self.held = self.held, []
        assert self._process is not None
        pieces = iter([*held, b""])
        serve(self._store, lambda: next(pieces), self._process.outReceived, _at_once)

    def die(self, reason: Exception) -> None:
        """End, whatever there is to do."""
        self.held.clear()
        process, self._process = self._process, None
        if process is not None:
            process.processEnded(Failure(reason))

    def closeStdin(self) -> None:
        """See ``IProcessTransport``."""
        self.die(ProcessDone(None))


def _at_once(work: Callable[[], None]) -> None:
    work()
