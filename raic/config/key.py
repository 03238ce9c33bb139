"""What is known of a key of ``raic.cfg``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from raic.config import parsers

ANY = "*"
"""As a key's name: any name.  At the end of a section's name: any ending."""


@frozen
class Key:
    """One key.

    :ivar section: its section; ``provider:*`` stands for all that begin so.
    :ivar name: as documented; keys are case-insensitive.
    :ivar parse: makes the value of the text, or raises ``ValueError`` saying what to write.
    :ivar default: the text that an absent key stands for; None for no value.
    :ivar tahoe: whether Tahoe-LAFS 1.20 has it.
    :ivar refused: why the key may not stand there at all, and what to do instead.
    :ivar live: whether a running node takes up a change of it, at a reload.
    """

    section: str
    name: str
    help: str
    parse: Callable[[str], Any] = parsers.text
    default: str | None = None
    tahoe: bool = True
    refused: str = ""
    live: bool = False


def refused(section: str, reason: str, *names: str) -> tuple[Key, ...]:
    """Keys that may not stand there."""
    return tuple(Key(section, name, f"Refused: {reason}.", refused=reason) for name in names)


def ours(
    section: str,
    name: str,
    parse: Callable[[str], Any],
    default: str,
    text: str,
    *,
    live: bool = False,
) -> Key:
    """A key that Tahoe does not have."""
    return Key(section, name, text, parse, default, tahoe=False, live=live)
