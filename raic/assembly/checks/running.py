"""All checks of a node, in the order of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.defer import gatherResults

from raic.assembly.checks.arrays import ArrayView, check_array
from raic.assembly.checks.cloud import check_cloud
from raic.assembly.checks.deadline import TookTooLong
from raic.assembly.checks.findings import Finding, Report, error, good, grouped
from raic.assembly.checks.folder import check_folder
from raic.assembly.checks.identityfiles import check_files, check_identity
from raic.assembly.checks.index import check_disk, check_index
from raic.assembly.checks.indexfile import IndexState, look_at_index
from raic.assembly.checks.introducers import check_introducers
from raic.assembly.checks.listening import check_location, check_ports
from raic.assembly.checks.page import check_page
from raic.assembly.checks.process import check_process, check_take_over, find_runner
from raic.assembly.checks.servers import Server, check_file
from raic.assembly.checks.view import (
    Check,
    ConfiguredNode,
    NodeView,
    ProviderView,
    Surroundings,
    providers_of,
)
from raic.config.identity import Identity, load_identity
from raic.config.model import ArraySettings, Config
from raic.deferreds import async_to_deferred
from raic.errors import IdentityError
from raic.workers import ThreadWorkers

ASK_SECONDS = 30.0
"""How long each question to a service may take."""

_THREADS = 8


NODE_CHECKS: tuple[tuple[str, Check[ConfiguredNode]], ...] = (
    ("process", check_take_over),
    ("network", check_ports),
    ("network", check_location),
    ("network", check_introducers),
    ("network", check_page),
    ("index", check_index),
    ("index", check_disk),
)
"""What is looked at once ``raic.cfg`` has no mistakes: the group in the report, and the check.

A check added here, or to ``PROVIDER_CHECKS``, is all that a new kind of finding takes.
"""


async def check_provider(view: ProviderView) -> Sequence[Finding]:
    """Whether a provider does what the node needs."""
    settings = view.settings
    if settings.cloud is not None:
        return await check_cloud(view, settings.cloud)
    assert settings.path is not None
    return await check_folder(view, settings.path)


PROVIDER_CHECKS: tuple[Check[ProviderView], ...] = (check_provider,)
"""What is looked at for each provider, the providers side by side."""

ARRAY_CHECKS: tuple[Check[ArrayView], ...] = (check_array,)
"""What is looked at for an array, after its providers."""


@async_to_deferred
async def check_node(
    directory: Path,
    reactor: Any,
    environment: Mapping[str, str],
    seconds: float = ASK_SECONDS,
) -> Report:
    """Look at everything that a node needs.

    Nothing in the node directory is changed, and nothing is left in its providers, whether the
    node runs or not.

    :param directory: of a node, or of one of several servers; of a node that is several servers,
        all are looked at.
    :param reactor: one that does everything.
    :param environment: variables, where secrets may be.
    :param seconds: how long each question to a service may take.
    :return: fires with what was found; what cannot be found out is an error in the report.
    """
    workers = ThreadWorkers(reactor, _THREADS, "check")
    surroundings = Surroundings(reactor, workers, environment, seconds)
    findings, servers = check_file(directory)
    for found in await gatherResults([_check_server(each, surroundings) for each in servers]):
        findings += found
    # A thread that hangs is left behind: it must not keep the answer.
    workers.stop()
    return Report(tuple(findings))


@async_to_deferred
async def _check_server(server: Server, surroundings: Surroundings) -> list[Finding]:
    """What is found of one server, each group with its name if there are several."""
    if server.name and not server.directory.exists():
        found = grouped("identity", [good("private/", "the first start makes this server's keys")])
    else:
        found = await _check_one_server(server, surroundings)
    if not server.name:
        return found
    return [evolve(each, group=f"{server.name}: {each.group}") for each in found]


async def _check_one_server(server: Server, surroundings: Surroundings) -> list[Finding]:
    directory = server.directory
    node = NodeView(directory, surroundings, find_runner(directory))
    identity = _load_identity(directory)
    private, now = directory / "private", surroundings.reactor.seconds()
    findings = [
        *grouped("identity", [*check_files(private), *check_identity(private, identity, now)]),
        *await _looked("process", check_process, node),
    ]
    if server.config is not None:
        known = identity if isinstance(identity, Identity) else None
        findings += await _check_configured(node, server.config, known)
    return findings


def _load_identity(directory: Path) -> Identity | IdentityError:
    try:
        return load_identity(directory / "private")
    except IdentityError as problem:
        return problem


async def _check_configured(
    node: NodeView, config: Config, identity: Identity | None
) -> list[Finding]:
    running = node.runner is not None
    look = partial(look_at_index, config.index_path, running=running)
    try:
        index = await node.surroundings.ask(look)
    except TookTooLong as late:
        index = IndexState(True, f"the disk under it hangs: {late}")
    view = ConfiguredNode(node.directory, node.surroundings, node.runner, config, identity, index)
    findings = []
    for group, check in NODE_CHECKS:
        findings += await _looked(group, check, view)
    members: dict[str, Sequence[Finding]] = {}
    if identity is not None:
        views = [ProviderView(view, each, identity) for each in providers_of(config)]
        for one, found in zip(
            views, await gatherResults([_check_one(each) for each in views]), strict=True
        ):
            members[one.settings.name] = found
            findings += found
    if isinstance(config.backend, ArraySettings):
        array = ArrayView(view, config.backend, identity, members)
        for look_at in ARRAY_CHECKS:
            findings += await _looked(f"array {config.backend.name}", look_at, array)
    return findings


@async_to_deferred
async def _check_one(view: ProviderView) -> list[Finding]:
    findings = []
    for check in PROVIDER_CHECKS:
        findings += await _looked(f"provider {view.settings.name}", check, view)
    return findings


async def _looked(group: str, check: Check[Any], view: Any) -> list[Finding]:
    """What a check finds; what it did not foresee is a finding too, so that the others are seen."""
    try:
        return grouped(group, await check(view))
    except Exception as problem:  # noqa: BLE001 - a finding, so that the others are seen
        text = f"this could not be looked at: {type(problem).__name__}: {problem}"
        return grouped(group, [error(group, text, "report this as a mistake in RAIC")])
