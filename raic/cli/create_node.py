"""``raic create-node``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from raic.cli.creating import hold_conversation
from raic.cli.failing import FAILED
from raic.cli.telling import json_option, print_json
from raic.config.creating import (
    DEFAULT_LOCATION,
    DEFAULT_PORT,
    NewNode,
    create_new_node,
    refuse_taken,
    template_names,
)
from raic.config.identity import Identity, load_identity
from raic.config.model import Config

SEVERAL = "servers"
"""The template in which each server has a port of its own."""


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
@click.option(
    "--template",
    type=click.Choice(template_names()),
    default="disk",
    show_default=True,
    help="What raic.cfg to begin with.",
)
@click.option(
    "--interactive",
    is_flag=True,
    help="Ask for everything, try each answer, and keep the secrets; Ctrl-C leaves nothing.",
)
@json_option
@click.pass_context
def create_node(
    context: click.Context,
    nodedir: Path,
    nickname: str,
    port: str,
    location: str | None,
    webport: str,
    introducer: str,
    template: str,
    *,
    interactive: bool,
    as_json: bool,
) -> None:
    """Make a new storage node in NODEDIR."""
    directory = nodedir.absolute()
    if interactive:
        _refuse_others(context)
        _ask_for_node(directory)
        return
    if template == SEVERAL and (location is not None or port != DEFAULT_PORT):
        raise click.UsageError("each of several servers has a port of its own: write them later")
    if location is None:
        if port != DEFAULT_PORT:
            raise click.UsageError("--port needs --location: where clients connect to")
        location = DEFAULT_LOCATION
    new = NewNode(nickname, port, location, webport, introducer, template)
    configs = create_new_node(directory, new, int(time.time()))
    if as_json:
        print_json(_values(directory, configs))
    else:
        describe_new_nodes(directory, configs)


def _values(directory: Path, configs: Sequence[Config]) -> dict[str, Any]:
    return {
        "node_directory": str(directory),
        "configuration": str(directory / "raic.cfg"),
        "servers": [
            {
                "name": config.node_directory.name if len(configs) > 1 else "",
                "server_id": load_identity(config.private).server_id,
                "servers_yaml": str(config.private / "servers.yaml"),
            }
            for config in configs
        ],
        "next": [*wanted_commands(configs), f"raic check {directory}", f"raic run {directory}"],
    }


def _refuse_others(context: click.Context) -> None:
    """What is asked for need not be said."""
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if isinstance(parameter, click.Option)
        and parameter.name != "interactive"
        and context.get_parameter_source(parameter.name or "")
        is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"--interactive asks for what {', '.join(given)} says: leave it out")


def _ask_for_node(directory: Path) -> None:
    refuse_taken(directory)
    try:
        configs = hold_conversation(directory, int(time.time()))
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nended: nothing was made, and nothing was kept", err=True)
        raise click.exceptions.Exit(FAILED) from None
    describe_new_nodes(directory, configs, kept=True)


def describe_new_nodes(directory: Path, configs: Sequence[Config], *, kept: bool = False) -> None:
    """Say what was made, and what to type next.

    :param kept: whether the secrets of clouds are kept already.
    """
    if len(configs) == 1:
        describe_new_node(configs[0], load_identity(configs[0].private), kept=kept)
        return
    click.echo(f"made a node of {len(configs)} storage servers in {directory}")
    for config in configs:
        identity = load_identity(config.private)
        click.echo(f"server {config.node_directory.name}: {identity.server_id}")
    click.echo(f"configuration: {directory / 'raic.cfg'}")
    entries = directory / "servers" / "NAME" / "private" / "servers.yaml"
    click.echo(f"entries for a client's private/servers.yaml: {entries}")
    _tell_next(directory, configs, kept=kept)


def describe_new_node(config: Config, identity: Identity, *, kept: bool = False) -> None:
    """Say what was made of a node that is one server."""
    click.echo(f"made a storage node in {config.node_directory}")
    click.echo(f"server id: {identity.server_id}")
    click.echo(f"configuration: {config.node_directory / 'raic.cfg'}")
    click.echo(f"entry for a client's private/servers.yaml: {config.private / 'servers.yaml'}")
    _tell_next(config.node_directory, [config], kept=kept)


def _tell_next(directory: Path, configs: Sequence[Config], *, kept: bool) -> None:
    places = ", ".join(str(config.private) for config in configs)
    click.echo(
        f"back up {places}: without the keys in it nobody, you included, can use the node's shares"
    )
    credentials = [] if kept else wanted_commands(configs)
    if credentials:
        click.echo(f"write your containers into {directory / 'raic.cfg'}, and then:")
        for command in [*credentials, f"raic check {directory}"]:
            click.echo(f"  {command}")
    click.echo(f"start it: raic run {directory}")


def wanted_commands(configs: Sequence[Config]) -> list[str]:
    """The commands that set the secrets of a new node's clouds."""
    return [
        f"raic credentials set {member.name} --nodedir {config.node_directory}"
        for config in configs
        for member in config.backend.members
        if member.cloud is not None and member.cloud.wanted.required
    ]
