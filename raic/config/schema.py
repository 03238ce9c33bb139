"""Every key of ``raic.cfg``: the one list that checking, the documentation and its tests share."""

from __future__ import annotations

from raic.config.arraykeys import ARRAY
from raic.config.key import ANY, Key
from raic.config.nodekeys import NODE
from raic.config.providerkeys import PROVIDER
from raic.config.serverkeys import SERVER
from raic.config.storagekeys import STORAGE
from raic.config.tahoekeys import TAHOE

__all__ = ["ANY", "SCHEMA", "Key", "keys_of", "matches"]

SCHEMA: tuple[Key, ...] = (*NODE, *STORAGE, *PROVIDER, *ARRAY, *SERVER, *TAHOE)


def matches(pattern: str, name: str) -> bool:
    """Whether a section is of the kind that a pattern describes."""
    if pattern.endswith(ANY):
        return name.startswith(pattern[:-1]) and len(name) >= len(pattern)
    return name == pattern


def keys_of(section: str) -> dict[str, Key]:
    """The keys that may stand in a section, by their lower-case names; none if it is unknown."""
    return {key.name.lower(): key for key in SCHEMA if matches(key.section, section)}
