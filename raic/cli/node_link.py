"""Commands to a running node, from another process on its machine."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from raic.config.servers import FOLDER
from raic.errors import ConfigurationError, RaicError
from raic.server.controlplace import LONGEST_LINE, SOCKET_NAME, socket_address

ANSWER_SECONDS = 60.0
"""How long a node may take for what it does at once."""


class NodeNotRunning(RaicError):
    """No process takes commands for the node directory."""


class NodeSilent(RaicError):
    """The node did not answer, or ended before it did."""

    remedy = "look into the node's log; what it had begun it goes on with when it is started again"


class CommandFailed(RaicError):
    """The node could not do what it was told.

    :param text: what was wrong.
    :param remedy: what to do about it.
    """

    def __init__(self, text: str, remedy: str) -> None:
        super().__init__(text)
        self.remedy = remedy


class NodeLink:
    """The way to the node that runs a node directory."""

    def __init__(self, node_directory: Path) -> None:
        self._directory = node_directory

    def ask(self, command: str, arguments: Mapping[str, Any]) -> Any:
        """Have something done that takes no time.

        :return: the result.
        :raises RaicError: as :meth:`follow` does.
        """
        return self._converse(command, arguments, lambda _: None, ANSWER_SECONDS)

    def follow(
        self,
        command: str,
        arguments: Mapping[str, Any],
        progress: Callable[[Mapping[str, Any]], None],
    ) -> Any:
        """Have something done that may take any time; blocks until it is.

        It goes on in the node when this is interrupted.

        :param progress: told how far it is, now and then.
        :return: the result.
        :raises NodeNotRunning: there is no node.
        :raises NodeSilent: the node went away meanwhile.
        :raises ConfigurationError: the arguments were mistaken.
        :raises CommandFailed: it could not be done.
        """
        return self._converse(command, arguments, progress, None)

    def _converse(
        self,
        command: str,
        arguments: Mapping[str, Any],
        progress: Callable[[Mapping[str, Any]], None],
        seconds: float | None,
    ) -> Any:
        line = json.dumps({"command": command, "arguments": dict(arguments)}).encode("ascii")
        if len(line) > LONGEST_LINE:
            raise ConfigurationError([f"the command is longer than {LONGEST_LINE} bytes"])
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(ANSWER_SECONDS)
            self._connect(channel)
            try:
                channel.sendall(line + b"\n")
                channel.settimeout(seconds)
                with channel.makefile("rb") as lines:
                    return self._result(_messages(lines), progress)
            except TimeoutError:
                raise NodeSilent(
                    f"the node in {self._directory} took longer than {seconds:.0f} s to answer"
                ) from None
            except OSError as error:
                raise NodeSilent(f"the node in {self._directory} hung up: {error}") from None

    def _connect(self, channel: socket.socket) -> None:
        try:
            with socket_address(self._directory / SOCKET_NAME) as address:
                channel.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            raise self._missing() from None
        except PermissionError:
            denied = NodeNotRunning(f"the node in {self._directory} is another user's")
            denied.remedy = "run this as the node's own user"
            raise denied from None
        except OSError as error:
            away = NodeNotRunning(f"the node in {self._directory} cannot be reached: {error}")
            away.remedy = "wait a little, or start the node again"
            raise away from None

    def _missing(self) -> NodeNotRunning:
        servers = _servers(self._directory)
        if servers:
            several = NodeNotRunning(f"{self._directory} has several servers")
            several.remedy = f"name one of {', '.join(map(str, servers))}"
            return several
        missing = NodeNotRunning(f"no node runs in {self._directory}")
        missing.remedy = f"start it: raic run {self._directory}"
        return missing

    def _result(
        self,
        messages: Iterator[Mapping[str, Any]],
        progress: Callable[[Mapping[str, Any]], None],
    ) -> Any:
        for message in messages:
            if "progress" in message:
                progress(message["progress"])
            elif "error" in message:
                raise _told(message["error"])
            else:
                return message["result"]
        raise NodeSilent(f"the node in {self._directory} ended before it had answered")


def ask_servers(node_directory: Path, command: str) -> list[Any]:
    """Have all servers of a node directory do something that takes no time.

    :return: what each of those that run answered; one, unless the node is several.
    :raises NodeNotRunning: none runs.
    :raises RaicError: as :meth:`NodeLink.follow` does.
    """
    servers = _servers(node_directory)
    answers = []
    for place in servers or [node_directory]:
        try:
            answers.append(NodeLink(place).ask(command, {}))
        except NodeNotRunning:
            if not servers:
                raise
    if answers:
        return answers
    missing = NodeNotRunning(f"none of the servers in {node_directory} runs")
    missing.remedy = f"start them: raic run {node_directory}"
    raise missing


def _servers(node_directory: Path) -> list[Path]:
    """The directories of several servers; none if the node is a single one."""
    return sorted(path for path in (node_directory / FOLDER).glob("*") if path.is_dir())


def _told(error: Mapping[str, Any]) -> RaicError:
    """The error that the node told."""
    if not error["mistaken"]:
        return CommandFailed(error["text"], error["remedy"])
    mistake = ConfigurationError(error["text"].split("\n"))
    mistake.remedy = error["remedy"]
    return mistake


def _messages(lines: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        if line.endswith(b"\n"):  # else the node ended in the middle of it
            yield json.loads(line)
