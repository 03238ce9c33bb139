"""``raic plan``: what arrays could be made of given providers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import click
from attrs import evolve

from raic.backends.array.availability import Domain
from raic.backends.array.comparing import Coding, compare
from raic.backends.array.planning import Demand, Offer, choices, make_plan
from raic.cli.plantables import print_plans
from raic.cli.planvalues import as_values
from raic.config import parsers
from raic.config.backends import NAME, NAME_FORM
from raic.config.loading import load_config, load_servers
from raic.config.model import LABELS, USUAL_AVAILABILITY, ArraySettings, ProviderSettings

T = TypeVar("T")

MOST_CHOICES = 500
"""Beyond this nobody reads the table."""


def _part(percent: float) -> float:
    """The part that a percentage is, without what binary fractions add."""
    return round(percent / 100, 11)


_NUMBERS: Mapping[str, Callable[[str], float]] = {
    "availability": lambda text: _part(parsers.percentage(text)),
    "storage": parsers.price,
    "download": parsers.price,
    "requests": parsers.price,
}
_DOMAIN = re.compile(rf"(?P<label>{'|'.join(LABELS)})=(?P<name>[^:]+):(?P<percent>[^:]+)")
_CODING = re.compile(r"([0-9]{1,3})-of-([0-9]{1,3})")


def _parsed(parse: Callable[[str], T]) -> Callable[..., Any]:
    """A callback that parses an option; one that may be repeated too."""

    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        try:
            if isinstance(value, tuple):
                return tuple(map(parse, value))
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from None

    return callback


def _provider(text: str) -> tuple[str, Mapping[str, Any]]:
    """``NAME:availability=99.9,storage=0.023,operator=x``: the name, and what is said."""
    name, _, rest = text.partition(":")
    if not NAME.fullmatch(name):
        raise ValueError(f"write NAME:key=value,..., the name {NAME_FORM}")
    said: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        if key in LABELS and value:
            said[key] = value
        elif key in _NUMBERS:
            said[key] = _number(key, value)
        else:
            known = ", ".join((*_NUMBERS, *LABELS))
            raise ValueError(f"{part}: write key=value, the key one of: {known}")
    return name, said


def _number(key: str, value: str) -> float:
    try:
        return _NUMBERS[key](value)
    except ValueError as error:
        raise ValueError(f"{key}={value}: {error}") from None


def _domain(text: str) -> tuple[Domain, float]:
    found = _DOMAIN.fullmatch(text)
    if found is None:
        raise ValueError("write such as operator=amazon:99.95")
    return (found["label"], found["name"]), _part(parsers.percentage(found["percent"]))


def _coding(text: str) -> Coding:
    found = _CODING.fullmatch(text)
    coding = Coding(*map(int, found.groups())) if found else Coding(0, 0)
    if not 1 <= coding.needed <= coding.total <= 256:
        raise ValueError("write such as 3-of-10: Tahoe's shares.needed and shares.total")
    return coding


def _counts(name: str, text: str) -> Callable[..., Any]:
    return click.option(name, type=click.IntRange(1, 256), multiple=True, help=text)


@click.command()
@click.argument("nodedir", required=False, type=click.Path(path_type=Path))
@click.option(
    "--provider",
    "given",
    metavar="NAME:KEY=VALUE,...",
    multiple=True,
    callback=_parsed(_provider),
    help="A provider, or something else about one of NODEDIR's; may be repeated.",
)
@click.option(
    "--domain",
    "domains",
    metavar="LABEL=NAME:PERCENT",
    multiple=True,
    callback=_parsed(_domain),
    help="How often a whole operator, jurisdiction or site can be reached; may be repeated.",
)
@click.option(
    "--bytes",
    "size",
    metavar="SIZE",
    default="1TB",
    show_default=True,
    callback=_parsed(parsers.size),
    help="How many bytes of shares are stored.",
)
@click.option("--writes", type=click.IntRange(0), default=0, help="Small objects written a month.")
@click.option("--reads", type=click.IntRange(0), default=0, help="Small objects read a month.")
@click.option(
    "--download",
    metavar="SIZE",
    default="0",
    callback=_parsed(parsers.size),
    help="Bytes read in a month.",
)
@_counts("--needed", "Only choices with this; may be repeated.")
@_counts("--total", "Only choices with this; may be repeated.")
@_counts("--happy", "Only choices with this; may be repeated.  Default: all above needed.")
@click.option(
    "--client",
    "coding",
    metavar="K-of-N",
    callback=_parsed(_coding),
    help="The grid clients' own coding, to compare with.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(
    nodedir: Path | None,
    given: Sequence[tuple[str, Mapping[str, Any]]],
    domains: Sequence[tuple[Domain, float]],
    size: int,
    writes: int,
    reads: int,
    download: int,
    needed: Sequence[int],
    total: Sequence[int],
    happy: Sequence[int],
    coding: Coding | None,
    *,
    as_json: bool,
) -> None:
    """Show what arrays could be made of the providers of the node in NODEDIR, or of those given.

    No provider is asked anything.
    """
    offers = _offers(nodedir, given)
    demand = Demand(size, writes, reads, download)
    found = list(islice(choices(len(offers), needed, total, happy), MOST_CHOICES + 1))
    if not found:
        raise click.UsageError("no array can be made: name more providers, or allow other counts")
    if len(found) > MOST_CHOICES:
        raise click.UsageError("that are too many: narrow it with --needed, --total and --happy")
    known = dict(domains)
    _check_domains(offers, known)
    try:
        plans = [make_plan(offers, choice, demand, known) for choice in found]
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    ways = compare(offers, coding, found, size) if coding is not None else []
    if as_json:
        click.echo(json.dumps(as_values(offers, known, demand, plans, coding, ways), indent=2))
    else:
        print_plans(offers, demand, plans, coding, ways)


def _check_domains(offers: Sequence[Offer], domains: Mapping[Domain, float]) -> None:
    for label, name in domains:
        if not any(offer.labels.get(label) == name for offer in offers):
            raise click.UsageError(f"no provider has {label} = {name}")


def _offers(
    nodedir: Path | None, given: Sequence[tuple[str, Mapping[str, Any]]]
) -> Sequence[Offer]:
    """The providers, in their order: an array of fewer has the first ones."""
    if nodedir is None and not given:
        raise click.UsageError("name NODEDIR, or a provider with each --provider")
    configured = [] if nodedir is None else _configured(nodedir.absolute())
    offers = {each.name: _offer(each) for each in configured}
    for name, said in given:
        offer = offers.get(name, Offer(name, _part(USUAL_AVAILABILITY)))
        labels = {label: said[label] for label in LABELS if label in said}
        numbers = {key: said[key] for key in _NUMBERS if key in said}
        offers[name] = evolve(offer, labels={**offer.labels, **labels}, **numbers)
    return tuple(offers.values())


def _configured(directory: Path) -> Sequence[ProviderSettings]:
    """An array's members; where there is none, all providers."""
    is_main = (directory / "raic.cfg").exists()
    configs = load_servers(directory) if is_main else (load_config(directory),)
    arrays = [each.backend for each in configs if isinstance(each.backend, ArraySettings)]
    if len(arrays) == 1:
        return arrays[0].members
    members = {each.name: each for config in configs for each in config.backend.members}
    return tuple({**configs[0].providers, **members}.values())


def _offer(settings: ProviderSettings) -> Offer:
    prices = settings.prices
    return Offer(
        settings.name,
        _part(settings.availability),
        prices.storage,
        prices.download,
        prices.requests,
        settings.labels,
    )
