"""What a check says."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from attrs import evolve, frozen


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@frozen
class Finding:
    """One thing that was looked at.

    :ivar subject: what, in a few words.
    :ivar text: what was found; never a secret.
    :ivar remedy: what to do or to type; empty when nothing needs doing.
    :ivar group: the part of the report that it stands in.
    :ivar line: of ``raic.cfg``; None for what has no line there.
    :ivar key: of ``raic.cfg``, as in ``[storage] readonly``; empty for none.
    """

    level: Level
    subject: str
    text: str
    remedy: str = ""
    group: str = ""
    line: int | None = None
    key: str = ""


def good(subject: str, text: str) -> Finding:
    """Something that is as it should be."""
    return Finding(Level.OK, subject, text)


def warning(subject: str, text: str, remedy: str) -> Finding:
    """Something with which the node runs, though the operator may not want it."""
    return Finding(Level.WARNING, subject, text, remedy)


def error(subject: str, text: str, remedy: str) -> Finding:
    """Something that keeps the node from doing its work, or its secrets from being secret."""
    return Finding(Level.ERROR, subject, text, remedy)


@frozen
class Report:
    """All findings about a node, in the order in which they are shown."""

    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Level:
        """The worst level there is."""
        levels = {finding.level for finding in self.findings}
        return next((each for each in (Level.ERROR, Level.WARNING) if each in levels), Level.OK)

    def count(self, level: Level) -> int:
        """How many findings there are of a level."""
        return sum(finding.level is level for finding in self.findings)


def grouped(group: str, findings: Iterable[Finding]) -> list[Finding]:
    """The same findings, in a group of the report."""
    return [evolve(finding, group=group) for finding in findings]
