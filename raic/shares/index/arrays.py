"""Where an array's fragments are, and what happened to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raic.shares.index.rows import Execute
from raic.values import ArrayEvent, Placed

EVENTS = 10_000
"""How many events are kept: the newest."""

_PLACEMENT = "SELECT number, provider, former FROM placements ORDER BY number"
_EVENT = "INSERT INTO events (time, what, detail) VALUES (?, ?, ?)"
_TRIM = "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?"
_EVENTS = "SELECT time, what, detail FROM events ORDER BY id DESC LIMIT ?"


def get_placement(execute: Execute) -> tuple[Placed, ...]:
    """The homes of the numbers."""
    return tuple(Placed(*row) for row in execute(_PLACEMENT).fetchall())


def set_placement(execute: Execute, rows: Sequence[Placed]) -> None:
    """Replace the homes of all numbers."""
    execute("DELETE FROM placements")
    for row in rows:
        execute("INSERT INTO placements VALUES (?, ?, ?)", (row.number, row.provider, row.former))


def get_notes(execute: Execute) -> Mapping[str, str]:
    """All notes, by name."""
    return dict(execute("SELECT name, text FROM notes").fetchall())


def set_note(execute: Execute, name: str, text: str) -> None:
    """Replace a note; an empty one is forgotten."""
    execute("DELETE FROM notes WHERE name = ?", (name,))
    if text:
        execute("INSERT INTO notes VALUES (?, ?)", (name, text))


def add_event(execute: Execute, event: ArrayEvent) -> None:
    """Keep an event."""
    execute(_EVENT, (event.time, event.what, event.detail))
    execute(_TRIM, (EVENTS,))


def get_events(execute: Execute, limit: int) -> tuple[ArrayEvent, ...]:
    """The newest events first."""
    return tuple(ArrayEvent(*row) for row in execute(_EVENTS, (limit,)).fetchall())
