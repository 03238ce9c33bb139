"""The keys of the other sections that Tahoe's own configuration has."""

from __future__ import annotations

from raic.config import parsers
from raic.config.key import ANY, Key, refused
from raic.config.storagekeys import NO_PLUGINS

_NO_CLIENT = "a storage node is no client: keep the key in the client's own tahoe.cfg"
_NO_LAUNCH = "the node starts no daemon: run one, and write its control.port or sam.port"
_NO_OUTGOING = "the node connects to no one through Tor or I2P; remove the key"

TAHOE = (
    Key(
        "client",
        "introducer.furl",
        "The introducer to announce the node to.",
        parsers.optional(parsers.furl),
        "",
        live=True,
    ),
    *refused(
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
    Key("storageserver.plugins.*", ANY, "Refused.", refused=NO_PLUGINS),
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
    *refused("tor", _NO_LAUNCH, "tor.executable"),
    *refused("tor", _NO_OUTGOING, "socks.port"),
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
    *refused("i2p", _NO_LAUNCH, "i2p.configdir", "i2p.executable"),
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
    *refused(
        "sftpd",
        "a storage node has no SFTP front end; remove the section",
        "accounts.file",
        "host_privkey_file",
        "host_pubkey_file",
        "port",
    ),
)
