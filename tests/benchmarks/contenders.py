"""The servers that are compared, and how each row is measured on one of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from time import perf_counter

from attrs import frozen

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
class Row:
    """A line of the table.

    :ivar unit: of the values.
    :ivar smaller_is_better: true for times.
    :ivar measure: given a running server and for how long, the value.
    """

    name: str
    unit: str
    smaller_is_better: bool
    measure: Callable[[StorageNode, float], float]


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

    def measure(node: StorageNode, seconds: float) -> float:
        done = operation.measure(_address(node), connections, seconds)
        if latency:
            return median(done.latencies) * 1e3
        scale = operation.unit / 1e6 if operation.unit else 1.0
        return len(done.latencies) * scale / done.seconds

    unit = "MB/s" if operation.unit else "ms" if latency else "/s"
    return Row(name, unit, latency, measure)


def _address(node: StorageNode) -> Address:
    return Address.from_nurl(nurl_of(node.servers_yaml()))


def _foolscap_rows() -> list[Row]:
    names = {"up": "Foolscap upload, 1 MB writes", "down": "Foolscap download, 350 kB reads"}

    def measure(way: str) -> Callable[[StorageNode, float], float]:
        def measured(node: StorageNode, seconds: float) -> float:
            (entry,) = node.servers_yaml().values()
            furl = entry["ann"]["anonymous-storage-FURL"]
            program = Path(__file__).with_name("foolscap_client.py")
            answer = json.loads(run([sys.executable, program, furl, way, str(seconds)]))
            return float(answer) / 1e6

        return measured

    return [Row(name, "MB/s", False, measure(way)) for way, name in names.items()]


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
