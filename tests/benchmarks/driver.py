"""Drives an HTTP storage server over several connections from one thread.

Small requests are bytes that were made before the clock started, and of the answers little more
than the length is looked at, so that the server is what is measured.
"""

from __future__ import annotations

import select
import ssl
from collections.abc import Iterable, Iterator
from time import perf_counter, process_time

from attrs import Factory, define

from tests.end_to_end.thin import open_tls
from tests.end_to_end.wire import Address, Answer

RECEIVE_BYTES = 256 * 1024
SILENCE_SECONDS = 60.0

Script = Iterator[tuple[bytes, ...]]
"""Operations, each of one or more requests that follow one another."""


@define
class Run:
    """What was done.

    :ivar latencies: seconds from an operation's first byte to the last of its last answer.
    :ivar client: seconds of this process's processor time.
    """

    latencies: list[float] = Factory(list)
    received: int = 0
    seconds: float = 0.0
    client: float = 0.0


class _Connection:
    """One connection at work on a script."""

    def __init__(self, address: Address, script: Script, run: Run) -> None:
        self.socket = open_tls(address)
        self.socket.setblocking(False)
        self._script = script
        self._run = run
        self._requests: tuple[bytes, ...] = ()
        self._next = 0
        self._unsent = memoryview(b"")
        self._answer = Answer(keep=False)
        self._begun = 0.0

    def begin(self) -> bool:
        """Begin the next operation; False when there is none."""
        requests = next(self._script, None)
        if requests is None:
            return False
        self._requests, self._next = requests, 0
        self._begun = perf_counter()
        self._request()
        return True

    def _request(self) -> None:
        self._answer = Answer(keep=False)
        self._unsent = memoryview(self._requests[self._next])
        self._next += 1
        self.send()

    def send(self) -> None:
        """Send as much as the connection takes."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return

    def interest(self) -> int:
        """What to wait for."""
        return select.EPOLLIN | (select.EPOLLOUT if self._unsent else 0)

    def receive(self) -> bool:
        """Take what has arrived; whether that ended an operation."""
        try:
            while True:
                data = self.socket.recv(RECEIVE_BYTES)
                if not data:
                    raise ConnectionError("the server closed the connection")
                if self._answer.feed(data):
                    return self._answered()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False

    def _answered(self) -> bool:
        if not 200 <= self._answer.status < 300:
            raise ConnectionError(f"the server answered {self._answer.status}")
        self._run.received += self._answer.received
        if self._next < len(self._requests):
            self._request()
            return False
        self._run.latencies.append(perf_counter() - self._begun)
        return True


def drive(address: Address, scripts: list[Script], seconds: float) -> Run:
    """Work off each script on a connection of its own.

    :param seconds: no operation is begun after this time.
    """
    run = Run()
    connections = [_Connection(address, script, run) for script in scripts]
    try:
        with select.epoll() as poll:
            _Work(poll, run, seconds).work(connections)
    finally:
        for connection in connections:
            connection.socket.close()
    return run


class _Work:
    """The loop over all connections."""

    def __init__(self, poll: select.epoll, run: Run, seconds: float) -> None:
        self._poll = poll
        self._run = run
        self._seconds = seconds
        self._start = perf_counter()
        self._processor_start = process_time()
        self._busy: dict[int, _Connection] = {}
        self._interests: dict[int, int] = {}

    def work(self, connections: Iterable[_Connection]) -> None:
        """Go on until no connection has anything left to do."""
        for connection in connections:
            if connection.begin():
                file = connection.socket.fileno()
                self._busy[file] = connection
                self._interests[file] = connection.interest()
                self._poll.register(file, self._interests[file])
        while self._busy:
            ready = self._poll.poll(SILENCE_SECONDS)
            if not ready:
                raise TimeoutError(f"no answer in {SILENCE_SECONDS} s")
            for file, events in ready:
                self._serve(file, events)
        self._run.seconds = perf_counter() - self._start
        self._run.client = process_time() - self._processor_start

    def _serve(self, file: int, events: int) -> None:
        connection = self._busy[file]
        if events & select.EPOLLOUT:
            connection.send()
        if connection.receive() and not self._begin(connection):
            self._poll.unregister(file)
            del self._busy[file]
        elif (interest := connection.interest()) != self._interests[file]:
            self._interests[file] = interest
            self._poll.modify(file, interest)

    def _begin(self, connection: _Connection) -> bool:
        return perf_counter() - self._start <= self._seconds and connection.begin()
