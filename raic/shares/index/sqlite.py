"""The index in an SQLite file, specified in ``docs/specifications/index.rst``."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from zope.interface import implementer

from raic.interfaces import IIndex
from raic.promptness import Promptness
from raic.shares.ages import REQUEST_SECONDS
from raic.shares.index import advisories, expiry, expunging, known, lookups, operations
from raic.shares.index import garbage as due
from raic.shares.index.counters import Counters
from raic.shares.index.database import Database
from raic.shares.index.files import check_file, connect, must_exist, schema_scripts, translated
from raic.shares.index.intents import Intents
from raic.shares.index.ledger import SqliteLedger
from raic.shares.index.measures import Measure, as_it_is
from raic.shares.index.recent import RecentSlots
from raic.values import (
    Advisory,
    ExpiryBatch,
    ExpiryRule,
    ExpiryRun,
    Expunged,
    Garbage,
    Lease,
    LeasePlace,
    SlotVersion,
    StoredShare,
    Totals,
    UpcomingLeases,
    Usage,
    Version,
)

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
    measure: Measure = as_it_is,
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
    :param measure: how many bytes each provider stores of an object of a certain length.
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
                opened.append(connect(target, factory, sync, measure))
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
    prompt = Promptness(clock)
    database = Database(writes, reads, scans, reactor, on_fatal, prompt, sync=sync)
    return SQLiteIndex(database, begun, counters, local_listing)


@implementer(IIndex)
class SQLiteIndex:
    """The index in an SQLite file; made by :func:`open_index`.

    :ivar ledger: what an array remembers in the same file, committed together with the rest.
    """

    def __init__(
        self, database: Database, begun: operations.Begun, counters: int, local_listing: bool
    ) -> None:
        self._database = database
        self._clean = begun.clean
        self._epoch = begun.epoch
        self._counters = Counters(database.writer, begun.last_counter, counters)
        self._intents = Intents(database, local_listing)
        self._recent = RecentSlots()
        self.ledger = SqliteLedger(database, self._intents)

    def close(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._database.close()

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

        return self._database.submit(operations.raise_epoch, epoch).addCallback(raised)

    def changes(self) -> int:
        """How many operations were asked for since the index was opened that change what a copy of
        it is kept for.
        """
        return self._database.changes

    # Looking things up

    def get_bucket(self, storage_index: bytes) -> Deferred[Mapping[int, StoredShare]]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._database.look_up(lookups.bucket, storage_index)

    def get_slot(self, storage_index: bytes) -> Deferred[SlotVersion | None]:
        """See :class:`raic.interfaces.IIndex`."""
        version = self._recent.version(storage_index)
        if version is not None and self._database.stopped is None:
            return succeed(version)
        return self._database.look_up(lookups.slot, storage_index)

    def get_leases(self, storage_index: bytes) -> Deferred[tuple[Lease, ...]]:
        """See :class:`raic.interfaces.IIndex`."""
        leases = self._recent.leases(storage_index)
        if leases is not None and self._database.stopped is None:
            return succeed(leases)
        found = self._database.look_up(lookups.leases, storage_index)
        return found.addCallback(self._recent.looked_up, storage_index)

    def get_totals(self) -> Deferred[Totals]:
        """See :class:`raic.interfaces.IIndex`."""
        found = self._database.look_up(lookups.totals)
        count = len(self._intents.kept)
        if count:
            found.addCallback(lambda totals: evolve(totals, intents=totals.intents + count))
        return found

    def get_usage(self, since: int) -> Deferred[Usage]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._database.look_up(lookups.usage, since)

    def get_advisories(self, limit: int) -> Deferred[tuple[Advisory, ...]]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._database.scan(advisories.newest, limit)

    def unknown_keys(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        """See :class:`raic.interfaces.IIndex`."""
        # Intents first: a key that ceases to be one has become a share's or garbage before.
        intended = frozenset(self._intents.kept)
        return self._database.scan(known.unknown_keys, frozenset(keys), intended)

    # Writing

    def next_version(self) -> Version:
        """See :class:`raic.interfaces.IIndex`."""
        return Version(self._epoch, self._counters.next())

    def reserve(self, keys: Collection[str]) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._intents.reserve(keys)

    def release(self, garbage: Collection[Garbage]) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._intents.release(garbage)

    def commit_share(
        self, share: StoredShare, lease: Lease, missing: Collection[str] = ()
    ) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        keys = (share.key,)
        repairs = self.ledger.to_note(missing, keys) if missing else ()
        ended = self._intents.on_disk(keys)
        done = self._database.submit(operations.commit_share, share, lease, repairs, ended)
        done.addCallback(lambda _: self._recent.renewed(share.storage_index, lease))
        return self._intents.ending(done, keys)

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
        repairs = self.ledger.to_note(missing, keys) if missing else ()
        ended = self._intents.on_disk(keys)
        done = self._database.submit(
            operations.commit_slot, version, expected, lease, not_before, repairs, ended
        )
        done.addCallback(lambda _: self._recent.committed(version, lease))
        return self._intents.ending(done, keys)

    def renew_lease(self, storage_index: bytes, lease: Lease) -> Deferred[bool]:
        """See :class:`raic.interfaces.IIndex`."""

        def renewed(is_there: bool) -> bool:
            if is_there:
                self._recent.renewed(storage_index, lease)
            return is_there

        done = self._database.submit(operations.renew_lease, storage_index, lease)
        return done.addCallback(renewed)

    def advise(self, advisory: Advisory) -> Deferred[bool]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._database.submit(advisories.advise, advisory)

    def next_advisory(self) -> Deferred[Advisory | None]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._database.look_up(advisories.next_unchecked)

    def settle_advisory(self, advisory: Advisory, checked: int, verdict: str) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._database.submit(advisories.settle, advisory, checked, verdict)

    # Expiring and expunging

    def expire(
        self, rule: ExpiryRule, batch: ExpiryBatch
    ) -> Deferred[tuple[ExpiryRun, LeasePlace | None]]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._recent.sweeping(self._database.submit(expiry.expire, rule, batch))

    def get_expiry_runs(self, limit: int) -> Deferred[tuple[ExpiryRun, ...]]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._database.scan(expiry.get_runs, limit)

    def get_upcoming(self, now: int, limit: int) -> Deferred[UpcomingLeases]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._database.scan(expiry.upcoming, now, limit)

    def get_objects(self, storage_index: bytes) -> Deferred[frozenset[str]]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._database.scan(expunging.objects, storage_index)

    def expunge(
        self,
        storage_index: bytes,
        objects: Collection[str],
        tombstone: str,
        reason: str,
        now: int,
        not_before: int,
    ) -> Deferred[Expunged]:
        """See :class:`raic.interfaces.IIndex`."""
        keys = (tombstone,)
        ended = self._intents.on_disk(keys)
        done = self._database.submit(
            expunging.expunge,
            storage_index,
            frozenset(objects),
            tombstone,
            reason,
            now,
            not_before,
            ended,
        )
        return self._intents.ending(self._recent.sweeping(done), keys)

    def get_expunged(self, limit: int) -> Deferred[tuple[Expunged, ...]]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._database.scan(expunging.get_expunged, limit)

    # Deleting

    def next_garbage(self, now: int, limit: int) -> Deferred[tuple[Garbage, ...]]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._database.scan(lookups.due_garbage, now, limit)

    def settle_garbage(self, settled: Collection[Garbage]) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        return self.ledger.dropping(self._database.submit(due.settle_garbage, tuple(settled)))

    # Rebuilding

    def load(
        self,
        shares: Iterable[tuple[StoredShare, Sequence[Lease]]],
        slots: Iterable[tuple[SlotVersion, Sequence[Lease]]],
    ) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        done = self._database.submit(operations.load, tuple(shares), tuple(slots))
        return self._recent.sweeping(done)

    def forget(self, keys: Collection[str]) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._recent.sweeping(self._database.submit(operations.forget, tuple(keys)))

    def next_objects(self, after: str, limit: int) -> Deferred[tuple[str, ...]]:
        """See :class:`raic.interfaces.IIndex`."""
        return self.ledger.next_objects(after, limit)

    def why_set_aside(self, storage_index: bytes) -> Deferred[str | None]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._database.look_up(lookups.why_set_aside, storage_index)

    def set_aside(self, reasons: Mapping[bytes, str]) -> Deferred[None]:
        """See :class:`raic.interfaces.IIndex`."""
        return self._database.submit(operations.set_aside, dict(reasons))
