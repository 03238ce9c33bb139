"""Following what a running node does, to its end or until the operator has seen enough."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from raic.cli.failing import FAILED
from raic.cli.node_link import NodeLink
from raic.cli.sizes import in_words

LINE_SECONDS = 10.0
"""The least time between two lines of progress where there is no terminal."""

Told = Mapping[str, Any]


def follow(
    node_directory: Path,
    command: str,
    arguments: Mapping[str, Any],
    what: str,
    *,
    as_json: bool,
    afterwards: str,
) -> Any:
    """Have the node do something, and show how far it is.

    A progress bar shows it on a terminal, a line now and then elsewhere, both on standard error;
    as JSON it is one object a line on standard output.

    :param what: is being done, in a few words.
    :param afterwards: for who stops following: how to go on.
    :return: the result.
    :raises RaicError: see :class:`~raic.cli.node_link.NodeLink`.
    :raises click.exceptions.Exit: the operator stopped following.
    """
    shown = _as_json() if as_json else _bar(what) if sys.stderr.isatty() else _lines(what)
    try:
        with shown as show:
            return NodeLink(node_directory).follow(command, arguments, show)
    except KeyboardInterrupt:
        click.echo(f"\nnot followed any more: it goes on in the node. {afterwards}", err=True)
        raise click.exceptions.Exit(FAILED) from None


@contextmanager
def _as_json() -> Iterator[Callable[[Told], None]]:
    yield lambda told: click.echo(json.dumps({"progress": told}))


@contextmanager
def _lines(what: str) -> Iterator[Callable[[Told], None]]:
    shown = -LINE_SECONDS

    def show(told: Told) -> None:
        nonlocal shown
        now = time.monotonic()
        if now >= shown + LINE_SECONDS:
            shown = now
            click.echo(f"{what}: {progress_in_words(told)}", err=True)

    yield show


@contextmanager
def _bar(what: str) -> Iterator[Callable[[Told], None]]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[said]}", markup=False),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None, said="")

        def show(told: Told) -> None:
            said = progress_in_words(told)
            progress.update(task, completed=told["done"], total=told["total"], said=said)

        yield show


def progress_in_words(told: Told) -> str:
    """How far something is."""
    done, total = told["done"], told["total"]
    words = [f"{done} of {total}" if total is not None else str(done)]
    if told["bytes"]:
        words.append(in_words(told["bytes"]))
    if told["text"]:
        words.append(told["text"])
    return ", ".join(words)
