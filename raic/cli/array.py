"""``raic array``: looking at an array, and keeping it whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from raic.assembly.array_control import MOST_EVENTS, history_values, status_values
from raic.assembly.array_index import read_history, read_status
from raic.cli.arraytables import (
    operation_in_words,
    print_history,
    print_outcome,
    print_plan,
    print_status,
)
from raic.cli.completion import provider_names
from raic.cli.failing import FAILED
from raic.cli.following import follow
from raic.cli.node_link import NodeLink, NodeNotRunning
from raic.cli.place import DEFAULT_DIRECTORY
from raic.config.loading import load_config

F = TypeVar("F", bound=Callable[..., Any])

AFTERWARDS = "The same command follows it again, and 'raic array status' shows how far it is."

nodedir_argument = click.argument(
    "nodedir",
    default=DEFAULT_DIRECTORY,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_dry_run = click.option(
    "--dry-run", is_flag=True, help="Only say what it would take; touch nothing."
)
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def array() -> None:
    """Look at the array of a node, and keep it whole."""


@array.command()
@nodedir_argument
@json_option
def status(nodedir: Path, *, as_json: bool) -> None:
    """Show how the array of the node in NODEDIR is doing."""
    directory = nodedir.absolute()
    try:
        told = {**NodeLink(directory).ask("array.status", {}), "running": True}
    except NodeNotRunning:
        told = {**status_values(read_status(load_config(directory))), "running": False}
    if as_json:
        _print_json(told)
    else:
        print_status(told)


@array.command()
@nodedir_argument
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_EVENTS),
    default=20,
    show_default=True,
    help="How many lines to show.",
)
@json_option
def history(nodedir: Path, limit: int, *, as_json: bool) -> None:
    """Show what was done to the array of the node in NODEDIR, the newest last."""
    directory = nodedir.absolute()
    try:
        told = NodeLink(directory).ask("array.history", {"limit": limit})
    except NodeNotRunning:
        told = history_values(read_history(load_config(directory), limit))
    if as_json:
        _print_json(told)
    else:
        print_history(told["events"])


@array.command()
@nodedir_argument
@click.option("--deep", is_flag=True, help="Read every fragment, and verify every block.")
@_dry_run
@json_option
def scrub(nodedir: Path, *, deep: bool, dry_run: bool, as_json: bool) -> None:
    """Look whether all fragments are where they should be.

    What is missing or altered is noted, and made anew by itself.
    """
    work = _Work(nodedir, "scrub", deep=deep, as_json=as_json)
    work.run(dry_run=dry_run)


@array.command()
@nodedir_argument
@_dry_run
@json_option
def repair(nodedir: Path, *, dry_run: bool, as_json: bool) -> None:
    """Make the fragments that are known to be missing now, without waiting for their turn."""
    _Work(nodedir, "repair", as_json=as_json).run(dry_run=dry_run)


@array.command()
@click.argument("name", shell_complete=provider_names)
@nodedir_argument
@_dry_run
@json_option
def add(name: str, nodedir: Path, *, dry_run: bool, as_json: bool) -> None:
    """Give provider NAME a fragment of every object."""
    _Work(nodedir, "add", name, as_json=as_json).run(dry_run=dry_run)


@array.command()
@click.argument("name", shell_complete=provider_names)
@nodedir_argument
@_yes
@_dry_run
@json_option
def drain(name: str, nodedir: Path, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Make do without provider NAME: each object has one fragment less from then on."""
    _Work(nodedir, "drain", name, as_json=as_json).run(dry_run=dry_run, ask=not yes)


@array.command()
@click.argument("old", shell_complete=provider_names)
@click.argument("new", shell_complete=provider_names)
@nodedir_argument
@_yes
@_dry_run
@json_option
def replace(old: str, new: str, nodedir: Path, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Have provider NEW take the place of provider OLD."""
    _Work(nodedir, "replace", old, new, as_json=as_json).run(dry_run=dry_run, ask=not yes)


class _Work:
    """An operation of the node's."""

    def __init__(
        self, nodedir: Path, kind: str, *names: str, as_json: bool, deep: bool = False
    ) -> None:
        self._directory = nodedir.absolute()
        self._link = NodeLink(self._directory)
        self._operation = {"kind": kind, "names": list(names), "deep": deep}
        self._as_json = as_json

    def run(self, *, dry_run: bool, ask: bool = False) -> None:
        """Say what it would take, or do it; asks before, where that is wanted and it was not
        begun before.
        """
        if dry_run:
            self._show_plan()
            return
        if self._is_under_way():
            click.echo("going on with what was begun before", err=True)
        elif ask:
            self._ask()
        outcome = follow(
            self._directory,
            "array.run",
            self._operation,
            operation_in_words(self._operation),
            as_json=self._as_json,
            afterwards=AFTERWARDS,
        )
        if self._as_json:
            click.echo(json.dumps({"result": outcome}))
        else:
            print_outcome(outcome)
        whole = not (outcome["missing"] or outcome["altered"] or outcome["left"])
        click.get_current_context().exit(0 if whole else FAILED)

    def _show_plan(self) -> None:
        plan = self._link.ask("array.plan", self._operation)
        if self._as_json:
            _print_json(plan)
        else:
            print_plan(plan)

    def _is_under_way(self) -> bool:
        under_way = self._link.ask("array.status", {})["under_way"]
        return any(each["operation"] == self._operation for each in under_way)

    def _ask(self) -> None:
        if self._as_json:
            raise click.UsageError("--json cannot ask: say --yes, too")
        self._show_plan()
        click.confirm("do that", abort=True)


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))
