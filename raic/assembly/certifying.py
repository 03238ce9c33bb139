"""Certifying one of the configured providers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from attrs import evolve, field, frozen

from raic.assembly.members import Reactor, make_leaf
from raic.backends.certify import FOLDER, Certifier, Options
from raic.backends.filesystem import FilesystemProvider
from raic.backends.layers.stack import wrap_in_layers
from raic.config.credentials import Credentials, standard_sources
from raic.config.identity import Identity
from raic.config.model import Config, ProviderSettings
from raic.errors import ConfigurationError
from raic.interfaces import IStorageProvider
from raic.workers import ThreadWorkers

FOLDER_THREADS = 8

Progress = Callable[[str], None]


@frozen
class Certifying:
    """A certifier of a provider, and what goes with it.

    :ivar tidy: to be called in the end.
    """

    certifier: Certifier
    tidy: Callable[[], None] = field(default=lambda: None)


def known_providers(config: Config) -> Mapping[str, ProviderSettings]:
    """All that are configured, in use or not, by name."""
    used = {each.name: each for each in config.backend.members}
    return {**used, **config.providers}


def named_provider(config: Config, name: str) -> ProviderSettings:
    """One that is configured.

    :raises ConfigurationError: none has that name.
    """
    known = known_providers(config)
    if name not in known:
        there = ", ".join(sorted(known))
        raise ConfigurationError([f"there is no section [provider:{name}]; there are: {there}"])
    return known[name]


def usual_options(settings: ProviderSettings) -> Options:
    """As many calls at once as a node makes."""
    connections = FOLDER_THREADS
    if settings.cloud is not None:
        connections = settings.cloud.layers.connections or connections
    return Options(connections=connections)


def make_certifier(
    config: Config,
    identity: Identity,
    settings: ProviderSettings,
    options: Options,
    reactor: Reactor,
    progress: Progress,
) -> Certifying:
    """Make the provider, and what certifies it; nothing is started.

    It has the node's own retries, limits and timeouts, so that a service is not blamed for what a
    node gets over; no circuit breaker, because one check that fails must not fail the others; no
    cache, which would hide the service; and no tags, which would find what a check looks for.

    :raises ConfigurationError: its settings do not go together.
    """
    if settings.cloud is None:
        return _certify_folder(config, settings, options, reactor, progress)
    sources = standard_sources(config.node_directory, identity.server_id, os.environ)
    credentials = Credentials(
        [settings.cloud.wanted], sources.ordered, reactor, config.node_directory
    )
    leaf = make_leaf(settings.cloud, identity, credentials.of(settings.name), reactor)
    bare = evolve(settings.cloud.layers, cache=None, log_interval=None, circuit=None)
    random = Random()  # noqa: S311 - it spreads retries
    provider = wrap_in_layers(leaf, bare, reactor, random).provider
    return Certifying(Certifier(provider, leaf, reactor, options, progress))


def _certify_folder(
    config: Config,
    settings: ProviderSettings,
    options: Options,
    reactor: Reactor,
    progress: Progress,
) -> Certifying:
    leaf: IStorageProvider = FilesystemProvider(
        settings.name,
        str(settings.path),
        ThreadWorkers(reactor, max(options.connections, FOLDER_THREADS), settings.name),
        reactor,
        fsync=settings.fsync,
        reserved_space=config.storage.reserved_space,
    )
    folder = Path(str(settings.path)) / FOLDER.rstrip("/")
    certifier = Certifier(leaf, leaf, reactor, options, progress)
    return Certifying(certifier, lambda: _remove_empty_folders(folder))


def _remove_empty_folders(folder: Path) -> None:
    """A filesystem provider keeps its folders; nobody will ever use these again."""
    for path, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(path)
        except OSError:  # it is not empty: another certification is under way
            continue
