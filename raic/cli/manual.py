"""The manual page raic(1): what the commands say of themselves, as reStructuredText."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from raic.cli.failing import FAILED, MISTAKEN

ENDS = (
    (0, "all went well"),
    (FAILED, "something went wrong: standard error says what, and what to do"),
    (MISTAKEN, "the command line or raic.cfg has mistakes; nothing was touched"),
)


def describe_commands(group: click.Group) -> list[str]:
    """A section for each command, those of nouns included, and one on exit codes."""
    lines: list[str] = []
    for path, command in walk(group, "raic"):
        lines += [path, "-" * len(path), "", *_usage(command, path), *_paragraphs(command)]
        lines += _options(command, path)
    lines += ["Exit status", "-----------", ""]
    for code, meaning in ENDS:
        lines += [f"{code}", f"   {meaning}."]
    return [*lines, ""]


def walk(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below a group that does something, with all its words, in order."""
    for name, command in sorted(group.commands.items()):
        if command.hidden:
            continue
        if isinstance(command, click.Group):
            yield from walk(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _usage(command: click.Command, path: str) -> list[str]:
    pieces = command.collect_usage_pieces(click.Context(command, info_name=path))
    return [f"``{' '.join((path, *pieces))}``", ""]


def _paragraphs(command: click.Command) -> list[str]:
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    return [*(_plain(line) for line in text.splitlines()), ""]


def _options(command: click.Command, path: str) -> list[str]:
    context = click.Context(command, info_name=path)
    lines: list[str] = []
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None:
            lines += [f"``{record[0]}``", f"   {_plain(' '.join(record[1].split()))}", ""]
    return lines


def _plain(text: str) -> str:
    """Text in which nothing means anything to a markup."""
    return "".join(f"\\{one}" if one in "*`|_\\" else one for one in text)
