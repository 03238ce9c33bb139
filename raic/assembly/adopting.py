"""The shares of a Tahoe node, moved into a node of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from attrs import evolve, frozen
from twisted.internet.defer import Deferred, gatherResults

from raic.assembly.clearing import clear_garbage
from raic.assembly.members import Reactor
from raic.assembly.offline import OfflineNode, offline_node
from raic.assembly.persisting import persistently
from raic.config.identity import Identity
from raic.config.model import Config
from raic.deferreds import async_to_deferred
from raic.errors import OperationRefused
from raic.interfaces import IIndex
from raic.shares.orphans import find_orphans
from raic.shares.sealing import Sealer
from raic.shares.tahoe.containers import Container, Kind, NotAContainer, read_container_at
from raic.shares.tahoe.folder import FoundSet, LeftAlone, find_advisories, find_shares
from raic.shares.tahoe.moving_in import MovedSet, MovingIn
from raic.values import Advisory

PARALLEL = 8
"""How many storage indexes are moved at once; one where each original is deleted."""

SHOWN_LEFT = 1000
"""How many files that were left alone a report names."""

ALL_ADVISORIES = 10_000


@frozen
class Adopted:
    """How far an adoption is.

    :ivar total: how many share files there are, and :ivar total_bytes: how long they are.
    :ivar done: how many of them were looked at, and :ivar done_bytes: how long they are.
    :ivar shares: immutable shares that were copied, and :ivar slots: slots.
    :ivar slot_shares: how many shares the slots have.
    :ivar bytes: how long the copied shares are.
    :ivar there: how many shares the node had already.
    :ivar deleted: how many originals were deleted.
    :ivar leases: of the copied shares: counted by :func:`survey` alone.
    :ivar advisories: how many were taken over.
    :ivar left_count: how many files were left alone, and :ivar left: the first thousand.
    """

    total: int = 0
    total_bytes: int = 0
    done: int = 0
    done_bytes: int = 0
    shares: int = 0
    slots: int = 0
    slot_shares: int = 0
    bytes: int = 0
    there: int = 0
    deleted: int = 0
    leases: int = 0
    advisories: int = 0
    left_count: int = 0
    left: tuple[LeftAlone, ...] = ()

    def leaving(self, left: LeftAlone) -> Adopted:
        """The same with one more file left alone."""
        named = self.left if len(self.left) >= SHOWN_LEFT else (*self.left, left)
        return evolve(self, left_count=self.left_count + 1, left=named)


def survey(storage: Path) -> Adopted:
    """What an adoption would do; reads the beginning and end of every file.

    :raises OSError: a folder cannot be read.
    """
    report = Adopted()
    for found in find_shares(storage):
        if isinstance(found, LeftAlone):
            report = report.leaving(found)
            continue
        kinds = set()
        for file in found.files:
            try:
                container = read_container_at(file.path)
            except NotAContainer as problem:
                report = report.leaving(LeftAlone(file.path, str(problem)))
                continue
            kinds.add(container.kind)
            report = _counting(report, container)
        report = evolve(report, slots=report.slots + (Kind.MUTABLE in kinds))
    for advisory in find_advisories(storage):
        if isinstance(advisory, Advisory):
            report = evolve(report, advisories=report.advisories + 1)
    return report


def _counting(report: Adopted, container: Container) -> Adopted:
    mutable = container.kind is Kind.MUTABLE
    return evolve(
        report,
        shares=report.shares + (not mutable),
        slot_shares=report.slot_shares + mutable,
        bytes=report.bytes + container.length,
        leases=report.leases + len(container.leases),
    )


@async_to_deferred
async def adopt_shares(
    config: Config,
    identity: Identity,
    storage: Path,
    reactor: Reactor,
    progress: Callable[[Adopted], None],
    *,
    move: bool,
) -> Adopted:
    """Copy every share of a Tahoe node that does not run into a node that does not run.

    What the node has already is passed over, so that an adoption that was cut short goes on where
    it was.

    :param storage: the Tahoe node's storage folder.
    :param move: delete each file once the node has it for certain.
    :return: fires with what was done; fails with a ``ProviderError``, an ``IndexFailure`` or an
        ``OSError``, and may be repeated.
    """
    if move and not config.backend.fsync:
        raise OperationRefused(
            "with fsync = false a power cut could lose shares whose originals are deleted",
            "set fsync = true in raic.cfg until the shares are moved, or adopt without --move",
        )
    async with offline_node(config, identity, reactor) as node:
        if move and config.local:
            await _make_room(node, reactor)
        adopting = _Adopting(node, identity, reactor, progress, move)
        await adopting.run(storage)
        return adopting.report


async def _make_room(node: OfflineNode, reactor: Reactor) -> None:
    """Delete what an adoption that was cut short has left half-done: there may be no room for it
    and its share.
    """
    if not node.index.was_clean():
        await find_orphans(node.provider, node.index, reactor)
    await clear_garbage(node, reactor)


class _Adopting:
    def __init__(
        self,
        node: OfflineNode,
        identity: Identity,
        reactor: Reactor,
        progress: Callable[[Adopted], None],
        move: bool,
    ) -> None:
        self._node = node
        self._reactor = reactor
        self._progress = progress
        self._move = move
        self._moving = MovingIn(
            node.provider,
            node.index,
            Sealer(identity.seal_key),
            node.workers,
            reactor,
            surely=move,
        )
        self._failed = False
        self.report = Adopted()

    async def run(self, storage: Path) -> None:
        """Move everything."""
        self.report = await self._node.workers.run(lambda: _count(storage))
        self._progress(self.report)
        waiting = self._sets(storage)
        width = 1 if self._move else PARALLEL
        workers = [Deferred.fromCoroutine(self._work(waiting)) for _ in range(width)]
        results = await gatherResults(workers)
        for error in results:
            if error is not None:
                raise error
        self.report = await _take_advisories(storage, self._node.index, self.report)
        self._progress(self.report)

    def _sets(self, storage: Path) -> Iterator[FoundSet]:
        for found in find_shares(storage):
            if isinstance(found, FoundSet):
                yield found
            else:
                self.report = self.report.leaving(found)

    async def _work(self, waiting: Iterator[FoundSet]) -> Exception | None:
        """Move what waits; what went wrong, after which the others stop too."""
        try:
            for found in waiting:
                moved = await self._move_persistently(found)
                await self._note(found, moved)
                if self._failed:
                    break
        except Exception as error:  # noqa: BLE001 - raised when the others have ended
            self._failed = True
            return error
        return None

    async def _move_persistently(self, found: FoundSet) -> MovedSet:
        return await persistently(
            lambda: self._moving.move(found), self._reactor, lambda: self._failed
        )

    async def _note(self, found: FoundSet, moved: MovedSet) -> None:
        report = self.report
        for left in moved.left:
            report = report.leaving(left)
        deleted = len(moved.settled) if self._move else 0
        self.report = evolve(
            report,
            done=report.done + len(found.files),
            done_bytes=report.done_bytes + found.size,
            shares=report.shares + moved.shares,
            slots=report.slots + moved.slots,
            slot_shares=report.slot_shares + moved.slot_shares,
            bytes=report.bytes + moved.bytes,
            there=report.there + moved.there,
            deleted=report.deleted + deleted,
        )
        if deleted:
            await self._node.workers.run(lambda: _delete(moved.settled))
        self._progress(self.report)


def _count(storage: Path) -> Adopted:
    files = size = 0
    for found in find_shares(storage):
        if isinstance(found, FoundSet):
            files, size = files + len(found.files), size + found.size
    return Adopted(total=files, total_bytes=size)


def _delete(paths: tuple[Path, ...]) -> None:
    """Delete the files of one storage index, and its folder if nothing else is there."""
    for path in paths:
        path.unlink()
    with suppress(OSError):
        paths[0].parent.rmdir()
        paths[0].parent.parent.rmdir()


async def _take_advisories(storage: Path, index: IIndex, report: Adopted) -> Adopted:
    known = {_same(each) for each in await index.get_advisories(ALL_ADVISORIES)}
    for found in find_advisories(storage):
        if isinstance(found, LeftAlone):
            report = report.leaving(found)
        elif _same(found) not in known and await index.advise(found):
            report = evolve(report, advisories=report.advisories + 1)
    return report


def _same(advisory: Advisory) -> tuple[object, ...]:
    return advisory.storage_index, advisory.shnum, advisory.received, advisory.reason
