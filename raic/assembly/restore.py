"""The index made anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from attrs import frozen

from raic.assembly.members import Reactor
from raic.assembly.stack import PROVIDER_THREADS, ProviderStack, make_stack
from raic.assembly.taking_over import TakeOverNote
from raic.backends.array.census import Attempts, record_attempts, take_census
from raic.backends.array.placing import placement_found
from raic.config.identity import Identity
from raic.config.model import Config
from raic.deferreds import async_to_deferred
from raic.interfaces import ILocalListing
from raic.shares.ages import GARBAGE_SECONDS
from raic.shares.index import create_index, open_index, replace_index
from raic.shares.orphans import find_orphans
from raic.shares.rebuild import RebuildReport, highest_epoch, rebuild
from raic.shares.sealing import Sealer
from raic.workers import ThreadWorkers


@frozen
class RestoredIndex:
    """What a restore did.

    :ivar kept: where the index that was there before is now; None when there was none.
    """

    report: RebuildReport
    kept: Path | None


@async_to_deferred
async def restore_index(
    config: Config,
    identity: Identity,
    reactor: Reactor,
    progress: Callable[[RebuildReport], None],
) -> RestoredIndex:
    """Make the index anew from the provider's objects; the node must not run.

    It is made aside and then put in place, so that a crash leaves the old index or none.

    :return: fires with what was done; fails with a ``ProviderError`` or an ``IndexFailure``, and
        may simply be repeated; with ``PrefixOwned`` after a take-over that was cut short: others
        may write still.
    """
    aside = config.index_path.with_name(config.index_path.name + ".restoring")
    for suffix in ("", "-wal", "-shm"):
        Path(f"{aside}{suffix}").unlink(missing_ok=True)
    TakeOverNote(config).raise_if_there()
    workers = ThreadWorkers(reactor, PROVIDER_THREADS, "raic-provider")
    stack = make_stack(config, identity, workers, reactor)
    try:
        await stack.provider.start()
        attempts = await _attempts(stack)
        create_index(aside, await highest_epoch(stack.provider, stack.untagged) + 1)
        report = await _fill_index(aside, stack, attempts, identity, reactor, progress)
    finally:
        await stack.provider.stop()
        await workers.stop()
    return RestoredIndex(report, _keep(replace_index(aside, config.index_path), reactor))


async def _attempts(stack: ProviderStack) -> Attempts:
    """Find out where the fragments of an array are, and which were made anew; it reads by that
    from now on.
    """
    if stack.array is None:
        return {}
    array, members = stack.array.array, stack.array.members
    census = await take_census(members)
    await array.place(placement_found(array.name, members, census.held))
    stack.array.ledger.tell(census.attempts)
    return census.attempts


async def _fill_index(
    path: Path,
    stack: ProviderStack,
    attempts: Attempts,
    identity: Identity,
    reactor: Reactor,
    progress: Callable[[RebuildReport], None],
) -> RebuildReport:
    provider = stack.provider
    index = open_index(
        path,
        reactor,
        reactor,
        local_listing=ILocalListing.providedBy(provider),
        # Every call fails from then on, and so does the restore.
        on_fatal=lambda _: None,
        measure=stack.measure,
    )
    try:
        report = await rebuild(provider, index, Sealer(identity.seal_key), reactor, progress)
        if stack.array is not None:
            await stack.array.ledger.attach(index.ledger)
            not_before = int(reactor.seconds()) + GARBAGE_SECONDS
            await record_attempts(index.ledger, attempts, not_before)
        if not report.problem_count:
            # Objects that could not be used are not orphans: somebody may yet repair them.
            await find_orphans(provider, index, reactor)
    finally:
        await index.close()
    return report


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
