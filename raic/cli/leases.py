"""``raic leases``: what is leased, and what goes because it is not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import click

from raic.assembly.index_view import read_index
from raic.cli.node_link import NodeLink
from raic.cli.sizes import in_words
from raic.cli.telling import (
    json_option,
    limit_option,
    moment,
    nodedir_argument,
    print_json,
    storage_index_argument,
)
from raic.config.loading import load_config
from raic.config.model import Config
from raic.shares.index import expiry, lookups
from raic.values import LEASE_SECONDS, ExpiryRun

DELETED_AT_ONCE = {"s3": 1000, "swift": 1000}
"""How many objects one request deletes, where that is more than one."""


@click.group()
def leases() -> None:
    """Look at leases, and drop what nobody leases any more."""


@leases.command()
@storage_index_argument
@nodedir_argument
@json_option
def show(storage_index: bytes, nodedir: Path, *, as_json: bool) -> None:
    """Show the leases on storage index SI, the latest to end first."""
    config = load_config(nodedir.absolute())
    found = read_index(config, lambda execute: lookups.leases(execute, storage_index))
    values = [
        {"renewed": each.expires - LEASE_SECONDS, "expires": each.expires, "over": over}
        for each in found
        for over in [each.expires < config.storage.expiry.rule(_now()).before]
    ]
    if as_json:
        print_json({"leases": values})
        return
    if not values:
        click.echo("there are no leases")
    for value in values:
        click.echo(
            f"renewed {moment(value['renewed'])}, for 31 days until {moment(value['expires'])}"
            + (": over" if value["over"] else "")
        )


@leases.command()
@nodedir_argument
@click.option("--dry-run", is_flag=True, help="Only say what would go; touch nothing.")
@json_option
def expire(nodedir: Path, *, dry_run: bool, as_json: bool) -> None:
    """Drop now what nobody leases any more, without waiting for the daily run.

    --dry-run also works while expire.enabled is false, and while the node does not run.
    """
    directory = nodedir.absolute()
    if dry_run:
        config = load_config(directory)
        rule = config.storage.expiry.rule(_now())
        told: Mapping[str, Any] = _survey_values(
            config, read_index(config, lambda execute: expiry.survey(execute, rule))
        )
    else:
        # A run of many shares takes minutes.
        told = NodeLink(directory).follow("leases.expire", {}, lambda _: None)
    if as_json:
        print_json(told)
        return
    click.echo(("would be dropped: " if dry_run else "dropped: ") + _in_words(told))
    for name, count in told.get("requests", {}).items():
        click.echo(f"{name}: {told['objects']} deletions, in about {count} requests")
    if dry_run and not told["enabled"]:
        click.echo("expire.enabled is false: nothing will be")


@leases.command()
@nodedir_argument
@limit_option(20, "runs")
@json_option
def history(nodedir: Path, limit: int, *, as_json: bool) -> None:
    """Show what was dropped because nobody leased it, the newest run first."""
    config = load_config(nodedir.absolute())
    runs = read_index(config, lambda execute: expiry.get_runs(execute, limit))
    if as_json:
        print_json({"runs": [attrs.asdict(run) for run in runs]})
        return
    if not runs:
        click.echo("nothing was expired yet")
    for run in runs:
        took = "not ended" if run.ended is None else f"{run.ended - run.started} s"
        click.echo(f"{moment(run.started)}, {took}: {_in_words(attrs.asdict(run))}")


def _now() -> int:
    return int(time.time())


def _in_words(told: Mapping[str, Any]) -> str:
    return (
        f"{told['shares']} shares ({in_words(told['share_bytes'])}),"
        f" {told['slots']} slots ({in_words(told['slot_bytes'])})"
    )


def _survey_values(config: Config, run: ExpiryRun) -> dict[str, Any]:
    names = ("shares", "share_bytes", "slots", "slot_bytes", "objects")
    at_once = {
        member.name: DELETED_AT_ONCE.get(member.kind, 1)
        for member in config.backend.members
        if member.cloud is not None
    }
    return {
        **{name: getattr(run, name) for name in names},
        "requests": {name: -(-run.objects // size) for name, size in at_once.items()},
        "enabled": config.storage.expires,
    }
