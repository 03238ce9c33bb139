"""``raic create-node``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from raic.config.creating import DEFAULT_LOCATION, DEFAULT_PORT, NewNode, create_node_directory
from raic.config.identity import Identity
from raic.config.model import Config


@click.command("create-node")
@click.argument("nodedir", type=click.Path(path_type=Path))
@click.option("--nickname", default="raic", show_default=True, help="The name that clients show.")
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    help="Where to listen, as a Twisted endpoint description.",
)
@click.option(
    "--location",
    default=None,
    help="Where clients connect to, such as tcp:storage.example.net:3457."
    f"  [default: {DEFAULT_LOCATION}]",
)
@click.option("--webport", default="", help="Where the status page will listen.")
@click.option("--introducer", default="", help="The FURL of an introducer.")
def create_node(
    nodedir: Path, nickname: str, port: str, location: str | None, webport: str, introducer: str
) -> None:
    """Make a new storage node in NODEDIR."""
    if location is None:
        if port != DEFAULT_PORT:
            raise click.UsageError("--port needs --location: where clients connect to")
        location = DEFAULT_LOCATION
    new = NewNode(nickname, port, location, webport, introducer)
    now = int(time.time())
    config, identity = create_node_directory(nodedir.absolute(), new, now)
    describe_new_node(config, identity)


def describe_new_node(config: Config, identity: Identity) -> None:
    """Say what was made."""
    click.echo(f"made a storage node in {config.node_directory}")
    click.echo(f"server id: {identity.server_id}")
    click.echo(f"configuration: {config.node_directory / 'raic.cfg'}")
    click.echo(f"entry for a client's private/servers.yaml: {config.private / 'servers.yaml'}")
    click.echo(
        f"back up {config.private}: without the keys in it nobody, you included, can use the"
        " node's shares"
    )
    click.echo(f"start it: raic run {config.node_directory}")
