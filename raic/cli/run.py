"""``raic run``."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from raic.cli.allocator import keep_freed_memory
from raic.cli.create_node import describe_new_node
from raic.cli.logs import begin_logging, style_for
from raic.cli.manager import ServiceManager
from raic.cli.place import DEFAULT_DIRECTORY
from raic.cli.process import NodeProcess, Server
from raic.cli.teller import Teller
from raic.config.creating import NewNode, create_node_directory, create_server_directory
from raic.config.identity import load_identity
from raic.config.loading import load_config, load_servers
from raic.config.lock import NodeLock
from raic.config.model import Config


@click.command()
@click.argument("nodedir", required=False, type=click.Path(path_type=Path))
@click.option(
    "--take-over",
    is_flag=True,
    help="Take the cloud's prefix over from another server or copy that is gone for good.",
)
def run(nodedir: Path | None, *, take_over: bool) -> None:
    """Run the storage node in NODEDIR until SIGINT or SIGTERM.

    Without NODEDIR the node in ./raic-node is run; it is made first if it does not exist.
    """
    now = int(time.time())
    if nodedir is None:
        nodedir = Path(DEFAULT_DIRECTORY)
        if not nodedir.exists():
            describe_new_node(*create_node_directory(nodedir.absolute(), NewNode(), now))
    configs = _configs(nodedir.absolute())
    _check_take_over(configs, take_over=take_over)
    with ExitStack() as locks:
        if len(configs) > 1:
            locks.callback(NodeLock(nodedir.absolute()).release)
        for config in configs:
            if len(configs) > 1:
                create_server_directory(config, now)
            locks.callback(NodeLock(config.node_directory).release)
        os.umask(0o077)
        _raise_file_limit()
        keep_freed_memory()
        node = configs[0].node
        style = style_for(node.log_format, sys.stderr, os.environ)
        level = begin_logging(sys.stderr, node.log_level, style)
        code = _run_servers(configs, Teller(style), level.set, take_over=take_over)
    click.get_current_context().exit(code)


def _configs(nodedir: Path) -> Sequence[Config]:
    """All servers of a node directory, or the one whose directory this is."""
    if (nodedir / "raic.cfg").exists():
        return load_servers(nodedir)
    return [load_config(nodedir)]


def _check_take_over(configs: Sequence[Config], *, take_over: bool) -> None:
    if not take_over:
        return
    if len(configs) > 1:
        first = configs[0].node_directory
        raise click.UsageError(f"--take-over is for one server at a time, such as {first}")
    if configs[0].local:
        raise click.UsageError("--take-over is for clouds: nobody else has a folder's prefix")


def _raise_file_limit() -> None:
    """Each connection and each open object takes a file descriptor."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _run_servers(
    configs: Sequence[Config],
    teller: Teller,
    set_log_level: Callable[[str], None],
    *,
    take_over: bool,
) -> int:
    servers = [
        Server(
            config.node_directory.name if len(configs) > 1 else "",
            config,
            load_identity(config.private),
        )
        for config in configs
    ]
    # Importing it installs it, which only the process that runs a node should do.
    from twisted.internet import reactor  # noqa: PLC0415

    manager = ServiceManager(os.environ, os.getpid())
    process = NodeProcess(
        servers, reactor, teller, manager, take_over=take_over, set_log_level=set_log_level
    )
    process.run()
    return process.code
