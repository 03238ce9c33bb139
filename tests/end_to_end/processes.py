"""Programs started for a test: their output, their readiness, their end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import TypeVar

T = TypeVar("T")

PAUSE = 0.03
"""Seconds between two looks at something that a program will do."""

SHOWN_LINES = 30
"""How much of a program's output goes into a failure."""

_ports_given: set[int] = set()


class ProgramFailed(AssertionError):
    """A program ended, or did not do in time what it should."""


def free_port() -> int:
    """A TCP port on loopback that nothing listens on, and that was not given before."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in _ports_given:
            _ports_given.add(port)
            return port


def installed(name: str) -> str:
    """The path of a command that is installed beside the running Python."""
    return str(Path(sys.executable).with_name(name))


def clean_environment() -> dict[str, str]:
    """This process's environment without what could configure or betray a node."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAIC_")}
    return kept | {"PYTHONUNBUFFERED": "1"}


def run(
    arguments: Sequence[str | Path],
    seconds: float = 60.0,
    expected: int = 0,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> bytes:
    """Run a command to its end.

    :param environment: variables to add.
    :return: its standard output.
    :raises ProgramFailed: its exit code is not ``expected``.
    """
    done = subprocess.run(
        [str(argument) for argument in arguments],
        input=stdin,
        capture_output=True,
        timeout=seconds,
        env=clean_environment() | dict(environment or {}),
        check=False,
    )
    if done.returncode != expected:
        raise ProgramFailed(
            f"{arguments} ended with {done.returncode}\n"
            f"{done.stdout.decode(errors='replace')}\n{done.stderr.decode(errors='replace')}"
        )
    return done.stdout


class Program:
    """A program that runs until it is told to end.

    Its standard input stays open as long as this object's process lives, its output goes to a
    file.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self._skip = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(argument) for argument in arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=clean_environment() | dict(environment or {}),
            )
        self.pid = self._process.pid

    def output(self) -> str:
        """What it has printed so far."""
        with self.log.open("rb") as log:
            log.seek(self._skip)
            return log.read().decode(errors="replace")

    def _last_lines(self) -> str:
        return "\n".join(self.output().splitlines()[-SHOWN_LINES:])

    def wait_for(self, condition: Callable[[], T | None], what: str, seconds: float) -> T:
        """Look again and again until ``condition`` answers something that is true.

        :raises ProgramFailed: the program ended, or the time is over.
        """
        deadline = monotonic() + seconds
        while not (found := condition()):
            if self._ended_within(PAUSE):
                raise ProgramFailed(f"ended before {what}:\n{self._last_lines()}")
            if monotonic() > deadline:
                raise ProgramFailed(f"not {what} after {seconds} s:\n{self._last_lines()}")
        return found

    def wait_for_output(self, text: str, seconds: float = 30.0) -> None:
        """Wait until the program has printed ``text``."""
        self.wait_for(lambda: text in self.output(), f"printing {text!r}", seconds)

    def terminate(self, seconds: float = 20.0) -> int:
        """Ask it to end, and kill it when it does not.

        :return: its exit code; negative is the signal that killed it.
        """
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            if not self._ended_within(seconds):
                self._process.kill()
        return self._reap()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._process.kill()
        self._reap()

    def wait(self, seconds: float) -> int:
        """Its exit code, once it has ended of itself.

        :raises ProgramFailed: it has not, in this time.
        """
        if not self._ended_within(seconds):
            raise ProgramFailed(f"still running after {seconds} s:\n{self._last_lines()}")
        return self._reap()

    def _ended_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _reap(self) -> int:
        code = self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        return code
