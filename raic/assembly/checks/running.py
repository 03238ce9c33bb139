"""All checks of a node, in the order of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import gatherResults

from raic.assembly.checks.cloud import check_cloud
from raic.assembly.checks.configuration import check_configuration, check_writers
from raic.assembly.checks.deadline import TookTooLong
from raic.assembly.checks.findings import Finding, Report, error, grouped
from raic.assembly.checks.folder import check_folder
from raic.assembly.checks.identityfiles import check_files, check_identity
from raic.assembly.checks.index import check_disk, check_index
from raic.assembly.checks.indexfile import IndexState, look_at_index
from raic.assembly.checks.introducers import check_introducers
from raic.assembly.checks.listening import check_location, check_ports
from raic.assembly.checks.process import check_process, find_runner
from raic.assembly.checks.secretsinfile import check_secrets
from raic.assembly.checks.view import (
    Check,
    ConfiguredNode,
    NodeView,
    ProviderView,
    Surroundings,
    providers_of,
)
from raic.config.identity import Identity, load_identity
from raic.config.loading import CONFIG_NAME, load_config
from raic.config.model import Config
from raic.deferreds import async_to_deferred
from raic.errors import ConfigurationError, IdentityError
from raic.workers import ThreadWorkers

ASK_SECONDS = 30.0
"""How long each question to a service may take."""

_THREADS = 8


@frozen
class _Loaded:
    config: Config | ConfigurationError
    identity: Identity | IdentityError


NODE_CHECKS: tuple[tuple[str, Check[ConfiguredNode]], ...] = (
    ("network", check_ports),
    ("network", check_location),
    ("network", check_introducers),
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

    :param reactor: one that does everything.
    :param environment: variables, where secrets may be.
    :param seconds: how long each question to a service may take.
    :return: fires with what was found; what cannot be found out is an error in the report.
    """
    workers = ThreadWorkers(reactor, _THREADS, "check")
    surroundings = Surroundings(reactor, workers, environment, seconds)
    node = NodeView(directory, surroundings, find_runner(directory))
    loaded = _load(directory)
    findings = [
        *grouped("configuration", _configuration(directory, loaded)),
        *grouped("identity", _identity(node, loaded)),
        *await _looked("process", check_process, node),
    ]
    if isinstance(loaded.config, Config):
        findings += await _check_configured(node, loaded.config, loaded)
    # A thread that hangs is left behind: it must not keep the answer.
    workers.stop()
    return Report(tuple(findings))


def _load(directory: Path) -> _Loaded:
    config: Config | ConfigurationError
    identity: Identity | IdentityError
    try:
        config = load_config(directory)
    except ConfigurationError as mistakes:
        config = mistakes
    try:
        identity = load_identity(directory / "private")
    except IdentityError as problem:
        identity = problem
    return _Loaded(config, identity)


def _configuration(directory: Path, loaded: _Loaded) -> list[Finding]:
    try:
        text = (directory / CONFIG_NAME).read_bytes().decode("utf-8", "replace")
    except OSError:
        return check_configuration(directory, loaded.config, ())
    secrets = check_secrets(text)
    told = {finding.line for finding in secrets if finding.line is not None}
    mistakes = check_configuration(directory, loaded.config, told)
    return [*mistakes, *secrets, *check_writers(directory)]


def _identity(node: NodeView, loaded: _Loaded) -> list[Finding]:
    private = node.directory / "private"
    now = node.surroundings.reactor.seconds()
    return [*check_files(private), *check_identity(private, loaded.identity, now)]


async def _check_configured(node: NodeView, config: Config, loaded: _Loaded) -> list[Finding]:
    running = node.runner is not None
    look = partial(look_at_index, config.index_path, running=running)
    try:
        index = await node.surroundings.ask(look)
    except TookTooLong as late:
        index = IndexState(True, f"the disk under it hangs: {late}")
    identity = loaded.identity if isinstance(loaded.identity, Identity) else None
    view = ConfiguredNode(node.directory, node.surroundings, node.runner, config, identity, index)
    findings = []
    for group, check in NODE_CHECKS:
        findings += await _looked(group, check, view)
    if identity is None:
        return findings
    views = [ProviderView(view, each, identity) for each in providers_of(config)]
    for found in await gatherResults([_check_one(each) for each in views]):
        findings += found
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
    except Exception as problem:  # noqa: BLE001
        text = f"this could not be looked at: {type(problem).__name__}: {problem}"
        return grouped(group, [error(group, text, "report this as a mistake in RAIC")])
