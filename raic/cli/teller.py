"""What ``raic run`` tells on standard output and standard error, beside its log."""

from __future__ import annotations

import time

import click
from attrs import frozen

from raic.cli.logs import LogStyle


@frozen
class Teller:
    """Prints one fact to a line; as JSON where the log is JSON, so that a collector finds nothing
    else.

    :ivar style: of the log.
    """

    style: LogStyle

    def say(self, text: str, *, server: str = "", error: bool = False) -> None:
        """Print lines.

        :param server: which of several servers they are about.
        """
        for line in text.splitlines():
            self._print(f"{server}: {line}" if server else line, error=error)

    def _print(self, line: str, *, error: bool) -> None:
        level = "error" if error else "info"
        if self.style.as_json:
            click.echo(self.style.write(time.time(), level, "raic", line), nl=False, err=error)
        else:
            # Standard output is to be read as it is; the journal takes it for what it is, too.
            mark = "<3>" if error and self.style.journal else ""
            click.echo(mark + line, err=error)
