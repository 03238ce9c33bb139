"""What commands print of arrays, for people."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from raic.cli.following import progress_in_words
from raic.cli.sizes import in_words

FILE_WIDTH = 120
"""How wide a table is that does not go to a terminal."""

_STYLES = {"well": "green", "slow": "yellow", "failing": "bold red", "away": "bold red"}

Told = Mapping[str, Any]


def print_status(status: Told) -> None:
    """How an array is doing."""
    members, needed = status["members"], status["needed"]
    total = sum(len(member["numbers"]) for member in members)
    say(f"{status['name']}: any {needed} of {total} fragments, {status['happy']} to acknowledge")
    table = _table("provider", "fragment", "state", "answers in", "held", "missing")
    for column in table.columns[3:]:
        column.justify = "right"
    for member in members:
        state = Text(member["state"], _STYLES.get(member["state"], ""))
        if member["problem"]:
            state.append(f"\n{printable(member['problem'])}", "default not bold")
        table.add_row(
            Text(member["name"], "bold"),
            _numbers(member),
            state,
            _seconds(member["seconds"]),
            "?" if member["held"] is None else str(member["held"]),
            str(member["missing"]),
        )
    console().print(table)
    say(_objects(status))
    say(_repairs(status["repair"]))
    say(_scrubs(status["scrub"], status["objects"]))
    for each in status["under_way"]:
        how_far = progress_in_words(each["progress"])
        say(f"under way: {operation_in_words(each['operation'])}, {how_far}")
    if not status["running"]:
        say("the node does not run: this is what its index says")


def print_history(events: list[Told]) -> None:
    """The lines of a history, the newest last."""
    for event in reversed(events):
        say(f"{_time(event['time'])}  {event['what']:<8}  {printable(event['detail'])}")
    if not events:
        say("nothing was done to the array yet")


def print_plan(plan: Told) -> None:
    """What an operation would take."""
    money = plan["money"]
    what = operation_in_words(plan["operation"])
    say(f"{what}: {plan['objects']} objects, {plan['fragments']} fragments")
    prices = ("once", "a month") if money else ()
    table = _table("provider", "requests", "downloaded", "uploaded", "stored", *prices)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, traffic in plan["traffic"].items():
        sign = "-" if traffic["stored"] < 0 else "+" if traffic["stored"] else ""
        cost = money.get(name)
        costs = (f"{cost['once']:.2f}", f"{cost['monthly']:+.2f}") if cost else ("?", "?")
        table.add_row(
            Text(name, "bold"),
            str(traffic["requests"]),
            in_words(traffic["downloaded"]),
            in_words(traffic["uploaded"]),
            sign + in_words(abs(traffic["stored"])),
            *(costs if money else ()),
        )
    console().print(table)
    if money:
        once = sum(cost["once"] for cost in money.values())
        monthly = sum(cost["monthly"] for cost in money.values())
        say(f"money, as far as prices are configured: {once:.2f} once, {monthly:+.2f} a month")


def print_outcome(outcome: Told) -> None:
    """How an operation ended."""
    kind = outcome["operation"]["kind"]
    moved = f"{outcome['fragments']} fragments ({in_words(outcome['bytes'])})"
    if kind == "scrub":
        say(f"{outcome['objects']} objects looked at, {moved} verified")
        say(f"{outcome['missing']} fragments were missing, {outcome['altered']} altered")
        if outcome["missing"] or outcome["altered"]:
            say("they are made anew by themselves; 'raic array repair' shows how far that is")
    elif kind == "drain":
        say(f"{outcome['operation']['names'][0]} is no part of the array any more")
        if outcome["fragments"]:
            say(f"{moved} were made anew before, on the others")
    else:
        say(f"{moved} {'repaired' if kind == 'repair' else 'moved'}")
        if outcome["missing"]:
            say(f"{outcome['missing']} could not be made: too few others of their objects are left")
    if outcome["left"]:
        say(f"{outcome['left']} fragments are left to do; the node's log says why")
    if outcome["providers"]:
        say(f"in raic.cfg write: providers = {', '.join(dict.fromkeys(outcome['providers']))}")


def print_drill(report: Told) -> None:
    """What happened while a provider was lost."""
    say(f"{report['name']} was {report['how']} for {report['seconds']:.0f} s")
    if report["cut_short"]:
        say(f"the drill was cut short: {printable(report['cut_short'])}")
    columns = ("served", "failed", "p50", "usually", "p99", "usually")
    table = _table("operations", *columns)
    for column in table.columns[1:]:
        column.justify = "right"
    for kind in ("reads", "writes"):
        now, usual = report[kind], report[f"usual_{kind}"]
        table.add_row(
            kind,
            str(now["served"]),
            Text(str(now["failed"]), "bold red" if now["failed"] else ""),
            *(_seconds(each[part]) for part in ("p50", "p99") for each in (now, usual)),
        )
    console().print(table)
    if report["stops_writes"]:
        say("too few other providers were left for writes: the node took none")
    for kind in ("reads", "writes"):
        say(_added(kind, report[kind], report[f"usual_{kind}"]))
        for error, count in report[kind]["errors"].items():
            say(f"{kind} that failed: {count} {error}")
    say(
        f"fragments: {report['lacking']} lacked at its end, {report['repaired']} were repaired,"
        f" {report['left']} are still to be"
    )


def say(text: str) -> None:
    """Print a line, unfolded."""
    console().print(Text(text), soft_wrap=True)


def operation_in_words(operation: Told) -> str:
    """What is done."""
    kind = f"deep {operation['kind']}" if operation["deep"] else operation["kind"]
    names = operation["names"]
    return f"{kind} {' by '.join(names)}" if kind == "replace" else " ".join([kind, *names])


def _objects(status: Told) -> str:
    counts = f"{status['full']} whole, {status['degraded']} lack fragments"
    return f"objects: {status['objects']}: {counts}, {status['at_risk']} have none to spare"


def _repairs(repair: Told) -> str:
    rate = f", {in_words(int(repair['rate']))}/s" if repair["rate"] else ""
    limit = "" if repair["limit"] is None else f" of at most {in_words(repair['limit'])}/s"
    return f"repairs: {repair['queued']} to do, {repair['done']} done since the start{rate}{limit}"


def _scrubs(scrub: Told, objects: int) -> str:
    last = "" if scrub["finished"] is None else f"last ended {_time(scrub['finished'])}, "
    oldest = "" if scrub["oldest"] is None else f", the oldest on {_time(scrub['oldest'])[:10]}"
    return f"scrub: {last}{scrub['verified']} of {objects} objects verified{oldest}"


def _added(kind: str, now: Told, usual: Told) -> str:
    parts = []
    for part in ("p50", "p99"):
        if now[part] is not None and usual[part] is not None:
            parts.append(f"{(now[part] - usual[part]) * 1000:+.1f} ms ({part})")
    return f"added latency of {kind}: {', '.join(parts) or 'unknown, there were too few'}"


def _numbers(member: Told) -> str:
    numbers = ", ".join(map(str, member["numbers"])) or "-"
    former = ", ".join(map(str, member["former"]))
    return f"{numbers}; leaving: {former}" if former else numbers


def _seconds(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds * 1000:.1f} ms"


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def printable(text: str) -> str:
    """On one line, and without what would move a terminal's cursor."""
    return "".join(one if one.isprintable() else " " for one in " ".join(text.split()))


def _table(*columns: str) -> Table:
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
    return table


def console() -> Console:
    """Standard output."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else FILE_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False)
