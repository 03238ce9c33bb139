"""The life of the process that runs one storage node, or several."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click
from attrs import frozen
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from raic import __version__
from raic.assembly import NodeFacts, StorageNode
from raic.cli.facts import how_it_started, who_it_is
from raic.cli.failing import FAILED, MISTAKEN, explain
from raic.config.identity import Identity
from raic.config.model import Config
from raic.errors import ConfigurationError, RaicError

STOP_SECONDS = 20.0
"""How long stopping may take; then the process ends all the same: nothing acknowledged is lost."""


@frozen
class Server:
    """A storage server to be run.

    :ivar name: for lines about it; empty when it is the only one.
    """

    name: str
    config: Config
    identity: Identity

    def say(self, text: str, *, err: bool = False) -> None:
        """Print lines about it."""
        for line in text.splitlines():
            click.echo(f"{self.name}: {line}" if self.name else line, err=err)


class NodeProcess:
    """Storage nodes, the reactor's life and the exit code.

    One that cannot start does not hold up the others; when none can, the process ends.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        reactor: Any,
        take_over: Callable[[float], None] | None = None,
    ) -> None:
        self._reactor = reactor
        self._nodes = [
            (server, StorageNode(server.config, server.identity, reactor, _die, take_over))
            for server in servers
        ]
        self._starting: list[Deferred[None]] | None = None
        self._failed = 0
        self._ending = False
        self.code = 0

    def run(self) -> None:
        """Start the nodes, and return when they have stopped."""
        self._reactor.callWhenRunning(self._start)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stop)
        self._reactor.run()

    def _start(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._end())
        signal.signal(signal.SIGHUP, lambda *_: self._reload())
        click.echo(f"raic {__version__}")
        self._starting = [self._start_one(server, node) for server, node in self._nodes]
        gatherResults(self._starting).addCallback(self._started)

    def _start_one(self, server: Server, node: StorageNode) -> Deferred[None]:
        server.say("\n".join(who_it_is(server.config, server.identity)))
        return node.start().addCallbacks(
            self._ready, self._not_started, callbackArgs=(server,), errbackArgs=(server, node)
        )

    def _ready(self, facts: NodeFacts, server: Server) -> None:
        server.say("\n".join(how_it_started(server.config, server.identity, facts)))

    def _not_started(self, failure: Failure, server: Server, node: StorageNode) -> Any:
        if self._ending:
            return None  # it was cancelled
        error = failure.value
        if isinstance(error, RaicError):
            text = explain(error)
        elif isinstance(error, CannotListenError):
            text = (
                f"raic: cannot listen: {error}\n"
                "what to do: end what listens there, or change tub.port and tub.location"
            )
        else:
            text = f"raic: the node did not start:\n{failure.getTraceback()}"
        server.say(text, err=True)
        self._failed += 1
        if self._failed < len(self._nodes):
            return node.stop()
        self.code = MISTAKEN if isinstance(error, ConfigurationError) else FAILED
        self._end()
        return None

    def _started(self, _: object) -> None:
        if not self._ending:
            click.echo("storage node is ready")

    def _end(self) -> None:
        """Begin to stop; safe in a signal handler, and a second signal disturbs nothing."""
        if not self._ending:
            self._ending = True
            self._reactor.callFromThread(self._reactor.stop)

    def _reload(self) -> None:
        for _, node in self._nodes:
            self._reactor.callFromThread(node.reload)

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

        gatherResults(
            [
                self._stop_one(starting, node)
                for starting, (_, node) in zip(self._starting or (), self._nodes, strict=False)
            ]
        ).addCallback(done)
        return stopped

    def _stop_one(self, starting: Deferred[None], node: StorageNode) -> Deferred[None]:
        starting.cancel()  # a take-over waits for minutes
        ended: Deferred[None] = Deferred()
        starting.addBoth(lambda _: node.stop().chainDeferred(ended))
        return ended


def _die(error: Exception) -> NoReturn:
    """End at once: the index cannot say any more what is true, so nothing may be touched."""
    text = explain(error) if isinstance(error, RaicError) else f"raic: {error}"
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
    os._exit(FAILED)


def _give_up() -> NoReturn:
    """End although something still hangs, a thread in the kernel perhaps: it may hang for ever."""
    click.echo(f"raic: not everything stopped within {STOP_SECONDS:.0f} s", err=True)
    sys.stdout.flush()
    os._exit(FAILED)
