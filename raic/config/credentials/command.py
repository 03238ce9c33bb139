"""A command that prints secrets: a password manager's, or a vault's."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import IO

from raic.config.credentials.secret import Secret, one_line
from raic.config.credentials.wanted import Wanted
from raic.errors import CredentialsUnusable

COMMAND_SECONDS = 15.0
MAX_OUTPUT_BYTES = 64 * 1024

_BY_HAND = "run the command by hand, as the node's user; it must print lines such as {}=..."


class CommandSource:
    """What ``credentials_command`` prints: a line ``field=value`` for each secret.

    It is run once for each reading, in the node directory, without a shell and without input.
    What it writes to standard error is dropped: it may hold anything.

    :param seconds: how long it may run; it is then killed, with whatever it started.
    """

    kind = "command"

    def __init__(self, directory: Path, seconds: float = COMMAND_SECONDS) -> None:
        self._directory = directory
        self._seconds = seconds

    def describe(self) -> str:
        """See :class:`~raic.config.credentials.sources.Source`."""
        return "credentials_command of the provider's section"

    def read(self, wanted: Wanted) -> Mapping[str, Secret]:
        """See :class:`~raic.config.credentials.sources.Source`."""
        if not wanted.command or not wanted.fields:
            return {}
        try:
            output = self._run(wanted.command)
            return _parse(output, [field.name for field in wanted.fields])
        except (OSError, ValueError) as error:
            # The text of neither comes from the output.
            reason = error.strerror if isinstance(error, OSError) else str(error)
            where = f"credentials_command of [provider:{wanted.provider}], {wanted.command[0]}"
            raise CredentialsUnusable(
                f"{where}: {reason}",
                _BY_HAND.format(wanted.fields[0].name),
            ) from None

    def _run(self, words: tuple[str, ...]) -> bytes:
        with subprocess.Popen(  # noqa: S603 - the operator's own command; there is no shell
            words,
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            try:
                deadline = monotonic() + self._seconds
                output = _read_all(process.stdout, deadline)
                code = process.wait(max(0.0, deadline - monotonic()))
            except (subprocess.TimeoutExpired, TimeoutError):
                raise ValueError(f"it did not end within {self._seconds:g} s") from None
            finally:
                # Its whole group: a child that holds the pipe would outlive it.
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
        if code:
            raise ValueError(f"it ended with exit code {code}")
        return output


def _read_all(pipe: IO[bytes], deadline: float) -> bytes:
    """Everything up to the end of the pipe, which may come long after the command's own end."""
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - monotonic())):
            part = os.read(pipe.fileno(), MAX_OUTPUT_BYTES)
            if not part:
                return bytes(output)
            output += part
            if len(output) > MAX_OUTPUT_BYTES:
                raise ValueError(f"it printed more than {MAX_OUTPUT_BYTES} bytes")
    raise TimeoutError


def _parse(output: bytes, names: list[str]) -> dict[str, Secret]:
    """:raises ValueError: the output is not as it should be; the message shows none of it."""
    try:
        lines = output.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError("its output is not text") from None
    found: dict[str, Secret] = {}
    for number, line in enumerate(lines, 1):
        name, equals, value = line.partition("=")
        if not line.strip():
            continue
        # Nothing of the line is shown: a field that is not known may be a secret.
        if not equals or name.strip() not in names:
            raise ValueError(f"line {number} of its output is not one of {_forms(names)}")
        if name.strip() in found:
            raise ValueError(f"line {number} of its output gives {name.strip()} once more")
        try:
            secret = one_line(value.strip())
        except ValueError as error:
            raise ValueError(f"line {number} of its output: {error}") from None
        if secret is not None:
            found[name.strip()] = secret
    return found


def _forms(names: list[str]) -> str:
    return ", ".join(f"{name}=..." for name in names)
