"""Commands of the operator to a running node: the transport, as the specification has it.

One connection is one command.  What the commands are is no business of this module.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IPushProducer,
    IReactorTime,
    IReactorUNIX,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.errors import ConfigurationError, MessageMalformed, RaicError
from raic.server.controlplace import LONGEST_LINE, socket_address

Tell = Callable[[Mapping[str, Any]], None]
"""Tells the client how far a command is; may be called at any time, and never raises."""

Handler = Callable[[Mapping[str, Any], Tell], Deferred[Any]]
"""Does what a command says; its arguments are what the client sent, unchecked.

It fires with what can be written as JSON, and fails with a ``RaicError`` that the operator is to
see.  Nothing that the client does ends it.
"""

REQUEST_SECONDS = 10.0
"""How long a client may take to say what it wants."""

PROGRESS_SECONDS = 0.2
"""The least time between two lines of progress."""

CLOSING_SECONDS = 30.0
"""How long a client may take to fetch the answer."""


class ControlSocket:
    """Takes commands at a socket in the node directory.

    :param path: of the socket; this process must be the only one that uses it.
    :param handlers: by the name of the command.
    :param reactor: time, too.
    """

    _log = Logger()

    def __init__(self, path: Path, handlers: Mapping[str, Handler], reactor: IReactorUNIX) -> None:
        self._path = path
        self._reactor = reactor
        self._factory = ControlFactory(handlers, IReactorTime(reactor))
        self._held = ExitStack()
        self._port: IListeningPort | None = None
        self._address = ""

    def start(self) -> bool:
        """Take commands from now on; what a killed process left at the path is removed.

        :return: whether that could be done.  A node that no command reaches can serve all the
            same, so what is in the way is logged.
        """
        try:
            self._listen()
        except (OSError, CannotListenError) as error:
            self._held.close()
            self._log.warn(
                "commands cannot reach this node: {path}: {error};"
                " make way for a socket there, and start the node again",
                path=self._path,
                error=error,
            )
            return False
        return True

    def stop(self) -> Deferred[None]:
        """Take no more commands, and tell those who wait that the node stops.

        :return: fires when the socket is gone; never fails.
        """
        if self._port is None:
            return succeed(None)
        port, self._port = self._port, None
        self._factory.stop()
        # Twisted removes the file, and would never come to an end if somebody else had.
        with suppress(OSError):
            os.close(os.open(self._address, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return maybeDeferred(port.stopListening).addBoth(lambda _: self._held.close())

    def _listen(self) -> None:
        self._address = self._held.enter_context(socket_address(self._path))
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.lstat(self._address).st_mode):
                os.unlink(self._address)
        self._port = self._reactor.listenUNIX(self._address, self._factory, mode=0o600)


class ControlFactory(Factory):
    """Makes a conversation for each connection."""

    def __init__(self, handlers: Mapping[str, Handler], clock: IReactorTime) -> None:
        self._handlers = handlers
        self._clock = clock
        self._conversations: set[Conversation] = set()

    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Conversation:
        """See ``IProtocolFactory``."""
        return Conversation(self._handlers, self._clock, self._conversations)

    def stop(self) -> None:
        """End all conversations."""
        for conversation in list(self._conversations):
            conversation.node_stops()


@implementer(IPushProducer)
class Conversation(Protocol):
    """One command and its answer.

    :param others: where this one is while it is connected.
    """

    _log = Logger()

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        clock: IReactorTime,
        others: set[Conversation],
    ) -> None:
        self._handlers = handlers
        self._clock = clock
        self._others = others
        self._received: bytearray | None = bytearray()  # None once the command is known
        self._answered = False
        self._paused = False
        self._progress: Mapping[str, Any] | None = None  # not told yet
        self._told = -PROGRESS_SECONDS  # when the last progress was
        self._timers: dict[str, IDelayedCall] = {}

    # The connection

    def connectionMade(self) -> None:
        """Wait for the command, but not for ever."""
        self._others.add(self)
        self._channel().registerProducer(self, True)
        self._later("request", REQUEST_SECONDS, self._too_slow)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes up to the end of the first line; what follows it means nothing."""
        if self._received is None:
            return
        line, end, _ = data.partition(b"\n")
        self._received += line[: LONGEST_LINE + 1]
        if len(self._received) > LONGEST_LINE:
            error = MessageMalformed(f"a command has at most {LONGEST_LINE} bytes")
            self._refuse(error)
        elif end:
            self._begin(bytes(self._received))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell nothing any more; what was begun goes on."""
        self._others.discard(self)
        self._received = None
        self._answered = True
        for name in list(self._timers):
            self._cancel(name)

    def pauseProducing(self) -> None:
        """See ``IPushProducer``: the client does not fetch what it was told."""
        self._paused = True

    def resumeProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = False
        self._tell_latest()

    def stopProducing(self) -> None:
        """See ``IPushProducer``: :meth:`connectionLost` follows."""

    def node_stops(self) -> None:
        """Say so, and hang up."""
        self._error(
            "the node stops",
            "start it again: operations that it had begun it goes on with by itself",
        )

    # The command

    def _begin(self, line: bytes) -> None:
        try:
            command, arguments = parse_request(line)
            handler = self._handlers.get(command)
            if handler is None:
                raise ConfigurationError([f"this node knows no command {command!r}"])
        except (MessageMalformed, ConfigurationError) as error:
            self._refuse(error)
            return
        self._received = None
        self._cancel("request")
        running = maybeDeferred(handler, arguments, self._tell)
        running.addCallback(lambda result: _line({"result": result}))
        running.addCallbacks(self._answer, partial(self._failed, command))

    def _failed(self, command: str, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, RaicError):
            self._error(str(error), error.remedy, mistaken=isinstance(error, ConfigurationError))
            return
        self._log.failure("while doing what {command} says", failure, command=command)
        self._error(
            f"the node met an error of its own: {type(error).__name__}",
            "look into the node's log, and report it",
        )

    def _refuse(self, error: RaicError) -> None:
        self._received = None
        self._cancel("request")
        self._error(str(error), error.remedy, mistaken=True)

    def _too_slow(self) -> None:
        self._timers.pop("request")
        self._refuse(MessageMalformed(f"no command came within {REQUEST_SECONDS:.0f} seconds"))

    # The answer

    def _tell(self, progress: Mapping[str, Any]) -> None:
        self._progress = progress
        self._tell_latest()

    def _tell_latest(self) -> None:
        """Tell the client what is new, if it listens and was not told something just now."""
        if self._answered or self._paused or self._progress is None:
            return
        now = self._clock.seconds()
        pause = self._told + PROGRESS_SECONDS - now
        if pause > 0:
            if "progress" not in self._timers:
                self._later("progress", pause, self._tell_after_pause)
            return
        progress, self._progress = self._progress, None
        self._told = now
        self._channel().write(_line({"progress": progress}))

    def _tell_after_pause(self) -> None:
        self._timers.pop("progress")
        self._tell_latest()

    def _error(self, text: str, remedy: str, *, mistaken: bool = False) -> None:
        self._answer(_line({"error": {"text": text, "remedy": remedy, "mistaken": mistaken}}))

    def _answer(self, line: bytes) -> None:
        """Say the last word, once, and hang up when it was fetched, or after a while."""
        if self._answered:
            return
        self._answered = True
        self._cancel("progress")
        channel = self._channel()
        self._later("closing", CLOSING_SECONDS, self._give_up)
        channel.write(line)
        channel.unregisterProducer()
        channel.loseConnection()

    def _give_up(self) -> None:
        self._timers.pop("closing")
        self._channel().abortConnection()

    def _channel(self) -> Any:
        # No interface of Twisted has all the methods that its stream transports have.
        return self.transport

    def _later(self, name: str, seconds: float, function: Callable[[], None]) -> None:
        self._timers[name] = self._clock.callLater(seconds, function)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def parse_request(line: bytes) -> tuple[str, Mapping[str, Any]]:
    """A command and its arguments.

    :raises MessageMalformed: that is not what the line is.
    """
    try:
        request = json.loads(line.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise MessageMalformed(f"a command is a line of JSON: {error}") from None
    if not isinstance(request, dict) or request.keys() != {"command", "arguments"}:
        raise MessageMalformed('a command is an object with "command" and "arguments" alone')
    command, arguments = request["command"], request["arguments"]
    if not isinstance(command, str) or not isinstance(arguments, dict):
        raise MessageMalformed('"command" is a string, "arguments" is an object')
    return command, arguments


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, allow_nan=False).encode("ascii") + b"\n"
