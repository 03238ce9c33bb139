"""Choices of an array over given providers: what they cost, and what they are good for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from attrs import field, frozen

from raic.backends.array.availability import Domain, Reach, unavailability
from raic.backends.array.losing import Home, Loss, losses

GIGABYTE = 10**9
REQUESTS = 10_000
"""So many are priced together."""


@frozen
class Offer:
    """A provider, and what is known of it.

    :ivar availability: the part of the time in which it can be reached, from 0 to 1.
    :ivar storage: what 1 GB (10^9 bytes) costs in a month.
    :ivar download: what fetching 1 GB costs.
    :ivar requests: what 10,000 requests cost.
    :ivar labels: what it has in common with others, such as ``operator``.
    """

    name: str
    availability: float
    storage: float = 0.0
    download: float = 0.0
    requests: float = 0.0
    labels: Mapping[str, str] = field(factory=dict)


@frozen
class Demand:
    """What is stored, and done with it in a month.

    :ivar size: how many bytes of shares are stored.
    :ivar writes: how many small objects are written.
    :ivar reads: how many small objects are read.
    :ivar download: how many bytes are read.
    """

    size: int = 0
    writes: int = 0
    reads: int = 0
    download: int = 0


@frozen
class Choice:
    """How many providers suffice to read, and to acknowledge a write, and how many there are."""

    needed: int
    happy: int
    total: int


@frozen
class Costs:
    """In a month."""

    storage: float
    requests: float
    download: float

    @property
    def total(self) -> float:
        """All together."""
        return self.storage + self.requests + self.download


@frozen
class Plan:
    """A choice, and what comes of it.

    :ivar providers: the names of those that it is made of.
    :ivar overhead: how many bytes are stored for each byte of a share.
    :ivar write_requests: how many a small write takes.
    :ivar read_requests: how many it takes to read a small object whole.
    :ivar losses: of single providers, and of domains.
    :ivar reads_down: the part of the time in which reads fail.
    :ivar writes_down: the part of the time in which writes fail.
    """

    choice: Choice
    providers: tuple[str, ...]
    overhead: float
    costs: Costs
    write_requests: int
    read_requests: int
    losses: tuple[Loss, ...]
    reads_down: float
    writes_down: float

    @property
    def lost_at_once(self) -> int:
        """How many providers may be lost right after a write was acknowledged."""
        return self.choice.happy - self.choice.needed

    @property
    def lost_repaired(self) -> int:
        """How many may be lost once all fragments are where they belong."""
        return self.choice.total - self.choice.needed


def choices(
    providers: int,
    needed: Collection[int] = (),
    total: Collection[int] = (),
    happy: Collection[int] = (),
) -> Iterator[Choice]:
    """All choices there are with so many providers.

    :param needed: only with these; any without.
    :param total: only with these; any from 2 without.
    :param happy: only with these; any above ``needed`` without: what was just acknowledged should
        survive a loss.
    """
    for count in sorted(set(total)) if total else range(2, providers + 1):
        if not 1 <= count <= providers:
            continue
        for k in sorted(set(needed)) if needed else range(1, count + 1):
            for h in sorted(set(happy)) if happy else range(k + 1, count + 1):
                if 1 <= k <= h <= count:
                    yield Choice(k, h, count)


def make_plan(
    offers: Sequence[Offer],
    choice: Choice,
    demand: Demand,
    domains: Mapping[Domain, float],
) -> Plan:
    """What comes of a choice.

    :param offers: of which the first ``choice.total`` are used.
    :param domains: how often those can be reached that may fail as a whole.
    :raises ValueError: there are too many of these.
    """
    members = offers[: choice.total]
    reach = [Reach(each.availability, frozenset(each.labels.items())) for each in members]
    homes = [Home(each.name, each.labels) for each in members]
    return Plan(
        choice,
        tuple(each.name for each in members),
        choice.total / choice.needed,
        costs_of(members, choice.needed, demand),
        write_requests=choice.total,
        read_requests=choice.needed,
        losses=tuple(losses(homes, choice.needed, choice.happy)),
        reads_down=unavailability(choice.needed, reach, domains),
        writes_down=unavailability(choice.happy, reach, domains),
    )


def costs_of(members: Sequence[Offer], needed: int, demand: Demand) -> Costs:
    """What it costs in a month, when all members are well.

    Each holds one fragment of every object; objects are read from those where fetching is
    cheapest, as an array does.
    """
    fragments = demand.size / needed / GIGABYTE
    readers = sorted(members, key=lambda each: each.download)[:needed]
    writing = sum(each.requests for each in members) * demand.writes / REQUESTS
    reading = sum(each.requests for each in readers) * demand.reads / REQUESTS
    fetched = demand.download / needed / GIGABYTE
    return Costs(
        storage=sum(each.storage for each in members) * fragments,
        requests=writing + reading,
        download=sum(each.download for each in readers) * fetched,
    )
