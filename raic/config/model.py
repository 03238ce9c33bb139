"""What a checked configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen


@frozen
class NodeSettings:
    """``[node]``.

    :ivar ports: Twisted server endpoint descriptions, ``listen:tor`` and ``listen:i2p``.
    :ivar hints: where clients connect to, as in ``tcp:HOST:PORT``; ``AUTO`` for this machine's
        own addresses.
    :ivar keepalive: seconds; None for Foolscap's own.
    :ivar disconnect: seconds; None for never.
    """

    nickname: str
    ports: tuple[str, ...]
    hints: tuple[str, ...]
    web_port: str | None
    keepalive: int | None
    disconnect: int | None
    log_level: str


@frozen
class StorageSettings:
    """``[storage]``; sizes in bytes."""

    reserved_space: int
    readonly: bool
    readonly_mutable: bool
    force_foolscap: bool
    max_mutable_message: int
    upload_memory: int
    body_memory: int
    max_connections: int


@frozen
class ProviderSettings:
    """``[provider:NAME]``."""

    name: str
    kind: str
    path: Path
    fsync: bool


@frozen
class OnionSettings:
    """``[tor]``: what ``listen:tor`` needs."""

    control_port: str
    local_port: int
    external_port: int
    key_file: Path


@frozen
class I2pSettings:
    """``[i2p]``: what ``listen:i2p`` needs."""

    sam_port: str
    port: int
    key_file: Path


@frozen
class Config:
    """The whole of ``raic.cfg``.

    :ivar provider: the one that ``[storage] backend`` names.
    :ivar onion: None without ``listen:tor``.
    :ivar i2p: None without ``listen:i2p``.
    :ivar introducers: their FURLs, each once.
    :ivar certificates: of grid managers: parsed JSON, as it is announced.
    :ivar notices: what the operator should be told about keys without effect.
    """

    node_directory: Path
    node: NodeSettings
    storage: StorageSettings
    provider: ProviderSettings
    onion: OnionSettings | None
    i2p: I2pSettings | None
    introducers: tuple[str, ...] = field(repr=False)
    certificates: tuple[Mapping[str, Any], ...] = field(repr=False)
    notices: tuple[str, ...]

    @property
    def private(self) -> Path:
        """Where keys and addresses lie."""
        return self.node_directory / "private"

    @property
    def index_path(self) -> Path:
        """The index's file."""
        return self.node_directory / "index.sqlite"
