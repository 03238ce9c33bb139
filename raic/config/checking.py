"""Every entry of a configuration against the schema; all mistakes are found in one go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from attrs import define, field

from raic.config.reading import Entry, Text, read_text
from raic.config.schema import ANY, SCHEMA, Key, keys_of
from raic.config.sections import secret_problem, section_keys
from raic.errors import ConfigurationError

SECRET_NAME = re.compile(
    r"secret|passw|passphrase|token|credential|(access|account|api|private|application)[._-]?key"
)


@define
class Checked:
    """The values of a configuration, parsed, and what is wrong with it so far.

    :ivar values: by section and key in lower case; only those that stand in the file.
    :ivar spare: the names of providers that an array can make use of.
    """

    name: str
    text: Text
    values: dict[tuple[str, str], Any] = field(factory=dict)
    notices: list[str] = field(factory=list)
    spare: list[str] = field(factory=list)
    _problems: list[tuple[int, str]] = field(factory=list)
    _problems_elsewhere: list[str] = field(factory=list)
    _keys: dict[str, Mapping[str, Key]] = field(factory=dict)

    def keys(self, section: str) -> Mapping[str, Key]:
        """The keys that are known in a section, by their lower-case names."""
        if section not in self._keys:
            self._keys[section] = section_keys(self.text, section)
        return self._keys[section]

    def get(self, section: str, key: str) -> Any:
        """The value, or what its absence stands for."""
        value = self.values.get((section, key.lower()))
        if value is None:
            known = self.keys(section)[key.lower()]
            return None if known.default is None else known.parse(known.default)
        return value

    def section(self, name: str) -> Mapping[str, Any]:
        """What stands in one section."""
        return {key: value for (section, key), value in self.values.items() if section == name}

    def refuse(self, section: str, key: str, problem: str) -> None:
        """Note what is wrong with a key, or with its absence."""
        entry = self.text.entries.get((section, key.lower()))
        line = entry.line if entry else self.text.sections.get(section, 0)
        self._problems.append((line, f"[{section}] {key}: {problem}"))

    def refuse_file(self, name: str, problem: str) -> None:
        """Note what is wrong with another file that belongs to the configuration."""
        self._problems_elsewhere.append(f"{name}: {problem}")

    def raise_problems(self) -> None:
        """:raises ConfigurationError: something is wrong; each problem in the order of lines."""
        ordered = sorted(self._problems, key=lambda problem: problem[0])
        problems = [
            f"{self.name}, line {line}: {text}" if line else f"{self.name}: {text}"
            for line, text in ordered
        ]
        if problems or self._problems_elsewhere:
            raise ConfigurationError(problems + self._problems_elsewhere)


def check_text(name: str, text: str) -> Checked:
    """Parse every entry; what is wrong is kept in the result.

    :param name: the file's name, for messages.
    """
    read = read_text(text)
    checked = Checked(name, read, problems=list(read.problems))
    unknown = {section for section in read.sections if not keys_of(section)}
    for section in sorted(unknown):
        checked._problems.append((read.sections[section], _unknown_section(section)))
    for entry in read.entries.values():
        if entry.section not in unknown:
            _check_entry(checked, entry)
    return checked


def _check_entry(checked: Checked, entry: Entry) -> None:
    keys = checked.keys(entry.section)
    key = keys.get(entry.key) or keys.get(ANY)
    if key is None:
        checked.refuse(entry.section, entry.key, _unknown_key(entry, keys))
    elif key.refused:
        checked.refuse(entry.section, entry.key, key.refused)
    else:
        _parse_entry(checked, entry, key)


def _parse_entry(checked: Checked, entry: Entry, key: Key) -> None:
    try:
        value = key.parse(entry.value)
    except ValueError as error:
        checked.refuse(entry.section, entry.key, str(error))
        return
    checked.values[entry.section, entry.key] = value


def _unknown_section(section: str) -> str:
    known = sorted({key.section for key in SCHEMA})
    return f"[{section}]: there is no such section" + _suggestion(
        section, [name.removesuffix(ANY) for name in known], "[{}]"
    )


def _unknown_key(entry: Entry, keys: Mapping[str, Key]) -> str:
    if SECRET_NAME.search(entry.key):
        return secret_problem(entry.section)
    elsewhere = sorted({key.section for key in SCHEMA if key.name.lower() == entry.key})
    if elsewhere:
        return "this key belongs in " + " or ".join(f"[{section}]" for section in elsewhere)
    return "there is no such key" + _suggestion(entry.key, sorted(keys), "{}")


def _suggestion(name: str, known: list[str], form: str) -> str:
    near = get_close_matches(name.lower(), known, 1)
    if near:
        return f": did you mean {form.format(near[0])}?"
    return "; known are " + ", ".join(_quoted(known, form))


def _quoted(known: list[str], form: str) -> Iterator[str]:
    for name in known:
        yield form.format(name)
