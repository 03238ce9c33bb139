"""How far a copy of many shares is, with its rate and an estimate."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout

import attrs
import click
from attrs import frozen
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from raic.cli.sizes import in_words

LINE_SECONDS = 10.0
"""The least time between two lines of progress where there is no terminal."""


@frozen
class Copied:
    """How far it is: numbers of shares, and of bytes; totals may not be known yet."""

    done: int
    total: int
    done_bytes: int
    total_bytes: int


@contextmanager
def showing_copy(what: str) -> Iterator[Callable[[Copied], None]]:
    """A bar on a terminal, else a line now and then; both on standard error."""
    shown = _bar(what) if sys.stderr.isatty() else _lines(what)
    with shown as show:
        yield show


@contextmanager
def _bar(what: str) -> Iterator[Callable[[Copied], None]]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[said]}", markup=False),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None, said="")

        def show(copied: Copied) -> None:
            progress.update(
                task,
                completed=copied.done_bytes,
                total=copied.total_bytes or None,
                said=f"{copied.done} of {copied.total}",
            )

        yield show


@contextmanager
def _lines(what: str) -> Iterator[Callable[[Copied], None]]:
    begun = time.monotonic()
    shown = begun

    def show(copied: Copied) -> None:
        nonlocal shown
        now = time.monotonic()
        if now >= shown + LINE_SECONDS:
            shown = now
            click.echo(f"{what}: {copied_in_words(copied, now - begun)}", err=True)

    yield show


def copied_in_words(copied: Copied, seconds: float) -> str:
    """How far it is, how fast it goes, and how long it will take.

    :param seconds: since it began.
    """
    rate = copied.done_bytes / seconds
    words = [
        f"{copied.done} of {copied.total} files",
        f"{in_words(copied.done_bytes)} of {in_words(copied.total_bytes)}",
        f"{in_words(int(rate))}/s",
    ]
    if rate > 0:
        left = max(0, copied.total_bytes - copied.done_bytes) / rate
        words.append(f"about {_time_in_words(left)} left")
    return ", ".join(words)


def _time_in_words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


@contextmanager
def answering(*, as_json: bool) -> Iterator[Callable[[attrs.AttrsInstance], None]]:
    """Yields what tells a program the result, before people are told.

    With JSON, what people are told goes to standard error meanwhile.
    """
    if not as_json:
        yield lambda result: None
        return
    out = sys.stdout

    def answer(result: attrs.AttrsInstance) -> None:
        told = json.dumps(attrs.asdict(result), indent=2, default=str)
        click.echo(told, file=out)

    with redirect_stdout(sys.stderr):
        yield answer
