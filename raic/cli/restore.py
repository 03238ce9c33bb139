"""``raic restore``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from raic.assembly import RestoredIndex, restore_index
from raic.cli.logs import begin_logging
from raic.cli.reactor import run_until_done
from raic.cli.sizes import in_words
from raic.config.identity import load_identity
from raic.config.loading import load_config
from raic.config.lock import NodeLock
from raic.shares.rebuild import RebuildReport

PROGRESS_SECONDS = 1.0
SHOWN_PROBLEMS = 20


@click.command()
@click.option(
    "--local",
    "nodedir",
    required=True,
    metavar="NODEDIR",
    type=click.Path(path_type=Path),
    help="The node whose index is to be made anew from what its provider holds.",
)
def restore(nodedir: Path) -> None:
    """Rebuild a node's index that was lost or damaged.

    The node must not run.  Nothing is deleted: an index that is there is kept under another name.
    """
    config = load_config(nodedir.absolute())
    identity = load_identity(config.private)
    lock = NodeLock(config.node_directory)
    try:
        os.umask(0o077)
        begin_logging(sys.stderr, config.node.log_level)

        def main(reactor: Any) -> Any:
            progress = _Progress(reactor)
            place = config.backend.describe(identity.server_id)
            click.echo(f"reading what {config.backend.name} holds in {place}")
            return restore_index(config, identity, reactor, progress.note)

        _describe(run_until_done(main))
    finally:
        lock.release()


class _Progress:
    """Prints a line now and then."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._next = clock.seconds() + PROGRESS_SECONDS

    def note(self, report: RebuildReport) -> None:
        if self._clock.seconds() >= self._next:
            self._next = self._clock.seconds() + PROGRESS_SECONDS
            click.echo(f"  so far {report.shares} shares, {report.slots} slots")


def _describe(restored: RestoredIndex) -> None:
    report = restored.report
    click.echo(f"found {report.shares} shares ({in_words(report.share_bytes)})")
    click.echo(f"found {report.slots} slots ({in_words(report.slot_bytes)})")
    click.echo(f"{report.deleted_slots} slots stay deleted")
    click.echo(f"{report.left_over} objects are left over from earlier versions")
    for problem in report.problems[:SHOWN_PROBLEMS]:
        click.echo(f"could not be used: {problem}")
    if report.problem_count > SHOWN_PROBLEMS:
        click.echo(f"and {report.problem_count - SHOWN_PROBLEMS} more could not be used")
    if restored.kept is not None:
        click.echo(f"the old index was kept: {restored.kept}")
    click.echo("the index is in place; start the node with 'raic run'")
