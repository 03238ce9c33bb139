"""A provider for RAIC that keeps objects in an SQLite database: an example to copy."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from raic.backends.blocking import BlockingProvider
from raic.backends.blockingstore import PartPlan
from raic.backends.registry import Credentials, ProviderType, Setting, size
from raic.workers import ThreadWorkers
from raic_sqlite.store import SqliteStore

__all__ = ["SQLITE"]


def _make(
    name: str, settings: Mapping[str, Any], credentials: Credentials, reactor: Any
) -> BlockingProvider:
    """Make a provider.  Nothing is opened yet: that is ``start``'s business."""
    return BlockingProvider(
        name,
        SqliteStore(name, settings["path"]),
        # A connection of SQLite wants to stay in its thread, so there is one.
        partial(ThreadWorkers, reactor, 1, name),
        reactor,
        PartPlan(settings["part_size"]),
    )


SQLITE = ProviderType(
    make=_make,
    settings=(
        Setting("path", "The database file.", required=True, is_path=True),
        Setting("part_size", "The size of the pieces of large objects.", size, "1MiB"),
    ),
)
