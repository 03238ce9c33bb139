"""Sizes as people read them, for commands."""

from __future__ import annotations

from raic.sizes import in_words

__all__ = ["in_words"]
