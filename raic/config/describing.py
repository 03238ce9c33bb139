"""The configuration reference: what the schema says of each key, as reStructuredText."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any

from raic.backends.registry import Setting, provider_type
from raic.config.key import ANY, Key
from raic.config.schema import SCHEMA

_RELOADS = {
    True: "a running node takes up a change",
    False: "a change needs a restart",
}


def describe_keys(section: str, more: Mapping[str, str]) -> list[str]:
    """A heading for each key of a section that may be written, and what it is.

    :param section: as in the schema, such as ``provider:*``.
    :param more: further text for some of the keys, by their names.
    :raises ValueError: there is no such section, or ``more`` names a key that it does not have.
    """
    keys = [key for key in SCHEMA if key.section == section and is_written(key)]
    _check(section, [key.name for key in keys], more)
    lines: list[str] = []
    for key in keys:
        heading = f"``{place(key)}``"
        text = key.help if key.tahoe else f"{key.help}  Tahoe does not have it."
        lines += [heading, "~" * len(heading), "", text, "", *_facts(key.parse, key.default)[:-1]]
        lines += [f":Reload: {_RELOADS[key.live]}", ""]
        lines += _more(more.get(key.name, ""))
    return lines


def describe_settings(kind: str, more: Mapping[str, str]) -> list[str]:
    """A definition list of the keys that only providers of one type have.

    :param kind: the type, such as ``s3``.
    :param more: further text for some of the keys, by their names.
    :raises ValueError: ``more`` names a key that the type does not have.
    """
    settings = provider_type(kind).settings
    _check(kind, [each.name for each in settings], more)
    lines: list[str] = []
    for each in settings:
        body = [each.help, "", *_setting_facts(each), *_more(more.get(each.name, ""))]
        lines += [f"``{each.name}``", *(f"   {line}" for line in body)]
    return lines


def describe_live() -> list[str]:
    """A list of the keys that a running node takes up, by their sections."""
    sections: dict[str, list[str]] = {}
    for key in SCHEMA:
        if key.live and is_written(key):
            sections.setdefault(key.section.replace(ANY, "NAME"), []).append(f"``{key.name}``")
    return [f"- ``[{section}]``: {', '.join(names)}" for section, names in sections.items()] + [""]


def describe_tahoe() -> list[str]:
    """A table of all keys that Tahoe-LAFS has, and what becomes of each."""
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 40 60", ""]
    lines += ["   * - key", "     - in ``raic.cfg``"]
    for key in SCHEMA:
        if key.tahoe:
            lines += [f"   * - ``{place(key)}``", f"     - {_fate(key)}"]
    return [*lines, ""]


def is_written(key: Key) -> bool:
    """Whether an operator has any reason to write the key."""
    return not key.refused and not (key.tahoe and key.help.startswith("Only "))


def place(key: Key) -> str:
    """A key as it is written in texts."""
    name = "NAME" if key.name == ANY else key.name
    return f"[{key.section.replace(ANY, 'NAME')}] {name}"


def kind_of(parse: Callable[[str], Any]) -> str:
    """What a parser takes: the first sentence that it says of itself, without the point."""
    said = (parse.__doc__ or "").strip() if isinstance(parse, FunctionType) else ""
    return said.splitlines()[0].rstrip(".") if said else "One line of printable text"


def _facts(parse: Callable[[str], Any], default: str | None) -> list[str]:
    facts = [f":Value: {kind_of(parse)}"]
    if default is not None:
        facts.append(f":Default: ``{default}``" if default else ":Default: none")
    return [*facts, ""]


def _setting_facts(setting: Setting) -> list[str]:
    facts = _facts(setting.parse, None if setting.required else setting.default or "")
    return [*facts[:-1], ":Required: yes", ""] if setting.required else facts


def _fate(key: Key) -> str:
    if key.refused:
        return f"Refused: {key.refused}."
    if not is_written(key):
        return f"{key.help}  {_reason(key)}"
    return "Honoured."


def _reason(key: Key) -> str:
    """Why a key can have one value alone: what its parser says to any other."""
    for other in ("true", "false", "other"):
        try:
            key.parse(other)
        except ValueError as error:
            return f"Anything else is refused: {error}."
    raise AssertionError(f"{place(key)} takes any value")


def _check(what: str, names: Iterable[str], more: Mapping[str, str]) -> None:
    if not names:
        raise ValueError(f"there are no keys in {what}")
    unknown = set(more) - set(names)
    if unknown:
        raise ValueError(f"there is no key {', '.join(sorted(unknown))} in {what}")


def _more(text: str) -> list[str]:
    return [*text.splitlines(), ""] if text else []
