"""What a service manager is told of the node: systemd, or whatever else sets NOTIFY_SOCKET."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import CLOCK_MONOTONIC, clock_gettime_ns

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

SEND_SECONDS = 1.0
STATUS_SECONDS = 30.0


class ServiceManager:
    """Speaks the protocol of sd_notify(3), if this process was started with a socket for it.

    :param environment: variables of this process.
    :param pid: of this process.
    :ivar watchdog: within how many seconds a sign of life is expected again and again; None for
        never.
    """

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog = _watchdog(environment, pid) if self.listens else None

    @property
    def listens(self) -> bool:
        """Whether there is anyone to be told."""
        return self._address[:1] in ("/", "@")

    def status(self, text: str) -> None:
        """Say in a sentence what the node is at."""
        self._send(_status(text))

    def wait(self, text: str, seconds: float) -> None:
        """Say what the node is at, and that this start or stop may take so much longer."""
        self._send(_status(text), _patience(seconds))

    def ready(self, text: str) -> None:
        """Say that the node serves, for the first time or with what it was told to read again."""
        self._send("READY=1", _status(text))

    def reloading(self) -> None:
        """Say that the node reads its settings again; :meth:`ready` ends that."""
        now = clock_gettime_ns(CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}", _status("reading its settings again"))

    def stopping(self, text: str, seconds: float) -> None:
        """Say that the node ends, within so many seconds."""
        self._send("STOPPING=1", _status(text), _patience(seconds))

    def alive(self, text: str) -> None:
        """Give a sign of life."""
        self._send("WATCHDOG=1", _status(text))

    def _send(self, *fields: str) -> None:
        if not self.listens:
            return
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        # Whoever cannot be told any more has lost interest: the node goes on.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.settimeout(SEND_SECONDS)
            channel.sendto("\n".join(fields).encode(), address)


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.split())


def _patience(seconds: float) -> str:
    return f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}"


def _watchdog(environment: Mapping[str, str], pid: int) -> float | None:
    microseconds = environment.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or int(microseconds) == 0:
        return None
    meant = environment.get("WATCHDOG_PID", "")
    return int(microseconds) / 1_000_000 if meant in ("", str(pid)) else None


class Heartbeat:
    """Gives signs of life to a service manager, as long as there are any.

    :param look: called again and again: fires with a sentence on how the node is, or fails, which
        is a sign of life, too.  While it does neither, no sign is given.
    """

    def __init__(
        self, manager: ServiceManager, clock: IReactorTime, look: Callable[[], Deferred[str]]
    ) -> None:
        self._manager = manager
        self._look = look
        self._loop = LoopingCall(self._beat)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin, with the first sign at once."""
        if self._manager.listens:
            watchdog = self._manager.watchdog or 3 * STATUS_SECONDS
            self._loop.start(min(STATUS_SECONDS, watchdog / 3))

    def stop(self) -> None:
        """Give no more signs."""
        if self._loop.running:
            self._loop.stop()

    def _beat(self) -> Deferred[None]:
        # The loop waits for the answer before it asks again.
        return self._look().addCallbacks(self._told, self._failed)

    def _told(self, text: str) -> None:
        if self._loop.running:
            self._manager.alive(text)

    def _failed(self, failure: Failure) -> None:
        self._told(failure.getErrorMessage())
