"""The types of providers: our own, and those of other packages.

A type is a :class:`ProviderType` that a package names in the entry-point group ``raic.providers``;
the entry point's name is what an operator writes as ``type = ...``.  Our own types are registered
in the same way.  Nothing is imported but the type that is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from attrs import frozen

from raic.errors import ConfigurationError
from raic.interfaces import IStorageProvider

GROUP = "raic.providers"

Credentials = Callable[[], Mapping[str, str]]
"""The present secrets of a provider, by the names of its type's ``secrets``; optional ones may be
absent.

May block, so it is called in worker threads only, perhaps in several at once.  It is called anew
whenever the provider has to prove who it is, also after a refusal, so a changed secret is found
without a restart.  Fails with ``ConfigurationError``, whose text says how to set the secret.
"""

Reactor = Any
"""One that does everything: threads, time, and the network."""


def text(value: str) -> str:
    """One line of printable text."""
    if not value.isprintable():
        raise ValueError("write it on one line, without control characters")
    return value


def boolean(value: str) -> bool:
    """A boolean."""
    known = {"true": True, "yes": True, "on": True, "1": True}
    known |= {"false": False, "no": False, "off": False, "0": False}
    if value.lower() not in known:
        raise ValueError("write true or false")
    return known[value.lower()]


def whole(value: str) -> int:
    """A whole number above 0."""
    if not re.fullmatch(r"[0-9]{1,9}", value) or not int(value):
        raise ValueError("write a whole number above 0")
    return int(value)


def size(value: str) -> int:
    """A size above 0, such as 500 MB or 8MiB."""
    found = re.fullmatch(r"(\d+)\s*([KMGTPE]?)(I?)B?", value, re.IGNORECASE)
    if found is None or not int(found[1]):
        raise ValueError("write a size above 0, such as 64MiB")
    factor: int = (1024 if found[3] else 1000) ** " KMGTPE".index(found[2].upper() or " ")
    return int(found[1]) * factor


def url(value: str) -> str:
    """The address of a service; a slash at its end is dropped."""
    if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s?#]*)?", value):
        raise ValueError("write an address such as https://cloud.example.net")
    return value.rstrip("/")


def prefix(value: str) -> str:
    """What goes before every key: it may name a folder of folders; gets a slash at its end."""
    parts = value.rstrip("/").split("/")
    good = all(re.fullmatch(r"(?!\.{1,2}$)[A-Za-z0-9._-]+", part) for part in parts)
    if value and not good:
        raise ValueError("write a prefix of letters, digits and ._- such as raic/home")
    return value.rstrip("/") + "/" if value else ""


def one_of(*choices: str) -> Callable[[str], str]:
    """One of a few words."""

    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError("write one of: " + ", ".join(choices))
        return value

    parse.__doc__ = "One of: " + ", ".join(choices)
    return parse


@frozen
class Setting:
    """A key of a provider's section.

    :ivar help: a sentence, for the documentation and for messages.
    :ivar parse: makes the value of the text, or raises ``ValueError`` saying what to write.
    :ivar default: the text that an absent key stands for; None for no value: the mapping then
        has None.
    :ivar required: whether the key must be written.
    :ivar is_path: whether it names a file, which is then taken relative to the node directory.
    """

    name: str
    help: str
    parse: Callable[[str], Any] = text
    default: str | None = None
    required: bool = False
    is_path: bool = False


@frozen
class Secret:
    """A part of a provider's credentials.

    :ivar name: in lower case, as in ``secret_access_key``.
    :ivar help: what to ask the operator for.
    :ivar optional: whether it may be left empty.
    :ivar hidden: whether it should not be seen while it is typed.
    """

    name: str
    help: str
    optional: bool = False
    hidden: bool = True


@frozen
class ProviderType:
    """What a package has to offer under an entry point.

    :ivar make: makes a provider, not started, of its name, its parsed settings, its credentials
        and the reactor.  Costs nothing: whatever can fail or take time is done by ``start``.
        Raises ``ConfigurationError`` for settings that do not go together.
    :ivar settings: its keys, besides ``type``, ``credentials`` and those of the layers.
    :ivar secrets: what ``credentials`` returns; empty where there are none.
    :ivar ambient: whether its library can find credentials by itself: with ``credentials =
        ambient``, what ``credentials`` returns is empty.
    """

    make: Callable[[str, Mapping[str, Any], Credentials, Reactor], IStorageProvider]
    settings: tuple[Setting, ...] = ()
    secrets: tuple[Secret, ...] = ()
    ambient: bool = False

    def parsed(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """The values of a section's keys.

        :raises ConfigurationError: naming every key that is missing, unknown or malformed.
        """
        known = {setting.name for setting in self.settings}
        unknown = texts.keys() - known
        problems = [f"{key}: no such key" for key in sorted(unknown)]
        values: dict[str, Any] = {}
        for setting in self.settings:
            try:
                values[setting.name] = _value(setting, texts)
            except ValueError as error:
                problems.append(f"{setting.name}: {error}")
        if problems:
            raise ConfigurationError(problems)
        return values


def _value(setting: Setting, texts: Mapping[str, str]) -> Any:
    if setting.name not in texts and setting.required:
        raise ValueError(f"must be written: {setting.help}")
    written = texts.get(setting.name, setting.default)
    return None if written is None else setting.parse(written)


def provider_types() -> tuple[str, ...]:
    """The names of all types there are, in order; none of them is imported."""
    return tuple(sorted({found.name for found in entry_points(group=GROUP)}))


def provider_type(name: str) -> ProviderType:
    """The type that is written as ``type = name``.

    :raises ConfigurationError: there is none of that name, more than one, or what there is cannot
        be imported or is no ``ProviderType``.
    """
    found = tuple(entry_points(group=GROUP, name=name))
    if not found:
        raise ConfigurationError(
            [f"there is no provider type {name}: write one of {', '.join(provider_types())}"]
        )
    if len({entry.value for entry in found}) > 1:
        packages = " and ".join(sorted(_package(entry) for entry in found))
        raise ConfigurationError([f"{packages} both offer a provider type {name}: remove one"])
    try:
        loaded = found[0].load()
    except Exception as error:  # whatever the package's own code raises
        reason = f"{type(error).__name__}: {error}"
        package = _package(found[0])
        raise ConfigurationError(
            [f"the provider type {name} of {package} cannot be imported: {reason}"]
        ) from error
    if not isinstance(loaded, ProviderType):
        raise ConfigurationError(
            [f"what {_package(found[0])} offers as provider type {name} is no ProviderType"]
        )
    return loaded


def _package(entry: EntryPoint) -> str:
    return entry.value if entry.dist is None else entry.dist.name
