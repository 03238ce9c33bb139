"""Which keys may stand in a section, which for a provider depends on its type."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from raic.backends.registry import Setting, provider_type
from raic.config.key import ANY, Key
from raic.config.providerkeys import CLOUD_KEYS, FILESYSTEM, FILESYSTEM_KEYS, TYPE_KEYS
from raic.config.reading import Text
from raic.config.schema import keys_of
from raic.errors import ConfigurationError

_PROVIDER = "provider:"


def section_keys(text: Text, section: str) -> Mapping[str, Key]:
    """The keys that are known in a section, by their lower-case names; none if it is unknown."""
    known = keys_of(section)
    if not known or not section.startswith(_PROVIDER):
        return known
    entry = text.entries.get((section, "type"))
    kind = FILESYSTEM if entry is None else entry.value
    if kind == FILESYSTEM:
        reason = "it does not go with type = filesystem: remove it"
        return known | {key.name: evolve(key, refused=reason) for key in CLOUD_KEYS}
    try:
        offered = provider_type(kind)
    except ConfigurationError:
        # The type is what is wrong; nothing can be said of the other keys.
        return {**_by_name((*TYPE_KEYS, *FILESYSTEM_KEYS)), ANY: Key(section, ANY, "")}
    reason = "it goes with type = filesystem alone: remove it"
    return {
        **{key.name: evolve(key, refused=reason) for key in FILESYSTEM_KEYS},
        **{secret.name: _secret(section, secret.name) for secret in offered.secrets},
        **{each.name: _own_key(section, each) for each in offered.settings},
        **_by_name((*TYPE_KEYS, *CLOUD_KEYS)),
    }


def secret_problem(section: str) -> str:
    """What to do about a secret in ``raic.cfg``."""
    advice = ""
    if section.startswith(_PROVIDER):
        advice = f" keep it with 'raic credentials set {section.removeprefix(_PROVIDER)}',"
    return (
        "secrets do not belong in this file, which is not kept secret: remove the line,"
        f"{advice} and change the secret if others could read it"
    )


def _by_name(keys: tuple[Key, ...]) -> dict[str, Key]:
    return {key.name: key for key in keys}


def _secret(section: str, name: str) -> Key:
    return Key(section, name, "", refused=secret_problem(section))


def _own_key(section: str, setting: Setting) -> Key:
    return Key(section, setting.name, setting.help, setting.parse, setting.default, tahoe=False)
