"""The life of the process that runs one storage node, or several."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click
from attrs import frozen
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.error import CannotListenError
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from raic import __version__
from raic.assembly import NodeFacts, StorageNode
from raic.assembly.status import WarningBook
from raic.assembly.web import make_web_face
from raic.cli.facts import how_it_is, how_it_started, who_it_is
from raic.cli.failing import FAILED, MISTAKEN, explain
from raic.cli.manager import Heartbeat, ServiceManager
from raic.cli.teller import Teller
from raic.config.identity import Identity
from raic.config.model import Config
from raic.errors import ConfigurationError, RaicError

STOP_SECONDS = 20.0
"""How long stopping may take once uploads have ended; then the process ends all the same: nothing
acknowledged is lost."""

START_SECONDS = 120.0
"""How long a service manager should have patience with one step of a start."""


@frozen
class Server:
    """A storage server to be run.

    :ivar name: for lines about it; empty when it is the only one.
    """

    name: str
    config: Config
    identity: Identity


class NodeProcess:
    """Storage nodes, the reactor's life and the exit code.

    One that cannot start does not hold up the others; when none can, the process ends.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        reactor: Any,
        teller: Teller,
        manager: ServiceManager,
        *,
        take_over: bool = False,
        set_log_level: Callable[[str], None] = lambda level: None,
    ) -> None:
        self._reactor = reactor
        self._teller = teller
        self._manager = manager
        self._warnings = WarningBook()
        waits = self._tell_wait if take_over else None
        self._nodes = [
            (
                server,
                StorageNode(
                    server.config,
                    server.identity,
                    reactor,
                    _die,
                    waits,
                    self._warnings,
                    server.name,
                    set_log_level,
                    self._reload_page,
                ),
            )
            for server in servers
        ]
        self._heartbeat = Heartbeat(manager, reactor, self._look)
        self._web = make_web_face(
            [server.config for server in servers],
            [server.identity for server in servers],
            lambda: [node.status for _, node in self._nodes if node.status is not None],
            self._warnings,
            reactor,
        )
        self._starting: list[Deferred[None]] | None = None
        self._finishing: Deferred[Any] | None = None
        self._serves = False
        self._failed: list[str] = []
        self._ending = False
        self.code = 0

    def run(self) -> None:
        """Start the nodes, and return when they have stopped."""
        self._warnings.listen(globalLogPublisher)
        self._reactor.callWhenRunning(self._start)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stop)
        self._reactor.run()

    # Starting

    def _start(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._reactor.callFromThread(self._end))
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self._reload))
        self._teller.say(f"raic {__version__}")
        self._manager.wait("starting", START_SECONDS)
        self._starting = [self._start_one(server, node) for server, node in self._nodes]
        gatherResults(self._starting).addCallback(self._started)
        if self._web is not None:
            self._web.start().addCallbacks(self._teller.say, self._no_page)

    def _no_page(self, failure: Failure) -> None:
        """The status page cannot be served, which is no reason not to serve clients."""
        if self._ending:
            return
        error = failure.value
        if isinstance(error, RaicError):
            text = explain(error)
        else:
            text = (
                f"raic: the status page is not served: {error}\n"
                "what to do: end what listens there, or change web.port; then start the node again"
            )
        self._teller.say(text, error=True)

    def _start_one(self, server: Server, node: StorageNode) -> Deferred[None]:
        self._say(server, *who_it_is(server.config, server.identity))
        return node.start().addCallbacks(
            self._ready, self._not_started, callbackArgs=(server,), errbackArgs=(server, node)
        )

    def _ready(self, facts: NodeFacts, server: Server) -> None:
        self._say(server, *how_it_started(server.config, server.identity, facts))

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
        self._teller.say(text, server=server.name, error=True)
        self._manager.status(text)
        self._failed.append(server.name)
        if len(self._failed) < len(self._nodes):
            return node.stop()
        self.code = MISTAKEN if isinstance(error, ConfigurationError) else FAILED
        self._end()
        return None

    def _tell_wait(self, seconds: float) -> None:
        text = f"waiting for the other to stop writing: {seconds:.0f} s left"
        self._teller.say(text)
        self._manager.wait(text, seconds + START_SECONDS)

    def _started(self, _: object) -> None:
        if not self._ending:
            self._serves = True
            self._teller.say(self._how_ready())
            self._manager.ready(self._how_ready())
            self._heartbeat.start()

    def _how_ready(self) -> str:
        failed = [server.name for server, _ in self._nodes if server.name in self._failed]
        return "storage node is ready" + (f", but not {', '.join(failed)}" if failed else "")

    # While they run

    def _look(self) -> Deferred[str]:
        looked = gatherResults([node.look() for _, node in self._nodes], consumeErrors=True)
        return looked.addCallbacks(how_it_is, lambda failure: str(failure.value.subFailure.value))

    def _reload(self) -> None:
        if self._serves:
            self._manager.reloading()
        reloaded = gatherResults([self._reload_one(node) for _, node in self._nodes])
        reloaded.addBoth(self._reloaded)

    def _reload_page(self) -> Deferred[None]:
        return succeed(None) if self._web is None else self._web.reload()

    def _reload_one(self, node: StorageNode) -> Deferred[Any]:
        # Whatever is wrong, the log says so.
        return node.reload().addErrback(lambda failure: failure.trap(RaicError) and None)

    def _reloaded(self, result: Any) -> Any:
        if self._serves:
            self._manager.ready(self._how_ready())
        return result

    # Ending

    def _end(self) -> None:
        """Begin to stop, with a first signal; have uploads under way wait no longer, with a
        second one.  More of them disturb nothing.
        """
        if self._finishing is not None:
            self._finishing.cancel()
        if self._ending:
            return
        self._ending = True
        if not self._serves:
            self._reactor.stop()
            return
        self._serves = False
        limit = max(server.config.node.stop_seconds for server, _ in self._nodes)
        uploads = sum(node.count_uploads() for _, node in self._nodes)
        text = "stopping"
        if uploads and limit:
            text += f": {uploads} shares may still end, within {limit} s; another signal ends this"
        self._teller.say(text)
        self._manager.stopping(text, limit + 2 * STOP_SECONDS)
        self._finishing = gatherResults(
            [node.finish_uploads() for _, node in self._nodes], consumeErrors=True
        )
        self._finishing.addBoth(self._finished)

    def _finished(self, _: object) -> None:
        self._finishing = None
        self._reactor.stop()

    def _stop(self) -> Deferred[None]:
        self._heartbeat.stop()
        stopped: Deferred[None] = Deferred()
        give_up = self._reactor.callLater(STOP_SECONDS, _give_up)

        def done(_: object) -> None:
            give_up.cancel()
            if self.code == 0:
                self._teller.say("stopped")
            stopped.callback(None)

        pages = [] if self._web is None else [self._web.stop()]
        gatherResults(
            [
                *pages,
                *(
                    self._stop_one(starting, node)
                    for starting, (_, node) in zip(self._starting or (), self._nodes, strict=False)
                ),
            ]
        ).addCallback(done)
        return stopped

    def _stop_one(self, starting: Deferred[None], node: StorageNode) -> Deferred[None]:
        starting.cancel()  # a take-over waits for minutes
        ended: Deferred[None] = Deferred()
        starting.addBoth(lambda _: node.stop().chainDeferred(ended))
        return ended

    def _say(self, server: Server, *lines: str) -> None:
        self._teller.say("\n".join(lines), server=server.name)


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
