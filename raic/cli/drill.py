"""``raic drill``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from raic.assembly.array_control import DRILL_WAYS
from raic.cli.array import json_option, nodedir_argument
from raic.cli.arraytables import print_drill
from raic.cli.completion import provider_names
from raic.cli.failing import FAILED
from raic.cli.following import follow
from raic.cli.node_link import NodeLink

AFTERWARDS = "It ends by itself; 'raic drill --end' ends it now, and 'raic array history' keeps it."

_UNITS = {"s": 1, "m": 60, "h": 60 * 60}


def _seconds(context: click.Context, parameter: click.Parameter, value: str) -> float:
    number, unit = value[:-1], value[-1:]
    if unit not in _UNITS or not number.isascii() or not number.isdigit() or int(number) == 0:
        text = "write a number and s, m or h, as in 90s or 10m"
        raise click.BadParameter(text, context, parameter)
    return float(int(number) * _UNITS[unit])


@click.command()
@nodedir_argument
@click.option(
    "--lose",
    "name",
    metavar="NAME",
    shell_complete=provider_names,
    help="The provider that is lost.",
)
@click.option(
    "--how",
    type=click.Choice(DRILL_WAYS),
    default=DRILL_WAYS[0],
    show_default=True,
    help="Whether it does not answer, answers two seconds late, or answers what is wrong.",
)
@click.option(
    "--for",
    "seconds",
    metavar="TIME",
    callback=_seconds,
    default="10m",
    show_default=True,
    help="For how long, as in 90s, 10m or 1h.",
)
@click.option("--end", is_flag=True, help="End the drill that is under way.")
@json_option
def drill(
    nodedir: Path, name: str | None, how: str, seconds: float, *, end: bool, as_json: bool
) -> None:
    """Have the node in NODEDIR pretend that a provider is lost, and say what happens.

    Nothing is lost.  It is refused where too few other providers are well.
    """
    if end == (name is not None):
        raise click.UsageError("say either --lose NAME or --end")
    directory = nodedir.absolute()
    if name is None:
        ended = NodeLink(directory).ask("drill.end", {})
        text = "the drill ends" if ended["ended"] else "there is no drill"
        click.echo(json.dumps(ended) if as_json else text)
        return
    report = follow(
        directory,
        "drill.lose",
        {"name": name, "how": how, "seconds": seconds},
        f"drill: {name}",
        as_json=as_json,
        afterwards=AFTERWARDS,
    )
    if as_json:
        click.echo(json.dumps({"result": report}))
    else:
        print_drill(report)
    failed = report["reads"]["failed"] or report["writes"]["failed"] or report["left"]
    click.get_current_context().exit(FAILED if failed or report["stops_writes"] else 0)
