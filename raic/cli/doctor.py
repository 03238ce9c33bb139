"""``raic doctor``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from attrs import evolve

from raic.assembly.checks import Finding, Level, Report, check_node
from raic.cli.check import as_lines, as_values
from raic.cli.diagnosis import diagnose
from raic.cli.failing import FAILED
from raic.cli.node_link import NodeNotRunning
from raic.cli.reactor import run_until_done
from raic.cli.status import ask_status
from raic.cli.telling import json_option, nodedir_argument, print_json
from raic.errors import RaicError

ASK_SECONDS = 10.0
"""How long each question to a service may take: shorter than a check's, to be done within 30 s."""

_GROUP = "running node"


@click.command()
@nodedir_argument
@json_option
def doctor(nodedir: Path, *, as_json: bool) -> None:
    """Say what is wrong with the node in NODEDIR, and what to type about it.

    This is what the running node knows, and what 'raic check' finds.
    """
    directory = nodedir.absolute()
    live = _live(directory)
    report = run_until_done(lambda reactor: check_node(directory, reactor, os.environ, ASK_SECONDS))
    looked = len(report.findings)
    wrong = [each for each in live + list(report.findings) if each.level is not Level.OK]
    answer = Report(tuple(_with_remedy(each, directory) for each in wrong))
    if as_json:
        print_json(as_values(directory, answer))
    else:
        for line in _lines(answer, looked):
            click.echo(line)
    click.get_current_context().exit(FAILED if answer.worst is Level.ERROR else 0)


def _live(directory: Path) -> list[Finding]:
    """What the running node says of itself."""
    try:
        return diagnose(ask_status(directory), directory)
    except NodeNotRunning as error:
        return [Finding(Level.ERROR, "process", str(error), error.remedy, _GROUP)]
    except RaicError as error:
        remedy = error.remedy or "look into the node's log"
        return [Finding(Level.ERROR, "process", str(error), remedy, _GROUP)]


def _with_remedy(finding: Finding, directory: Path) -> Finding:
    if finding.remedy:
        return finding
    return evolve(finding, remedy=f"look closer: raic check {directory}")


def _lines(answer: Report, looked: int) -> Sequence[Any]:
    if answer.findings:
        return list(as_lines(answer))
    return [f"nothing is wrong: the running node is well, and {looked} things were looked at"]
