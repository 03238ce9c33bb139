"""Compares RAIC with Tahoe's own storage node: ``python -m tests.benchmarks.versus_tahoe``.

Every server is a process of its own on loopback, driven by the same thin client.  Within a round
the servers take turns row by row; each round has fresh servers; a figure is the median over the
rounds.  A ratio above 1 says that RAIC is better, in rates as in times.

Before the first round as much memory is touched as a round may fill with files: a virtual machine
gets its memory from its host when it first touches it, and that would cost whoever comes first
several times what the file costs.

A second table has the servers' processor time, which does not depend on what the client and the
rest of the machine do meanwhile, and the client's: where that is as long, the rates are its own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from mmap import MAP_ANONYMOUS, MAP_POPULATE, MAP_PRIVATE, mmap
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from attrs import Factory, asdict, define
from psutil import virtual_memory

from tests.benchmarks.contenders import CONTENDERS, TAHOE, Measured, Row, fsync_seconds, rows
from tests.end_to_end.harness import StorageNode

WIDTH = 34
TOUCHED_BYTES = 4 * 1024**3
SMALL_FILE_BYTES = 1024 * 1024


@define
class Results:
    """Every value measured, by row and server, and the disk's time for an fsync."""

    rows: list[Row]
    servers: list[str]
    values: dict[str, dict[str, list[Measured]]] = Factory(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    fsync: list[float] = Factory(list)

    def figure(self, row: Row, server: str) -> float:
        """The median of a row for a server."""
        return median(found.value for found in self.values[row.name][server])

    def ratio(self, row: Row, server: str) -> float:
        """How many times better than Tahoe."""
        ours, theirs = self.figure(row, server), self.figure(row, TAHOE)
        return theirs / ours if row.smaller_is_better else ours / theirs

    def processor(self, row: Row, server: str) -> float:
        """The median of the server's processor time."""
        return median(found.server for found in self.values[row.name][server])

    def client(self, row: Row) -> float:
        """The median of the client's processor time, over all servers."""
        by_server = self.values[row.name].values()
        return median(found.client for every in by_server for found in every)


def touch_memory() -> None:
    """Take 4 GiB of memory, or half of what there is, and give it back: then the host has it."""
    size = min(TOUCHED_BYTES, virtual_memory().available // 2)
    mmap(-1, size, flags=MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE).close()


def measure(results: Results, rounds: int, seconds: float, folder: Path) -> None:
    """Fill in the values.

    :param seconds: for how long operations are begun, in one measurement.
    """
    for number in range(rounds):
        of_round = folder / str(number)
        of_round.mkdir()
        nodes = {
            name: CONTENDERS[name](of_round / str(at)) for at, name in enumerate(results.servers)
        }
        try:
            for node in nodes.values():
                node.start()
            _one_round(results, number, nodes, seconds)
        finally:
            for node in nodes.values():
                node.stop()
        _remove_large(of_round)
        results.fsync.append(fsync_seconds(folder))


def _remove_large(folder: Path) -> None:
    """Make room for the next round, whose files then need no new memory.

    Small files stay: ext4 without a journal looks at every file that was removed in the last
    minutes before it makes another, and who makes the most would pay for all.
    """
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size > SMALL_FILE_BYTES:
            path.unlink()


def _one_round(
    results: Results, number: int, nodes: dict[str, StorageNode], seconds: float
) -> None:
    turn = number % len(results.servers)
    for row in results.rows:
        for name in results.servers[turn:] + results.servers[:turn]:
            os.sync()  # nobody pays for what another one left to be written
            results.values[row.name][name].append(row.measure(nodes[name], seconds))


def table(results: Results) -> Iterable[str]:
    """The lines of the report."""
    others = [name for name in results.servers if name != TAHOE]
    yield f"{'':{WIDTH}}{TAHOE:>12}" + "".join(f"{name:>22}{'ratio':>7}" for name in others)
    for row in results.rows:
        line = f"{row.name:{WIDTH}}{_figure(row, results.figure(row, TAHOE)):>12}"
        for name in others:
            line += f"{_figure(row, results.figure(row, name)):>22}{results.ratio(row, name):7.2f}"
        yield line
    yield f"the disk's fsync of 1 KiB: {median(results.fsync) * 1e3:.3f} ms"
    yield "xN: over N connections; a rate, or with one connection the median time of an operation"
    yield ""
    yield from _processor_table(results, others)


def _processor_table(results: Results, others: Sequence[str]) -> Iterable[str]:
    head = f"{'processor time of the server':{WIDTH}}{TAHOE:>12}"
    yield head + "".join(f"{name:>22}{'ratio':>7}" for name in others) + f"{'the client':>14}"
    for row in results.rows:
        theirs = results.processor(row, TAHOE)
        line = f"{row.name:{WIDTH}}{_microseconds(row, theirs):>12}"
        for name in others:
            ours = results.processor(row, name)
            line += f"{_microseconds(row, ours):>22}{theirs / ours:7.2f}"
        yield line + f"{_microseconds(row, results.client(row)):>14}"
    yield "for an operation or a MB; on a machine that has other things to do, the steadier figures"


def _figure(row: Row, value: float) -> str:
    return f"{value:.2f} ms" if row.smaller_is_better else f"{value:.0f} {row.unit}"


def _microseconds(row: Row, value: float) -> str:
    return f"{value:.0f} us" + ("/MB" if row.unit == "MB/s" else "")


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.versus_tahoe")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.8, help="per measurement")
    parser.add_argument("--only", default="", help="rows whose names contain this text")
    parser.add_argument("--skip-foolscap", action="store_true")
    parser.add_argument("--quick", action="store_true", help="do not touch memory beforehand")
    parser.add_argument("--json", action="store_true", help="print every value")
    parser.add_argument("--folder", default=None, help="where the nodes are made")
    return parser.parse_args(given)


def main(given: Sequence[str]) -> str:
    """Measure; the report."""
    arguments = _arguments(given)
    chosen = [row for row in rows(not arguments.skip_foolscap) if arguments.only in row.name]
    results = Results(chosen, list(CONTENDERS))
    with TemporaryDirectory(prefix="raic-benchmark-", dir=arguments.folder) as folder:
        if not arguments.quick:
            touch_memory()
        measure(results, arguments.rounds, arguments.seconds, Path(folder))
    if arguments.json:
        return json.dumps({"fsync": results.fsync, "values": results.values}, default=asdict)
    return "\n".join(table(results))


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1:]) + "\n")
