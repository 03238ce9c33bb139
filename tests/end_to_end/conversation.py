"""``raic create-node --interactive``, as an operator at a terminal meets it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pexpect

from tests.end_to_end.processes import clean_environment, installed

SECONDS = 60.0

Step = tuple[str, str]
"""A part of a question, and the answer."""


class Conversation:
    """A process with a terminal of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        env = {**clean_environment(), "TERM": "dumb", **environment}
        arguments = ["create-node", "--interactive", str(folder)]
        self._child: Any = pexpect.spawn(
            installed("raic"), arguments, env=env, encoding="utf-8", timeout=SECONDS
        )
        self._child.setwinsize(50, 400)
        self.said = ""

    def answer(self, steps: Iterable[Step]) -> None:
        """Wait for each question, and answer it."""
        for question, text in steps:
            self.expect(question)
            self._child.expect(": ?$|: ")
            self._note()
            self._child.sendline(text)

    def expect(self, text: str) -> None:
        """Wait until it says something."""
        self._child.expect_exact(text)
        self._note()

    def interrupt(self, text: str) -> None:
        """Ctrl-C, until it says something.

        An impatient operator's: Python overlooks one that comes just before it begins to read.
        """
        for _ in range(int(SECONDS)):
            self._child.sendintr()
            if self._child.expect_exact([text, pexpect.TIMEOUT], timeout=2.0) == 0:
                self._note()
                return
        raise AssertionError(f"it never said {text!r}")

    def end(self) -> int:
        """Wait for its end; its exit code."""
        self._child.expect(pexpect.EOF)
        self._note()
        self._child.close()
        return int(self._child.exitstatus)

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        self._child.close(force=True)

    def _note(self) -> None:
        self.said += f"{self._child.before}{self._child.after or ''}"


def folder_steps(name: str, path: Path) -> list[Step]:
    """The answers for a folder in an array."""
    return [
        ("what it is", "filesystem"),
        ("name of your own", name),
        ("the folder", str(path)),
    ]


def s3_steps(name: str, container: str, url: str, keys: tuple[str, str]) -> list[Step]:
    """The answers for a service that speaks S3."""
    return [
        ("what it is", "s3"),
        ("name of your own", name),
        ("container:", container),
        ("region:", ""),
        ("endpoint_url:", url),
        ("access_key_id", keys[0]),
        ("secret_access_key", keys[1]),
        ("session_token", ""),
    ]


def swift_steps(name: str, container: str, auth_url: str, keys: tuple[str, str]) -> list[Step]:
    """The answers for Swift with version 1 of its authentication."""
    return [
        ("what it is", "swift"),
        ("name of your own", name),
        ("container:", container),
        ("auth_url:", auth_url),
        ("auth_version:", "v1"),
        ("region:", ""),
        ("project:", ""),
        ("user, ", keys[0]),
        ("key, ", keys[1]),
    ]
