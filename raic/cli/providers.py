"""``raic providers``: what the configured providers are, and whether they can be relied on."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from attrs import evolve
from twisted.internet.defer import Deferred

from raic.assembly.certified import Record, keep_record, list_providers
from raic.assembly.certifying import (
    Certifying,
    make_certifier,
    named_provider,
    usual_options,
)
from raic.backends.certify import FOLDER, Certification, Options
from raic.backends.registry import size
from raic.cli.completion import provider_names
from raic.cli.failing import FAILED
from raic.cli.place import DEFAULT_DIRECTORY
from raic.cli.providertables import describe_certification, print_providers
from raic.cli.reactor import run_until_done
from raic.config.identity import Identity, load_identity
from raic.config.loading import load_config
from raic.config.model import Config, ProviderSettings


@click.group()
def providers() -> None:
    """Look at the configured providers, and prove what a node relies on."""


_nodedir = click.argument("nodedir", default=DEFAULT_DIRECTORY, type=click.Path(path_type=Path))
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _size(context: click.Context, parameter: click.Parameter, value: str) -> int:
    try:
        return size(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


@providers.command("list")
@_nodedir
@_as_json
def list_(nodedir: Path, *, as_json: bool) -> None:
    """Show the providers of the node in NODEDIR, and how they were certified."""
    config, identity = _opened(nodedir)
    # Providers are made to be looked at, and not started: the reactor does not run.
    from twisted.internet import reactor  # noqa: PLC0415

    found = list_providers(config, identity, reactor)
    if not as_json:
        print_providers(found)
        return
    values = [
        {
            "name": each.name,
            "type": each.kind,
            "where": dict(each.where),
            "used": each.used,
            "emulated": dict(each.emulated),
            "certified_elsewhere": each.moved,
            "certification": each.record,
        }
        for each in found
    ]
    click.echo(json.dumps({"providers": values}, indent=2))


@providers.command()
@click.argument("name", shell_complete=provider_names)
@_nodedir
@_as_json
@click.option(
    "--samples",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="How many small objects latencies are measured with.",
)
@click.option(
    "--bytes",
    "transfer_bytes",
    metavar="SIZE",
    callback=_size,
    default="8MiB",
    show_default=True,
    help="How many bytes throughput is measured with.",
)
@click.option(
    "--connections",
    type=click.IntRange(1, 256),
    help="How many calls are made at once.  Default: as many as the node makes.",
)
@click.option("--clean", is_flag=True, help="Only remove what earlier certifications left behind.")
def certify(
    name: str,
    nodedir: Path,
    samples: int,
    transfer_bytes: int,
    connections: int | None,
    *,
    as_json: bool,
    clean: bool,
) -> None:
    """Prove on the live service that provider NAME does what a node relies on.

    Writes, reads and deletes objects of its own below certify/, and leaves nothing behind.  The
    node in NODEDIR may run meanwhile.
    """
    config, identity = _opened(nodedir)
    settings = named_provider(config, name)
    usual = usual_options(settings)
    options = evolve(
        usual,
        samples=samples,
        transfer_bytes=transfer_bytes,
        connections=connections or usual.connections,
    )
    work = _Work(config, identity, settings, options)
    passed = work.clean(as_json=as_json) if clean else work.certify(as_json=as_json)
    click.get_current_context().exit(0 if passed else FAILED)


def _opened(nodedir: Path) -> tuple[Config, Identity]:
    config = load_config(nodedir.absolute())
    return config, load_identity(config.private)


class _Work:
    def __init__(
        self, config: Config, identity: Identity, settings: ProviderSettings, options: Options
    ) -> None:
        self._config = config
        self._identity = identity
        self._settings = settings
        self._options = options

    def certify(self, *, as_json: bool) -> bool:
        """Make all checks and keep what they found; returns whether all is well."""
        progress = _Progress(sys.stderr.isatty())

        def main(reactor: Any) -> Deferred[Record]:
            made = self._made(reactor, progress)
            running = made.certifier.run()
            # A signal ends the checks, and waits until everything is removed.
            over: Deferred[None] = Deferred()
            reactor.addSystemEventTrigger("before", "shutdown", _interrupt, made, over)

            def done(found: Certification) -> Record:
                made.tidy()
                return keep_record(
                    self._config, self._identity, self._settings, found, reactor.seconds()
                )

            def end(result: Any) -> Any:
                progress.end()
                over.callback(None)
                return result

            return running.addCallback(done).addBoth(end)

        record = run_until_done(main)
        if as_json:
            click.echo(json.dumps(record, indent=2))
        else:
            describe_certification(record)
        return bool(record["result"] == "pass")

    def clean(self, *, as_json: bool) -> bool:
        """Remove what is left; returns whether that could be done."""

        def main(reactor: Any) -> Deferred[tuple[int, tuple[str, ...]]]:
            made = self._made(reactor, lambda _: None)

            def done(result: Any) -> Any:
                made.tidy()
                return result

            return made.certifier.clean().addBoth(done)

        removed, left = run_until_done(main)
        if as_json:
            click.echo(json.dumps({"removed": removed, "left": list(left)}, indent=2))
            return not left
        click.echo(f"removed {removed} objects below {FOLDER}")
        for key in left:
            click.echo(f"still there: {key}")
        return not left

    def _made(self, reactor: Any, progress: Any) -> Certifying:
        return make_certifier(
            self._config, self._identity, self._settings, self._options, reactor, progress
        )


def _interrupt(made: Certifying, over: Deferred[None]) -> Deferred[None]:
    made.certifier.interrupt()
    return over


class _Progress:
    """Names the present check, where somebody looks on."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown

    def __call__(self, check: str) -> None:
        if self._shown:
            click.echo(f"\r\x1b[Kchecking: {check}", nl=False, err=True)

    def end(self) -> None:
        """Leave no trace."""
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
