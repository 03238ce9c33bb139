"""How old things must be before they are deleted, in seconds."""

from __future__ import annotations

GARBAGE_SECONDS = 300
"""An object that the index dropped stays at least this long."""

REQUEST_SECONDS = 300
"""Longer than any request to a provider can live: a write without an answer has landed by then,
or never will."""

UNKNOWN_SECONDS = 24 * 60 * 60
"""An object that the index never knew stays at least this long after it was first seen."""
