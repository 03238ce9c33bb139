"""The index made anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from attrs import evolve, field, frozen

from raic.assembly.array_restore import ArrayRestore
from raic.assembly.copynote import raise_if_switching
from raic.assembly.members import Reactor
from raic.assembly.owning import TakeOver, take_over_to_restore
from raic.assembly.stack import PROVIDER_THREADS, ProviderStack, make_stack
from raic.assembly.taking_over import TakeOverNote
from raic.config.files import replace_file
from raic.config.identity import Identity
from raic.config.model import Config
from raic.deferreds import async_to_deferred
from raic.errors import IndexFailure, ProviderError
from raic.interfaces import ILocalListing
from raic.shares.checkpoints import fetch_checkpoint, list_checkpoints
from raic.shares.checkpoints.sealed import CheckpointDamaged
from raic.shares.findings import RebuildReport
from raic.shares.index import create_index, open_index, replace_index
from raic.shares.index.copies import discard_copy, forget_set_aside
from raic.shares.orphans import Unclear, find_orphans_after
from raic.shares.rebuild import highest_epoch, rebuild
from raic.shares.sealing import Sealer
from raic.values import LEASE_SECONDS
from raic.workers import ThreadWorkers

RESUMABLE_SECONDS = 24 * 60 * 60
"""How old a restore that was cut short may be that is gone on with."""


@frozen
class RestoredIndex:
    """How far a restore is, or what it did.

    :ivar checkpoint: the key of the checkpoint that it began with; empty when it went by headers
        alone.
    :ivar bytes: how much of the checkpoint has come, and :ivar total_bytes: how long it is.
    :ivar damaged: checkpoints that could not be used, and why.
    :ivar report: what came of comparing that with the objects.
    :ivar kept: where the index that was there before is now; None when there was none.
    """

    checkpoint: str = ""
    bytes: int = 0
    total_bytes: int = 0
    damaged: tuple[str, ...] = ()
    report: RebuildReport = field(factory=RebuildReport)
    kept: Path | None = None


@async_to_deferred
async def restore_index(
    config: Config,
    identity: Identity,
    reactor: Reactor,
    progress: Callable[[RestoredIndex], None],
    *,
    take_over: TakeOver = lambda _: None,
    repeated: bool = False,
    headers_only: bool = False,
) -> RestoredIndex:
    """Make the index anew from what the provider holds; the node must not run.

    That is the newest checkpoint that can be read, and the objects that are newer; without one,
    all objects.  The new index is made aside and then put in place, so that a crash leaves the old
    index or none; what was made of it by then is gone on with, if it is not older than a day.

    :param take_over: called with how many seconds are left while the one that had the prefix is
        waited for, if he may still be writing.
    :param repeated: whether to begin a take-over again that was cut short, rather than to refuse.
    :param headers_only: do without checkpoints.
    :return: fires with what was done; fails with a ``ProviderError`` or an ``IndexFailure``, and
        may simply be repeated; with ``PrefixOwned`` after a take-over that was cut short: others
        may write still.
    """
    if not repeated:
        TakeOverNote(config).raise_if_there()
    raise_if_switching(config.node_directory)
    workers = ThreadWorkers(reactor, PROVIDER_THREADS, "raic-provider")
    stack = make_stack(config, identity, workers, reactor, restoring=True)
    restoring = _Restoring(config, identity, stack, reactor, progress)
    try:
        await stack.provider.start()
        epoch = 1
        if not config.local:
            await restoring.look()  # claims are with those members that have fragments
            epoch = await take_over_to_restore(config, identity, stack, reactor, take_over)
        await restoring.run(epoch, headers_only=headers_only)
    finally:
        await stack.provider.stop()
        await workers.stop()
    kept = _keep(replace_index(restoring.aside, config.index_path), reactor)
    discard_copy(restoring.aside)
    return evolve(restoring.restored, kept=kept)


class RestoreNote:
    """Says, beside an index that is being made, that it may be gone on with.

    Not for long: its leases have their full time as of when it was begun.
    """

    def __init__(self, path: Path, clock: Reactor) -> None:
        self._path = path
        self._clock = clock

    def write(self, checkpoint: str) -> None:
        """Note what it began with; empty for no checkpoint."""
        replace_file(self._path, f"{int(self._clock.seconds())} {checkpoint}".encode("ascii"))

    def read(self) -> str | None:
        """What it began with; None when there is none that may be gone on with."""
        try:
            began, _, checkpoint = self._path.read_text("ascii").partition(" ")
            age = self._clock.seconds() - int(began)
        except (OSError, ValueError):
            return None
        return checkpoint if 0 <= age < RESUMABLE_SECONDS else None


class _Restoring:
    """One restore.

    :ivar aside: where the new index is.
    """

    def __init__(
        self,
        config: Config,
        identity: Identity,
        stack: ProviderStack,
        reactor: Reactor,
        progress: Callable[[RestoredIndex], None],
    ) -> None:
        self._stack = stack
        self._reactor = reactor
        self._progress = progress
        self._sealer = Sealer(identity.seal_key)
        self._array = None if stack.array is None else ArrayRestore(stack.array, reactor)
        self.aside = config.index_path.with_name(config.index_path.name + ".restoring")
        self._note = RestoreNote(self.aside.with_name(f"{self.aside.name}.note"), reactor)
        self.restored = RestoredIndex()

    async def look(self) -> None:
        """See where the fragments of an array are; it is read by that from then on."""
        if self._array is not None:
            await self._array.look()

    async def run(self, epoch: int, *, headers_only: bool) -> None:
        """Make the index.

        :param epoch: the least that it is to have.
        """
        await self.look()
        if not self._resume(headers_only=headers_only):
            discard_copy(self.aside)
            if headers_only or not await self._take_checkpoint():
                create_index(self.aside, epoch)
            self._note.write(self.restored.checkpoint)
        if self._array is not None:
            self._array.tell(self.aside)
        highest = await highest_epoch(self._stack.provider, self._stack.untagged)
        await self._fill(max(epoch, highest + 1))

    def _resume(self, *, headers_only: bool) -> bool:
        """Go on with what a restore that was cut short has made, if there is any of use.

        It need not say more: what it holds is compared with the objects like a checkpoint.
        """
        checkpoint = self._note.read()
        if checkpoint is None or (checkpoint and headers_only):
            return False
        try:
            forget_set_aside(self.aside)
        except IndexFailure:
            return False
        self._tell(checkpoint=checkpoint)
        return True

    async def _take_checkpoint(self) -> bool:
        """Begin with the newest checkpoint that can be used; whether there is one."""
        checkpoints, partial = await list_checkpoints(self._stack.provider)
        expires = int(self._reactor.seconds()) + LEASE_SECONDS
        for key in partial:
            self._tell(damaged=(*self.restored.damaged, f"{key}: only a part of it is there"))
        for key in checkpoints:
            self._tell(checkpoint=str(key), bytes=0, total_bytes=key.size)
            try:
                await fetch_checkpoint(
                    self._stack.provider,
                    key,
                    self._sealer,
                    self.aside,
                    expires,
                    lambda count: self._tell(bytes=count),
                    self._stack.measure,
                )
            except (CheckpointDamaged, ProviderError, IndexFailure) as error:
                text = f"{key}: {getattr(error, 'detail', error)}"
                self._tell(checkpoint="", damaged=(*self.restored.damaged, text))
            else:
                return True
        return False

    async def _fill(self, epoch: int) -> None:
        provider = self._stack.provider
        index = open_index(
            self.aside,
            self._reactor,
            self._reactor,
            sync=False,  # it is brought to the disk when it is closed, and of no use before
            local_listing=ILocalListing.providedBy(provider),
            # Every call fails from then on, and so does the restore.
            on_fatal=lambda _: None,
            measure=self._stack.measure,
        )
        unclear = Unclear()
        try:
            report = await rebuild(
                provider,
                index,
                self._sealer,
                self._reactor,
                lambda report: self._tell(report=report),
                may_lack=self._array is not None,
                unclear=unclear,
            )
            if self._array is not None:
                await self._array.record(index.ledger)
            if not report.problem_count and not report.unresolved_count:
                # Objects that could not be used are not orphans: somebody may yet repair them.
                await find_orphans_after(provider, index, self._reactor, unclear)
            await index.raise_epoch(epoch)
        finally:
            await index.close()

    def _tell(self, **news: object) -> None:
        self.restored = evolve(self.restored, **news)  # type: ignore[arg-type]  # of its fields
        self._progress(self.restored)


def _keep(old: Path | None, clock: Reactor) -> Path | None:
    """Give an index that was replaced a name that the next restore does not take away."""
    if old is None:
        return None
    moment = datetime.fromtimestamp(clock.seconds(), timezone.utc)
    kept = old.with_name(f"{old.name}-{moment:%Y%m%dT%H%M%SZ}")
    for suffix in ("", "-wal", "-shm"):
        if Path(f"{old}{suffix}").exists():
            Path(f"{old}{suffix}").rename(f"{kept}{suffix}")
    return kept
