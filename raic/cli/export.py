"""``raic export``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred

from raic.assembly.exporting import Exported, export_shares
from raic.cli.copying import Copied, answering, showing_copy
from raic.cli.failing import FAILED
from raic.cli.logs import begin_logging
from raic.cli.reactor import run_until_done
from raic.cli.sizes import in_words
from raic.cli.telling import json_option
from raic.config.identity import load_identity
from raic.config.loading import load_config
from raic.config.lock import NodeLock
from raic.config.tahoe import raise_if_running
from raic.errors import OperationRefused

SHOWN_LEFT = 20


@click.command()
@click.argument("nodedir", type=click.Path(path_type=Path))
@click.argument("tahoe_storage_dir", type=click.Path(path_type=Path))
@json_option
def export(nodedir: Path, tahoe_storage_dir: Path, *, as_json: bool) -> None:
    """Write the shares of the node in NODEDIR as a Tahoe storage node keeps them.

    TAHOE_STORAGE_DIR is that node's storage folder.  Neither node may run.  Nothing is deleted;
    what was cut short goes on where it was when the command is given again.
    """
    with answering(as_json=as_json) as answer:
        done = _export(nodedir.absolute(), tahoe_storage_dir.absolute())
        answer(done)
        _describe(done)


def _export(nodedir: Path, storage: Path) -> Exported:
    config = load_config(nodedir)
    identity = load_identity(config.private)
    lock = NodeLock(config.node_directory)
    try:
        os.umask(0o077)
        begin_logging(sys.stderr, config.node.log_level)
        raise_if_running(storage.parent)
        click.echo(f"writing the shares of {config.backend.name} to {storage}")
        with showing_copy("exporting") as show:

            def note(so_far: Exported) -> None:
                show(Copied(so_far.done, so_far.total, so_far.done_bytes, so_far.total_bytes))

            def main(reactor: Any) -> Deferred[Exported]:
                return export_shares(config, identity, storage, reactor, note)

            return run_until_done(main)
    except OSError as error:
        raise OperationRefused(
            f"{error.filename or storage}: {error.strerror}",
            "see to it, then give the command again: it goes on where it was",
        ) from error
    finally:
        lock.release()


def _describe(done: Exported) -> None:
    click.echo(f"wrote and verified {done.shares} shares, together {in_words(done.bytes)}")
    if done.there:
        click.echo(f"{done.there} shares were there already")
    for left in done.left[:SHOWN_LEFT]:
        click.echo(f"could not be written: {left.path}: {left.why}")
    if len(done.left) > SHOWN_LEFT:
        click.echo(f"and {len(done.left) - SHOWN_LEFT} more could not be written")
    if done.left:
        raise click.exceptions.Exit(FAILED)
