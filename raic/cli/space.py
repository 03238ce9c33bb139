"""``raic space``: what the shares of a node take, and what is left."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from raic.assembly.index_view import read_index
from raic.assembly.space import read_space, space_values
from raic.cli.arraytables import console
from raic.cli.node_link import NodeLink, NodeNotRunning
from raic.cli.sizes import in_words
from raic.cli.telling import json_option, nodedir_argument, print_json
from raic.config.loading import load_config


@click.command()
@nodedir_argument
@json_option
def space(nodedir: Path, *, as_json: bool) -> None:
    """Show how much space the shares take at each provider, and how much there is.

    A node that runs says it, with what it announces to clients; otherwise its index does.
    """
    directory = nodedir.absolute()
    try:
        values = NodeLink(directory).ask("space", {})
    except NodeNotRunning:
        config = load_config(directory)
        now = time.time()
        values = space_values(read_index(config, lambda execute: read_space(config, now, execute)))
    if as_json:
        print_json(values)
    else:
        _print(values)


def _print(values: Mapping[str, Any]) -> None:
    click.echo(f"shares: {in_words(values['share_bytes'])}{_of(values['quota'])}")
    if values["available"] is not None:
        pending = values["pending"]
        click.echo(
            f"available for new shares: {in_words(values['available'])}"
            + (f"; {in_words(pending)} more are promised to uploads" if pending else "")
        )
    table = Table(box=None, pad_edge=False)
    table.add_column("provider")
    for title in ("used", "leased", "garbage", "overhead", "missing", "quota"):
        table.add_column(title, justify="right")
    table.add_column("")
    for each in values["providers"]:
        sizes = ("used", "leased", "garbage", "overhead", "missing")
        quota = "-" if each["quota"] is None else in_words(each["quota"])
        moving = "moving: at most" if each["moving"] else ""
        table.add_row(Text(each["name"]), *(in_words(each[name]) for name in sizes), quota, moving)
    console().print(table)


def _of(quota: int | None) -> str:
    return "" if quota is None else f" of a quota of {in_words(quota)}"
