"""The servers that are compared, and how each row is measured on one of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

from attrs import frozen
from psutil import Process

from tests.benchmarks.operations import OPERATIONS, Operation
from tests.end_to_end.harness import RaicNode, StorageNode, TahoeStorageNode, nurl_of
from tests.end_to_end.processes import run
from tests.end_to_end.wire import Address

TAHOE = "Tahoe"
RAIC_LIKE_TAHOE = "RAIC, fsync = false"
RAIC = "RAIC"

CONTENDERS: Mapping[str, Callable[[Path], StorageNode]] = {
    TAHOE: TahoeStorageNode,
    RAIC_LIKE_TAHOE: lambda folder: RaicNode(folder, {"provider:disk": {"fsync": "false"}}),
    RAIC: RaicNode,
}


@frozen
class Measured:
    """One measurement of one server.

    :ivar value: in the row's unit.
    :ivar server: microseconds of the server's processor time, for an operation, or for a MB where
        the row counts these.
    :ivar client: of the client's likewise.
    """

    value: float
    server: float
    client: float


@frozen
class Row:
    """A line of the table.

    :ivar unit: of the values.
    :ivar smaller_is_better: true for times.
    :ivar measure: given a running server and for how long, what was found.
    """

    name: str
    unit: str
    smaller_is_better: bool
    measure: Callable[[StorageNode, float], Measured]


def rows(foolscap: bool) -> list[Row]:
    """All there are, or all over HTTP."""
    http = [
        _http_row(operation, connections)
        for operation in OPERATIONS
        for connections in operation.concurrency
    ]
    return http + _foolscap_rows() if foolscap else http


def _http_row(operation: Operation, connections: int) -> Row:
    name = f"{operation.name}, x{connections}"
    latency = not operation.unit and connections == 1

    def measure(node: StorageNode, seconds: float) -> Measured:
        processor = partial(processor_seconds, node.pid())
        done = operation.measure(_address(node), connections, seconds, processor)
        scale = operation.unit / 1e6 if operation.unit else 1.0
        value = done.latency * 1e3 if latency else done.rate * scale
        return Measured(value, done.server * 1e6 / scale, done.client * 1e6 / scale)

    unit = "MB/s" if operation.unit else "ms" if latency else "/s"
    return Row(name, unit, latency, measure)


def _address(node: StorageNode) -> Address:
    return Address.from_nurl(nurl_of(node.servers_yaml()))


def _foolscap_rows() -> list[Row]:
    names = {"up": "Foolscap upload, 1 MB writes", "down": "Foolscap download, 350 kB reads"}

    def measure(way: str) -> Callable[[StorageNode, float], Measured]:
        def measured(node: StorageNode, seconds: float) -> Measured:
            (entry,) = node.servers_yaml().values()
            furl = entry["ann"]["anonymous-storage-FURL"]
            program = Path(__file__).with_name("foolscap_client.py")
            arguments = furl, way, str(seconds), str(node.pid())
            found = json.loads(run([sys.executable, program, *arguments]))
            scale = found["bytes"] / 1e6
            return Measured(
                scale / found["seconds"],
                found["server"] * 1e6 / scale,
                found["client"] * 1e6 / scale,
            )

        return measured

    return [Row(name, "MB/s", False, measure(way)) for way, name in names.items()]


def processor_seconds(pid: int) -> float:
    """How much processor time a process has had."""
    times = Process(pid).cpu_times()
    return float(times.user + times.system)


def fsync_seconds(folder: Path, times: int = 200) -> float:
    """How long this disk takes to make 1 KiB durable; the median."""
    path = folder / "fsync"
    taken = []
    with path.open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(b"x" * 1024)
            start = perf_counter()
            os.fsync(file.fileno())
            taken.append(perf_counter() - start)
    path.unlink()
    return median(taken)
