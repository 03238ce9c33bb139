"""A stopped node's objects and index, looked at from inside, after days that did not pass."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.task import Clock

from raic.assembly.stack import make_provider
from raic.config.identity import load_identity
from raic.config.loading import load_config
from raic.deferreds import async_to_deferred
from raic.interfaces import ILocalListing, IStorageProvider
from raic.shares.ages import UNKNOWN_SECONDS
from raic.shares.collector import Collector
from raic.shares.index import SQLiteIndex, open_index
from raic.shares.listing import pages
from raic.shares.orphans import find_orphans
from raic.shares.pins import Pins
from raic.workers import InlineWorkers

STEPS = 10
"""More than garbage can wait for other garbage, in steps of the longest wait."""


@frozen
class Aged:
    """What was left when all garbage had had its time.

    :ivar objects: how many objects there are.
    :ivar collected: how many were deleted.
    :ivar unknown: the keys of objects that the index does not know.
    :ivar waiting: the keys of garbage that is still not gone.
    :ivar leases: when each storage index's last lease ends; 0 where there is none.
    """

    objects: int
    collected: int
    unknown: frozenset[str]
    waiting: tuple[str, ...]
    leases: dict[bytes, int]


@async_to_deferred
async def let_age(folder: Path, now: float, storage_indexes: Iterable[bytes]) -> Aged:
    """Find what nothing refers to, collect it, and see what remains.

    :param folder: of a node that does not run.
    :param now: the time at which to begin.
    """
    clock: Any = Clock()
    clock.advance(now)
    config = load_config(folder)
    provider = make_provider(config, load_identity(config.private), InlineWorkers(), clock)
    await provider.start()
    index = open_index(
        config.index_path,
        clock,
        None,
        local_listing=ILocalListing.providedBy(provider),
        on_fatal=_give_up,
    )
    try:
        return await _let_age(provider, index, clock, storage_indexes)
    finally:
        await index.close()
        await provider.stop()


async def _let_age(
    provider: IStorageProvider, index: SQLiteIndex, clock: Any, storage_indexes: Iterable[bytes]
) -> Aged:
    before = await _keys(provider)
    await find_orphans(provider, index, clock)
    collector = Collector(provider, index, Pins(), clock)
    for _ in range(STEPS):
        clock.advance(UNKNOWN_SECONDS + 1)
        while await collector.collect_once():
            pass
    after = await _keys(provider)
    far = int(clock.seconds()) + 10 * UNKNOWN_SECONDS
    waiting = await index.next_garbage(far, 1000)
    leases = {each: await index.get_leases(each) for each in storage_indexes}
    return Aged(
        len(after),
        len(before) - len(after),
        await index.unknown_keys(after),
        tuple(one.key for one in waiting),
        {each: found[0].expires if found else 0 for each, found in leases.items()},
    )


async def _keys(provider: IStorageProvider) -> list[str]:
    return [listed.key async for page in pages(provider, "") for listed in page]


def _give_up(error: Exception) -> None:
    raise error
