"""Slow lines: proxies on loopback that delay what passes, and limit how much of it does.

They have a process of their own, so that they cost those who measure nothing.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio import CancelledError, Queue, StreamReader, StreamWriter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from subprocess import PIPE, Popen
from time import monotonic

PIECE_BYTES = 64 * 1024
QUEUE_SECONDS = 0.05
"""So much may wait before a line, as in a router: it is not idle while others are computing."""

SOCKET_BYTES = 256 * 1024
"""What the kernel may hold besides, which a real line would not have taken yet."""

_HELD_PIECES = 256  # of one connection, for an end that does not read


_Passing = Queue[tuple[float, bytes]]
"""What is on a line, and when it is due; the last of it is empty."""


class _Direction:
    """One direction of a line, which all connections share.

    :param rate: bytes a second.
    :param delay: seconds.
    """

    def __init__(self, rate: float, delay: float) -> None:
        self._rate = rate
        self._delay = delay
        self._free = 0.0  # when all that was taken has left

    async def take(self, source: StreamReader, passing: _Passing) -> None:
        """Let bytes onto the line until there are no more."""
        piece = b"-"
        while piece:
            while (early := self._free - QUEUE_SECONDS - monotonic()) > 0:
                await asyncio.sleep(early)
            piece = await source.read(PIECE_BYTES)
            self._free = max(self._free, monotonic()) + len(piece) / self._rate
            await passing.put((self._free + self._delay, piece))


async def _deliver(passing: _Passing, target: StreamWriter) -> None:
    """Hand out what was taken when it is due."""
    piece = b"-"
    while piece:
        due, piece = await passing.get()
        if (early := due - monotonic()) > 0:
            await asyncio.sleep(early)
        target.write(piece)
        await target.drain()
    target.write_eof()


class _Line:
    """Leads to one service.

    :ivar port: on 127.0.0.1.
    """

    def __init__(self, host: str, port: int, rate: float, delay: float) -> None:
        self._target = (host, port)
        self._delay = delay
        self._there = _Direction(rate, delay)
        self._back = _Direction(rate, delay)
        self.port = 0

    async def open(self) -> None:
        listener = _socket()
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        await asyncio.start_server(self._serve, sock=listener, limit=PIECE_BYTES)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        await asyncio.sleep(2 * self._delay)  # as long as it takes to connect
        connection = _socket()
        await asyncio.get_running_loop().sock_connect(connection, self._target)
        back, there = await asyncio.open_connection(sock=connection, limit=PIECE_BYTES)
        sent: _Passing = Queue(_HELD_PIECES)
        answered: _Passing = Queue(_HELD_PIECES)
        passing = [
            asyncio.create_task(self._there.take(reader, sent)),
            asyncio.create_task(_deliver(sent, there)),
            asyncio.create_task(self._back.take(back, answered)),
            asyncio.create_task(_deliver(answered, writer)),
        ]
        with suppress(OSError, CancelledError):  # an end broke, or this process is to end
            await asyncio.gather(*passing)
        for task in passing:
            task.cancel()
        there.close()
        writer.close()


def _socket() -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
    made.setblocking(False)
    return made


@contextmanager
def lines_process(
    targets: Sequence[tuple[str, int]], rate: float, delay: float
) -> Iterator[list[int]]:
    """A line to each service; they end with the context.

    :param targets: host and port of each.
    :param rate: bytes a second, each way.
    :param delay: seconds, each way.
    :return: the ports on 127.0.0.1 at which the services are found.
    """
    wanted = [f"{host}:{port}" for host, port in targets]
    command = [sys.executable, "-m", "tests.services.lines", str(rate), str(delay), *wanted]
    root = __file__.rpartition("/tests/")[0]  # where tests/ is
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=root) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield [int(port) for port in process.stdout.readline().split()]
        finally:
            process.stdin.close()  # which it waits for
            process.wait(30)


async def _main(rate: str, delay: str, *targets: str) -> None:
    lines = []
    for target in targets:
        host, _, port = target.rpartition(":")
        line = _Line(host, int(port), float(rate), float(delay))
        await line.open()
        lines.append(line)
    print(*(line.port for line in lines), flush=True)  # noqa: T201 - the other process reads it
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
