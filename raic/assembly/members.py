"""One configured provider, and the layers around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any

from attrs import define, evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorProcess

from raic.assembly.folderlock import HeldFolder
from raic.backends.layers.circuit import CircuitSettings
from raic.backends.layers.observation import ObservationLayer
from raic.backends.layers.quota import QuotaLayer
from raic.backends.layers.stack import NO_LAYERS, Layers, LayerSettings, Wrap, wrap_in_layers
from raic.backends.layers.timeout import Timeouts
from raic.backends.putprocess import spawner
from raic.config.identity import Identity
from raic.config.loading import CONFIG_NAME
from raic.config.model import CloudSettings, Config, ProviderSettings
from raic.errors import CircuitOpen, ConfigurationError, ObjectNotFound
from raic.interfaces import IStorageProvider, IWorkers
from raic.shares.keys import parse_checkpoint_key, parse_expunged_key, parse_key, usual_folders

Reactor = Any
"""One that does everything: threads, time, and the network."""

LOG_SECONDS = 60.0
"""How often the same failure of a folder is logged."""

UNTOLD_IN_ARRAY = (CircuitOpen, ObjectNotFound)
"""A fragment that is missing is the array's to judge: mostly it is known to be, and no loss."""

FOLDER_IN_ARRAY = evolve(
    NO_LAYERS,
    log_interval=LOG_SECONDS,
    untold=UNTOLD_IN_ARRAY,
    circuit=CircuitSettings(),
    timeouts=Timeouts(),
)
"""The layers of a folder in an array: on a disk that hangs, be it across a network, no call ever
ends by itself, and what asks all members, as for claims, listings and deletions, would wait."""

Secrets = Callable[[], Mapping[str, str]]

Used = Callable[[str], Deferred[int]]
"""Fires with how many bytes are stored at a provider, by name."""


@define(eq=False)
class MemberStack:
    """A provider and the layers around it.

    :ivar settings: what is in force; may change.
    :ivar untagged: what is below the tags: for claims on the prefix, which other servers read.
    :ivar leaf: the provider itself.
    :ivar quota: announces what its quota leaves; a folder that had none at the start has none.
    """

    settings: ProviderSettings
    layers: Layers
    untagged: IStorageProvider
    leaf: IStorageProvider
    quota: QuotaLayer | None = None

    @property
    def provider(self) -> IStorageProvider:
        """The outermost: what is stored and read goes through it."""
        return self.layers.provider


def no_secrets() -> Mapping[str, str]:
    """What a filesystem needs."""
    return {}


def length_of(key: str) -> int | None:
    """An object's length, if its key tells it."""
    parsed = parse_key(key) or parse_expunged_key(key) or parse_checkpoint_key(key)
    return None if parsed is None else parsed.size


def make_member(
    config: Config,
    settings: ProviderSettings,
    identity: Identity,
    workers: IWorkers,
    secrets: Secrets,
    reactor: Reactor,
    protect: Wrap | None,
    *,
    cached: bool,
    used: Used,
    is_member: bool = True,
    restoring: bool = False,
) -> MemberStack:
    """Make a provider and its layers; nothing is started.

    :param workers: for a filesystem; a cloud has threads of its own.
    :param protect: puts the tags around it, below the cache; None in an array, whose fragments
        have tags of their own.
    :param cached: whether it has the read cache that is configured; an array has one above all.
    :param used: what quotas go by.
    :param is_member: whether the node has used it ever since it has an index.
    :param restoring: whether the node has used it, though it has no index.
    :raises ConfigurationError: the settings of the provider do not go together.
    """
    quotas: list[QuotaLayer] = []
    below: list[IStorageProvider] = []

    def bounded(inner: IStorageProvider) -> IStorageProvider:
        # On a disk each layer costs something.
        if settings.quota is None and settings.cloud is None:
            return inner
        quotas.append(QuotaLayer(inner, settings.quota, partial(used, settings.name)))
        return quotas[0]

    def guard(inner: IStorageProvider) -> IStorageProvider:
        below.append(inner)
        return protect(bounded(inner)) if protect else bounded(inner)

    random = Random()  # noqa: S311 - it spreads retries
    if settings.cloud is not None:
        leaf = make_leaf(settings.cloud, identity, secrets, reactor)
        chosen = settings.cloud.layers if cached else _in_array(settings.cloud.layers)
        layers = wrap_in_layers(leaf, chosen, reactor, random, protect=guard, length_of=length_of)
        # Who reads the claims need not say what keeps him from it.
        untold = chosen.untold
        untagged = ObservationLayer(below[0], reactor, troubles=layers.troubles, untold=untold)
        return MemberStack(settings, layers, untagged, leaf, *quotas)
    known = restoring or (is_member and config.index_path.exists())
    process = IReactorProcess(reactor, None) if protect is not None else None
    leaf = make_folder(config, settings, workers, reactor, used=known, processes=process)
    if protect is not None:
        observed = ObservationLayer(guard(leaf), reactor, LOG_SECONDS)
        return MemberStack(
            settings,
            Layers(observed, observation=observed, troubles=observed.troubles),
            leaf,
            leaf,
            *quotas,
        )
    layers = wrap_in_layers(leaf, FOLDER_IN_ARRAY, reactor, random, protect=bounded)
    return MemberStack(settings, layers, layers.provider, leaf, *quotas)


def _in_array(settings: LayerSettings) -> LayerSettings:
    """Without what an array has above all, and without waiting for a member that is down, or for a
    fragment that it does not have: others are there to ask, and who repairs expects it.
    """
    circuit = None if settings.circuit is None else evolve(settings.circuit, patience=0.0)
    retry = None if settings.retry is None else evolve(settings.retry, missing=0.0)
    return evolve(settings, cache=None, circuit=circuit, retry=retry, untold=UNTOLD_IN_ARRAY)


def make_folder(
    config: Config,
    settings: ProviderSettings,
    workers: IWorkers,
    reactor: Reactor,
    *,
    used: bool = False,
    processes: IReactorProcess | None = None,
) -> HeldFolder:
    """A folder without any layers.

    :param used: whether there were objects in it before.
    :param processes: starts one for many small objects; None to have none.
    """
    path = str(settings.path)
    return HeldFolder(
        settings.name,
        path,
        workers,
        reactor,
        fsync=settings.fsync,
        reserved_space=config.storage.reserved_space,
        folders=usual_folders(),
        beside=str(config.index_path.parent),
        spawn=None if processes is None else spawner(processes, settings.name, path),
        used=used,
    )


def make_leaf(
    cloud: CloudSettings, identity: Identity, secrets: Secrets, reactor: Reactor
) -> IStorageProvider:
    """A cloud without any layers.

    :raises ConfigurationError: its settings do not go together.
    """
    name = cloud.wanted.provider
    try:
        return cloud.type.make(name, cloud.values_for(identity.server_id), secrets, reactor)
    except ConfigurationError as error:
        raise ConfigurationError(
            [f"{CONFIG_NAME}: [provider:{name}] {problem}" for problem in error.problems]
        ) from error
