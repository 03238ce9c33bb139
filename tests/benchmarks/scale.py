"""How a node fares with a million shares: ``python -m tests.benchmarks.scale --help``.

The index is generated; shares are not stored anywhere.  What is timed runs as in a node: with the
index's threads, and each commit on the disk.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from resource import RUSAGE_SELF, getrusage
from statistics import median
from subprocess import run
from tempfile import TemporaryDirectory
from typing import Any

from attrs import asdict, frozen
from twisted.internet.defer import Deferred

from raic.backends.memory import MemoryProvider
from raic.budget import MemoryBudget
from raic.cli.reactor import run_until_done
from raic.deferreds import async_to_deferred
from raic.interfaces import IIndex
from raic.server.service import StorageService
from raic.server.space import SpaceGauge
from raic.shares.ages import GARBAGE_SECONDS
from raic.shares.buckets import Buckets
from raic.shares.expirer import BATCH_LEASES
from raic.shares.index import create_index, open_index
from raic.shares.keys import ShareKey, encode_index
from raic.shares.pins import Pins
from raic.shares.sealing import Sealer
from raic.shares.secrets import new_lease
from raic.shares.slots import Slots
from raic.values import (
    LEASE_SECONDS,
    ExpiryBatch,
    ExpiryRule,
    Lease,
    LeaseSecrets,
    StoredShare,
)
from tests.benchmarks.restoring import list_keys, restore

NOW = 1_700_000_000
OVER = 0.3
"""Which part of the shares has expired."""

GENERATOR_KIB = 512 * 1024
"""What the process that generates has for pages: the rows come in no order."""

SECRETS = LeaseSecrets(b"r" * 32, b"c" * 32)


@frozen
class Result:
    """What was measured; times in seconds, latencies in microseconds, memory in MiB.

    :ivar lookup: asking for the shares of a storage index.
    :ivar allocation: beginning the upload of a new share, :ivar commit: making it visible.
    :ivar renewal: of a lease; like a commit it waits for the disk.
    :ivar expiring: all batches of the run, and :ivar expiring_cpu: computing time of that.
    :ivar longest_batch: for how long a batch holds up other writes.
    :ivar memory: of the whole process at its highest, and of the process before it had opened the
        index.
    """

    shares: int
    leases: int
    start: float
    lookup: float
    allocation: float
    renewal: float
    commit: float
    expired: int
    expiring: float
    expiring_cpu: float
    longest_batch: float
    memory: float
    memory_before: float


def storage_index(number: int) -> bytes:
    """The same for a number at each run; their order is random."""
    return Random(number).randbytes(16)


def generate(path: Path, shares: int) -> None:
    """Make an index with that many shares, half of which have two leases; those that are over are
    some among all.
    """
    create_index(path, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute(f"PRAGMA cache_size = -{GENERATOR_KIB}")
        database.execute("BEGIN")
        database.executemany(
            "INSERT INTO shares (storage_index, shnum, name, header_length, length, stored)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?4 + ?5)",
            _share_rows(shares),
        )
        database.executemany("INSERT INTO leases VALUES (?, ?, ?, ?)", _lease_rows(shares))
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _share_rows(count: int) -> Iterator[tuple[bytes, int, str, int, int]]:
    for number in range(count):
        txn = encode_index(storage_index(-number - 1))
        yield storage_index(number), number % 10, f"{number % 10}.{txn}.65536.65742", 206, 65536


def _lease_rows(count: int) -> Iterator[tuple[bytes, bytes, bytes, int]]:
    random = Random(1)
    for number in range(count):
        over = number % 10 < OVER * 10
        for other in range(1 + number % 2):
            left = random.randrange(LEASE_SECONDS)
            expires = NOW - left if over else NOW + left + 1
            digest = random.randbytes(32)
            yield storage_index(number), digest, bytes([other]) * 32, expires


def memory() -> float:
    """The most that this process ever had, in MiB."""
    return getrusage(RUSAGE_SELF).ru_maxrss / 1024


class Bench:
    """Measures one index."""

    def __init__(self, path: Path, shares: int, samples: int, reactor: Any) -> None:
        self._path = path
        self._shares = shares
        self._samples = samples
        self._reactor = reactor
        self._random = Random(7)
        self._made = 0

    @async_to_deferred
    async def run(self) -> Result:
        """Measure everything."""
        before = memory()
        begun = time.perf_counter()
        index = open_index(
            self._path, self._reactor, self._reactor, local_listing=True, on_fatal=self._failed
        )
        provider = MemoryProvider("memory")
        await provider.start()
        service = self._service(index, provider)
        await index.get_totals()
        start = time.perf_counter() - begun
        lookup = await self._latency(lambda number: service.list_shares(storage_index(number)))
        renewal = await self._latency(
            lambda number: service.add_lease(storage_index(number), SECRETS)
        )
        allocation = await self._latency(
            lambda number: service.allocate_buckets(
                storage_index(self._shares + number), {11}, 1000, SECRETS, None
            )
        )
        commit = await self._latency(lambda number: index.commit_share(*self._new_share(number)))
        await service.stop()
        leases = (await index.get_totals()).leases
        computed = time.process_time()
        expired, times = await self._expire(index)
        computed = time.process_time() - computed
        await index.close()
        return Result(
            self._shares,
            leases,
            start,
            lookup,
            allocation,
            renewal,
            commit,
            expired,
            sum(times),
            computed,
            max(times),
            memory(),
            before,
        )

    def _new_share(self, number: int) -> tuple[StoredShare, Lease]:
        self._made += 1
        index = storage_index(self._shares * 2 + self._made)
        key = str(ShareKey(index, 0, encode_index(storage_index(-number - 1)), 1000, 1206))
        return StoredShare(index, 0, key, 206, 1000), new_lease(SECRETS, NOW)

    async def _latency(self, call: Any) -> float:
        """The median latency of a call about shares that stay, one after the other."""
        times = []
        for _ in range(self._samples):
            number = self._random.randrange(self._shares // 10) * 10 + 9
            begun = time.perf_counter()
            await call(number)
            times.append(time.perf_counter() - begun)
        return median(times) * 1e6

    async def _expire(self, index: IIndex) -> tuple[int, list[float]]:
        rule, after, times = ExpiryRule(NOW), None, []
        while True:
            begun = time.perf_counter()
            batch = ExpiryBatch(NOW, NOW, NOW + GARBAGE_SECONDS, BATCH_LEASES, after)
            done, after = await index.expire(rule, batch)
            times.append(time.perf_counter() - begun)
            if after is None:
                return done.shares, times

    def _service(self, index: IIndex, provider: MemoryProvider) -> StorageService:
        shared = (provider, index, Sealer(b"k" * 32), Pins(), self._reactor)
        return StorageService(
            index,
            Buckets(*shared, MemoryBudget(2**30)),
            Slots(
                *shared,
                nodeid=b"n" * 20,
                max_share_size=2**20,
                max_read=2**20,
                budget=MemoryBudget(2**30),
            ),
            SpaceGauge(provider, self._reactor),
            self._reactor,
            maximum_mutable=2**20,
        )

    def _failed(self, error: Exception) -> None:
        raise error


def measure(shares: int, samples: int) -> Result:
    """Have an index generated by another process, and measure it in this one."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "index.sqlite"
        command = [sys.executable, "-m", "tests.benchmarks.scale", f"--shares={shares}"]
        run([*command, f"--generate={path}"], check=True)

        def main(reactor: Any) -> Deferred[Result]:
            return Bench(path, shares, samples, reactor).run()

        return run_until_done(main)


def measure_restore(shares: int, headers_of: int) -> dict[str, Any]:
    """Have an index generated by another process, and copy and restore it in this one."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "index.sqlite"
        keys = Path(folder) / "keys.sqlite"
        command = [sys.executable, "-m", "tests.benchmarks.scale", f"--shares={shares}"]
        run([*command, f"--generate={path}", f"--keys={keys}"], check=True)
        before = memory()
        result = asdict(run_until_done(restore(path, keys, headers_of)))
        return {"shares": shares, **result, "memory": memory(), "memory_before": before}


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shares", type=int, default=1_000_000)
    parser.add_argument("--samples", type=int, default=2_000, help="calls of each kind")
    parser.add_argument("--generate", type=Path, metavar="FILE", help="only generate an index")
    parser.add_argument("--keys", type=Path, metavar="FILE", help="and list its objects")
    parser.add_argument("--restore", action="store_true", help="measure copies and restores")
    parser.add_argument("--headers", type=int, default=100_000, help="shares restored without one")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    options = parse(sys.argv[1:])
    if options.generate:
        generate(options.generate, options.shares)
        if options.keys:
            list_keys(options.generate, options.keys)
        sys.exit()
    if options.restore:
        measured = measure_restore(options.shares, options.headers)
    else:
        measured = asdict(measure(options.shares, options.samples))
    print(json.dumps(measured, indent=2))  # noqa: T201
