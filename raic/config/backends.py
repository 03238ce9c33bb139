"""Where shares live: ``[storage] backend`` and the sections that it leads to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from raic.config.arrays import array_settings
from raic.config.checking import Checked
from raic.config.clouds import cloud_settings
from raic.config.model import LABELS, Backend, Prices, ProviderSettings
from raic.config.providerkeys import FILESYSTEM

DEFAULT_PROVIDER = "disk"

_PROVIDER = "provider:"
_ARRAY = "array:"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_FORM = "in lower-case letters, digits, '-' and '_'"


def read_providers(checked: Checked, node_directory: Path) -> Mapping[str, ProviderSettings]:
    """All ``[provider:NAME]`` sections, by name; what is wrong is noted.

    Without any of its own a node has one: a folder beside the file.
    """
    sections = [name for name in checked.text.sections if name.startswith(_PROVIDER)]
    names = [section.removeprefix(_PROVIDER) for section in sections]
    for section, name in zip(sections, names, strict=True):
        if not _NAME.fullmatch(name):
            checked.refuse(section, "type", f"write the provider's name {_FORM}")
    if checked.get("storage", "backend") == _PROVIDER + DEFAULT_PROVIDER:
        names = list(dict.fromkeys([*names, DEFAULT_PROVIDER]))
    return {name: _provider(checked, name, node_directory) for name in names}


def read_backend(checked: Checked, providers: Mapping[str, ProviderSettings]) -> Backend | None:
    """What ``[storage] backend`` names; None, and noted, when that cannot be used."""
    backend = checked.get("storage", "backend")
    kind, _, name = backend.partition(":")
    if kind not in ("provider", "array") or not _NAME.fullmatch(name):
        checked.refuse("storage", "backend", f"write provider:NAME or array:NAME, the name {_FORM}")
        return None
    arrays = {
        section.removeprefix(_ARRAY): array_settings(checked, section, providers)
        for section in checked.text.sections
        if section.startswith(_ARRAY)
    }
    known: Mapping[str, Backend | None] = arrays if kind == "array" else providers
    if not _is_meant(checked, backend):
        return None
    found = known[name]
    if found is not None:
        _mention_unused(checked, found, providers)
    return found


def _is_meant(checked: Checked, backend: str) -> bool:
    """Whether the section is there, or its absence can only mean the folder beside the file."""
    if backend in checked.text.sections:
        return True
    others = [name for name in checked.text.sections if name.startswith((_PROVIDER, _ARRAY))]
    if backend != _PROVIDER + DEFAULT_PROVIDER:
        checked.refuse("storage", "backend", f"there is no section [{backend}]: add it")
    elif others:
        checked.refuse("storage", "backend", f"write which one is meant, such as {others[0]}")
    return not others and backend == _PROVIDER + DEFAULT_PROVIDER


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
    )


def _folder(checked: Checked, section: str) -> Path:
    return Path(checked.get(section, "path")).expanduser()


def _mention_unused(
    checked: Checked, backend: Backend, providers: Mapping[str, ProviderSettings]
) -> None:
    used = {member.name for member in backend.members}
    checked.notices.extend(
        f"[{_PROVIDER}{name}]: nothing is stored there: [storage] backend does not lead to it"
        for name in providers
        if name not in used
    )
