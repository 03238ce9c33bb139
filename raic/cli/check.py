"""``raic check``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from raic.assembly.checks import Finding, Level, Report, check_node
from raic.assembly.checks.running import ASK_SECONDS
from raic.cli.failing import FAILED
from raic.cli.reactor import run_until_done

SCHEMA_VERSION = 1
"""Of what ``--json`` prints; raised when a field goes or changes its meaning."""

_MARKS = {Level.OK: "ok", Level.WARNING: "warning", Level.ERROR: "ERROR"}
_MARK_WIDTH = max(map(len, _MARKS.values()))
_WIDEST_SUBJECT = 34


@click.command()
@click.argument(
    "nodedir", type=click.Path(path_type=Path, exists=True, file_okay=False, dir_okay=True)
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=ASK_SECONDS,
    show_default=True,
    help="How many seconds each question to a service may take.",
)
def check(nodedir: Path, timeout: float, *, as_json: bool) -> None:
    """Look for what keeps the node in NODEDIR from working, and say what to do.

    Nothing is changed, whether the node runs or not.
    """
    directory = nodedir.absolute()
    report = run_until_done(lambda reactor: check_node(directory, reactor, os.environ, timeout))
    if as_json:
        click.echo(json.dumps(as_values(directory, report), indent=2))
    else:
        for line in as_lines(report):
            click.echo(line)
    click.get_current_context().exit(FAILED if report.worst is Level.ERROR else 0)


def as_values(directory: Path, report: Report) -> dict[str, Any]:
    """What ``--json`` prints, as the documentation describes it."""
    return {
        "version": SCHEMA_VERSION,
        "node_directory": str(directory),
        "result": report.worst.value,
        "counts": {level.value: report.count(level) for level in Level},
        "findings": [
            {
                "group": each.group,
                "subject": each.subject,
                "level": each.level.value,
                "text": each.text,
                "remedy": each.remedy,
                "line": each.line,
                "key": each.key or None,
            }
            for each in report.findings
        ],
    }


def as_lines(report: Report) -> list[str]:
    """The report for people: by groups, what is wrong in capitals, the outcome at the end."""
    lines: list[str] = []
    for group in dict.fromkeys(each.group for each in report.findings):
        members = [each for each in report.findings if each.group == group]
        width = min(_WIDEST_SUBJECT, max(len(each.subject) for each in members))
        lines += [group, *(line for each in members for line in _shown(each, width)), ""]
    return [*lines, _summary(report)]


def _shown(finding: Finding, width: int) -> list[str]:
    start = f"  {_MARKS[finding.level]:<{_MARK_WIDTH}}  {finding.subject:<{width}}  "
    indent = " " * (_MARK_WIDTH + width + 6)
    text = _printable(finding.text)
    lines = [start + text]
    if finding.remedy:
        lines.append(f"{indent}what to do: {_printable(finding.remedy)}")
    return lines


def _printable(text: str) -> str:
    """On one line, and without what would move a terminal's cursor."""
    return "".join(one if one.isprintable() else " " for one in " ".join(text.split()))


def _summary(report: Report) -> str:
    errors, warnings = report.count(Level.ERROR), report.count(Level.WARNING)
    counts = f"{_number(errors, 'error')}, {_number(warnings, 'warning')}"
    if errors:
        return f"{counts}: what says ERROR has to be put right"
    if warnings:
        return f"{counts}: the node can do its work"
    return f"all is well: {_number(len(report.findings), 'thing')} looked at"


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
