"""``raic restore``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred

from raic.assembly import RestoredIndex, restore_index
from raic.cli.identity import take_identity
from raic.cli.logs import begin_logging
from raic.cli.passphrases import passphrase_option
from raic.cli.reactor import run_until_done
from raic.cli.sizes import in_words
from raic.cli.telling import json_option, moment, print_json
from raic.config.identity import load_identity
from raic.config.loading import load_config, load_servers
from raic.config.lock import NodeLock
from raic.config.model import Config
from raic.shares.keys import parse_checkpoint_key

PROGRESS_SECONDS = 1.0
SHOWN_PROBLEMS = 20


@click.command()
@click.argument("nodedir", required=False, type=click.Path(path_type=Path))
@click.option(
    "--local",
    metavar="NODEDIR",
    default=None,
    type=click.Path(path_type=Path),
    help="The same as NODEDIR.",
)
@click.option(
    "--identity",
    "identity_file",
    metavar="FILE",
    default=None,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Make NODEDIR first, of what 'raic identity export' wrote to FILE.",
)
@click.option(
    "--headers-only", is_flag=True, help="Go by the objects alone, not by copies of the index."
)
@click.option(
    "--store",
    type=click.Choice(["keychain", "file"]),
    default="keychain",
    show_default=True,
    help="Where to keep the credentials that are in FILE.",
)
@passphrase_option
@json_option
def restore(
    nodedir: Path | None,
    local: Path | None,
    identity_file: Path | None,
    *,
    headers_only: bool,
    store: str,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make the index of the node in NODEDIR anew, after it was lost or damaged.

    The node must not run.  Nothing is deleted: an index that is there is kept under another name.
    What was cut short goes on where it was when the command is given again.
    """
    if (nodedir is None) == (local is None):
        raise click.UsageError("name one node directory")
    directory = (nodedir or local or Path()).absolute()
    if identity_file is not None:
        take_identity(identity_file, directory, passphrase_file, store)
    done = {}
    for config in _configs(directory, every=identity_file is not None):
        restored = _restore(
            config, headers_only=headers_only, repeated=identity_file is not None, quiet=as_json
        )
        done[str(config.node_directory)] = as_values(restored)
        if not as_json:
            describe(restored)
    if as_json:
        print_json(done if len(done) > 1 else next(iter(done.values())))


def _configs(directory: Path, *, every: bool) -> Sequence[Config]:
    """All servers of a node, or the one that is named."""
    return load_servers(directory) if every else [load_config(directory)]


def _restore(config: Config, *, headers_only: bool, repeated: bool, quiet: bool) -> RestoredIndex:
    os.umask(0o077)
    identity = load_identity(config.private)
    lock = NodeLock(config.node_directory)
    try:
        begin_logging(sys.stderr, config.node.log_level)

        def main(reactor: Any) -> Deferred[RestoredIndex]:
            progress = Progress(reactor, quiet=quiet)
            place = config.backend.describe(identity.server_id)
            progress.say(f"reading what {config.backend.name} holds in {place}")
            return restore_index(
                config,
                identity,
                reactor,
                progress.note,
                take_over=progress.wait,
                repeated=repeated,
                headers_only=headers_only,
            )

        return run_until_done(main)
    finally:
        lock.release()


class Progress:
    """Prints a line now and then; on standard error where the output is for programs."""

    def __init__(self, clock: Any, *, quiet: bool) -> None:
        self._clock = clock
        self._quiet = quiet
        self._next = clock.seconds() + PROGRESS_SECONDS
        self._damaged = 0

    def say(self, text: str) -> None:
        """Print a line."""
        click.echo(text, err=self._quiet)

    def wait(self, seconds: float) -> None:
        """Say that somebody is waited for."""
        self.say(f"waiting for the other to stop writing: {seconds:.0f} s left")

    def note(self, restored: RestoredIndex) -> None:
        """Say how far it is."""
        for text in restored.damaged[self._damaged :]:
            self.say(f"this copy of the index cannot be used: {text}")
        self._damaged = len(restored.damaged)
        if self._clock.seconds() < self._next:
            return
        self._next = self._clock.seconds() + PROGRESS_SECONDS
        report = restored.report
        if report.shares or report.slots:
            self.say(f"  so far {report.shares} shares, {report.slots} slots")
        elif restored.checkpoint:
            self.say(
                f"  so far {in_words(restored.bytes)} of {in_words(restored.total_bytes)} of the"
                " copy of the index"
            )


def describe(restored: RestoredIndex) -> None:
    """Print what was done."""
    report = restored.report
    if restored.checkpoint:
        click.echo(f"began with the copy of the index of {_made(restored.checkpoint)}")
        click.echo(f"{report.known} of its shares and slots are still there; {report.gone} are not")
    else:
        click.echo("there was no copy of the index to begin with: all objects were read")
    click.echo(f"found {report.shares} shares ({in_words(report.share_bytes)})")
    click.echo(f"found {report.slots} slots ({in_words(report.slot_bytes)})")
    click.echo(f"{report.leases} leases have their full time again")
    click.echo(f"{report.deleted_slots} slots stay deleted")
    click.echo(f"{report.left_over} objects are left over from earlier versions")
    _tell_all("unresolved", report.unresolved, report.unresolved_count)
    _tell_all("could not be used", report.problems, report.problem_count)
    if report.unresolved_count:
        click.echo("when all providers can be reached, stop the node and give this command again")
    if restored.kept is not None:
        click.echo(f"the old index was kept: {restored.kept}")
    click.echo("the index is in place; start the node with 'raic run'")


def _made(checkpoint: str) -> str:
    """When a checkpoint was made."""
    key = parse_checkpoint_key(checkpoint)
    return checkpoint if key is None else moment(key.created)


def _tell_all(what: str, texts: tuple[str, ...], count: int) -> None:
    for text in texts[:SHOWN_PROBLEMS]:
        click.echo(f"{what}: {text}")
    if count > SHOWN_PROBLEMS:
        click.echo(f"and {count - SHOWN_PROBLEMS} more: {what}")


def as_values(restored: RestoredIndex) -> dict[str, Any]:
    """What was done, for programs."""
    report = restored.report
    return {
        "checkpoint": restored.checkpoint or None,
        "damaged_checkpoints": list(restored.damaged),
        "shares": report.shares,
        "share_bytes": report.share_bytes,
        "slots": report.slots,
        "slot_bytes": report.slot_bytes,
        "known": report.known,
        "gone": report.gone,
        "fresh_leases": report.leases,
        "deleted_slots": report.deleted_slots,
        "left_over": report.left_over,
        "unresolved_count": report.unresolved_count,
        "unresolved": list(report.unresolved),
        "unusable_count": report.problem_count,
        "unusable": list(report.problems),
        "old_index": None if restored.kept is None else str(restored.kept),
    }
