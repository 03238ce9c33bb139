"""What is other in a new ``raic.cfg``, and what of it a running node can take up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import field, frozen

from raic.config.key import ANY, Key
from raic.config.reading import Text
from raic.config.sections import section_keys

_NAMED = ("provider:", "array:", "server:")
"""Sections that describe a thing: there is nothing where there is no section."""


@frozen
class Change:
    """Something that stands otherwise in the new file.

    :ivar key: as documented; empty for a whole section.
    :ivar before: what is in force, or its default; empty for none.
    :ivar now: what the new file says; empty for nothing.
    :ivar line: of the new file; 0 for none.
    """

    section: str
    key: str
    before: str
    now: str
    line: int

    @property
    def name(self) -> str:
        """As in ``[storage] readonly``."""
        return f"[{self.section}] {self.key}".strip()


@frozen
class Merged:
    """What is to be in force.

    :ivar text: what was, and the changes that can be taken up.
    :ivar changed: these.
    :ivar kept: the others, in the order of the file: what was in force stays.
    """

    text: Text = field(repr=False)
    changed: tuple[Change, ...] = ()
    kept: tuple[Change, ...] = ()


@frozen
class Scope:
    """What a running node makes of changes.

    :ivar uses: whether it has what a section describes in use.
    :ivar heeds: whether changes in a section are its business at all; another server's are not.
    :ivar takes: whether it can take up a change of a key, of those that are ``live``.
    """

    uses: Callable[[str], bool]
    heeds: Callable[[str], bool]
    takes: Callable[[str, str], bool]


def merge(in_force: Text, new: Text, scope: Scope) -> Merged:
    """Go over from one configuration to another, as far as that is possible in a running node.

    Both have no mistakes.
    """
    result = Text(sections=dict(new.sections), entries=dict(new.entries))
    changed: list[Change] = []
    kept: list[Change] = []
    for section in {**in_force.sections, **new.sections}:
        for change, taken in _section_changes(in_force, new, section, scope):
            if scope.heeds(section):
                (changed if taken else kept).append(change)
            if not taken:
                _keep(in_force, result, change)
    return Merged(
        result,
        tuple(sorted(changed, key=lambda each: each.line)),
        tuple(sorted(kept, key=lambda each: each.line)),
    )


def written(text: Text) -> str:
    """A file that says the same."""
    lines = []
    for section in text.sections:
        lines.append(f"[{section}]")
        for entry in text.entries.values():
            if entry.section == section:
                lines.append(f"{entry.key} = " + entry.value.replace("\n", "\n  "))
    return "\n".join([*lines, ""])


def _section_changes(
    in_force: Text, new: Text, section: str, scope: Scope
) -> Iterator[tuple[Change, bool]]:
    """The changes in a section, and for each whether it can be taken up."""
    if section.startswith(_NAMED) and (section in in_force.sections) != (section in new.sections):
        is_new = section in new.sections
        was, says = ("", "new") if is_new else ("in use" if scope.uses(section) else "", "")
        yield Change(section, "", was, says, new.sections.get(section, 0)), not scope.uses(section)
        return
    keys = section_keys(new if section in new.sections else in_force, section)
    names = {
        entry.key: None
        for text in (in_force, new)
        for entry in text.entries.values()
        if entry.section == section
    }
    for name in names:
        key = keys.get(name) or keys.get(ANY)
        before, now = (_value(text, section, name, key) for text in (in_force, new))
        if before != now:
            entry = new.entries.get((section, name))
            line = entry.line if entry else new.sections.get(section, 0)
            shown = key.name if key is not None and key.name != ANY else name
            taken = key is not None and key.live and scope.takes(section, key.name)
            yield Change(section, shown, before, now, line), taken or not scope.uses(section)


def _value(text: Text, section: str, name: str, key: Key | None) -> str:
    entry = text.entries.get((section, name))
    if entry is not None:
        return entry.value
    return "" if key is None or key.default is None else key.default


def _keep(in_force: Text, result: Text, change: Change) -> None:
    """Leave something in force that the new file changes."""
    if not change.key:
        _keep_section(in_force, result, change.section)
        return
    place = (change.section, change.key.lower())
    if change.section in in_force.sections:
        result.sections.setdefault(change.section, in_force.sections[change.section])
    entry = in_force.entries.get(place)
    if entry is None:
        result.entries.pop(place, None)
    else:
        result.entries[place] = entry


def _keep_section(in_force: Text, result: Text, section: str) -> None:
    for place in [place for place in result.entries if place[0] == section]:
        del result.entries[place]
    result.sections.pop(section, None)
    if section in in_force.sections:
        result.sections[section] = in_force.sections[section]
        kept = {place: each for place, each in in_force.entries.items() if each.section == section}
        result.entries.update(kept)
