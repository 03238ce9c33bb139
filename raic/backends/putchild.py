"""The process that stores small objects for a node: ``python -m raic.backends.putchild``.

It has the directory from the node, orders on its standard input, and answers on its standard
output; it ends when the node closes its input, or ends.  Whatever it cannot do the node tries
itself, so it need not say why.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread

from raic.backends.disk import Disk
from raic.backends.filestore import FileStore
from raic.backends.putframes import Orders, answer

ROOT = 3
"""The descriptor of the directory."""

THREADS = 4
PIPE_BYTES = 1024 * 1024


def serve(
    store: FileStore,
    read: Callable[[], bytes],
    write: Callable[[bytes], object],
    run: Callable[[Callable[[], None]], None],
) -> None:
    """Follow orders until there are no more.

    :param store: that has the directory.
    :param read: waits for what comes next; nothing when that is the end.
    :param write: called wherever ``run`` calls what it is given.
    :param run: calls a function, now or soon, here or in a thread.
    """
    orders = Orders()
    while piece := read():
        for number, key, data in orders.feed(piece):
            if number == 0:
                store.know(data.decode("ascii").split("\n"))
                write(answer(0, True))
            else:
                run(partial(_put, store, write, number, key, data))


def _put(
    store: FileStore, write: Callable[[bytes], object], number: int, key: str, data: bytes
) -> None:
    try:
        store.put(key, data)
    except Exception:  # noqa: BLE001 (the node finds it too, and says so)
        write(answer(number, False))
    else:
        write(answer(number, True))


def _threads() -> Callable[[Callable[[], None]], None]:
    """Some threads, and what has one of them call a function."""
    waiting: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def work() -> None:
        while True:
            waiting.get()()

    for _ in range(THREADS):
        Thread(target=work, daemon=True).start()
    return waiting.put


def main(name: str, path: str) -> None:
    """Serve the node that started this process; never returns."""
    # What ends the node, or has it read its configuration again, is its own business.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    store = FileStore(name, path, Disk(), fsync=True)
    store.adopt(ROOT)
    serve(store, lambda: os.read(0, PIPE_BYTES), lambda data: os.write(1, data), _threads())
    os._exit(0)  # what is still being written has no key, and nobody waits for it


if __name__ == "__main__":
    main(*sys.argv[1:])
