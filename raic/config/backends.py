"""Where shares live: ``[storage] backend`` and the sections that it leads to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from raic.config.arrays import array_settings
from raic.config.checking import Checked
from raic.config.clouds import cloud_settings
from raic.config.model import LABELS, ArraySettings, Backend, Prices, ProviderSettings
from raic.config.providerkeys import FILESYSTEM

DEFAULT_PROVIDER = "disk"

_PROVIDER = "provider:"
_ARRAY = "array:"
_SERVER = "server:"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
NAME_FORM = "in lower-case letters, digits, '-' and '_'"


def read_providers(checked: Checked, node_directory: Path) -> Mapping[str, ProviderSettings]:
    """All ``[provider:NAME]`` sections, by name; what is wrong is noted.

    Without any of its own a node has one: a folder beside the file.
    """
    sections = [name for name in checked.text.sections if name.startswith(_PROVIDER)]
    names = [section.removeprefix(_PROVIDER) for section in sections]
    for section, name in zip(sections, names, strict=True):
        if not NAME.fullmatch(name):
            checked.refuse(section, "type", f"write the provider's name {NAME_FORM}")
    several = any(name.startswith(_SERVER) for name in checked.text.sections)
    if checked.get("storage", "backend") == _PROVIDER + DEFAULT_PROVIDER and not several:
        names = list(dict.fromkeys([*names, DEFAULT_PROVIDER]))
    return {name: _provider(checked, name, node_directory) for name in names}


def read_backend(checked: Checked, providers: Mapping[str, ProviderSettings]) -> Backend | None:
    """What ``[storage] backend`` names; None, and noted, when that cannot be used."""
    backend = checked.get("storage", "backend")
    if not _is_meant(checked, backend):
        return None
    return find_backend(checked, "storage", backend, providers)


def find_backend(
    checked: Checked, section: str, backend: str, providers: Mapping[str, ProviderSettings]
) -> Backend | None:
    """What the key ``backend`` of a section names; None, and noted, when that cannot be used."""
    kind, _, name = backend.partition(":")
    if kind not in ("provider", "array") or not NAME.fullmatch(name):
        checked.refuse(
            section, "backend", f"write provider:NAME or array:NAME, the name {NAME_FORM}"
        )
        return None
    if kind == "provider" and name in providers:
        return providers[name]
    if kind == "array" and backend in checked.text.sections:
        return array_settings(checked, backend, providers)
    checked.refuse(section, "backend", f"there is no section [{backend}]: add it")
    return None


def _is_meant(checked: Checked, backend: str) -> bool:
    """Whether a backend without a section can only be the folder beside the file."""
    if backend != _PROVIDER + DEFAULT_PROVIDER or backend in checked.text.sections:
        return True
    others = [name for name in checked.text.sections if name.startswith((_PROVIDER, _ARRAY))]
    if others:
        checked.refuse("storage", "backend", f"write which one is meant, such as {others[0]}")
    return not others


def _provider(checked: Checked, name: str, node_directory: Path) -> ProviderSettings:
    section = _PROVIDER + name
    kind = checked.get(section, "type")
    labels = {label: checked.get(section, label) for label in LABELS}
    is_cloud = kind != FILESYSTEM
    return ProviderSettings(
        name=name,
        kind=kind,
        path=None if is_cloud else node_directory / _folder(checked, section),
        fsync=is_cloud or checked.get(section, "fsync"),
        cloud=cloud_settings(checked, section, node_directory) if is_cloud else None,
        labels={label: value for label, value in labels.items() if value},
        prices=Prices(
            *(checked.get(section, f"price_{what}") for what in ("storage", "download", "requests"))
        ),
        availability=checked.get(section, "availability"),
        quota=checked.get(section, "quota"),
    )


def _folder(checked: Checked, section: str) -> Path:
    return Path(checked.get(section, "path")).expanduser()


def mention_unused(
    checked: Checked, backends: Sequence[Backend], providers: Mapping[str, ProviderSettings]
) -> None:
    """Note which providers hold nothing: where there is an array, they are spare."""
    used = {member.name for backend in backends for member in backend.members}
    unused = [name for name in providers if name not in used]
    if any(isinstance(backend, ArraySettings) for backend in backends):
        checked.spare.extend(unused)
        return
    checked.notices.extend(
        f"[{_PROVIDER}{name}]: nothing is stored there: no backend leads to it" for name in unused
    )
