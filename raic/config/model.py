"""What a checked configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from raic.backends.layers.readcache import CacheSettings
from raic.backends.layers.stack import LayerSettings
from raic.backends.registry import ProviderType
from raic.config.credentials.wanted import Wanted
from raic.config.reading import Text
from raic.values import ExpiryPolicy

LABELS = ("operator", "jurisdiction", "site")
"""What several providers may have in common, so that they may be lost together."""

LOG_FORMATS = ("plain", "json")

USUAL_AVAILABILITY = 99.9
"""In percent: what is assumed of a provider of which nothing is said."""


@frozen
class NodeSettings:
    """``[node]``.

    :ivar ports: Twisted server endpoint descriptions, ``listen:tor`` and ``listen:i2p``.
    :ivar hints: where clients connect to, as in ``tcp:HOST:PORT``; ``AUTO`` for this machine's
        own addresses.
    :ivar web_port: as :mod:`raic.config.webport` understands it; None for no status page.
    :ivar web_hosts: names by which browsers may ask for it.
    :ivar keepalive: seconds; None for Foolscap's own.
    :ivar disconnect: seconds; None for never.
    :ivar log_format: ``plain`` or ``json``.
    :ivar stop_seconds: how long uploads under way may take to end when the node is stopped.
    """

    nickname: str
    ports: tuple[str, ...]
    hints: tuple[str, ...]
    web_port: str | None
    web_hosts: tuple[str, ...]
    keepalive: int | None
    disconnect: int | None
    log_level: str
    log_format: str
    stop_seconds: int


@frozen
class StorageSettings:
    """``[storage]``; sizes in bytes.

    :ivar quota: how many bytes of shares there may be; None for no limit.
    :ivar checkpoint_interval: seconds.
    :ivar expires: whether anything does.
    :ivar expiry: what would: what the other keys of ``expire.*`` say.
    """

    reserved_space: int
    readonly: bool
    readonly_mutable: bool
    force_foolscap: bool
    max_mutable_message: int
    upload_memory: int
    body_memory: int
    max_connections: int
    quota: int | None = None
    checkpoint_interval: int = 3600
    checkpoint_changes: int = 100_000
    checkpoints_kept: int = 3
    expires: bool = False
    expiry: ExpiryPolicy = field(factory=ExpiryPolicy)


@frozen
class CloudSettings:
    """``[provider:NAME]`` of a type that the registry knows.

    :ivar values: of the type's own keys.
    :ivar wanted: the credentials.
    """

    type: ProviderType
    values: Mapping[str, Any]
    wanted: Wanted
    layers: LayerSettings

    def values_for(self, server_id: str) -> Mapping[str, Any]:
        """The values, with the prefix that a node has of which none is configured.

        It is made of the server's id, so that nodes that share a container keep out of each
        other's way.
        """
        if "prefix" in self.values and self.values["prefix"] is None:
            return {**self.values, "prefix": f"raic/{server_id}/"}
        return self.values


@frozen
class Prices:
    """What a provider charges, in the operator's own currency; 0 where nothing is said.

    :ivar storage: for 1 GB (10^9 bytes) in a month.
    :ivar download: for 1 GB fetched.
    :ivar requests: for 10,000 requests.
    """

    storage: float = 0.0
    download: float = 0.0
    requests: float = 0.0


@frozen
class ProviderSettings:
    """``[provider:NAME]``.

    :ivar path: None for a cloud.
    :ivar fsync: whether what is acknowledged outlives a power cut.
    :ivar cloud: None for a filesystem.
    :ivar labels: those of ``LABELS`` that are given.
    :ivar availability: what part of the time it can be reached, in percent.
    :ivar quota: how many bytes may be stored there; None for no limit.
    """

    name: str
    kind: str
    path: Path | None = None
    fsync: bool = True
    cloud: CloudSettings | None = None
    labels: Mapping[str, str] = field(factory=dict)
    prices: Prices = Prices()
    availability: float = USUAL_AVAILABILITY
    quota: int | None = None

    @property
    def members(self) -> tuple[ProviderSettings, ...]:
        """The providers that objects lie on: this one."""
        return (self,)

    def describe(self, server_id: str) -> str:
        """Where the objects are, for messages."""
        if self.cloud is None:
            return f"{self.kind} {self.path}"
        values = self.cloud.values_for(server_id)
        places = [f"{key} {values[key]}" for key in ("container", "prefix") if values.get(key)]
        return f"{self.kind} {', '.join(places)}".strip()


@frozen
class ArraySettings:
    """``[array:NAME]``.

    :ivar members: the providers, in the order of the file.
    :ivar needed: how many of them suffice to read.
    :ivar happy: how many must have a write before it is acknowledged.
    :ivar block_size: of fragments, in bytes.
    :ivar cache: None for no read cache.
    :ivar repair_rate: bytes a second; None for no limit.
    """

    name: str
    members: tuple[ProviderSettings, ...]
    needed: int
    happy: int
    block_size: int
    straggler_seconds: int
    cache: CacheSettings | None
    repair_rate: int | None
    allow_shared_domain: bool

    @property
    def total(self) -> int:
        """How many fragments an object has."""
        return len(self.members)

    @property
    def fsync(self) -> bool:
        """Whether what is acknowledged outlives a power cut."""
        return all(member.fsync for member in self.members)

    def describe(self, server_id: str) -> str:
        """Where the objects are, for messages."""
        places = (f"{each.name} ({each.describe(server_id)})" for each in self.members)
        return f"any {self.needed} of " + ", ".join(places)


Backend = ProviderSettings | ArraySettings
"""What ``[storage] backend`` may name."""


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

    :ivar backend: what ``[storage] backend`` names.
    :ivar providers: every one that has a section, in use or not, by name.
    :ivar onion: None without ``listen:tor``.
    :ivar i2p: None without ``listen:i2p``.
    :ivar introducers: their FURLs, each once.
    :ivar certificates: of grid managers: parsed JSON, as it is announced.
    :ivar notices: what the operator should be told about keys without effect.
    :ivar spare: the names of providers that are not in use, and that an array can make use of.
    :ivar text: what the file said.
    :ivar certificate_files: where those certificates are.
    :ivar index_name: of the index's file; another one only while a node is being copied.
    """

    node_directory: Path
    node: NodeSettings
    storage: StorageSettings
    backend: Backend
    providers: Mapping[str, ProviderSettings]
    onion: OnionSettings | None
    i2p: I2pSettings | None
    introducers: tuple[str, ...] = field(repr=False)
    certificates: tuple[Mapping[str, Any], ...] = field(repr=False)
    notices: tuple[str, ...]
    text: Text = field(repr=False, eq=False, factory=Text)
    certificate_files: tuple[Path, ...] = ()
    index_name: str = "index.sqlite"
    spare: tuple[str, ...] = ()

    @property
    def provider(self) -> ProviderSettings:
        """The only provider.

        :raises ValueError: there is an array.
        """
        if isinstance(self.backend, ArraySettings):
            raise ValueError(f"the backend is the array {self.backend.name}")
        return self.backend

    @property
    def local(self) -> bool:
        """Whether nothing is stored in a cloud."""
        return all(member.cloud is None for member in self.backend.members)

    @property
    def private(self) -> Path:
        """Where keys and addresses lie."""
        return self.node_directory / "private"

    @property
    def index_path(self) -> Path:
        """The index's file."""
        return self.node_directory / self.index_name
