"""The status of a node on one screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from raic.cli.sizes import in_words
from raic.cli.telling import moment, printable

Told = Mapping[str, Any]

SHOWN_WARNINGS = 5

_STYLES = {"well": "green", "slow": "yellow", "failing": "bold red", "away": "bold red"}
_DOWN = ("failing", "away")
_SPANS = (("d", 86400), ("h", 3600), ("min", 60))


def screen(status: Told) -> Group:
    """Everything that fits.

    :param status: as ``docs/specifications/status.rst`` has it.
    """
    parts: list[RenderableType] = []
    for server in status["servers"]:
        parts += _server(server, status)
        parts.append(Text(""))
    parts += _warnings(status)
    return Group(*parts)


def span(seconds: float) -> str:
    """How long: ``3 h 12 min``."""
    left = int(max(0, seconds))
    words: list[str] = []
    for unit, size in _SPANS:
        if left >= size or words:
            words.append(f"{left // size} {unit}")
            left %= size
    return " ".join(words[:2]) or f"{left} s"


def _server(server: Told, status: Told) -> Iterator[RenderableType]:
    name = f"{server['name']}: " if server["name"] else ""
    running = span(status["time"] - server["started"])
    yield Text.assemble(
        (f"{name}{printable(server['nickname'])}", "bold"),
        f"  raic {status['version']}, running for {running}",
    )
    yield Text(f"server id: {server['server_id']}")
    yield from _readiness(server)
    yield Text(_reached(server))
    yield _providers(server, status)
    yield from _problems(server)
    if server["array"] is not None:
        yield from _array(server["array"])
    yield Text(_holding(server))
    yield Text(_operations(server["operations"]))
    yield Text(_expiry(server["expiry"]))


def _readiness(server: Told) -> Iterator[RenderableType]:
    told = server["readiness"]
    if not told["ready"]:
        yield Text(f"takes no shares: {printable(told['problem'])}", "bold red")
        yield from _remedy(told["remedy"])
    elif server["readonly"]:
        yield Text("takes no new shares: readonly = true", "yellow")
    else:
        yield Text(f"ready, room for {in_words(server['available'])}", "green")


def _remedy(remedy: str) -> Iterator[RenderableType]:
    if remedy:
        yield Text(f"  what to do: {printable(remedy)}")


def _reached(server: Told) -> str:
    introducers = server["introducers"]
    connected = sum(each["connected"] for each in introducers)
    told = f", announced to {connected} of {len(introducers)} introducers" if introducers else ""
    dialects = " and ".join(server["dialects"])
    return f"clients connect to: {', '.join(server['hints'])} ({dialects}){told}"


def _providers(server: Told, status: Told) -> Table:
    in_array = server["array"] is not None
    numbered = ("fragment", "missing") if in_array else ()
    columns = ("provider", "state", "for", "p50", "p95", "up", "down", "errors", "used", "room")
    table = Table(*columns, *numbered, box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in table.columns[2:]:
        column.justify = "right"
    for each in server["providers"]:
        table.add_row(
            Text(each["name"], "bold"),
            Text(each["health"], _STYLES.get(each["health"], "")),
            span(status["time"] - each["since"]),
            _milliseconds(each["latency"]["p50"]),
            _milliseconds(each["latency"]["p95"]),
            f"{in_words(int(each['up']))}/s",
            f"{in_words(int(each['down']))}/s",
            str(sum(each["errors"].values())),
            *_space(each["space"]),
            *((_numbers(each), str(each["missing"])) if in_array else ()),
        )
    return table


def _space(space: Told) -> tuple[str, str]:
    quota = "" if space["quota"] is None else f" of {in_words(space['quota'])}"
    used = "?" if space["used"] is None else in_words(space["used"]) + quota
    return used, "?" if space["available"] is None else in_words(space["available"])


def _numbers(provider: Told) -> str:
    return ", ".join(map(str, provider["numbers"])) or "-"


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


def _problems(server: Told) -> Iterator[RenderableType]:
    for each in server["providers"]:
        if each["problem"]:
            style = "bold red" if each["health"] in _DOWN else "yellow"
            yield Text(f"{each['name']}: {printable(each['problem'])}", style)
            yield from _remedy(each["remedy"])


def _array(array: Told) -> Iterator[RenderableType]:
    counts = f"{array['full']} whole, {array['degraded']} lack fragments"
    yield Text(
        f"array {array['name']}: any {array['needed']} of {array['total']} fragments,"
        f" {array['reachable']} of {array['total']} providers can be written to,"
        f" {array['happy']} needed for that"
    )
    lost = array["at_risk"]
    yield Text(
        f"objects: {array['objects']}: {counts}, {lost} have none to spare",
        "bold red" if lost else "yellow" if array["degraded"] else "",
    )
    repair = array["repair"]
    yield Text(f"repairs: {repair['queued']} to do, {repair['done']} done since the start")
    for each in array["under_way"]:
        total = "" if each["total"] is None else f" of {each['total']}"
        names = " ".join([each["kind"], *each["names"]])
        yield Text(f"under way: {names}, {each['done']}{total}")


def _holding(server: Told) -> str:
    told = server["holding"]
    return (
        f"holding: {told['shares']} shares ({in_words(told['share_bytes'])}),"
        f" {told['slots']} slots ({in_words(told['slot_bytes'])}), {told['leases']} leases;"
        f" {told['uploads']} uploads under way, {told['garbage']} objects to be deleted"
    )


def _operations(operations: Sequence[Told]) -> str:
    busy = [each for each in operations if each["per_second"] > 0]
    total = sum(each["per_second"] for each in busy)
    busiest = sorted(busy, key=lambda each: -float(each["per_second"]))[:3]
    words = [
        f"{each['name']} {each['per_second']:.1f}/s, p95 {_milliseconds(each['latency']['p95'])}"
        for each in busiest
    ]
    return f"operations: {total:.1f}/s" + "".join(f"; {each}" for each in words)


def _expiry(expiry: Told) -> str:
    if not expiry["enabled"]:
        return "expiry: off"
    upcoming = expiry["upcoming"]
    last = expiry["last_started"]
    ran = "never ran yet" if last is None else f"last run {moment(int(last))}"
    return f"expiry: {ran}; {upcoming['day']} leases end within a day, {upcoming['week']} in a week"


def _warnings(status: Told) -> Iterator[RenderableType]:
    shown = status["warnings"][:SHOWN_WARNINGS]
    if not shown:
        yield Text("no warnings since the start", "green")
        return
    yield Text("warnings:", "bold")
    for each in shown:
        times = "" if each["times"] == 1 else f", {each['times']} times"
        age = span(status["time"] - each["time"])
        yield Text(f"  {age} ago{times}: {printable(each['text'])}")
        yield from _remedy(each["remedy"])
