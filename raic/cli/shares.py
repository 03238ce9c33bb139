"""``raic shares``: single shares."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred

from raic.assembly.index_view import read_index
from raic.assembly.share_control import ShareKeeper
from raic.assembly.stopped import with_shares
from raic.cli.failing import FAILED
from raic.cli.following import follow
from raic.cli.node_link import NodeLink, NodeNotRunning
from raic.cli.reactor import run_until_done
from raic.cli.sharevalues import describe, listed_values, print_listed, print_shown, shown_values
from raic.cli.sizes import in_words
from raic.cli.telling import (
    json_option,
    limit_option,
    moment,
    nodedir_argument,
    print_json,
    printable,
    storage_index,
    storage_index_argument,
)
from raic.config.identity import load_identity
from raic.config.loading import load_config
from raic.config.lock import NodeLock
from raic.errors import ConfigurationError
from raic.shares.index.browsing import storage_indexes
from raic.shares.index.expunging import get_expunged
from raic.shares.keys import encode_index

AGAIN = "Give the same command again to see its end."


@click.group()
def shares() -> None:
    """Look at single shares, verify them, and take them down."""


@shares.command(name="list")
@nodedir_argument
@click.option("--prefix", default="", help="Only storage indexes that begin so.")
@click.option("--after", callback=storage_index, help="Where the last page ended.")
@limit_option(100, "storage indexes")
@json_option
def list_shares(
    nodedir: Path, prefix: str, after: bytes | None, limit: int, *, as_json: bool
) -> None:
    """List the storage indexes under which something is stored, a page of them."""
    config = load_config(nodedir.absolute())

    def look(execute: Any) -> list[dict[str, Any]]:
        found = storage_indexes(execute, prefix, after or b"", limit)
        return [listed_values(describe(execute, each)) for each in found]

    try:
        values = read_index(config, look)
    except ValueError as error:
        raise ConfigurationError([f"--prefix: {error}"]) from None
    following = values[-1]["storage_index"] if len(values) == limit else None
    if as_json:
        print_json({"shares": values, "after": following})
    else:
        print_listed(values, following)


@shares.command()
@storage_index_argument
@nodedir_argument
@json_option
def show(storage_index: bytes, nodedir: Path, *, as_json: bool) -> None:
    """Show what is stored under storage index SI: objects, lengths, version, leases."""
    config = load_config(nodedir.absolute())
    values = shown_values(read_index(config, lambda execute: describe(execute, storage_index)))
    if as_json:
        print_json(values)
    else:
        print_shown(values)
    click.get_current_context().exit(0 if values["immutable"] or values["mutable"] else FAILED)


@shares.command()
@storage_index_argument
@nodedir_argument
@json_option
def verify(storage_index: bytes, nodedir: Path, *, as_json: bool) -> None:
    """Read everything under storage index SI from its provider, and verify it.

    A node that runs does it; otherwise this command does.
    """
    arguments = {"storage_index": encode_index(storage_index)}
    work = _Work(nodedir.absolute(), as_json=as_json)
    told = work.do("shares.verify", arguments, lambda keeper, tell: keeper.verify(arguments, tell))
    if as_json:
        click.echo(json.dumps({"result": told}))
    else:
        click.echo(f"{told['objects']} objects ({in_words(told['bytes'])}) were read")
        for problem in told["damaged"]:
            click.echo(f"damaged: {printable(problem)}")
        if not told["damaged"]:
            click.echo("all bytes are those that were written")
    click.get_current_context().exit(FAILED if told["damaged"] else 0)


@shares.command()
@storage_index_argument
@nodedir_argument
@click.option("--reason", required=True, help="Why, for the history.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def expunge(storage_index: bytes, nodedir: Path, reason: str, *, yes: bool, as_json: bool) -> None:
    """Take down everything under storage index SI, for good.

    Clients find it no more at once, its objects are deleted some minutes later, and a restore does
    not bring it back.  A node that runs does it; without one, this command does, unless the shares
    are in a cloud.
    """
    if not yes:
        if as_json:
            raise click.UsageError("--json cannot ask: say --yes, too")
        config = load_config(nodedir.absolute())
        print_shown(shown_values(read_index(config, lambda run: describe(run, storage_index))))
        click.confirm("take all of that down, for good", abort=True)
    arguments = {"storage_index": encode_index(storage_index), "reason": reason}
    work = _Work(nodedir.absolute(), as_json=as_json, writing=True)
    told = work.do(
        "shares.expunge", arguments, lambda keeper, tell: keeper.expunge(arguments, tell)
    )
    if as_json:
        click.echo(json.dumps({"result": told}))
    else:
        size = in_words(told["bytes"])
        click.echo(f"taken down: {told['shares']} shares, {told['slots']} slots ({size})")


@shares.command()
@nodedir_argument
@limit_option(100, "lines")
@json_option
def history(nodedir: Path, limit: int, *, as_json: bool) -> None:
    """Show what was taken down, when and why, the newest first."""
    config = load_config(nodedir.absolute())
    values = [
        {
            "time": each.time,
            "storage_index": encode_index(each.storage_index),
            "reason": each.reason,
            "shares": each.shares,
            "slots": each.slots,
            "bytes": each.bytes,
        }
        for each in read_index(config, lambda execute: get_expunged(execute, limit))
    ]
    if as_json:
        print_json({"expunged": values})
        return
    if not values:
        click.echo("nothing was taken down")
    for each in values:
        size = in_words(int(str(each["bytes"])))
        click.echo(f"{moment(int(str(each['time'])))}  {each['storage_index']}  {size}")
        click.echo(f"  {printable(str(each['reason']))}")


Act = Callable[[ShareKeeper, Callable[[Any], None]], Deferred[Any]]


class _Work:
    """Something that a running node does, or this process in its place."""

    def __init__(self, directory: Path, *, as_json: bool, writing: bool = False) -> None:
        self._directory = directory
        self._as_json = as_json
        self._writing = writing

    def do(self, command: str, arguments: dict[str, str], act: Act) -> Any:
        """What came of it.

        :param act: does it in this process.
        :raises RaicError: it could not be done.
        """
        try:
            if self._writing:
                return NodeLink(self._directory).ask(command, arguments)
            return follow(
                self._directory,
                command,
                arguments,
                "verify",
                as_json=self._as_json,
                afterwards=AGAIN,
            )
        except NodeNotRunning:
            return self._do_here(act)

    def _do_here(self, act: Act) -> Any:
        config = load_config(self._directory)
        identity = load_identity(config.private)
        lock = NodeLock(config.node_directory)
        try:
            return run_until_done(
                lambda reactor: with_shares(
                    config,
                    identity,
                    reactor,
                    lambda keeper: act(keeper, lambda _: None),
                    writing=self._writing,
                )
            )
        finally:
            lock.release()
