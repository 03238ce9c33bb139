"""``raic adopt``."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred

from raic.assembly.adopting import Adopted, adopt_shares, survey
from raic.cli.copying import Copied, answering, showing_copy
from raic.cli.failing import FAILED
from raic.cli.logs import begin_logging
from raic.cli.reactor import run_until_done
from raic.cli.sizes import in_words
from raic.cli.telling import json_option
from raic.config.identity import load_identity
from raic.config.loading import CONFIG_NAME, load_config
from raic.config.lock import NodeLock
from raic.config.model import Config
from raic.config.tahoe import TahoeNode, create_from_tahoe, raise_if_running, read_tahoe_node
from raic.errors import OperationRefused

SHOWN_LEFT = 20

_FURL = re.compile(r"\bpb://\S+")
"""Knowing one is the right to use what it names."""


@click.command()
@click.argument("tahoe_nodedir", type=click.Path(path_type=Path))
@click.argument("nodedir", type=click.Path(path_type=Path))
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    default=None,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Sections of raic.cfg that say where the shares go.  [default: a folder in NODEDIR]",
)
@click.option("--backend", default="", help="What to write for [storage] backend.")
@click.option("--move", is_flag=True, help="Delete each original once its copy was verified.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@json_option
def adopt(
    tahoe_nodedir: Path,
    nodedir: Path,
    config_file: Path | None,
    backend: str,
    move: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a node in NODEDIR of the Tahoe storage node in TAHOE_NODEDIR.

    Clients see the same server.  Neither node may run.  What was cut short goes on where it was
    when the command is given again.
    """
    os.umask(0o077)
    instead = "" if config_file is None else config_file.read_text("utf-8")
    with answering(as_json=as_json) as answer, _reading():
        tahoe = read_tahoe_node(tahoe_nodedir.absolute(), instead, backend)
        if dry_run:
            found = survey(tahoe.storage)
            answer(found)
            _tell_plan(tahoe, found)
            return
        config = _prepare(tahoe, nodedir.absolute())
        lock = NodeLock(config.node_directory)
        try:
            raise_if_running(tahoe.directory)
            done = _copy(config, tahoe, move=move)
            answer(done)
            _describe(done, config)
        finally:
            lock.release()


def _prepare(tahoe: TahoeNode, nodedir: Path) -> Config:
    if not (nodedir / CONFIG_NAME).exists():
        raise_if_running(tahoe.directory)
        for text in tahoe.dropped:
            click.echo(f"not taken over: {text}")
    create_from_tahoe(nodedir, tahoe, int(time.time()))
    return load_config(nodedir)


def _copy(config: Config, tahoe: TahoeNode, *, move: bool) -> Adopted:
    identity = load_identity(config.private)
    begin_logging(sys.stderr, config.node.log_level)
    place = config.backend.describe(identity.server_id)
    click.echo(f"copying the shares in {tahoe.storage} to {place}")
    with showing_copy("adopting") as show:

        def note(so_far: Adopted) -> None:
            show(Copied(so_far.done, so_far.total, so_far.done_bytes, so_far.total_bytes))

        def main(reactor: Any) -> Deferred[Adopted]:
            return adopt_shares(config, identity, tahoe.storage, reactor, note, move=move)

        return run_until_done(main)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OperationRefused(
            f"{error.filename or 'a file'}: {error.strerror}",
            "see to it, then give the command again: it goes on where it was",
        ) from error


def _tell_plan(tahoe: TahoeNode, found: Adopted) -> None:
    click.echo("nothing is done; this would be:\n")
    click.echo(_FURL.sub("<redacted>", tahoe.config_text))
    for text in tahoe.dropped:
        click.echo(f"not taken over: {text}")
    click.echo(
        f"{found.shares} immutable shares and {found.slot_shares} shares of {found.slots} slots,"
        f" together {in_words(found.bytes)}, with {found.leases} leases"
    )
    click.echo(f"{found.advisories} advisories")
    _tell_left(found)


def _describe(done: Adopted, config: Config) -> None:
    click.echo(f"copied and verified {done.shares} immutable shares and {done.slots} slots")
    click.echo(f"  of {done.slot_shares} shares, together {in_words(done.bytes)}")
    if done.there:
        click.echo(f"{done.there} shares were there already")
    if done.advisories:
        click.echo(f"{done.advisories} advisories were taken over")
    if done.deleted:
        click.echo(f"{done.deleted} originals were deleted")
    _tell_left(done)
    click.echo(f"start it: raic run {config.node_directory}; never start the Tahoe node again")
    if done.left_count:
        raise click.exceptions.Exit(FAILED)


def _tell_left(report: Adopted) -> None:
    for left in report.left[:SHOWN_LEFT]:
        click.echo(f"left alone: {left.path}: {left.why}")
    if report.left_count > SHOWN_LEFT:
        click.echo(f"and {report.left_count - SHOWN_LEFT} more were left alone")
