"""What a certification finds."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from attrs import field, frozen


class Result(Enum):
    """What became of a check."""

    PASS = "pass"  # noqa: S105 - no password
    """The service does it."""

    WARNING = "warning"
    """It does, but not as well as it should."""

    EMULATED = "emulated"
    """It does not; the provider does it instead, and that is right."""

    NOT_OFFERED = "not offered"
    """It does not, and a node can do without it."""

    FAIL = "fail"
    """What a node relies on does not hold."""


@frozen
class Finding:
    """What a check found out.

    :ivar figures: what was measured.
    """

    result: Result
    detail: str
    remedy: str = ""
    figures: Mapping[str, float] = field(factory=dict)


def passed(detail: str, **figures: float) -> Finding:
    """A finding that all is well."""
    return Finding(Result.PASS, detail, figures=figures)


@frozen
class Row:
    """A line of the table.

    :ivar seconds: how long the check took.
    """

    check: str
    result: Result
    detail: str
    remedy: str
    seconds: float


@frozen
class Certification:
    """What all checks found.

    :ivar figures: by name: seconds, bytes a second, and counts.
    :ivar emulated: what the provider does itself, and how, by ability.
    :ivar left: keys of objects that could not be removed, or may yet appear.
    :ivar interrupted: whether not all checks were made.
    """

    rows: tuple[Row, ...]
    figures: Mapping[str, float]
    emulated: Mapping[str, str]
    left: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def passed(self) -> bool:
        """Whether the provider can be relied on."""
        failed = any(row.result is Result.FAIL for row in self.rows)
        return not failed and not self.interrupted


class CheckFailed(Exception):
    """What a node relies on does not hold.

    :param detail: what was seen.
    :param remedy: what to do about it.
    """

    def __init__(self, detail: str, remedy: str = "") -> None:
        super().__init__(detail)
        self.remedy = remedy


def expect(condition: object, otherwise: str, remedy: str = "") -> None:
    """:raises CheckFailed: the condition does not hold."""
    if not condition:
        raise CheckFailed(otherwise, remedy)
