"""A provider that nobody has written into a ``raic.cfg`` yet, looked at as a check does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

from raic.assembly.checks.deadline import TookTooLong
from raic.assembly.checks.findings import Finding, error
from raic.assembly.checks.indexfile import IndexState
from raic.assembly.checks.running import check_provider
from raic.assembly.checks.view import ConfiguredNode, ProviderView, Surroundings
from raic.config.credentials.wanted import variable_name
from raic.config.identity import load_identity
from raic.config.loading import parse_config
from raic.deferreds import async_to_deferred
from raic.workers import ThreadWorkers

_THREADS = 2


@async_to_deferred
async def try_provider(
    directory: Path,
    name: str,
    section: str,
    secrets: Mapping[str, str],
    reactor: Any,
    seconds: float,
) -> tuple[Finding, ...]:
    """Look whether a provider does what a node needs.

    :param directory: of a node that exists for this alone; it has an identity.
    :param section: the lines of ``[provider:NAME]``, that one included.
    :param secrets: by field; they are kept nowhere.
    :param reactor: one that does everything.
    :param seconds: how long one question may take.
    :return: fires with what was found.  Fails with ``ConfigurationError`` when the section has
        mistakes.
    """
    config = parse_config(directory, f"[storage]\nbackend = provider:{name}\n{section}")
    environment = {variable_name(name, field): text for field, text in secrets.items()}
    workers = ThreadWorkers(reactor, _THREADS, "try")
    surroundings = Surroundings(reactor, workers, environment, seconds)
    identity = load_identity(config.private)
    node = ConfiguredNode(directory, surroundings, None, config, identity, IndexState(False))
    try:
        found = await check_provider(ProviderView(node, config.provider, identity))
    except TookTooLong as late:
        found = [error("reach", str(late), "check the network, and try again")]
    finally:
        workers.stop()
    return tuple(evolve(each, group=f"provider {name}") for each in found)
