"""A service that can be taken away, or hang, and be given back: a proxy on loopback before it."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Lock, Thread

PIECE = 256 * 1024


class CuttableService:
    """Passes bytes on, both ways, until it is cut or hangs; then it refuses, or takes in whatever
    comes and answers nothing, until it is mended.

    :param host: where the service is.
    :ivar port: where clients find it, on 127.0.0.1.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._lock = Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._hanging: list[socket.socket] = []
        self._hangs = False
        self.port = 0
        self.mend()

    def mend(self) -> None:
        """Be there, at the same port as before."""
        if self._hangs:
            self.cut()
            self._hangs = False
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self.port = listener.getsockname()[1]
        self._listener = listener
        Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Break every connection, and refuse others."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        while self._hanging:
            self._hanging.pop().close()

    def hang(self) -> None:
        """Break every connection, and leave others without an answer."""
        self.cut()
        self.mend()
        self._hangs = True

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # it was closed
            while True:
                client, _ = listener.accept()
                if self._hangs:
                    self._hanging.append(client)
                    continue
                Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._target, 10) as server:
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            back = Thread(target=_pass_on, args=(server, client), daemon=True)
            back.start()
            _pass_on(client, server)
            back.join()
            with self._lock:
                self._open -= {client, server}


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(PIECE):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
