"""What certifications found, kept in the node directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from attrs import frozen

from raic import __version__
from raic.assembly.certifying import known_providers
from raic.assembly.members import Reactor, make_leaf
from raic.backends.certify import Certification as Certified
from raic.config.files import replace_file
from raic.config.identity import Identity
from raic.config.model import Config, ProviderSettings
from raic.errors import ConfigurationError
from raic.interfaces import IServiceTraits
from raic.status import Certification

CERTIFIED = "certified"
"""The folder in the node directory."""

FORMAT = 1

_PLACES = (
    "driver",
    "endpoint_url",
    "auth_url",
    "host",
    "port",
    "region",
    "project",
    "path",
    "container",
    "prefix",
)
"""Which settings say where objects are: the usual names, in the order in which they are shown."""

Record = Mapping[str, Any]
"""What is kept, as JSON has it."""


@frozen
class KnownProvider:
    """A provider of the configuration.

    :ivar where: what says where its objects are, by key of ``raic.cfg``.
    :ivar used: whether ``[storage] backend`` names it, or an array that it is in.
    :ivar emulated: what it does itself because its service does not, and how.
    :ivar record: of its last certification; None without one.
    :ivar moved: whether that was of another place.
    """

    name: str
    kind: str
    where: Mapping[str, str]
    used: bool
    emulated: Mapping[str, str]
    record: Record | None
    moved: bool


def list_providers(config: Config, identity: Identity, reactor: Reactor) -> list[KnownProvider]:
    """All that are configured, those in use first; nothing is started."""
    used = [each.name for each in config.backend.members]
    known = known_providers(config)
    names = [*used, *sorted(known.keys() - set(used))]
    return [_described(config, identity, known[name], name in used, reactor) for name in names]


def certifications(config: Config, identity: Identity) -> dict[str, Certification]:
    """The last certification of each provider that has one, by name; blocks, starts nothing."""
    found = {}
    for name, settings in config.providers.items():
        record = _record(config, name)
        if record is not None:
            moved = (record["type"], record["where"]) != (settings.kind, where(settings, identity))
            found[name] = Certification(record["date"], record["result"] == "pass", moved)
    return found


def keep_record(
    config: Config,
    identity: Identity,
    settings: ProviderSettings,
    certification: Certified,
    now: float,
) -> Record:
    """Keep what was found, instead of what was found earlier; returns it."""
    record = make_record(identity, settings, certification, now)
    path = _path(config, settings.name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    replace_file(path, json.dumps(record, indent=2).encode() + b"\n")
    return record


def make_record(
    identity: Identity, settings: ProviderSettings, certification: Certified, now: float
) -> Record:
    """What is kept."""
    return {
        "format": FORMAT,
        "provider": settings.name,
        "type": settings.kind,
        "where": where(settings, identity),
        "date": datetime.fromtimestamp(int(now), timezone.utc).isoformat(),
        "raic": __version__,
        "result": "pass" if certification.passed else "fail",
        "interrupted": certification.interrupted,
        "checks": [
            {
                "check": row.check,
                "result": row.result.value,
                "detail": row.detail,
                "remedy": row.remedy,
                "seconds": row.seconds,
            }
            for row in certification.rows
        ],
        "figures": dict(certification.figures),
        "emulated": dict(certification.emulated),
        "left": list(certification.left),
    }


def where(settings: ProviderSettings, identity: Identity) -> dict[str, str]:
    """What says where a provider's objects are, by key of ``raic.cfg``."""
    if settings.cloud is None:
        return {"path": str(settings.path)}
    values = settings.cloud.values_for(identity.server_id)
    return {key: str(values[key]) for key in _PLACES if values.get(key)}


def _described(
    config: Config, identity: Identity, settings: ProviderSettings, used: bool, reactor: Reactor
) -> KnownProvider:
    here = where(settings, identity)
    record = _record(config, settings.name)
    return KnownProvider(
        settings.name,
        settings.kind,
        here,
        used,
        _emulated(settings, identity, reactor),
        record,
        record is not None and (record["type"], record["where"]) != (settings.kind, here),
    )


def _emulated(
    settings: ProviderSettings, identity: Identity, reactor: Reactor
) -> Mapping[str, str]:
    if settings.cloud is None:
        return {}
    with suppress(ConfigurationError):  # 'raic check' says what is wrong
        leaf = make_leaf(settings.cloud, identity, dict, reactor)
        if IServiceTraits.providedBy(leaf):
            return IServiceTraits(leaf).emulated()
    return {}


def _record(config: Config, name: str) -> Record | None:
    """What was kept; None if there is nothing, or nothing that this version understands."""
    try:
        record = json.loads(_path(config, name).read_bytes())
    except (OSError, ValueError):
        return None
    known = isinstance(record, dict) and record.get("format") == FORMAT
    return record if known else None


def _path(config: Config, name: str) -> Path:
    return config.node_directory / CERTIFIED / f"{name}.json"
