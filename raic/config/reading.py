"""The text of ``raic.cfg``, with the line of everything in it.

The dialect is that of Tahoe's ``tahoe.cfg``: sections, ``key = value`` or ``key: value``,
comments on lines of their own, values continued on indented lines.  Keys are case-insensitive.
Unlike there, a percent sign means nothing, and nothing may stand twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import define, field, frozen

_SECTION = re.compile(r"\[(?P<name>[^]]+)\]\s*")
_ENTRY = re.compile(r"(?P<key>[^=:\s][^=:]*?)\s*[=:]\s*(?P<value>.*)")


@frozen
class Entry:
    """One ``key = value``."""

    section: str
    key: str
    value: str
    line: int


@define
class Text:
    """What a configuration file says.

    :ivar sections: the lines on which sections begin, by name.
    :ivar entries: by section and key.
    :ivar problems: line and text of everything that is not in the dialect.
    """

    sections: dict[str, int] = field(factory=dict)
    entries: dict[tuple[str, str], Entry] = field(factory=dict)
    problems: list[tuple[int, str]] = field(factory=list)


@frozen
class _Line:
    number: int
    indented: bool
    text: str


def read_text(text: str) -> Text:
    """Take a configuration file apart; never fails."""
    result = Text()
    section: str | None = None
    entry: Entry | None = None
    for line in _lines(text):
        if line.indented and entry is not None:
            entry = _continued(result, entry, line.text)
        elif found := _SECTION.fullmatch(line.text):
            section, entry = found["name"].strip(), None
            _begin_section(result, section, line.number)
        elif section is None:
            result.problems.append(
                (line.number, "this stands before any section: begin with a line such as [node]")
            )
        elif found := _ENTRY.fullmatch(line.text):
            entry = Entry(section, found["key"].lower(), found["value"].strip(), line.number)
            _add_entry(result, entry)
        else:
            entry = None
            result.problems.append(
                (line.number, f"[{section}]: this is neither 'key = value' nor a comment")
            )
    return result


def _lines(text: str) -> Iterator[_Line]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        stripped = line.strip()
        if stripped and stripped[0] not in "#;":
            yield _Line(number, line[0].isspace(), stripped)


def _begin_section(result: Text, section: str, line: int) -> None:
    first = result.sections.setdefault(section, line)
    if first != line:
        result.problems.append(
            (line, f"[{section}] began on line {first} already: put its keys together there")
        )


def _add_entry(result: Text, entry: Entry) -> None:
    first = result.entries.setdefault((entry.section, entry.key), entry)
    if first is not entry:
        result.problems.append(
            (
                entry.line,
                f"[{entry.section}] {entry.key} stands on line {first.line} already: keep one",
            )
        )


def _continued(result: Text, entry: Entry, text: str) -> Entry:
    longer = Entry(entry.section, entry.key, f"{entry.value}\n{text}".strip(), entry.line)
    if result.entries[entry.section, entry.key] is entry:
        result.entries[entry.section, entry.key] = longer
    return longer
