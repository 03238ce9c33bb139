"""``raic advisories``."""

from __future__ import annotations

from pathlib import Path

import click

from raic.assembly.index_view import read_index
from raic.cli.telling import (
    json_option,
    limit_option,
    moment,
    nodedir_argument,
    print_json,
    printable,
)
from raic.config.loading import load_config
from raic.shares.index.advisories import newest
from raic.shares.keys import encode_index


@click.command()
@nodedir_argument
@limit_option(100, "advisories")
@json_option
def advisories(nodedir: Path, limit: int, *, as_json: bool) -> None:
    """Show which shares clients said are corrupt, and what was found when they were read."""
    config = load_config(nodedir.absolute())
    found = read_index(config, lambda execute: newest(execute, limit))
    values = [
        {
            "kind": each.kind,
            "storage_index": encode_index(each.storage_index),
            "share": each.shnum,
            "reason": each.reason,
            "received": each.received,
            "checked": each.checked,
            "verdict": each.verdict,
        }
        for each in found
    ]
    if as_json:
        print_json({"advisories": values})
        return
    if not values:
        click.echo("no client has said that a share is corrupt")
    for each in values:
        verdict = "not read yet" if each["checked"] is None else printable(str(each["verdict"]))
        click.echo(f"{each['storage_index']}  {each['kind']} share {each['share']}")
        click.echo(f"  {moment(int(str(each['received'])))}: {printable(str(each['reason']))}")
        click.echo(f"  {verdict}")
