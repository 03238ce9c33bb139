"""Plans of arrays as tables."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal

from rich import box
from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

from raic.backends.array.comparing import Arrangement, Coding
from raic.backends.array.losing import PROVIDER, Loss
from raic.backends.array.planning import Demand, Offer, Plan
from raic.sizes import in_words

FILE_WIDTH = 160
"""How wide a table is that does not go to a terminal."""

_MOST_DIGITS = 7
"""Beyond so many nines the providers are not what fails."""

_DURABILITY = (
    "'lost' is how many providers, whichever they are, may go without anything being lost: 'at"
    " once' right after a write was acknowledged, 'repaired' when all fragments are where they"
    " belong.  How likely a provider is to lose what it holds is not computed: nobody measures it."
    "  What is available is computed from the providers' own figures, as if they failed"
    " independently of one another, but for the domains that are given; this machine's own failures"
    " come on top."
)

_ANSWER = (
    "Why not just lower the grid's own N?  It is the clients' to lower: each sets shares.total for"
    " all the servers that it uses, and what it has stored keeps its old coding.  If this server is"
    " their only one, they should: with {bare} instead of {coding} they store {times:.2f} times"
    " less, and lose no safety, because all shares of a file lie on the same array.  If they use"
    " other servers too, their N is what survives the loss of this whole server, its machine, its"
    " keys and its operator, which no array behind it does.  Then either pay for both, or make each"
    " provider a server of its own: {coding} puts different shares on each, stores no more than"
    " without an array, and a lost provider is repaired by the clients when they check, instead of"
    " by this server at once."
)


Column = tuple[str, Callable[[Plan], Text | str]]
"""A heading, and what stands below it."""

_CHOICE: Sequence[Column] = (
    ("k-of-N", lambda plan: Text(f"{plan.choice.needed}-of-{plan.choice.total}", "bold")),
    ("#happy", lambda plan: f"{plan.choice.happy}"),
)
_COSTS: Sequence[Column] = (
    ("#bytes", lambda plan: f"{plan.overhead:.2f}x"),
    ("#storage", lambda plan: f"{plan.costs.storage:.2f}"),
    ("#requests", lambda plan: f"{plan.costs.requests:.2f}"),
    ("#download", lambda plan: f"{plan.costs.download:.2f}"),
    ("#a month", lambda plan: Text(f"{plan.costs.total:.2f}", "bold")),
)
_REQUESTS: Sequence[Column] = (
    ("#requests\na write", lambda plan: f"{plan.write_requests}"),
    ("#requests\na read", lambda plan: f"{plan.read_requests}"),
)
_LOST: Sequence[Column] = (
    ("#lost\nat once", lambda plan: f"{plan.lost_at_once}"),
    ("#lost\nrepaired", lambda plan: f"{plan.lost_repaired}"),
)
_AVAILABLE: Sequence[Column] = (
    ("#available\nfor reads", lambda plan: percent(plan.reads_down)),
    ("#available\nfor writes", lambda plan: percent(plan.writes_down)),
)
_WORST: Sequence[Column] = (("worst domain", lambda plan: Text(worst_domain(plan.losses))),)
_SAFETY = (*_LOST, *_WORST)
_COLUMNS = (*_COSTS, *_REQUESTS, *_LOST, *_AVAILABLE, *_WORST)


def print_plans(
    offers: Sequence[Offer],
    demand: Demand,
    plans: Sequence[Plan],
    coding: Coding | None,
    ways: Sequence[Arrangement],
) -> None:
    """Print everything."""
    console = _console()
    _print_offers(console, offers)
    _print_choices(console, demand, plans)
    _say(console, _DURABILITY)
    if coding is not None:
        _print_ways(console, coding, ways)
        bare = coding.without_redundancy
        times = coding.total / coding.needed
        _say(console, _ANSWER.format(coding=coding, bare=bare, times=times))


def percent(down: float) -> str:
    """An availability, with two digits that tell it from 100 % where so many are known.

    :param down: the part of the time in which it is not there.
    """
    lost = Decimal(f"{down * 100:.6e}")  # without what binary fractions add
    if lost <= 0:
        return "100 %"
    least = Decimal(1).scaleb(-_MOST_DIGITS)
    if lost < least:
        return f"> {100 - least} %"
    digits = min(max(2, 1 - lost.adjusted()), _MOST_DIGITS)
    return f"{(100 - lost).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)} %"


def worst_domain(losses: Sequence[Loss]) -> str:
    """What the worst loss of several providers at once would do."""
    domains = [loss for loss in losses if loss.label != PROVIDER]
    if not domains:
        return "-"
    worst = max(domains, key=lambda loss: loss.fragments)
    if not worst.reads_go_on:
        return f"{worst.name}: all is lost"
    if not worst.keeps_newest:
        return f"{worst.name}: newest at risk"
    return f"{worst.name}: " + ("nothing" if worst.writes_go_on else "writes stop")


def _print_offers(console: Console, offers: Sequence[Offer]) -> None:
    table = _table("provider", "#available", "#storage", "#download", "#requests", "labels")
    for each in offers:
        labels = ", ".join(f"{label} {name}" for label, name in each.labels.items())
        table.add_row(
            Text(each.name, "bold"),
            percent(1 - each.availability),
            f"{each.storage:g}",
            f"{each.download:g}",
            f"{each.requests:g}",
            Text(labels or "-"),
        )
    console.print(table)


def _print_choices(console: Console, demand: Demand, plans: Sequence[Plan]) -> None:
    asked = (
        f"In a month: {in_words(demand.size)} of shares stored, {demand.writes} small objects"
        f" written, {demand.reads} read, {in_words(demand.download)} read."
    )
    used = dict.fromkeys(plan.providers for plan in plans)
    made = "  ".join(f"N = {len(names)}: {', '.join(names)}." for names in used)
    _say(console, f"{asked}  {made}")
    whole = _choices_table(plans, _COLUMNS)
    if console.measure(whole, options=_unlimited(console)).maximum <= console.width:
        console.print(whole)
        return
    for columns in (_COSTS, (*_REQUESTS, *_AVAILABLE), _SAFETY):
        console.print(_choices_table(plans, columns))


def _unlimited(console: Console) -> ConsoleOptions:
    return console.options.update_width(2 * FILE_WIDTH)


def _choices_table(plans: Sequence[Plan], columns: Sequence[Column]) -> Table:
    table = _table(*(heading for heading, _ in (*_CHOICE, *columns)))
    for plan in plans:
        table.add_row(*(cell(plan) for _, cell in (*_CHOICE, *columns)))
    return table


def _print_ways(console: Console, coding: Coding, ways: Sequence[Arrangement]) -> None:
    title = f"The files whose shares these are with the clients' {coding}, kept in other ways:"
    _say(console, title)
    table = _table("clients", "server", "#bytes", "#storage a month", "#may lose")
    for way in ways:
        table.add_row(
            f"{way.coding}",
            _server(way),
            f"{way.overhead:.2f}x",
            f"{way.cost:.2f}",
            f"{way.may_lose}",
        )
    console.print(table)


def _server(way: Arrangement) -> str:
    if way.code is not None:
        return f"an array, {way.code[0]}-of-{way.code[1]}"
    return "one provider, the cheapest" if way.servers == 1 else "one for each provider"


def _say(console: Console, text: str) -> None:
    console.print(Text(text), width=min(console.width, 100))
    console.print()


def _table(*columns: str) -> Table:
    """:param columns: their headings; those of numbers begin with ``#``."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for heading in columns:
        if heading.startswith("#"):
            table.add_column(heading[1:], justify="right", overflow="fold")
        else:
            table.add_column(heading, overflow="fold")
    return table


def _console() -> Console:
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else FILE_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False)
