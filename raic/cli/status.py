"""``raic status``."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from raic.cli.arraytables import console
from raic.cli.failing import explain
from raic.cli.node_link import NodeNotRunning, NodeSilent, ask_servers
from raic.cli.statusscreen import screen
from raic.cli.telling import json_option, nodedir_argument, print_json

WATCH_SECONDS = 2.0


@click.command()
@nodedir_argument
@click.option("--watch", is_flag=True, help="Go on showing it, until Ctrl-C.")
@json_option
def status(nodedir: Path, *, watch: bool, as_json: bool) -> None:
    """Show on one screen how the running node in NODEDIR is doing, and what to do about it."""
    directory = nodedir.absolute()
    if watch:
        try:
            (_watch_json if as_json else _watch)(directory)
        except KeyboardInterrupt:
            return
    told = ask_status(directory)
    if as_json:
        print_json(told)
    else:
        console().print(screen(told), soft_wrap=False)


def ask_status(directory: Path) -> dict[str, Any]:
    """The status of a node, all its servers that run in one.

    :raises RaicError: see :func:`~raic.cli.node_link.ask_servers`.
    """
    return _together(ask_servers(directory, "status"))


def _together(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One process answers for each of its servers, and has the same warnings each time."""
    first = answers[0]
    servers = [server for answer in answers for server in answer["servers"]]
    return {**first, "servers": servers}


def _watch(directory: Path) -> None:
    with Live(console=console(), auto_refresh=False) as live:
        while True:
            live.update(_shown(directory), refresh=True)
            time.sleep(WATCH_SECONDS)


def _shown(directory: Path) -> RenderableType:
    try:
        return screen(ask_status(directory))
    except (NodeNotRunning, NodeSilent) as error:
        return Text(explain(error), "bold red")


def _watch_json(directory: Path) -> None:
    while True:
        click.echo(json.dumps(ask_status(directory)))
        time.sleep(WATCH_SECONDS)
