"""Bulk transfer over Foolscap, measured from a process of its own.

Its own, because a process may define each remote interface only once, and this one takes
Tahoe's.  Arguments: a FURL, ``up`` or ``down``, seconds, the server's process.  Prints the bytes
moved, the seconds that took, and both processes' seconds of processor time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from os import urandom
from time import perf_counter, process_time
from typing import Any

from allmydata.interfaces import RIStorageServer
from foolscap.api import Referenceable, Tub
from psutil import Process
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

WRITE_BYTES = 1_000_000
READ_BYTES = 350_000
SHARE_BYTES = 16 * WRITE_BYTES
CONNECTED_SECONDS = 30
AT_ONCE = 2


class Canary(Referenceable):
    """Its loss would abort the uploads."""


async def upload(server: Any, data: bytes) -> bytes:
    """Store a share; its storage index."""
    storage_index = urandom(16)
    secrets = (b"r" * 32, b"c" * 32)
    _, writers = await server.callRemote(
        "allocate_buckets", storage_index, *secrets, {0}, len(data), Canary()
    )
    for offset in range(0, len(data), WRITE_BYTES):
        await writers[0].callRemote("write", offset, data[offset : offset + WRITE_BYTES])
    await writers[0].callRemote("close")
    return storage_index


async def download(server: Any, storage_index: bytes) -> None:
    """Read a whole share, a segment at a time."""
    readers = await server.callRemote("get_buckets", storage_index)
    for offset in range(0, SHARE_BYTES, READ_BYTES):
        await readers[0].callRemote("read", offset, READ_BYTES)


async def timed(work: Callable[[], Any], seconds: float, server: Process) -> dict[str, float]:
    """Do the work several times at once, again and again."""
    start = perf_counter()
    before = processor_seconds(server), process_time()
    done = 0

    async def again() -> None:
        nonlocal done
        while perf_counter() - start < seconds:
            await work()
            done += 1

    await gatherResults([Deferred.fromCoroutine(again()) for _ in range(AT_ONCE)])
    return {
        "bytes": done * SHARE_BYTES,
        "seconds": perf_counter() - start,
        "server": processor_seconds(server) - before[0],
        "client": process_time() - before[1],
    }


def processor_seconds(process: Process) -> float:
    """How much processor time a process has had."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def measure(
    reactor: Any, furl: str, way: str, seconds: float, process: Process
) -> dict[str, float]:
    """What is printed."""
    tub = Tub()
    tub.startService()
    server = await tub.getReference(furl).addTimeout(CONNECTED_SECONDS, reactor)
    data = urandom(SHARE_BYTES)
    known = await upload(server, data)
    if way == "up":
        found = await timed(lambda: upload(server, data), seconds, process)
    else:
        found = await timed(lambda: download(server, known), seconds, process)
    await tub.stopService()
    return found


def main(reactor: Any, furl: str, way: str, seconds: str, pid: str) -> Deferred[None]:
    """Measure and print."""
    assert RIStorageServer.__remote_name__  # imported for its definition alone
    measuring = measure(reactor, furl, way, float(seconds), Process(int(pid)))
    measured = Deferred.fromCoroutine(measuring)
    return measured.addCallback(lambda found: print(json.dumps(found)))  # noqa: T201 - its output


if __name__ == "__main__":
    react(main, sys.argv[1:])
