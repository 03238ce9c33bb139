"""Passphrases: asked for on a terminal, or read from a file; never on the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from raic.config.credentials import Secret
from raic.config.credentials.secret import one_line

F = TypeVar("F", bound=Callable[..., Any])

SHORTEST = 8
"""Of a new one, in characters: a shorter one is guessed too soon, whatever each guess costs."""

passphrase_option = click.option(
    "--passphrase-file",
    metavar="FILE",
    default=None,
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    help="Read the passphrase from the first line of this file; - for standard input.",
)


def get_passphrase(file: Path | None, what: str, *, new: bool) -> Secret:
    """The passphrase.

    :param what: what it is for, as the question has it.
    :param new: ask twice, and refuse a short one.
    :raises click.ClickException: there is none that can be used.
    """
    while True:
        try:
            passphrase = _ask(what, new=new) if file is None else _read(file)
            if new and len(passphrase.reveal()) < SHORTEST:
                raise ValueError(f"it has fewer than {SHORTEST} characters")
        except ValueError as error:
            if file is not None:
                raise click.UsageError(f"the passphrase cannot be used: {error}") from None
            click.echo(f"that cannot be used: {error}", err=True)
        else:
            return passphrase


def _ask(what: str, *, new: bool) -> Secret:
    if not sys.stdin.isatty():
        raise click.UsageError(
            "the passphrase is asked for on a terminal, and there is none: use --passphrase-file"
        )
    text = f"{'New passphrase' if new else 'Passphrase'} for {what}"
    return Secret(click.prompt(text, hide_input=True, confirmation_prompt=new))


def _read(file: Path) -> Secret:
    if str(file) == "-":
        line = sys.stdin.readline()
    else:
        with file.open(encoding="utf-8") as opened:
            line = opened.readline()
    found = one_line(line)
    if found is None:
        raise ValueError("it is empty")
    return found
