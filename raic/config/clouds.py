"""``[provider:NAME]`` sections of types that the registry knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raic.backends.layers.circuit import CircuitSettings
from raic.backends.layers.rate import Rates
from raic.backends.layers.readcache import CacheSettings
from raic.backends.layers.retries import RetryPolicy
from raic.backends.layers.stack import LayerSettings
from raic.backends.layers.timeout import Timeouts
from raic.backends.registry import ProviderType, Setting, provider_type
from raic.config.checking import Checked
from raic.config.credentials.wanted import AMBIENT, Wanted
from raic.config.model import CloudSettings


def cloud_settings(checked: Checked, section: str, node_directory: Path) -> CloudSettings:
    """What a section says whose type is in the registry; what is wrong is noted."""
    kind = checked.get(section, "type")
    offered = provider_type(kind)
    _check_required(checked, section, offered)
    ambient = _is_ambient(checked, section, offered)
    if ("storage", "reserved_space") in checked.values:
        checked.notices.append(
            f"[storage] reserved_space: it has no effect with type = {kind}; set quota in"
            f" [{section}] to bound what is stored"
        )
    return CloudSettings(
        offered,
        {each.name: _value(checked, section, each, node_directory) for each in offered.settings},
        Wanted(
            section.removeprefix("provider:"),
            kind,
            offered.secrets,
            ambient,
            checked.get(section, "credentials_command"),
        ),
        _layers({key: checked.get(section, key) for key in _LAYER_KEYS}),
    )


def _check_required(checked: Checked, section: str, offered: ProviderType) -> None:
    for setting in offered.settings:
        entry = checked.text.entries.get((section, setting.name))
        if setting.required and (entry is None or not entry.value):
            checked.refuse(section, setting.name, f"it is required: {setting.help}")


def _is_ambient(checked: Checked, section: str, offered: ProviderType) -> bool:
    if checked.get(section, "credentials") != AMBIENT:
        return False
    if not offered.ambient:
        checked.refuse(
            section, "credentials", "this type cannot find credentials by itself: write stored"
        )
    elif checked.get(section, "credentials_command"):
        checked.refuse(
            section,
            "credentials_command",
            "it is not run with credentials = ambient: remove one of them",
        )
    return True


def _value(checked: Checked, section: str, setting: Setting, node_directory: Path) -> Any:
    value = checked.get(section, setting.name)
    if setting.is_path and value:
        return str(node_directory / Path(value).expanduser())
    return value


_LAYER_KEYS = (
    "cache_size",
    "read_ahead",
    "upload_rate",
    "download_rate",
    "request_rate",
    "connections",
    "attempts",
    "timeout",
)


def _layers(values: Mapping[str, Any]) -> LayerSettings:
    size = values["cache_size"]
    return LayerSettings(
        cache=CacheSettings(capacity=size, read_ahead=values["read_ahead"]) if size else None,
        retry=RetryPolicy(attempts=values["attempts"]),
        circuit=CircuitSettings(),
        rates=Rates(values["upload_rate"], values["download_rate"], values["request_rate"]),
        connections=values["connections"],
        timeouts=Timeouts(answer=values["timeout"]),
    )
