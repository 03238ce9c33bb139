"""``raic.cfg``, from the file to a :class:`~raic.config.model.Config`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

from raic.config.anonymity import check_privacy, i2p_settings, onion_settings
from raic.config.backends import mention_unused, read_backend, read_providers
from raic.config.checking import Checked, check_text
from raic.config.introducers import read_introducers
from raic.config.model import Config, NodeSettings, StorageSettings
from raic.config.servers import FOLDER, read_servers, server_directory
from raic.errors import ConfigurationError
from raic.values import ExpiryPolicy

CONFIG_NAME = "raic.cfg"

_STORAGE = (
    "reserved_space",
    "quota",
    "readonly",
    "readonly_mutable",
    "force_foolscap",
    "max_mutable_message",
    "upload_memory",
    "body_memory",
    "max_connections",
    "checkpoint_interval",
    "checkpoint_changes",
    "checkpoints_kept",
)


def load_config(node_directory: Path) -> Config:
    """Read and check the configuration of a node directory.

    :param node_directory: of a node, or of one of its servers, ``NODEDIR/servers/NAME``.
    :raises ConfigurationError: it has mistakes, all of them listed, or cannot be read, or is of
        several servers.
    """
    main, server = _split(node_directory)
    configs = parse_servers(main, _read(main / CONFIG_NAME))
    for config in configs:
        if config.node_directory == node_directory:
            return config
    places = ", ".join(str(config.node_directory) for config in configs)
    if server:
        raise ConfigurationError([f"{main / CONFIG_NAME} has no [server:{server}]: use {places}"])
    raise ConfigurationError([f"{main} has several servers: name one of {places}"])


def config_directory(node_directory: Path) -> Path:
    """Where the ``raic.cfg`` of a node, or of one of several servers, lies."""
    return _split(node_directory)[0]


def load_servers(node_directory: Path) -> tuple[Config, ...]:
    """The configurations of all servers of a node directory: one, unless it says otherwise.

    :raises ConfigurationError: it has mistakes, all of them listed, or cannot be read.
    """
    return parse_servers(node_directory, _read(node_directory / CONFIG_NAME))


def parse_config(node_directory: Path, text: str) -> Config:
    """Check the text of a configuration of a single server.

    :raises ConfigurationError: it has mistakes, all of them listed.
    """
    (config,) = parse_servers(node_directory, text)
    return config


def parse_servers(node_directory: Path, text: str) -> tuple[Config, ...]:
    """Check a configuration's text; see :func:`load_servers`.

    :raises ConfigurationError: it has mistakes, all of them listed.
    """
    checked = check_text(CONFIG_NAME, text)
    _check_location(checked)
    _check_expiry(checked)
    _check_memory(checked)
    providers = read_providers(checked, node_directory)
    node = _node(checked)
    servers = read_servers(checked, providers, node)
    backend = None if servers else read_backend(checked, providers)
    certificates = _certificates(checked, node_directory)
    onion, i2p = onion_settings(checked, node_directory), i2p_settings(checked, node_directory)
    introducers = _introducers(checked, node_directory)
    check_privacy(checked, () if servers else node.hints, introducers)
    checked.raise_problems()
    backends = [server.backend for server in servers] + ([] if backend is None else [backend])
    mention_unused(checked, backends, providers)
    first = Config(
        node_directory=node_directory,
        node=node,
        storage=_storage(checked),
        backend=backends[0],
        providers=providers,
        onion=onion,
        i2p=i2p,
        introducers=introducers,
        certificates=certificates,
        notices=tuple(checked.notices),
        text=checked.text,
        spare=tuple(checked.spare),
        certificate_files=tuple(
            node_directory / Path(path).expanduser()
            for path in checked.section("grid_manager_certificates").values()
        ),
    )
    if backend is not None:
        return (first,)
    return tuple(
        evolve(
            first,
            node_directory=server_directory(node_directory, server.name),
            node=server.node,
            backend=server.backend,
        )
        for server in servers
    )


def _split(directory: Path) -> tuple[Path, str]:
    """The directory of ``raic.cfg``, and which of its servers is meant; empty for the only one."""
    if directory.parent.name == FOLDER and not (directory / CONFIG_NAME).exists():
        return directory.parent.parent, directory.name
    return directory, ""


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigurationError(
            [f"{path} cannot be read ({error.strerror}): make a node with 'raic create-node'"]
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path} is not UTF-8: byte {error.start} is wrong"]) from None


def _node(checked: Checked) -> NodeSettings:
    return NodeSettings(
        nickname=checked.get("node", "nickname"),
        ports=checked.get("node", "tub.port"),
        hints=checked.get("node", "tub.location"),
        web_port=checked.get("node", "web.port"),
        web_hosts=checked.get("node", "web.hosts"),
        keepalive=checked.get("node", "timeout.keepalive"),
        disconnect=checked.get("node", "timeout.disconnect"),
        log_level=checked.get("node", "log_level"),
        log_format=checked.get("node", "log_format"),
        stop_seconds=checked.get("node", "stop_seconds"),
    )


def _check_location(checked: Checked) -> None:
    entries = checked.text.entries
    if ("node", "tub.port") in entries and ("node", "tub.location") not in entries:
        checked.refuse(
            "node",
            "tub.location",
            "it is required beside tub.port: write where clients connect to, such as"
            " tcp:storage.example.net:3457",
        )


def _storage(checked: Checked) -> StorageSettings:
    return StorageSettings(
        **{name: checked.get("storage", name) for name in _STORAGE},
        expires=checked.get("storage", "expire.enabled"),
        expiry=ExpiryPolicy(
            checked.get("storage", "expire.override_lease_duration"),
            checked.get("storage", "expire.cutoff_date"),
            checked.get("storage", "expire.immutable"),
            checked.get("storage", "expire.mutable"),
        ),
    )


def _check_expiry(checked: Checked) -> None:
    mode = checked.get("storage", "expire.mode")
    for key, needed in (
        ("expire.override_lease_duration", "age"),
        ("expire.cutoff_date", "cutoff-date"),
    ):
        if checked.get("storage", key) is not None and mode not in (None, needed):
            checked.refuse("storage", key, f"it goes with expire.mode = {needed} alone: remove it")
    if mode is None and checked.get("storage", "expire.enabled"):
        problem = "it is required when expire.enabled is true: write age or cutoff-date"
        checked.refuse("storage", "expire.mode", problem)
    if mode == "cutoff-date" and checked.get("storage", "expire.cutoff_date") is None:
        problem = "it is required with expire.mode = cutoff-date: write a date such as 2030-01-16"
        checked.refuse("storage", "expire.cutoff_date", problem)


def _check_memory(checked: Checked) -> None:
    if checked.get("storage", "body_memory") < checked.get("storage", "max_mutable_message"):
        checked.refuse(
            "storage", "body_memory", "it cannot be less than max_mutable_message: raise it"
        )


def _introducers(checked: Checked, node_directory: Path) -> tuple[str, ...]:
    name = "private/introducers.yaml"
    listed: tuple[str, ...] = ()
    try:
        listed = read_introducers(node_directory / name)
    except ValueError as error:
        checked.refuse_file(name, str(error))
    first = checked.get("client", "introducer.furl")
    return tuple(dict.fromkeys(((first,) if first else ()) + listed))


def _certificates(checked: Checked, node_directory: Path) -> tuple[Mapping[str, Any], ...]:
    section = "grid_manager_certificates"
    listed = checked.section(section)
    if listed and not checked.get("storage", "grid_management"):
        checked.refuse(
            "storage",
            "grid_management",
            f"write true, or remove [{section}]: its certificates would not be announced",
        )
    found = (
        _certificate(checked, section, name, node_directory / Path(path).expanduser())
        for name, path in listed.items()
    )
    return tuple(certificate for certificate in found if certificate is not None)


def _certificate(checked: Checked, section: str, name: str, path: Path) -> Mapping[str, Any] | None:
    try:
        certificate = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        checked.refuse(section, name, f"{path} cannot be read as JSON: {error}")
        return None
    if not isinstance(certificate, dict) or set(certificate) != {"certificate", "signature"}:
        checked.refuse(section, name, f"{path} is not a grid manager's certificate")
        return None
    return certificate
