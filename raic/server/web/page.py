"""The status page, rendered here: readable without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen
from jinja2 import Environment, PackageLoader, StrictUndefined

from raic.server.web import words
from raic.server.web.drawing import bar, sparkline
from raic.server.web.words import percent
from raic.status import NodeStatus, ProviderSpace, ProviderSummary, ServerStatus
from raic.status.values import WELL

SHOWN_WARNINGS = 12

QUOTA_REMEDY = "raise its quota in raic.cfg, let leases expire, or add a provider"

_environment = Environment(
    loader=PackageLoader("raic.server.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(
    count=words.count,
    size=words.size,
    rate=words.rate,
    flow=words.flow,
    latency=words.latency,
    span=words.span,
    moment=words.moment,
    utc=words.utc,
    ago=words.ago,
)
_environment.globals.update(spark=sparkline, bar=bar, percent=words.percent)


@frozen
class Trouble:
    """What an operator should know of first.

    :ivar grave: whether clients notice, or data is at risk.
    """

    grave: bool
    server: str
    text: str
    remedy: str


def render_page(status: NodeStatus, *, reveal: bool, may_reveal: bool) -> str:
    """The whole page.

    :param reveal: whether it shows addresses and storage indexes.
    :param may_reveal: whether it could.
    """
    values = _values(status, reveal=reveal)
    return _environment.get_template("page.html").render(**values, may_reveal=may_reveal)


def render_main(status: NodeStatus, *, reveal: bool) -> str:
    """What is between its head and its foot: all that changes."""
    return _environment.get_template("main.html").render(**_values(status, reveal=reveal))


def _values(status: NodeStatus, *, reveal: bool) -> dict[str, object]:
    troubles = [trouble for server in status.servers for trouble in _troubles(server)]
    return {
        "node": status,
        "now": status.time,
        "reveal": reveal,
        "doing": [what for server in status.servers for what in _doing(server)],
        "troubles": sorted(troubles, key=lambda each: not each.grave),
        "warnings": status.warnings[:SHOWN_WARNINGS],
        "title": ", ".join(dict.fromkeys(server.nickname for server in status.servers)) or "RAIC",
        "state": _state(status, troubles),
    }


def _state(status: NodeStatus, troubles: list[Trouble]) -> str:
    """``starting``, ``grave``, ``trouble`` or ``well``."""
    if not status.servers:
        return "starting"
    if any(each.grave for each in troubles):
        return "grave"
    return "trouble" if troubles else "well"


def _doing(server: ServerStatus) -> Iterator[str]:
    """What an array is at by itself, or because somebody had it done."""
    array, of = server.array, f"{server.name}: " if server.name else ""
    if array is None:
        return
    if array.repair.queued:
        plural = "s" if array.repair.queued > 1 else ""
        yield f"{of}{array.repair.queued:,} fragment{plural} to repair"
    for running in array.under_way:
        names = " → ".join(running.names)
        how_far = f", {percent(running.done, running.total):.0f} %" if running.total else ""
        yield f"{of}{'deep ' if running.deep else ''}{running.kind} {names}".rstrip() + how_far


def is_over_quota(space: ProviderSpace) -> bool:
    """Whether a provider holds as much as the operator allows, or more."""
    return space.quota is not None and space.used is not None and space.used >= space.quota


def _troubles(server: ServerStatus) -> Iterator[Trouble]:
    """What is wrong with a server."""
    if not server.readiness.ready:
        what = f"Clients cannot store anything: {server.readiness.problem}"
        yield Trouble(True, server.name, what, server.readiness.remedy)
    array = server.array
    if array is not None and array.at_risk:
        what = f"{array.at_risk:,} objects have no fragment to spare"
        remedy = "bring back the providers that are down; until then lose no other"
        yield Trouble(True, server.name, what, remedy)
    for provider in server.providers:
        yield from _provider_troubles(server.name, provider)
    for introducer in server.introducers:
        if not introducer.connected:
            why = introducer.problem or "it does not answer"
            what = f"Clients may not find this node: introducer {introducer.tub_id}: {why}"
            remedy = "check introducer.furl and the network; it is tried again by itself"
            yield Trouble(False, server.name, what, remedy)


def _provider_troubles(server: str, provider: ProviderSummary) -> Iterator[Trouble]:
    if provider.health != WELL:
        what = f"{provider.name} is {provider.health}: {provider.problem}"
        yield Trouble(False, server, what, provider.remedy)
    if is_over_quota(provider.space):
        yield Trouble(False, server, f"{provider.name} is over its quota", QUOTA_REMEDY)
