"""Sizes as people read them."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def in_words(size: int) -> str:
    """Three digits or so: ``999 B``, ``1.5 kB``, ``23.0 GB``."""
    value, rank = float(size), 0
    while value >= 999.95 and rank + 1 < len(_UNITS):
        value, rank = value / 1000, rank + 1
    return f"{value:.1f} {_UNITS[rank]}" if rank else f"{size} B"
