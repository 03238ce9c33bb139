"""Plans of arrays as ``raic plan --json`` prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import asdict

from raic.backends.array.availability import Domain
from raic.backends.array.comparing import Arrangement, Coding
from raic.backends.array.losing import Loss
from raic.backends.array.planning import Costs, Demand, Offer, Plan

SCHEMA_VERSION = 1
"""Raised when a field goes or changes its meaning."""


def as_values(
    offers: Sequence[Offer],
    domains: Mapping[Domain, float],
    demand: Demand,
    plans: Sequence[Plan],
    coding: Coding | None,
    ways: Sequence[Arrangement],
) -> dict[str, Any]:
    """All of it, as the documentation describes it."""
    return {
        "version": SCHEMA_VERSION,
        "providers": [asdict(offer) for offer in offers],
        "domains": [
            {"label": label, "name": name, "availability": up}
            for (label, name), up in domains.items()
        ],
        "demand": {
            "bytes": demand.size,
            "writes": demand.writes,
            "reads": demand.reads,
            "download": demand.download,
        },
        "choices": [_plan(each) for each in plans],
        "client": None if coding is None else asdict(coding),
        "arrangements": [_way(each) for each in ways],
    }


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        **asdict(plan.choice),
        "providers": list(plan.providers),
        "overhead": plan.overhead,
        "cost": _costs(plan.costs),
        "write_requests": plan.write_requests,
        "read_requests": plan.read_requests,
        "may_lose_at_once": plan.lost_at_once,
        "may_lose_repaired": plan.lost_repaired,
        "losses": [_loss(loss) for loss in plan.losses],
        "read_availability": 1 - plan.reads_down,
        "read_unavailability": plan.reads_down,
        "write_availability": 1 - plan.writes_down,
        "write_unavailability": plan.writes_down,
    }


def _costs(costs: Costs) -> dict[str, float]:
    return {**asdict(costs), "total": costs.total}


def _loss(loss: Loss) -> dict[str, Any]:
    return {
        "label": loss.label,
        "name": loss.name,
        "fragments": loss.fragments,
        "reads_go_on": loss.reads_go_on,
        "writes_go_on": loss.writes_go_on,
        "keeps_newest": loss.keeps_newest,
        "more_may_be_lost": loss.more,
    }


def _way(way: Arrangement) -> dict[str, Any]:
    return {
        "client": asdict(way.coding),
        "array": None if way.code is None else {"needed": way.code[0], "total": way.code[1]},
        "servers": way.servers,
        "overhead": way.overhead,
        "cost": way.cost,
        "may_lose": way.may_lose,
    }
