"""Measures arrays: ``python -m tests.benchmarks.arrays``.

``lines``
   Each member is a server of S3 behind a line of its own, which delays and limits what passes.  Of
   the time that a share takes up or down the table says how much of it the lines needed: up, for
   all fragments over all lines; down, for as many of them as are needed.

``local``
   The members are folders of this machine, and so is what the array is compared with: a ratio is
   the median of the ratios to a plain folder at the same turn.  On a machine that has other things
   to do, look at the processor's time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Coroutine, Sequence
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from raic.cli.allocator import keep_freed_memory
from tests.benchmarks.arrays_folders import folders_table, measure_folders
from tests.benchmarks.arrays_lines import Lines, behind_lines, lines_table
from tests.benchmarks.arrays_moves import Options
from tests.benchmarks.s3_throughput import MIB

DEFAULT = Options()


def main(arguments: Sequence[str], run: Callable[..., Any] = react) -> None:
    """Measure, and print tables."""
    options, what = _parsed(arguments)
    keep_freed_memory()  # as a node does

    async def measure(reactor: Any) -> None:
        if what != "local":
            with behind_lines(options) as endpoints:
                measured = await Lines(options, endpoints, reactor).measure()
            _show(lines_table(options, measured))
        if what != "lines":
            with TemporaryDirectory(dir=options.directory) as root:
                measured = await measure_folders(options, root, reactor)
            _show(folders_table(options, measured))

    def begin(reactor: Any) -> Deferred[None]:
        measuring: Coroutine[Deferred[Any], Any, None] = measure(reactor)
        return Deferred.fromCoroutine(measuring)

    run(begin)


def _show(lines: Sequence[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _parsed(arguments: Sequence[str]) -> tuple[Options, str]:
    parser = argparse.ArgumentParser(
        prog="array", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=["both", "lines", "local"], default="both")
    parser.add_argument("--mib", type=int, default=256, help="size of the share")
    parser.add_argument("--read-mib", type=int, default=32, help="of the one read in small pieces")
    parser.add_argument("--rounds", type=int, default=DEFAULT.rounds)
    parser.add_argument("--needed", type=int, default=DEFAULT.needed)
    parser.add_argument("--total", type=int, default=DEFAULT.total)
    parser.add_argument("--delay-ms", type=float, default=40, help="of a line, each way")
    parser.add_argument("--mbit", type=float, default=100, help="of a line a second, each way")
    parser.add_argument("--directory", help="where folders are made; temporary by default")
    parser.add_argument("--fsync", action="store_true", help="in folders")
    parser.add_argument("--moto", action="store_true", help="plays the services")
    given = parser.parse_args(arguments)
    options = Options(
        needed=given.needed,
        total=given.total,
        size=given.mib * MIB,
        read_size=given.read_mib * MIB,
        rounds=given.rounds,
        rate=given.mbit * 1e6 / 8,
        delay=given.delay_ms / 1e3,
        directory=given.directory,
        fsync=given.fsync,
        moto=given.moto,
    )
    return options, given.what


if __name__ == "__main__":
    main(sys.argv[1:])
