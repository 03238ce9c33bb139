"""``raic reload``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from raic.cli.failing import FAILED
from raic.cli.node_link import ask_servers
from raic.cli.telling import json_option, nodedir_argument, print_json, printable

NOTHING = "nothing"


@click.command()
@nodedir_argument
@json_option
def reload(nodedir: Path, *, as_json: bool) -> None:
    """Have the running node in NODEDIR take up what was changed in raic.cfg.

    What cannot change while it runs is named, and stays as it was.  A mistake in the file changes
    nothing.
    """
    directory = nodedir.absolute()
    told = _summed_up(ask_servers(directory, "node.reload"))
    if as_json:
        print_json(told)
    else:
        for line in as_lines(told, directory):
            click.echo(line)
    click.get_current_context().exit(FAILED if told["troubles"] else 0)


def _summed_up(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The answers of all servers of a node as one: what one keeps is kept."""
    kept = {each["name"]: each for answer in answers for each in answer["kept"]}
    changed = {
        each["name"]: each
        for answer in answers
        for each in answer["changed"]
        if each["name"] not in kept
    }
    return {
        "changed": list(changed.values()),
        "kept": list(kept.values()),
        "credentials": any(answer["credentials"] for answer in answers),
        "introducers": any(answer["introducers"] for answer in answers),
        "troubles": [each for answer in answers for each in answer["troubles"]],
    }


def as_lines(told: Mapping[str, Any], directory: Path) -> list[str]:
    """What is printed."""
    lines = _changes("in force now:", told["changed"])
    lines += _changes("stays as it was until the node is started again:", told["kept"])
    if told["credentials"]:
        lines.append("the providers have other credentials now")
    if told["introducers"]:
        lines.append("the node is announced to other introducers now")
    for trouble in told["troubles"]:
        lines.append(f"not changed: {printable(trouble['text'])}")
        lines.append(f"  what to do: {printable(trouble['remedy'])}")
    if told["kept"]:
        lines.append(f"for the rest, stop the node and start it again: raic run {directory}")
    return lines or ["nothing has changed"]


def _changes(heading: str, changes: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [heading] if changes else []
    for each in changes:
        place = "" if each["line"] is None else f"line {each['line']}: "
        before, now = (printable(each[name]) or NOTHING for name in ("before", "now"))
        lines.append(f"  {place}{each['name']}: {now}, was {before}")
    return lines
