"""Tables of providers and of what their certifications found."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from raic.assembly.certified import KnownProvider, Record
from raic.backends.certify import Result

FILE_WIDTH = 120
"""How wide a table is that does not go to a terminal."""

_STYLES = {
    Result.PASS: "green",
    Result.WARNING: "yellow",
    Result.EMULATED: "cyan",
    Result.NOT_OFFERED: "dim",
    Result.FAIL: "bold red",
}
_COUNTED = {
    Result.PASS: "passed",
    Result.EMULATED: "emulated",
    Result.NOT_OFFERED: "not offered",
    Result.WARNING: "with a warning",
    Result.FAIL: "failed",
}


def describe_certification(record: Record) -> None:
    """Print what a certification found, and what is to be done."""
    console = _console()
    place = in_words(record["where"])
    console.print(Text(f"{record['provider']}: {record['type']}, {place}"), soft_wrap=True)
    table = _table("check", "result", "what was found", "seconds")
    table.columns[-1].justify = "right"
    for check in record["checks"]:
        result = Result(check["result"])
        found = Text(_printable(check["detail"]))
        if check["remedy"]:
            found.append(f"\nwhat to do: {_printable(check['remedy'])}", "bold")
        words = Text(result.value.replace(" ", "\u00a0"), _STYLES[result])
        table.add_row(check["check"], words, found, f"{check['seconds']:.1f}")
    console.print(table)
    for key in record["left"]:
        console.print(Text(f"perhaps left behind: {key}"), soft_wrap=True)
    console.print(Text(_summary(record)), soft_wrap=True)


def print_providers(found: Sequence[KnownProvider]) -> None:
    """Print what is configured."""
    table = _table("name", "type", "where", "used", "certified", "emulated")
    for each in found:
        table.add_row(
            Text(each.name, "bold"),
            each.kind,
            Text("\n".join(f"{key} {value}" for key, value in each.where.items())),
            "yes" if each.used else "no",
            _last(each),
            Text("\n".join(each.emulated) or "-"),
        )
    _console().print(table)


def in_words(where: Mapping[str, str]) -> str:
    """Where objects are, on one line."""
    return ", ".join(f"{key} {value}" for key, value in where.items())


def _last(provider: KnownProvider) -> Text:
    """When and how it was certified."""
    record = provider.record
    if record is None:
        return Text("never", "yellow")
    when = datetime.fromisoformat(record["date"]).strftime("%Y-%m-%d %H:%M")
    result = record["result"]
    text = Text(result, _STYLES[Result(result)]).append(f" {when} UTC", "default not bold")
    failed = [each["check"] for each in record["checks"] if each["result"] == Result.FAIL.value]
    if failed:
        text.append("\nfailed: " + ", ".join(failed))
    if record["interrupted"]:
        text.append("\ninterrupted")
    if provider.moved:
        text.append("\nat another place: certify it anew", "yellow")
    return text


def _summary(record: Record) -> str:
    counts = Counter(Result(check["result"]) for check in record["checks"])
    told = [f"{counts[result]} {words}" for result, words in _COUNTED.items() if counts[result]]
    name = record["provider"]
    if record["interrupted"]:
        outcome = "interrupted before all checks were made"
    elif record["result"] == "pass":
        outcome = f"{name} does what a node relies on"
    else:
        outcome = f"{name} cannot be relied on"
    return f"{', '.join(told)}: {outcome}"


def _table(*columns: str) -> Table:
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
    return table


def _console() -> Console:
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else FILE_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False)


def _printable(text: Any) -> str:
    """On one line, and without what would move a terminal's cursor."""
    return "".join(one if one.isprintable() else " " for one in " ".join(str(text).split()))
