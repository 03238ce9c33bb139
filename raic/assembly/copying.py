"""A node that does not run, moved from its backend to another one.

Everything is copied into an index made aside; then the two files are changed that say where the
node's shares are.  There is no index at all in between, so that whatever interrupts this, no index
is ever used with a backend that it is not about.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from attrs import evolve, frozen

from raic.assembly.clearing import EVER, clear_garbage
from raic.assembly.copynote import (
    COPYING,
    DELETING,
    SWITCHING,
    CopyNote,
    remove_copy_note,
)
from raic.assembly.exporting import storage_indexes
from raic.assembly.members import Reactor
from raic.assembly.offline import OfflineNode, offline_node
from raic.assembly.persisting import persistently
from raic.backends.blockingstore import UNLIMITED
from raic.config.files import replace_file, sync_directory
from raic.config.identity import Identity
from raic.config.loading import CONFIG_NAME
from raic.config.model import Config
from raic.deferreds import async_to_deferred
from raic.errors import ConfigurationError, IndexMissing, OperationRefused
from raic.interfaces import IIndex
from raic.shares.checkpoints.fetching import list_checkpoints
from raic.shares.index.sqlite import COUNTERS
from raic.shares.listing import in_parallel
from raic.shares.sealing import Sealer
from raic.shares.tahoe.folder import LeftAlone
from raic.shares.tahoe.moving_in import MovedSet, MovingIn
from raic.shares.tahoe.stored import StoredShares
from raic.sizes import in_words
from raic.values import ExpiryBatch, ExpiryRule

ASIDE = "index.sqlite.copy"
FORMER = ".copied-from"
"""Appended to the names of the former index and ``raic.cfg``."""

_PAGE = 1000
_CARRIED = ("advisories", "expunged", "expiry_runs")
"""Tables that are about what happened, not about where something is."""


@frozen
class CopiedNode:
    """How far a copy is.

    :ivar total: how many shares there are, each slot counting as one, and :ivar total_bytes: how
        many bytes, about.
    :ivar done: how many were looked at, and :ivar done_bytes: how long they are.
    :ivar shares: immutable shares that were copied, :ivar slots: slots, and :ivar bytes: how long
        they are together.
    :ivar there: how many shares had been copied before.
    :ivar left: what could not be copied.
    :ivar deleted: how many objects of the former backend were deleted.
    """

    total: int = 0
    total_bytes: int = 0
    done: int = 0
    done_bytes: int = 0
    shares: int = 0
    slots: int = 0
    bytes: int = 0
    there: int = 0
    left: tuple[LeftAlone, ...] = ()
    deleted: int = 0


Progress = Callable[[CopiedNode], None]


def check_backends(former: Config, new: Config, server_id: str) -> None:
    """Make sure that two backends have no provider in common.

    :raises ConfigurationError: they have: what is copied would lie among what it is copied from.
    """
    places = {each.describe(server_id): each.name for each in former.backend.members}
    names = set(places.values())
    problems = [
        f"[provider:{each.name}] is of the node's backend already: name another folder,"
        " container or prefix"
        for each in new.backend.members
        if each.name in names or each.describe(server_id) in places
    ]
    if problems:
        raise ConfigurationError(problems)


@async_to_deferred
async def copy_node(
    former: Config,
    new: Config,
    note: CopyNote,
    identity: Identity,
    reactor: Reactor,
    progress: Progress,
    *,
    move: bool,
    leave: bool,
) -> CopiedNode:
    """Copy everything that a node has, and have it use the copy from then on.

    May be called again however it ended; ``note`` then is the one that was left.  The caller holds
    the node directory's lock.

    :param former: the configuration that the node had when this began.
    :param move: delete what the former backend has, at the end.
    :param leave: go on without what cannot be read.
    :return: fires with what was done.  Fails with a ``ProviderError``, an ``IndexFailure``, an
        ``OSError``, or an ``OperationRefused``.
    """
    directory = former.node_directory
    report = CopiedNode()
    if note.stage == COPYING:
        aside = evolve(new, index_name=ASIDE)
        report = await _copy(former, aside, note, identity, reactor, progress)
        if report.left and not leave:
            return report
        _carry_over(former.index_path, aside.index_path)
        note = evolve(note, stage=SWITCHING)
        note.write(directory)
    if note.stage == SWITCHING:
        _switch(directory, note)
        note = evolve(note, stage=DELETING)
        note.write(directory)
    if move:
        report = await _delete(former, identity, reactor, report, progress)
    remove_copy_note(directory)
    return report


# Copying


async def _copy(
    former: Config,
    aside: Config,
    note: CopyNote,
    identity: Identity,
    reactor: Reactor,
    progress: Progress,
) -> CopiedNode:
    if not former.index_path.exists():
        raise IndexMissing(f"there is no index at {former.index_path}")
    async with offline_node(former, identity, reactor) as source:
        counter = _counter(former.index_path)
        is_stale = note.counter + COUNTERS != counter
        try:
            async with offline_node(aside, identity, reactor) as target:
                if is_stale:
                    # The node ran meanwhile: what was copied may have been changed since.
                    await _forget(target.index, reactor)
                evolve(note, counter=counter).write(former.node_directory)
                copying = _Copying(source, target, identity, reactor, progress)
                await copying.run()
                return copying.report
        except IndexMissing as error:
            raise OperationRefused(
                f"{aside.backend.describe(identity.server_id)} holds objects already",
                "name an empty folder, container or prefix",
            ) from error


def _counter(path: Path) -> int:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT counter FROM meta").fetchone()[0])


async def _forget(index: IIndex, reactor: Reactor) -> None:
    """Make garbage of all that there is."""
    now = int(reactor.seconds())
    after = None
    while True:
        batch = ExpiryBatch(now, now, now, _PAGE, after)
        _, after = await index.expire(ExpiryRule(EVER), batch)
        if after is None:
            return


class _Copying:
    def __init__(
        self,
        source: OfflineNode,
        target: OfflineNode,
        identity: Identity,
        reactor: Reactor,
        progress: Progress,
    ) -> None:
        sealer = Sealer(identity.seal_key)
        self._source = source
        self._target = target
        self._reactor = reactor
        self._progress = progress
        self._stored = StoredShares(source.provider, source.index, sealer, int(reactor.seconds()))
        self._moving = MovingIn(
            target.provider, target.index, sealer, target.workers, reactor, surely=False
        )
        self.report = CopiedNode()

    async def run(self) -> None:
        """Copy everything."""
        totals = await self._source.index.get_totals()
        self.report = CopiedNode(
            total=totals.shares + totals.slots, total_bytes=totals.share_bytes + totals.slot_bytes
        )
        await self._check_room()
        self._progress(self.report)
        async for some in storage_indexes(self._source.index):
            await in_parallel(self._copy, some)

    async def _check_room(self) -> None:
        there = await self._target.index.get_totals()
        needed = self.report.total_bytes - there.share_bytes - there.slot_bytes
        space = await persistently(self._target.provider.get_space, self._reactor)
        if space.available < needed and space.available < UNLIMITED:
            raise OperationRefused(
                f"{in_words(needed)} are to be copied, and there is room for"
                f" {in_words(space.available)}",
                "free some space, raise the quota, or name another backend",
            )

    async def _copy(self, storage_index: bytes) -> None:
        moved = await persistently(lambda: self._copy_once(storage_index), self._reactor)
        report = self.report
        done = moved.shares + moved.slots + moved.there
        self.report = evolve(
            report,
            done=report.done + done,
            done_bytes=report.done_bytes + moved.bytes,
            shares=report.shares + moved.shares,
            slots=report.slots + moved.slots,
            bytes=report.bytes + moved.bytes,
            there=report.there + moved.there,
            left=(*report.left, *moved.left),
        )
        self._progress(self.report)

    async def _copy_once(self, storage_index: bytes) -> MovedSet:
        sources, left = await self._stored.open(storage_index)
        try:
            return await self._moving.take(storage_index, sources, MovedSet(left=tuple(left)))
        finally:
            for source in sources:
                source.close()


def _carry_over(former: Path, aside: Path) -> None:
    """Take over what is told about the past; the two indexes are closed."""
    place = aside.absolute().as_uri()
    with closing(sqlite3.connect(place, uri=True, isolation_level=None)) as database:
        database.execute("ATTACH ? AS former", (f"{former.absolute().as_uri()}?mode=ro",))
        database.execute("BEGIN IMMEDIATE")
        for table in _CARRIED:
            database.execute(f"DELETE FROM main.{table}")  # noqa: S608 (a constant)
            database.execute(f"INSERT INTO main.{table} SELECT * FROM former.{table}")  # noqa: S608 (as above)
        database.execute("COMMIT")


# Switching


def _switch(directory: Path, note: CopyNote) -> None:
    """Put the copy in the place of what it was made of; whatever was done of this stays done."""
    index, aside, config = directory / "index.sqlite", directory / ASIDE, directory / CONFIG_NAME
    if not aside.exists():
        return
    if index.exists():
        os.replace(index, _former(index))
        _remove_sidecars(index)
        sync_directory(directory)
    text, mode = note.config_text.encode("utf-8"), config.stat().st_mode & 0o777
    if config.read_bytes() != text:
        replace_file(_former(config), config.read_bytes(), mode)
        replace_file(config, text, mode)
    os.replace(aside, index)
    _remove_sidecars(aside)
    sync_directory(directory)


def _former(path: Path) -> Path:
    return path.with_name(path.name + FORMER)


def _remove_sidecars(path: Path) -> None:
    """Of an index that was closed: all is in its file."""
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


# Deleting


async def _delete(
    former: Config, identity: Identity, reactor: Reactor, report: CopiedNode, progress: Progress
) -> CopiedNode:
    """Delete every object that the former index knows, garbage too, its checkpoints, then it."""
    old = evolve(former, index_name=_former(former.index_path).name)
    if not old.index_path.exists():
        return report

    def deleted(count: int) -> None:
        nonlocal report
        report = evolve(report, deleted=report.deleted + count)
        progress(report)

    async with offline_node(old, identity, reactor) as node:
        await _forget(node.index, reactor)
        await clear_garbage(node, reactor, deleted)
        whole, partial = await list_checkpoints(node.provider)
        await node.provider.delete_objects([str(key) for key in (*whole, *partial)])
    old.index_path.unlink()
    _remove_sidecars(old.index_path)
    return report
