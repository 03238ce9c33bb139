"""Whether a provider lets the node in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from raic.assembly.members import Reactor, make_leaf
from raic.config.identity import load_identity
from raic.config.loading import load_config
from raic.deferreds import async_to_deferred
from raic.errors import ConfigurationError


@async_to_deferred
async def prove_access(
    node_directory: Path, name: str, secrets: Mapping[str, str], reactor: Reactor
) -> str:
    """Start a provider with these secrets, and stop it.

    :return: fires with what was proved; fails with a ``ProviderError``, or a
        ``ConfigurationError`` when the provider cannot be made.
    """
    config = load_config(node_directory)
    identity = load_identity(config.private)
    settings = config.providers.get(name)
    if settings is None or settings.cloud is None:
        raise ConfigurationError([f"there is no cloud [provider:{name}]"])
    leaf = make_leaf(settings.cloud, identity, lambda: secrets, reactor)
    try:
        await leaf.start()
    finally:
        await leaf.stop()
    place = settings.describe(identity.server_id)
    return f"{name} lets the node list, write and delete: {place}"
