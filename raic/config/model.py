"""What a checked configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen


@frozen
class NodeSettings:
    """``[node]``.

    :ivar ports: Twisted server endpoint descriptions.
    :ivar hints: where clients connect to, as in ``tcp:HOST:PORT``.
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
class Config:
    """The whole of ``raic.cfg``.

    :ivar provider: the one that ``[storage] backend`` names.
    :ivar introducer_furl: None for none.
    :ivar certificates: of grid managers: parsed JSON, as it is announced.
    :ivar notices: what the operator should be told about keys without effect.
    """

    node_directory: Path
    node: NodeSettings
    storage: StorageSettings
    provider: ProviderSettings
    introducer_furl: str | None = field(repr=False)
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
