"""How long an index takes to be copied and made anew: a part of ``tests.benchmarks.scale``.

Objects are listed as the index has them, and read as their headers would be; they are stored
nowhere.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, succeed

from raic.backends.filesystem import FilesystemProvider
from raic.deferreds import async_to_deferred
from raic.errors import ObjectNotFound
from raic.shares.checkpoints import Checkpointer, CheckpointSettings, fetch_checkpoint
from raic.shares.findings import RebuildReport
from raic.shares.index import SQLiteIndex, create_index, open_index
from raic.shares.keys import CHECKPOINTS, SHARES, ShareKey, encode_index, parse_key
from raic.shares.layout import share_header
from raic.shares.orphans import Unclear, find_orphans_after
from raic.shares.rebuild import rebuild
from raic.shares.sealing import Sealer
from raic.values import LEASE_SECONDS, Lease, ListedObject, ObjectPage
from raic.workers import ThreadWorkers

PAGE = 1000
SEALER = Sealer(b"k" * 32)
NOW = 1_700_000_000
LEASE = Lease(b"r" * 32, b"c" * 32, NOW)


@frozen
class Restored:
    """What was measured; times in seconds, of the clock and of the processor.

    :ivar copying: the index, to a file in the provider, and :ivar copied_bytes: how long that is.
    :ivar fetching: the copy, and making it fit for use; :ivar comparing: it with a listing;
        :ivar searching: for orphans.
    :ivar restoring: all three, the whole of a restore, and :ivar restoring_cpu: computing time.
    :ivar headers: a restore without a copy, of as many shares as :ivar headers_of says.
    """

    copying: float
    copying_cpu: float
    copied_bytes: int
    fetching: float
    comparing: float
    searching: float
    restoring: float
    restoring_cpu: float
    headers: float
    headers_cpu: float
    headers_of: int


class ListedProvider(FilesystemProvider):
    """Lists the shares of an index, and says of each what its header would.

    :param keys: a database with their keys.
    """

    def __init__(self, folder: Path, keys: sqlite3.Connection, reactor: Any) -> None:
        workers = ThreadWorkers(reactor, 2, "provider")
        super().__init__("attic", str(folder), workers, reactor, fsync=False, reserved_space=0)
        self._workers_to_stop = workers
        self._keys = keys
        self.limit = -1

    def list_objects(self, prefix: str, token: str | None) -> Deferred[ObjectPage]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        if prefix != SHARES:
            return super().list_objects(prefix, token)
        query = "SELECT key FROM keys WHERE key > ? ORDER BY key LIMIT ?"
        found = [key for (key,) in self._keys.execute(query, (token or "", PAGE)).fetchall()]
        if self.limit >= 0:
            found = found[: self.limit]
            self.limit -= len(found)
        objects = tuple(ListedObject(key, int(key.rpartition(".")[2])) for key in found)
        return succeed(ObjectPage(objects, found[-1] if len(found) == PAGE else None))

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        if key.startswith(CHECKPOINTS):
            return super().get_object(key, offset, length)
        parsed = parse_key(key)
        if not isinstance(parsed, ShareKey):
            raise ObjectNotFound(self.name, "get_object", key)
        header = share_header(parsed.storage_index, parsed.shnum, parsed.length, NOW, [LEASE])
        data = header.sealed_for(key, SEALER) + bytes(FIRST_AFTER)
        return succeed(data[offset : offset + length])


FIRST_AFTER = 4096
"""How many bytes of each share there are: more than are read."""


def _keys_of(path: Path) -> Iterator[tuple[str]]:
    with closing(sqlite3.connect(path)) as database:
        for storage_index, name in database.execute("SELECT storage_index, name FROM shares"):
            text = encode_index(storage_index)
            yield (f"{SHARES}{text[:2]}/{text}/{name}",)


def list_keys(index: Path, target: Path) -> None:
    """Make the database of keys."""
    with closing(sqlite3.connect(target)) as database:
        database.execute("CREATE TABLE keys (key TEXT PRIMARY KEY) WITHOUT ROWID")
        database.executemany("INSERT INTO keys VALUES (?)", sorted(_keys_of(index)))
        database.commit()


class RestoreBench:
    """Measures one index, and others made of it."""

    def __init__(self, path: Path, keys: Path, headers_of: int, reactor: Any) -> None:
        self._path = path
        self._headers_of = headers_of
        self._reactor = reactor
        self._keys = sqlite3.connect(keys)
        self._provider = ListedProvider(path.with_name("objects"), self._keys, reactor)

    @async_to_deferred
    async def run(self) -> Restored:
        """Measure everything."""
        await self._provider.start()
        index = self._open(self._path)
        checkpointer = Checkpointer(
            self._provider,
            self._path,
            index.changes,
            SEALER,
            self._reactor,
            ThreadWorkers(self._reactor, 1, "checkpoint"),
            CheckpointSettings(),
        )
        watch = _Watch()
        key = await checkpointer.make()
        copying, copying_cpu = watch.stop()
        await checkpointer.stop()
        shares = (await index.get_totals()).shares
        await index.close()

        watch = whole = _Watch()
        target = self._path.with_name("restored.sqlite")
        expires = int(self._reactor.seconds()) + LEASE_SECONDS
        await fetch_checkpoint(self._provider, key, SEALER, target, expires, _ignored)
        fetching, _ = watch.stop()
        watch = _Watch()
        index = self._open(target)
        unclear = Unclear()
        report = await self._rebuild(index, unclear)
        comparing, _ = watch.stop()
        assert (report.shares, report.known, report.gone) == (shares, shares, 0), report
        watch = _Watch()
        found = await find_orphans_after(self._provider, index, self._reactor, unclear)
        assert found.orphans == 0, found
        searching, _ = watch.stop()
        await index.close()
        restoring, restoring_cpu = whole.stop()

        target = self._path.with_name("headers.sqlite")
        self._provider.limit = self._headers_of
        watch = _Watch()
        create_index(target, 1)
        index = self._open(target)
        report = await self._rebuild(index)
        await index.close()
        headers, headers_cpu = watch.stop()
        assert report.shares == min(shares, self._headers_of), report
        await self._provider.stop()
        self._keys.close()
        return Restored(
            copying,
            copying_cpu,
            key.size,
            fetching,
            comparing,
            searching,
            restoring,
            restoring_cpu,
            headers,
            headers_cpu,
            report.shares,
        )

    def _rebuild(
        self, index: SQLiteIndex, unclear: Unclear | None = None
    ) -> Deferred[RebuildReport]:
        return rebuild(self._provider, index, SEALER, self._reactor, _ignored, unclear=unclear)

    def _open(self, path: Path) -> SQLiteIndex:
        return open_index(path, self._reactor, self._reactor, local_listing=True, on_fatal=_failed)


class _Watch:
    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._cpu = time.process_time()

    def stop(self) -> tuple[float, float]:
        return time.perf_counter() - self._begun, time.process_time() - self._cpu


def _ignored(_: object) -> None:
    """Nobody looks."""


def _failed(error: Exception) -> None:
    raise error


def restore(path: Path, keys: Path, headers_of: int) -> Callable[[Any], Deferred[Restored]]:
    """What is to be run with a reactor."""
    return partial(_run, path, keys, headers_of)


def _run(path: Path, keys: Path, headers_of: int, reactor: Any) -> Deferred[Restored]:
    return RestoreBench(path, keys, headers_of, reactor).run()
