"""The index in an SQLite file, specified in ``docs/specifications/index.rst``."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from attrs import evolve
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.errors import IndexFailure, IndexStopped
from raic.interfaces import IIndex, IWorkers
from raic.shares.ages import REQUEST_SECONDS
from raic.shares.index import lookups, operations
from raic.shares.index.counters import Counters
from raic.shares.index.failures import index_failure, is_callers, is_passing, stopped_by
from raic.shares.index.files import check_file, connect, must_exist, schema_scripts, translated
from raic.shares.index.writer import Writer
from raic.values import (
    Advisory,
    Garbage,
    Lease,
    SlotVersion,
    StoredShare,
    Totals,
    Version,
)
from raic.workers import InlineWorkers, ThreadWorkers

T = TypeVar("T")

COUNTERS = 2**20
"""How many version counters are reserved at a time."""


def open_index(
    path: str | os.PathLike[str],
    clock: IReactorTime,
    reactor: IReactorFromThreads | None,
    *,
    sync: bool = True,
    local_listing: bool,
    on_fatal: Callable[[Exception], None],
    factory: type[sqlite3.Connection] = sqlite3.Connection,
    scripts: Sequence[str] = (),
    counters: int = COUNTERS,
) -> SQLiteIndex:
    """Open an index; what an earlier process was about to write becomes garbage.

    Takes the same time at any size, unless the index must be upgraded.

    :param reactor: None to have no threads: every method then does its work before it returns.
    :param sync: whether a commit waits for the disk; if not, a crash of the machine, though not
        of the process, may undo the last ones.
    :param local_listing: whether the provider has ``ILocalListing``: intents then stay in memory.
    :param on_fatal: called once, when the index cannot go on: the process must stop.
    :param factory: what to make the connections of: for tests that inject faults.
    :param scripts: the schema's versions, in place of this RAIC's own: for tests of upgrades.
    :param counters: how many version counters to reserve at a time.
    :raises IndexMissing: there is no such file.
    :raises IndexCorrupt: it is not a usable index.
    :raises IndexTooNew: a newer RAIC wrote it.
    :raises IndexFailure: it cannot be opened just now.
    """
    target = Path(path)
    must_exist(target)
    opened: list[sqlite3.Connection] = []
    try:
        with translated():
            for _ in range(3):
                opened.append(connect(target, factory, sync))
                if len(opened) == 1:
                    check_file(opened[0], target, scripts or schema_scripts())
            opened[0].execute("BEGIN IMMEDIATE")
            begun = operations.begin_use(
                opened[0].execute, counters, int(clock.seconds()) + REQUEST_SECONDS
            )
            opened[0].execute("COMMIT")
    except BaseException:
        for connection in opened:
            connection.close()
        raise
    writes, reads, scans = opened
    return SQLiteIndex(writes, reads, scans, reactor, begun, counters, local_listing, on_fatal)


@implementer(IIndex)
class SQLiteIndex:
    """The index in an SQLite file; made by :func:`open_index`.

    Point look-ups are answered at once, in the caller, from a connection of their own; what may
    be large or cold is read in a thread; everything else goes through the :class:`Writer`.
    """

    def __init__(
        self,
        writes: sqlite3.Connection,
        reads: sqlite3.Connection,
        scans: sqlite3.Connection,
        reactor: IReactorFromThreads | None,
        begun: operations.Begun,
        counters: int,
        local_listing: bool,
        on_fatal: Callable[[Exception], None],
    ) -> None:
        self._reads = reads
        self._scans = scans
        self._workers: IWorkers = (
            InlineWorkers() if reactor is None else ThreadWorkers(reactor, 1, "raic-index-reader")
        )
        self._writer = Writer(writes, reactor, self._break)
        self._on_fatal = on_fatal
        self._stopped: IndexStopped | None = None
        self._broken = False
        self._closed = False
        self._clean = begun.clean
        self._epoch = begun.epoch
        self._counters = Counters(self._writer, begun.last_counter, counters)
        self._local_listing = local_listing
        self._local_intents: set[str] = set()

    def close(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        if self._closed:
            return succeed(None)
        self._closed = True
        ended = self._writer.submit(operations.end_use)
        if self._stopped is None:
            self._stopped = IndexStopped("the index is closed")
            self._writer.refuse(self._stopped)
        return ended.addBoth(self._release)

    def was_clean(self) -> bool:
        """See :class:`raic.interfaces.IIndex`."""
        return self._clean

    def epoch(self) -> int:
        """See :class:`raic.interfaces.IIndex`."""
        return self._epoch

    def raise_epoch(self, epoch: int) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""

        def raised(_: None) -> None:
            self._epoch = max(self._epoch, epoch)

        return self._writer.submit(operations.raise_epoch, epoch).addCallback(raised)

    # Looking things up

    def get_bucket(self, storage_index: bytes) -> Deferred[Mapping[int, StoredShare]]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._look_up(lookups.bucket, storage_index)

    def get_slot(self, storage_index: bytes) -> Deferred[SlotVersion | None]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._look_up(lookups.slot, storage_index)

    def get_leases(self, storage_index: bytes) -> Deferred[tuple[Lease, ...]]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._look_up(lookups.leases, storage_index)

    def get_totals(self) -> Deferred[Totals]:
        """See :class:`raic.interfaces.IIndex`."""
        found = self._look_up(lookups.totals)
        count = len(self._local_intents)
        if count:
            found.addCallback(lambda totals: evolve(totals, intents=count))
        return found

    def get_advisories(self, limit: int) -> Deferred[tuple[Advisory, ...]]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._scan(lookups.advisories, limit)

    def unknown_keys(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        """See :class:`raic.interfaces.IIndex`."""
        # Intents first: a key that ceases to be one has become a share's or garbage before.
        return self._scan(lookups.unknown_keys, frozenset(keys).difference(self._local_intents))

    # Writing

    def next_version(self) -> Version:
        """See :class:`raic.interfaces.IIndex`."""
        return Version(self._epoch, self._counters.next())

    def reserve(self, keys: Collection[str]) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        if not self._local_listing:
            return self._writer.submit(operations.reserve, tuple(keys))
        if self._stopped is not None:
            return fail(self._stopped)
        self._local_intents.update(keys)
        return succeed(None)

    def release(self, garbage: Collection[Garbage]) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        done = self._writer.submit(operations.release, tuple(garbage))
        return self._ending(done, [one.key for one in garbage])

    def commit_share(
        self, share: StoredShare, lease: Lease, missing: Collection[str] = ()
    ) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        keys = (share.key,)
        ended = () if self._local_listing else keys
        done = self._writer.submit(operations.commit_share, share, lease, tuple(missing), ended)
        return self._ending(done, keys)

    def commit_slot(
        self,
        version: SlotVersion,
        expected: Version | None,
        lease: Lease | None,
        not_before: int,
        missing: Collection[str] = (),
    ) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        keys = version.keys()
        ended = () if self._local_listing else keys
        done = self._writer.submit(
            operations.commit_slot, version, expected, lease, not_before, tuple(missing), ended
        )
        return self._ending(done, keys)

    def renew_lease(self, storage_index: bytes, lease: Lease) -> Deferred[bool]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._writer.submit(operations.renew_lease, storage_index, lease)

    def advise(self, advisory: Advisory) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._writer.submit(operations.advise, advisory)

    # Deleting

    def next_garbage(self, now: int, limit: int) -> Deferred[tuple[Garbage, ...]]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._scan(lookups.due_garbage, now, limit)

    def settle_garbage(self, settled: Collection[Garbage]) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._writer.submit(operations.settle_garbage, tuple(settled))

    # Rebuilding

    def load(
        self,
        shares: Iterable[tuple[StoredShare, Sequence[Lease]]],
        slots: Iterable[tuple[SlotVersion, Sequence[Lease]]],
    ) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._writer.submit(operations.load, tuple(shares), tuple(slots))

    def set_aside(self, reasons: Mapping[bytes, str]) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._writer.submit(operations.set_aside, dict(reasons))

    # How it is done

    def _look_up(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        if self._stopped is not None:
            return fail(self._stopped)
        try:
            return succeed(function(self._reads.execute, *arguments))
        except Exception as error:  # noqa: BLE001 (it goes to the caller)
            return fail(self._meaning(error))

    def _scan(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        if self._stopped is not None:
            return fail(self._stopped)
        execute = self._scans.execute
        return self._workers.run(lambda: function(execute, *arguments)).addErrback(self._unread)

    def _unread(self, failure: Failure) -> NoReturn:
        assert failure.value is not None
        raise self._meaning(failure.value)

    def _meaning(self, error: BaseException) -> BaseException:
        """What a reader hears; an error that means more than one failed call stops the index."""
        if not isinstance(error, sqlite3.Error) or is_callers(error):
            return error
        reason = index_failure(error)
        if is_passing(reason):
            return reason
        self._break(reason)
        return stopped_by(reason)

    def _ending(self, done: Deferred[None], keys: Collection[str]) -> Deferred[None]:
        """Forget intents in memory once the operation that ends them is durable."""
        if self._local_listing:
            done.addCallback(lambda _: self._local_intents.difference_update(keys))
        return done

    def _break(self, reason: IndexFailure) -> None:
        if not self._broken:
            self._broken = True
            self._stopped = stopped_by(reason)
            self._on_fatal(reason)
            self._writer.fail(self._stopped)

    def _release(self, _: object) -> Deferred[None]:
        return self._workers.stop().addCallback(self._close_connections)

    def _close_connections(self, _: None) -> None:
        self._reads.close()
        self._scans.close()
        self._writer.release()
