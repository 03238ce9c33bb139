"""Every key of ``raic.cfg``: the one list that checking, the documentation and its tests share."""

from __future__ import annotations

from raic.config import parsers
from raic.config.arraykeys import ARRAY
from raic.config.key import ANY, Key
from raic.config.key import ours as _ours
from raic.config.key import refused as _refused
from raic.config.model import LOG_FORMATS
from raic.config.providerkeys import PROVIDER
from raic.config.serverkeys import SERVER
from raic.config.webport import host_names, web_port

__all__ = ["ANY", "SCHEMA", "Key", "keys_of", "matches"]

_NO_FRONTEND = "a storage node has no web-API; remove the key"
_NO_CLIENT = "a storage node is no client: keep the key in the client's own tahoe.cfg"
_NO_LAUNCH = "the node starts no daemon: run one, and write its control.port or sam.port"
_NO_OUTGOING = "the node connects to no one through Tor or I2P; remove the key"
_NO_PLUGINS = "Tahoe's storage plugins are loaded by Tahoe alone; remove the key"

NODE = (
    Key("node", "nickname", "The name that clients show.", default="raic"),
    Key(
        "node",
        "tub.port",
        "Where the node listens, in both dialects: Twisted server endpoint descriptions,"
        " separated by commas.",
        parsers.ports,
        "tcp:3457:interface=127.0.0.1",
    ),
    Key(
        "node",
        "tub.location",
        "Where clients connect to: hints such as tcp:storage.example.net:3457, separated by"
        " commas.  Required when tub.port is set.",
        parsers.location,
        "tcp:127.0.0.1:3457",
    ),
    Key(
        "node",
        "web.port",
        "Where the operator's status page is: a port, or tcp:PORT:interface=ADDRESS.  Empty: none.",
        parsers.optional(web_port),
        "",
    ),
    _ours(
        "node",
        "web.hosts",
        host_names,
        "",
        "Names by which browsers may ask for the status page, besides localhost and addresses.",
    ),
    Key(
        "node",
        "timeout.keepalive",
        "Foolscap: after how many seconds of silence a peer is asked for a sign of life.",
        parsers.optional(parsers.whole),
        "",
    ),
    Key(
        "node",
        "timeout.disconnect",
        "Foolscap: after how many seconds of silence a connection is dropped; empty for never.",
        parsers.optional(parsers.whole),
        "",
    ),
    Key(
        "node",
        "reveal-IP-address",
        "false refuses a configuration that would reveal the node's IP address.",
        parsers.boolean,
        "true",
    ),
    *_refused(
        "node",
        "the node logs to standard error only; let the service manager collect it",
        "log_gatherer.furl",
    ),
    *_refused("node", "nothing is spooled to disk; remove the key", "tempdir"),
    *_refused("node", _NO_FRONTEND, "web.static"),
    _ours(
        "node",
        "log_level",
        parsers.one_of("debug", "info", "warn", "error"),
        "info",
        "The least level that is logged: debug, info, warn or error.",
        live=True,
    ),
    _ours(
        "node",
        "log_format",
        parsers.one_of(*LOG_FORMATS),
        "plain",
        "How each event is logged: plain, as lines for people, or json, as one object on one line.",
    ),
    _ours(
        "node",
        "stop_seconds",
        parsers.seconds,
        "60",
        "How many seconds uploads under way may take to end when the node is stopped.",
    ),
)

STORAGE = (
    _ours(
        "storage",
        "backend",
        parsers.text,
        "provider:disk",
        "Where shares live: provider:NAME or array:NAME, described in the section of that name.",
    ),
    Key(
        "storage",
        "reserved_space",
        "How much of the disk is left free: no share is accepted that would leave less.",
        parsers.size,
        "0",
        live=True,
    ),
    Key(
        "storage",
        "readonly",
        "Accept no new immutable shares.",
        parsers.boolean,
        "false",
        live=True,
    ),
    _ours(
        "storage",
        "quota",
        parsers.optional(parsers.positive_size),
        "",
        "How many bytes of shares the node may hold; empty for no limit.",
        live=True,
    ),
    _ours(
        "storage",
        "readonly_mutable",
        parsers.boolean,
        "false",
        "Accept no writes to mutable shares either.",
        live=True,
    ),
    Key(
        "storage",
        "force_foolscap",
        "Offer the Foolscap dialect alone.",
        parsers.boolean,
        "false",
    ),
    _ours(
        "storage",
        "max_mutable_message",
        parsers.positive_size,
        "256MiB",
        "The largest mutable write, and hence the largest mutable share.",
    ),
    _ours(
        "storage",
        "upload_memory",
        parsers.positive_size,
        "256MiB",
        "How much memory all uploads together may hold; more uploads wait, then are declined.",
        live=True,
    ),
    _ours(
        "storage",
        "body_memory",
        parsers.positive_size,
        "512MiB",
        "How much memory all messages of clients, and long answers to them, may hold together.",
        live=True,
    ),
    _ours(
        "storage",
        "max_connections",
        parsers.whole,
        "1000",
        "How many connections may be open at once.",
        live=True,
    ),
    _ours(
        "storage",
        "checkpoint_interval",
        parsers.short_duration,
        "1 hour",
        "How often the index is copied to the provider, if anything has changed.",
    ),
    _ours(
        "storage",
        "checkpoint_changes",
        parsers.whole,
        "100000",
        "After how many changes the index is copied to the provider at once.",
    ),
    _ours(
        "storage",
        "checkpoints_kept",
        parsers.count,
        "3",
        "How many copies of the index the provider holds; 0 for none.",
    ),
    Key(
        "storage",
        "enabled",
        "Only true.",
        parsers.only(True, "a RAIC node is nothing but a storage node: remove the key"),
        "true",
    ),
    Key(
        "storage",
        "anonymous",
        "Only true.",
        parsers.only(True, "there is no other way in than the address: remove the key"),
        "true",
    ),
    Key(
        "storage",
        "debug_discard",
        "Only false.",
        parsers.only(False, "shares are never thrown away: remove the key"),
        "false",
    ),
    Key(
        "storage",
        "grid_management",
        "Announce the certificates listed in [grid_manager_certificates].",
        parsers.boolean,
        "false",
    ),
    *_refused("storage", _NO_PLUGINS, "plugins"),
    *_refused(
        "storage",
        "write it as path = ... in the provider's own section, such as [provider:disk]; RAIC does"
        " not read the folder of a Tahoe node",
        "storage_dir",
    ),
    Key(
        "storage",
        "expire.enabled",
        "Delete shares when all their leases are over.",
        parsers.boolean,
        "false",
        live=True,
    ),
    Key(
        "storage",
        "expire.mode",
        "age or cutoff-date.  Required when expire.enabled is true.",
        parsers.optional(parsers.one_of("age", "cutoff-date")),
        "",
        live=True,
    ),
    Key(
        "storage",
        "expire.override_lease_duration",
        "With mode age: how long a lease lasts.",
        parsers.optional(parsers.duration),
        "",
        live=True,
    ),
    Key(
        "storage",
        "expire.cutoff_date",
        "With mode cutoff-date: leases not renewed since then are over.",
        parsers.optional(parsers.date),
        "",
        live=True,
    ),
    Key(
        "storage",
        "expire.immutable",
        "Immutable shares expire.",
        parsers.boolean,
        "true",
        live=True,
    ),
    Key(
        "storage",
        "expire.mutable",
        "Mutable shares expire.",
        parsers.boolean,
        "true",
        live=True,
    ),
)

OTHERS = (
    Key(
        "client",
        "introducer.furl",
        "The introducer to announce the node to.",
        parsers.optional(parsers.furl),
        "",
        live=True,
    ),
    *_refused(
        "client",
        _NO_CLIENT,
        "helper.furl",
        "key_generator.furl",
        "mutable.format",
        "peers.preferred",
        "shares.happy",
        "shares.needed",
        "shares.total",
        "shares._max_immutable_segment_size_for_testing",
        "storage.plugins",
        "force_foolscap",
    ),
    Key(
        "grid_manager_certificates",
        ANY,
        "NAME = path of a certificate file; relative to the node directory.",
        parsers.file_name,
    ),
    Key("grid_managers", ANY, "Refused.", refused=_NO_CLIENT),
    Key("storageserver.plugins.*", ANY, "Refused.", refused=_NO_PLUGINS),
    Key("storageclient.plugins.*", ANY, "Refused.", refused=_NO_CLIENT),
    Key(
        "connections",
        "tcp",
        "Only tcp.",
        parsers.exactly(
            "tcp",
            "the node connects to introducers directly: remove the key if that is acceptable",
        ),
        "tcp",
    ),
    Key("tor", "enabled", "Whether listen:tor may be used.", parsers.boolean, "true"),
    Key(
        "tor",
        "control.port",
        "With listen:tor: the control port of a running Tor daemon, such as tcp:127.0.0.1:9051.",
        parsers.optional(parsers.text),
        "",
    ),
    Key("tor", "onion", "Goes with listen:tor; Tahoe writes it.", parsers.boolean, "false"),
    Key(
        "tor",
        "onion.local_port",
        "With listen:tor: where the daemon connects to, on this machine.",
        parsers.optional(parsers.port_number),
        "",
    ),
    Key(
        "tor",
        "onion.external_port",
        "With listen:tor: the port of the hidden service.",
        parsers.optional(parsers.port_number),
        "",
    ),
    Key(
        "tor",
        "onion.private_key_file",
        "With listen:tor: the private key of the hidden service; relative to the node directory.",
        parsers.optional(parsers.file_name),
        "",
    ),
    Key("tor", "launch", "Only false.", parsers.only(False, _NO_LAUNCH), "false"),
    *_refused("tor", _NO_LAUNCH, "tor.executable"),
    *_refused("tor", _NO_OUTGOING, "socks.port"),
    Key("i2p", "enabled", "Whether listen:i2p may be used.", parsers.boolean, "true"),
    Key(
        "i2p",
        "sam.port",
        "With listen:i2p: the SAM port of a running I2P router, such as tcp:127.0.0.1:7656.",
        parsers.optional(parsers.text),
        "",
    ),
    Key("i2p", "dest", "Goes with listen:i2p; Tahoe writes it.", parsers.boolean, "false"),
    Key(
        "i2p",
        "dest.port",
        "With listen:i2p: the port of the destination.",
        parsers.optional(parsers.port_number),
        "",
    ),
    Key(
        "i2p",
        "dest.private_key_file",
        "With listen:i2p: the private key of the destination; relative to the node directory.",
        parsers.optional(parsers.file_name),
        "",
    ),
    Key("i2p", "launch", "Only false.", parsers.only(False, _NO_LAUNCH), "false"),
    *_refused("i2p", _NO_LAUNCH, "i2p.configdir", "i2p.executable"),
    Key(
        "helper",
        "enabled",
        "Only false.",
        parsers.only(False, "a storage node is no upload helper: remove the key"),
        "false",
    ),
    Key(
        "sftpd",
        "enabled",
        "Only false.",
        parsers.only(False, "a storage node has no SFTP front end: remove the section"),
        "false",
    ),
    *_refused(
        "sftpd",
        "a storage node has no SFTP front end; remove the section",
        "accounts.file",
        "host_privkey_file",
        "host_pubkey_file",
        "port",
    ),
)

SCHEMA: tuple[Key, ...] = (*NODE, *STORAGE, *PROVIDER, *ARRAY, *SERVER, *OTHERS)


def matches(pattern: str, name: str) -> bool:
    """Whether a section is of the kind that a pattern describes."""
    if pattern.endswith(ANY):
        return name.startswith(pattern[:-1]) and len(name) >= len(pattern)
    return name == pattern


def keys_of(section: str) -> dict[str, Key]:
    """The keys that may stand in a section, by their lower-case names; none if it is unknown."""
    return {key.name.lower(): key for key in SCHEMA if matches(key.section, section)}
