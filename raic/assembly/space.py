"""How much space the shares of a node take, at each of its providers.

Nothing is counted here: the index has running totals.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import attrs
from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from raic.backends.array.upkeep.moving import NOTE
from raic.config.model import ArraySettings, Config, ProviderSettings
from raic.deferreds import async_to_deferred
from raic.interfaces import IFragmentLedger, IIndex
from raic.shares.index import arrays, lookups
from raic.shares.index.rows import Execute
from raic.values import NodeSpace, Placed, ProviderSpace, Usage


class SpaceBook:
    """Tells what the shares of a node take, from when there is an index."""

    def __init__(self, config: Config, clock: IReactorTime) -> None:
        self._config = config
        self._clock = clock
        self._index: IIndex | None = None
        self._ledger: IFragmentLedger | None = None

    def attach(self, index: IIndex, ledger: IFragmentLedger) -> None:
        """Look into this index from now on.

        :param ledger: what it keeps for an array, if there is one.
        """
        self._index, self._ledger = index, ledger

    def adjust(self, config: Config) -> None:
        """Go by the quotas and the expiry of another configuration."""
        self._config = config

    @async_to_deferred
    async def get(self) -> NodeSpace:
        """What is taken now.

        :return: fires with it, ``available`` and ``pending`` left open; fails with an
            ``IndexFailure``.
        """
        if self._index is None or self._ledger is None:
            return node_space(self._config, Usage(0, 0, 0, 0))
        since = self._config.storage.expiry.rule(int(self._clock.seconds())).before
        usage = await self._index.get_usage(since)
        placement = await self._ledger.get_placement()
        notes = await self._ledger.get_notes()
        return node_space(self._config, usage, placement, notes)

    def used(self, name: str) -> Deferred[int]:
        """How much is stored at one provider.

        :return: fires with it; fails with an ``IndexFailure``.
        """
        if self._index is None:
            return succeed(0)

        def find(space: NodeSpace) -> int:
            return sum(each.used for each in space.providers if each.name == name)

        return self.get().addCallback(find)


def read_space(config: Config, now: float, execute: Execute) -> NodeSpace:
    """What the shares of a node take that does not run.

    :param execute: for its index.
    """
    usage = lookups.usage(execute, config.storage.expiry.rule(int(now)).before)
    placement, notes = arrays.get_placement(execute), arrays.get_notes(execute)
    return node_space(config, usage, placement, notes)


def space_values(space: NodeSpace) -> dict[str, Any]:
    """As plain values, by the names of ``NodeSpace`` and ``ProviderSpace``."""
    return attrs.asdict(space)


def node_space(
    config: Config,
    usage: Usage,
    placement: Sequence[Placed] = (),
    notes: Mapping[str, str] = MappingProxyType({}),
) -> NodeSpace:
    """What totals mean for each provider.

    :param placement: where an array's fragments are; empty for as it begins.
    :param notes: what the array is at.
    """
    backend = config.backend
    if isinstance(backend, ArraySettings):
        rows = placement or [Placed(n, each.name) for n, each in enumerate(backend.members)]
        providers = _of_array(config, backend.needed, usage, rows, _moving(notes))
    else:
        providers = [_of_single(backend, usage)]
    return NodeSpace(usage.share_bytes, tuple(providers), config.storage.quota)


def _of_single(settings: ProviderSettings, usage: Usage) -> ProviderSpace:
    return ProviderSpace(
        settings.name,
        usage.stored + usage.garbage,
        usage.leased,
        usage.garbage,
        usage.stored - usage.share_bytes,
        quota=settings.quota,
    )


def _of_array(
    config: Config,
    needed: int,
    usage: Usage,
    placement: Sequence[Placed],
    moving: Collection[int],
) -> list[ProviderSpace]:
    numbers: dict[str, list[int]] = {each.name: [] for each in config.backend.members}
    movers = set()
    for row in placement:
        names = [row.provider] if row.former is None else [row.provider, row.former]
        for name in names:
            numbers.setdefault(name, []).append(row.number)
        if row.former is not None or row.number in moving:
            movers.update(names)
    spaces = []
    for name, held in numbers.items():
        settings = config.providers.get(name)
        space = _of_member(name, held, needed, usage)
        quota = None if settings is None else settings.quota
        spaces.append(evolve(space, quota=quota, moving=name in movers))
    return spaces


def _of_member(name: str, numbers: Collection[int], needed: int, usage: Usage) -> ProviderSpace:
    """What a provider holds that has the fragments of some numbers."""
    count = len(numbers)
    missing = sum(usage.missing.get(number, 0) for number in numbers)
    garbage = sum(usage.garbage + usage.fragment_garbage.get(n, 0) for n in numbers)
    stored = count * usage.stored - missing
    overhead = count * (usage.stored - usage.share_bytes // needed)
    return ProviderSpace(
        name,
        stored + garbage,
        min(count * usage.leased, stored),
        garbage,
        max(0, overhead),
        missing,
    )


def _moving(notes: Mapping[str, str]) -> frozenset[int]:
    """The numbers whose fragments an operation that is under way moves."""
    text = notes.get(NOTE)
    return frozenset(json.loads(text)["numbers"]) if text else frozenset()
