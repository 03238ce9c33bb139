"""Storing many small objects at once in a process of its own.

An object that is to be durable takes several calls to the kernel, each of which gives up the
interpreter's lock and has to win it back.  With one object at a time nobody else wants it.  With
many, threads of this process, the reactor's above all, spend as long on taking turns as on
anything else; those of another process do not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProcessTransport, IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from raic.backends import putchild
from raic.backends.filestore import FileStore
from raic.backends.putframes import Answers, order
from raic.values import Stored

SEVERAL = 2
"""An object that is alone is not worth another process's attention."""

CROWD = 4
"""So many objects have to be under way at once ..."""

CROWDED_PUTS = 64
"""... for so many objects in all, until the process is started."""

Spawn = Callable[[int, "PutProcess"], None]
"""Starts a process, given the descriptor of its directory; raises ``OSError``."""


class PutProcess(ProcessProtocol):
    """The process, as the node sees it.

    :param folders: those known to be durable.
    :param ended: called when it has ended, with whether it is useless: it gave up by itself before
        it was ready.
    :ivar ready: whether it takes objects.
    """

    transport: IProcessTransport

    def __init__(self, folders: Collection[str], ended: Callable[[bool], None]) -> None:
        self.ready = False
        self._was_ready = False
        self._folders = folders
        self._ended = ended
        self._answers = Answers()
        self._number = 0
        self._waiting: dict[int, Deferred[bool]] = {}

    def put(self, key: str, data: bytes) -> Deferred[bool]:
        """Have an object stored.

        :return: fires with whether it is stored durably; if not, it may be in part, and may come
            to be.  Never fails; not to be cancelled.
        """
        self._number += 1
        stored: Deferred[bool] = Deferred()
        self._waiting[self._number] = stored
        self.transport.write(order(self._number, key, data))
        return stored

    def stop(self) -> None:
        """Have it end once it has read everything."""
        self.ready = False
        self.transport.closeStdin()

    # What the reactor calls

    def connectionMade(self) -> None:
        """Tell it what is known."""
        self.transport.write(order(0, "", "\n".join(self._folders).encode("ascii")))

    def outReceived(self, data: bytes) -> None:
        """Take answers."""
        for number, is_stored in self._answers.feed(data):
            if number == 0:
                self.ready = self._was_ready = True
            else:
                self._waiting.pop(number).callback(is_stored)

    def processEnded(self, reason: Failure) -> None:
        """What it was asked for may be done or not."""
        self.ready = False
        waiting, self._waiting = self._waiting, {}
        was_killed = getattr(reason.value, "signal", None) is not None
        self._ended(not self._was_ready and not was_killed)
        for stored in waiting.values():
            stored.callback(False)


def spawner(reactor: IReactorProcess, name: str, path: str) -> Spawn:
    """What starts such a process.

    :param name: the provider's.
    :param path: of the directory, for messages.
    """

    def spawn(root: int, process: PutProcess) -> None:
        command = [sys.executable, "-m", putchild.__name__, name, path]
        # The secrets that the environment may hold are none of its business.
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        pipes: dict[int, int | str] = {0: "w", 1: "r", 2: 2, putchild.ROOT: root}
        reactor.spawnProcess(process, sys.executable, command, environment, childFDs=pipes)

    return spawn


class CrowdedPuts:
    """Has objects stored by a process as long as there are many at once.

    One that ends is started anew when it is needed again, unless that would be of no use.

    :param store: that has the directory.
    """

    _log = Logger()

    def __init__(self, spawn: Spawn, store: FileStore) -> None:
        self._spawn = spawn
        self._store = store
        self._process: PutProcess | None = None
        self._useless = False
        self._under_way = 0
        self._crowded = 0

    def put(
        self, key: str, data: bytes, otherwise: Callable[[], Deferred[Stored]]
    ) -> Deferred[Stored]:
        """Store an object.

        :param otherwise: stores it in this process; may be called after the other one has stored
            it, or while it still does.
        :return: fires and fails as ``otherwise`` does; not to be cancelled.
        """
        self._under_way += 1
        self._note()
        process = self._process
        if process is None or not process.ready or self._under_way < SEVERAL:
            return otherwise().addBoth(self._ended)

        def done(is_stored: bool) -> Deferred[Stored]:
            return succeed(Stored(key, len(data))) if is_stored else otherwise()

        storing: Deferred[Stored] = process.put(key, data).addCallback(done)
        return storing.addBoth(self._ended)

    def stop(self) -> None:
        """Have the process end."""
        if self._process is not None:
            self._process.stop()

    def _note(self) -> None:
        self._crowded += self._under_way >= CROWD
        if self._process is None and self._crowded >= CROWDED_PUTS and not self._useless:
            self._process = PutProcess(self._store.known(), self._gone)
            try:
                self._spawn(self._store.lend(), self._process)
            except OSError:  # no more processes, or no memory
                self._gone(is_useless=True)

    def _gone(self, is_useless: bool) -> None:
        self._process = None
        self._crowded = 0
        self._useless = is_useless
        if is_useless:
            self._log.warn("the process for many small shares cannot be started: they are slower")

    def _ended(self, result: Stored | Failure) -> Stored | Failure:
        self._under_way -= 1
        return result
