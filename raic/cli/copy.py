"""``raic copy``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from attrs import AttrsInstance, frozen
from twisted.internet.defer import Deferred

from raic.assembly.copying import FORMER, CopiedNode, check_backends, copy_node
from raic.assembly.copynote import COPYING, CopyNote, read_copy_note
from raic.assembly.copysurvey import survey
from raic.assembly.index_view import read_index
from raic.cli.copying import Copied, answering, showing_copy
from raic.cli.failing import FAILED
from raic.cli.logs import begin_logging
from raic.cli.reactor import run_until_done
from raic.cli.sizes import in_words
from raic.cli.telling import json_option
from raic.config.identity import Identity, load_identity
from raic.config.loading import CONFIG_NAME, config_directory, parse_config
from raic.config.lock import NodeLock
from raic.config.model import Config
from raic.config.reading import read_text
from raic.config.rewriting import with_backend
from raic.config.servers import server_providers
from raic.errors import ConfigurationError, OperationRefused

SHOWN_LEFT = 20


@frozen
class _Work:
    """A copy that begins or goes on.

    :ivar former: what the node had when it began.
    """

    former: Config
    new: Config
    note: CopyNote


@click.command(name="copy")
@click.argument("nodedir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--backend", required=True, help="Where to: what to write for [storage] backend.")
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    default=None,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Sections to add to raic.cfg.",
)
@click.option("--move", is_flag=True, help="Delete what the former backend has, at the end.")
@click.option("--leave-damaged", is_flag=True, help="Go on without shares that cannot be read.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@json_option
def copy(
    nodedir: Path,
    backend: str,
    config_file: Path | None,
    *,
    move: bool,
    leave_damaged: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Move the node in NODEDIR to another backend: a provider, or an array.

    It must not run.  Each share is read back; afterwards the node uses the copy.  What was cut
    short goes on where it was when the command is given again.
    """
    directory = nodedir.absolute()
    _check_single(directory)
    more = "" if config_file is None else config_file.read_text("utf-8")
    identity = load_identity(directory / "private")
    with answering(as_json=as_json) as answer:
        if dry_run:
            _tell_plan(_prepare(directory, backend, more, identity), identity, answer)
            return
        with _alone(directory):
            work = _prepare(directory, backend, more, identity)
            begin_logging(sys.stderr, work.former.node.log_level)
            place = work.new.backend.describe(identity.server_id)
            click.echo(f"copying the shares of {work.former.backend.name} to {place}")
            done = _copy(work, identity, move=move, leave=leave_damaged)
            answer(done)
            _describe(done, work, moved=move, leave=leave_damaged)


def _check_single(directory: Path) -> None:
    """Raise unless the node is a single server."""
    main = config_directory(directory)
    path = main / CONFIG_NAME
    if path.exists() and server_providers(read_text(path.read_text("utf-8"))):
        raise OperationRefused(
            f"{main} has several servers, and none of them can be moved to another backend",
            "add a [server:NAME] with the new backend; when the clients have repaired their files"
            " (tahoe deep-check --repair), remove the old one",
        )


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    lock = NodeLock(directory)
    try:
        os.umask(0o077)
        yield
    except OSError as error:
        raise OperationRefused(
            f"{error.filename or directory}: {error.strerror}",
            "see to it, then give the command again: it goes on where it was",
        ) from error
    finally:
        lock.release()


def _prepare(directory: Path, backend: str, more: str, identity: Identity) -> _Work:
    path = directory / CONFIG_NAME
    if not path.exists():
        raise OperationRefused(
            f"{directory} has no {CONFIG_NAME} of its own", "name the directory of a whole node"
        )
    text = path.read_text("utf-8")
    note = read_copy_note(directory)
    if note is None:
        note = CopyNote(backend, with_backend(text, backend, more))
    elif note.backend != backend:
        raise OperationRefused(
            f"a copy to {note.backend} is under way", f"finish it: --backend {note.backend}"
        )
    elif note.stage == COPYING:
        note = CopyNote(backend, with_backend(text, backend, more), note.stage, note.counter)
    elif text == note.config_text:
        text = path.with_name(CONFIG_NAME + FORMER).read_text("utf-8")
    former = parse_config(directory, text)
    if with_backend(text, backend) == text or former.backend.name == backend.partition(":")[2]:
        raise ConfigurationError([f"--backend: the node has {backend} already"])
    new = parse_config(directory, note.config_text)
    check_backends(former, new, identity.server_id)
    return _Work(former, new, note)


def _copy(work: _Work, identity: Identity, *, move: bool, leave: bool) -> CopiedNode:
    with showing_copy("copying") as show:

        def note(so_far: CopiedNode) -> None:
            show(Copied(so_far.done, so_far.total, so_far.done_bytes, so_far.total_bytes))

        def main(reactor: Any) -> Deferred[CopiedNode]:
            return copy_node(
                work.former, work.new, work.note, identity, reactor, note, move=move, leave=leave
            )

        return run_until_done(main)


def _tell_plan(work: _Work, identity: Identity, answer: Callable[[AttrsInstance], None]) -> None:
    found = read_index(work.former, lambda execute: survey(execute, work.new))
    answer(found)
    click.echo("nothing is done; this would be:\n")
    click.echo(work.note.config_text)
    click.echo(
        f"{found.shares} immutable shares and {found.slots} slots, together"
        f" {in_words(found.share_bytes)}, with {found.leases} leases"
    )
    click.echo(f"read from {work.former.backend.describe(identity.server_id)}")
    for name in (each.name for each in work.new.backend.members):
        click.echo(f"written to {name}: {found.objects} objects, {in_words(found.stored)}")


def _describe(done: CopiedNode, work: _Work, *, moved: bool, leave: bool) -> None:
    click.echo(
        f"copied and verified {done.shares} immutable shares and {done.slots} slots,"
        f" together {in_words(done.bytes)}"
    )
    if done.there:
        click.echo(f"{done.there} shares had been copied before")
    for left in done.left[:SHOWN_LEFT]:
        click.echo(f"could not be copied: {left.path}: {left.why}")
    if len(done.left) > SHOWN_LEFT:
        click.echo(f"and {len(done.left) - SHOWN_LEFT} more could not be copied")
    former, directory = work.former.backend.name, work.former.node_directory
    if done.left and not leave:
        raise OperationRefused(
            f"{len(done.left)} shares could not be copied: the node stays with {former}",
            "repair them, or give the command again with --leave-damaged",
        )
    if moved:
        click.echo(f"{done.deleted} objects of {former} were deleted")
    else:
        click.echo(f"{former} was left as it is; {CONFIG_NAME}{FORMER} is the old configuration")
    click.echo(f"the node's backend is {work.new.backend.name} now; start it: raic run {directory}")
    if done.left:
        raise click.exceptions.Exit(FAILED)
