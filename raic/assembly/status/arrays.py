"""How an array is doing."""

from __future__ import annotations

from attrs import evolve

from raic.assembly.status.providers import Providers
from raic.backends.array.maintenance import ArrayStatus, MemberStatus
from raic.backends.array.maintenance import UnderWay as Running
from raic.status import ArraySummary, Repairs, Scrubs, UnderWay


def as_seen(providers: Providers, status: ArrayStatus) -> ArrayStatus:
    """A status whose members are as the node sees them: an array knows those that it reads from,
    and others may have gone away meanwhile.
    """
    return evolve(status, members=tuple(_member_seen(providers, each) for each in status.members))


def _member_seen(providers: Providers, member: MemberStatus) -> MemberStatus:
    health = providers.health(member)
    if health is None or health.state == member.state:
        return member
    return evolve(member, state=health.state, problem=f"{health.problem}; {health.remedy}")


def array_summary(status: ArrayStatus, reachable: int, counted: float) -> ArraySummary:
    """What its upkeep tells of it.

    :param reachable: how many members can be written to.
    :param counted: as of when the status is.
    """
    repair, scrub = status.repair, status.scrub
    return ArraySummary(
        name=status.name,
        needed=status.needed,
        happy=status.happy,
        total=len(status.members),
        reachable=reachable,
        objects=status.objects,
        full=status.full,
        degraded=status.degraded,
        at_risk=status.at_risk,
        counted=counted,
        repair=Repairs(repair.queued, repair.done, repair.rate, repair.limit),
        scrub=Scrubs(scrub.finished, scrub.verified, scrub.oldest),
        under_way=tuple(map(_under_way, status.under_way)),
    )


def _under_way(running: Running) -> UnderWay:
    operation, progress = running.operation, running.progress
    return UnderWay(
        kind=operation.kind,
        names=operation.names,
        deep=operation.deep,
        began=running.began,
        done=progress.done,
        total=progress.total,
        bytes=progress.bytes,
        text=progress.text,
    )
