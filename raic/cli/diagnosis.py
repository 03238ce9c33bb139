"""What is wrong with a running node, as its status shows it, and what to type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from raic.assembly.checks import Finding, Level
from raic.cli.statusscreen import span
from raic.cli.telling import printable

Told = Mapping[str, Any]

RECENT_SECONDS = 600.0
"""What was logged longer ago is not told."""

_DOWN = ("failing", "away")
_SERIOUS = ("error", "critical")


def diagnose(status: Told, directory: Path) -> list[Finding]:
    """The findings, those of providers first; none when all is well.

    :param status: as ``docs/specifications/status.rst`` has it.
    """
    found = []
    for server in status["servers"]:
        name = server["name"]
        place = directory / "servers" / name if name else directory
        prefix = f"{name}: " if name else ""
        for look in _LOOKS:
            found += [_in(prefix, each) for each in look(server, status, place)]
    return found + list(_warned(status, directory))


def _in(prefix: str, finding: Finding) -> Finding:
    return Finding(
        finding.level,
        finding.subject,
        finding.text,
        finding.remedy,
        f"{prefix}running node",
    )


def _providers(server: Told, status: Told, place: Path) -> Iterator[Finding]:
    for each in server["providers"]:
        since = span(status["time"] - each["since"])
        text = f"{each['health']} for {since}: {printable(each['problem'])}"
        if each["health"] in _DOWN:
            yield Finding(Level.ERROR, each["name"], text, _for_provider(each, server, place))
        elif each["health"] == "slow":
            remedy = f"watch it: raic status {place} --watch"
            yield Finding(Level.WARNING, each["name"], text, remedy)


def _for_provider(provider: Told, server: Told, place: Path) -> str:
    remedy = printable(provider["remedy"])
    steps = [remedy] if remedy else []
    steps.append(f"look closer: raic check {place}")
    if server["array"] is not None:
        name = provider["name"]
        steps.append(f"if it is gone for good: raic array replace {name} NEW {place}")
    return "; ".join(steps)


def _readiness(server: Told, status: Told, place: Path) -> Iterator[Finding]:
    told = server["readiness"]
    if not told["ready"]:
        remedy = printable(told["remedy"]) or f"look closer: raic check {place}"
        text = f"the node takes no shares: {printable(told['problem'])}"
        yield Finding(Level.ERROR, "writing", text, remedy)


def _quotas(server: Told, status: Told, place: Path) -> Iterator[Finding]:
    for each in server["providers"]:
        space = each["space"]
        if space["quota"] is not None and space["available"] == 0:
            remedy = f"raise quota in [provider:{each['name']}], then: raic reload {place}"
            yield Finding(Level.WARNING, each["name"], "its quota is used up", remedy)


def _certified(server: Told, status: Told, place: Path) -> Iterator[Finding]:
    for each in server["providers"]:
        certified = each["certified"]
        remedy = f"raic providers certify {each['name']} {place}"
        if certified is not None and not certified["passed"]:
            yield Finding(Level.WARNING, each["name"], "its certification failed", remedy)
        elif certified is not None and certified["moved"]:
            text = "it was certified in another place than it has now"
            yield Finding(Level.WARNING, each["name"], text, remedy)


def _redundancy(server: Told, status: Told, place: Path) -> Iterator[Finding]:
    array = server["array"]
    if array is None:
        return
    if array["at_risk"]:
        text = f"{array['at_risk']} objects have no fragment to spare"
        yield Finding(Level.ERROR, "redundancy", text, f"raic array repair {place}")
    elif array["degraded"]:
        text = f"{array['degraded']} objects lack fragments; they are repaired by themselves"
        yield Finding(Level.WARNING, "redundancy", text, f"raic array status {place}")


def _introducers(server: Told, status: Told, place: Path) -> Iterator[Finding]:
    for each in server["introducers"]:
        if not each["connected"]:
            text = f"{each['tub_id']} does not have the announcement: {printable(each['problem'])}"
            remedy = (
                "ask whoever runs it; if it has moved, write its new FURL into raic.cfg, then:"
                f" raic reload {place}"
            )
            yield Finding(Level.WARNING, "introducer", text.rstrip(": "), remedy)


def _collection(server: Told, status: Told, place: Path) -> Iterator[Finding]:
    problem = server["collection"]["problem"]
    if problem:
        text = f"garbage could not be deleted: {printable(problem)}"
        yield Finding(Level.WARNING, "garbage", text, f"look closer: raic check {place}")


def _advisories(server: Told, status: Told, place: Path) -> Iterator[Finding]:
    count = server["holding"]["advisories"]
    if count:
        text = f"clients said of {count} shares that they are corrupt"
        yield Finding(Level.WARNING, "advisories", text, f"raic advisories {place}")


def _warned(status: Told, directory: Path) -> Iterator[Finding]:
    for each in status["warnings"]:
        recent = status["time"] - each["time"] < RECENT_SECONDS
        if recent and each["level"] in _SERIOUS:
            age = span(status["time"] - each["time"])
            remedy = printable(each["remedy"]) or f"look closer: raic check {directory}"
            text = f"{age} ago: {printable(each['text'])}"
            yield Finding(Level.WARNING, "log", text, remedy, "running node")


_Look = Callable[[Told, Told, Path], Iterator[Finding]]

_LOOKS: tuple[_Look, ...] = (
    _providers,
    _readiness,
    _quotas,
    _certified,
    _redundancy,
    _introducers,
    _collection,
    _advisories,
)
