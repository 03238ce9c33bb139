"""How commands fail: a message and a remedy on standard error, and an exit code.

Code 1 means that something went wrong, 2 that the command line or ``raic.cfg`` has mistakes.
"""

from __future__ import annotations

from typing import Any

import click

from raic.errors import ConfigurationError, RaicError

FAILED = 1
MISTAKEN = 2


def explain(error: RaicError) -> str:
    """What to tell the operator."""
    lines = [f"raic: {error}"]
    if isinstance(error, ConfigurationError):
        lines = [f"raic: {problem}" for problem in error.problems]
    if error.remedy:
        lines.append(f"what to do: {error.remedy}")
    return "\n".join(lines)


class RaicGroup(click.Group):
    """A group whose commands may raise any :class:`~raic.errors.RaicError`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn its error into a message and an exit code."""
        try:
            return super().invoke(ctx)
        except RaicError as error:
            click.echo(explain(error), err=True)
            ctx.exit(MISTAKEN if isinstance(error, ConfigurationError) else FAILED)
