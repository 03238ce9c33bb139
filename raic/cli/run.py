"""``raic run``."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import click
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from raic import __version__
from raic.assembly import NodeFacts, StorageNode
from raic.cli.create_node import describe_new_node
from raic.cli.failing import FAILED, MISTAKEN, explain
from raic.cli.logs import begin_logging
from raic.cli.sizes import in_words
from raic.config.creating import NewNode, create_node_directory
from raic.config.identity import Identity, load_identity
from raic.config.loading import load_config
from raic.config.lock import NodeLock
from raic.config.model import Config
from raic.errors import ConfigurationError, RaicError
from raic.values import Space

DEFAULT_DIRECTORY = "raic-node"
STOP_SECONDS = 20.0
"""How long stopping may take; then the process ends all the same: nothing acknowledged is lost."""


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
    if nodedir is None:
        nodedir = Path(DEFAULT_DIRECTORY)
        if not nodedir.exists():
            now = int(time.time())
            describe_new_node(*create_node_directory(nodedir.absolute(), NewNode(), now))
    config = load_config(nodedir.absolute())
    if take_over and config.local:
        raise click.UsageError("--take-over is for clouds: nobody else has a folder's prefix")
    identity = load_identity(config.private)
    lock = NodeLock(config.node_directory)
    try:
        os.umask(0o077)
        _raise_file_limit()
        begin_logging(sys.stderr, config.node.log_level)
        code = _run_node(config, identity, take_over=take_over)
    finally:
        lock.release()
    click.get_current_context().exit(code)


def _raise_file_limit() -> None:
    """Each connection and each open object takes a file descriptor."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _run_node(config: Config, identity: Identity, *, take_over: bool) -> int:
    # Importing it installs it, which only the process that runs a node should do.
    from twisted.internet import reactor  # noqa: PLC0415

    process = _NodeProcess(config, identity, reactor, take_over=take_over)
    process.run()
    return process.code


def _die(error: Exception) -> NoReturn:
    """End at once: the index cannot say any more what is true, so nothing may be touched."""
    text = explain(error) if isinstance(error, RaicError) else f"raic: {error}"
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
    os._exit(FAILED)


class _NodeProcess:
    """The node, the reactor's life and the exit code."""

    def __init__(
        self, config: Config, identity: Identity, reactor: Any, *, take_over: bool
    ) -> None:
        self._config = config
        self._identity = identity
        self._reactor = reactor
        progress = _tell_wait if take_over else None
        self._node = StorageNode(config, identity, reactor, _die, progress)
        self._started: Deferred[None] | None = None
        self._ending = False
        self.code = 0

    def run(self) -> None:
        """Start the node, and return when it has stopped."""
        self._reactor.callWhenRunning(self._start)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stop)
        self._reactor.run()

    def _start(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._end())
        signal.signal(signal.SIGHUP, lambda *_: self._reload())
        _describe(self._config, self._identity)
        self._started = self._node.start().addCallbacks(self._ready, self._failed)

    def _ready(self, facts: NodeFacts) -> None:
        for line in _facts(self._config, self._identity, facts):
            click.echo(line)
        if not facts.complete:
            name = self._config.backend.name
            click.echo(f"waiting for {name}: until it answers the node takes no shares")
        click.echo("storage node is ready")

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if self._ending:
            return  # it was cancelled
        if isinstance(error, RaicError):
            text = explain(error)
        elif isinstance(error, CannotListenError):
            text = (
                f"raic: cannot listen: {error}\n"
                "what to do: end what listens there, or change tub.port and tub.location"
            )
        else:
            text = f"raic: the node did not start:\n{failure.getTraceback()}"
        click.echo(text, err=True)
        self.code = MISTAKEN if isinstance(error, ConfigurationError) else FAILED
        self._end()

    def _end(self) -> None:
        """Begin to stop; safe in a signal handler, and a second signal disturbs nothing."""
        if not self._ending:
            self._ending = True
            self._reactor.callFromThread(self._reactor.stop)

    def _reload(self) -> None:
        self._reactor.callFromThread(self._node.reload)

    def _stop(self) -> Deferred[None]:
        if self.code == 0:
            click.echo("stopping")
        stopped: Deferred[None] = Deferred()
        give_up = self._reactor.callLater(STOP_SECONDS, _give_up)

        def done(_: object) -> None:
            give_up.cancel()
            if self.code == 0:
                click.echo("stopped")
            stopped.callback(None)

        started = self._started
        if started is None:
            done(None)
        else:
            started.cancel()  # a take-over waits for minutes
            started.addCallback(lambda _: self._node.stop()).addCallback(done)
        return stopped


def _give_up() -> NoReturn:
    """End although something still hangs, a thread in the kernel perhaps: it may hang for ever."""
    click.echo(f"raic: not everything stopped within {STOP_SECONDS:.0f} s", err=True)
    sys.stdout.flush()
    os._exit(FAILED)


def _tell_wait(seconds: float) -> None:
    click.echo(f"waiting for the other to stop writing: {seconds:.0f} s left")


def _describe(config: Config, identity: Identity) -> None:
    click.echo(f"raic {__version__}")
    click.echo(f"node directory: {config.node_directory}")
    click.echo(f"server id: {identity.server_id}")
    for notice in config.notices:
        click.echo(f"note: {notice}")


def _room(config: Config, space: Space | None) -> str:
    if space is None:
        return "of unknown size"
    room = in_words(space.available)
    return f"{room} free" if config.local else f"room for {room}"


def _facts(config: Config, identity: Identity, facts: NodeFacts) -> list[str]:
    backend, totals = config.backend, facts.totals
    durable = "" if backend.fsync else ", without waiting for the disk"
    dialects = "Foolscap" if config.storage.force_foolscap else "HTTP and Foolscap"
    shares = f"{totals.shares} shares ({in_words(totals.share_bytes)})"
    slots = f"{totals.slots} slots ({in_words(totals.slot_bytes)})"
    return [
        f"shares live in: {backend.name}, {backend.describe(identity.server_id)},"
        f" {_room(config, facts.space)}{durable}",
        f"listening on: {', '.join(config.node.ports)} ({dialects})",
        f"clients connect to: {', '.join(facts.hints)}",
        f"entry for a client's private/servers.yaml: {config.private / 'servers.yaml'}",
        f"holding: {shares}, {slots}, {totals.leases} leases",
        "index: in order"
        if facts.clean
        else "index: the last run was cut short; looking for what it left behind",
    ]
