"""The benchmark of arrays itself works: its tables, its slow lines, and a small run of it."""

from __future__ import annotations

import socket
import sys
from contextlib import closing
from subprocess import run
from threading import Thread
from time import perf_counter

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.benchmarks.arrays_folders import PLAIN, TAGGED, folders_table
from tests.benchmarks.arrays_lines import CLOUDS, lines_table
from tests.benchmarks.arrays_moves import ARRAY, Options, Sample
from tests.services.lines import lines_process


class TableTests(SynchronousTestCase):
    def test_a_ratio_is_of_the_time_that_the_lines_need(self) -> None:
        options = Options(needed=2, total=3, size=10**8, rate=1e7)
        samples = [Sample(seconds, 0.5, 10**8) for seconds in (6.25, 5.5, 9.0)]
        lines = lines_table(options, {"up": {CLOUDS: samples, ARRAY: samples}})
        self.assertEqual(lines[-1].split(), ["up", "array", "6.25", "5.00", "0.800", "5.00"])

    def test_a_ratio_is_to_a_plain_folder_at_the_same_turn(self) -> None:
        plain = [Sample(1.0, 0.5, 10**9), Sample(4.0, 0.5, 10**9), Sample(2.0, 0.5, 10**9)]
        array = [Sample(2.0, 1.0, 10**9), Sample(8.0, 2.0, 10**9), Sample(2.5, 1.0, 10**9)]
        lines = folders_table(Options(), {"up": {PLAIN: plain, TAGGED: plain, ARRAY: array}})
        self.assertEqual(lines[-1].split(), ["up", "array", "400", "0.50", "1.00", "2.00"])


@pytest.mark.service
class LineTests(SynchronousTestCase):
    def test_a_line_delays_and_limits_each_direction(self) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            Thread(target=_echo, args=(listener,), daemon=True).start()
            with lines_process([listener.getsockname()[:2]], 4e6, 0.05) as (port,):
                client = socket.create_connection(("127.0.0.1", port), 30)
                with closing(client):
                    self.assertEqual(_exchange(client, 1)[0], 1)  # it is connected now
                    _, short = _exchange(client, 1)
                    received, long = _exchange(client, 1_000_000)
        self.assertGreater(short, 0.1)
        self.assertEqual(received, 1_000_000)
        # There and back go on at the same time.
        self.assertGreater(long, 0.1 + 0.25)
        self.assertLess(short, long)


def _echo(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with closing(connection):
        while piece := connection.recv(65_536):
            connection.sendall(piece)


def _exchange(client: socket.socket, size: int) -> tuple[int, float]:
    """How many bytes came back, and after how many seconds."""
    begun = perf_counter()
    Thread(target=client.sendall, args=(bytes(size),)).start()
    received = 0
    while received < size:
        received += len(client.recv(65_536))
    return received, perf_counter() - begun


@pytest.mark.service
class SmallRunTests(SynchronousTestCase):
    def test_everything_is_measured(self) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.arrays"]
        command += ["--mib=12", "--read-mib=2", "--rounds=1", "--delay-ms=5", "--mbit=200"]
        # A process of its own: it runs the reactor. Started at the root, where tests/ is.
        root = __file__.rpartition("/tests/")[0]
        done = run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 2 + 6 + 2 + 9, done.stdout)
        for line in lines[2:8]:
            # No faster than the lines, and not much slower either than a busy machine allows.
            ratio = float(line.split()[-2])
            self.assertTrue(0.01 < ratio < 1.05, line)
        for line in lines[10:]:
            self.assertTrue(0.01 < float(line.split()[-3]) < 100, line)
