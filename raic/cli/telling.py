"""Arguments and output that several commands have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import click

from raic.cli.place import DEFAULT_DIRECTORY
from raic.shares.keys import decode_index

F = TypeVar("F", bound=Callable[..., Any])

nodedir_argument = click.argument(
    "nodedir",
    default=DEFAULT_DIRECTORY,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def storage_index(_: click.Context, parameter: click.Parameter, value: str | None) -> bytes | None:
    """A callback for a storage index in its text form."""
    if value is None:
        return None
    try:
        return decode_index(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}", param=parameter) from None


storage_index_argument = click.argument("storage_index", metavar="SI", callback=storage_index)


def limit_option(default: int, what: str) -> Callable[[F], F]:
    """An option ``--limit``."""
    return click.option(
        "--limit",
        type=click.IntRange(1, 1_000_000),
        default=default,
        show_default=True,
        help=f"How many {what} to show at most.",
    )


def print_json(value: Any) -> None:
    """One object, over several lines."""
    click.echo(json.dumps(value, indent=2))


def moment(seconds: int) -> str:
    """A time."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def printable(text: str) -> str:
    """What others have said, in one line and without anything that could control a terminal."""
    return "".join(one if one.isprintable() else " " for one in " ".join(text.split()))
