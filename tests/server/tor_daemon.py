"""As much of a Tor daemon's control port as makes hidden services, and as strict as Tor's."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

NAME = "d" * 56
"""That of every service, without ``.onion``."""

_KNOWN = {
    "version": "0.4.7.16",
    "events/names": "CIRC STREAM HS_DESC STATUS_CLIENT",
    "signal/names": "RELOAD HUP SHUTDOWN",
}
_ADD = re.compile(r"ADD_ONION (?P<key>\S+) Flags=DiscardPK Port=(?P<port>\d+,127\.0\.0\.1:\d+)")
_KEY = re.compile(r"ED25519-V3:[A-Za-z0-9+/]{86}==")


class _Control(LineReceiver):
    factory: TorDaemon

    def connectionMade(self) -> None:
        self.factory.connections.append(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.connections.remove(self)
        self.factory.services.pop(self, None)

    def lineReceived(self, line: bytes) -> None:
        text = line.decode("ascii")
        command, _, rest = text.partition(" ")
        if command == "PROTOCOLINFO":
            self._say("250-PROTOCOLINFO 1", "250-AUTH METHODS=NULL", '250-VERSION Tor="0.4.7.16"')
        elif command == "GETINFO":
            self._say(*(f"250-{name}={_KNOWN[name]}" for name in rest.split()))
        elif command == "ADD_ONION":
            self._add(text)
        else:
            self._say()

    def _add(self, text: str) -> None:
        asked = _ADD.fullmatch(text)
        if asked is None:
            self._end("512 Bad arguments")
        elif _KEY.fullmatch(asked["key"]) is None:
            self._end("513 Failed to decode ED25519-V3 key")
        elif self.factory.services:
            self._end("550 Onion address collision")
        else:
            self.factory.services[self] = asked["port"]
            self._say(f"250-ServiceID={NAME}")

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.sendLine(line.encode("ascii"))
        self._end("250 OK")

    def _end(self, line: str) -> None:
        self.sendLine(line.encode("ascii"))


class TorDaemon(Factory):
    """The daemon.

    :ivar services: by control connection, with which they end: the ports they lead from and to.
    """

    protocol = _Control  # type: ignore[assignment]  # Twisted's annotation is of its own base
    noisy = False

    def __init__(self) -> None:
        self.connections: list[Any] = []
        self.services: dict[Any, str] = {}

    def end(self) -> None:
        """End every connection, as at a restart."""
        for connection in list(self.connections):
            connection.transport.abortConnection()
