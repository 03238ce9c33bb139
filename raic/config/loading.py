"""``raic.cfg``, from the file to a :class:`~raic.config.model.Config`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raic.config.anonymity import check_privacy, i2p_settings, onion_settings
from raic.config.backends import read_backend, read_providers
from raic.config.checking import Checked, check_text
from raic.config.introducers import read_introducers
from raic.config.model import Config, NodeSettings, StorageSettings
from raic.errors import ConfigurationError

CONFIG_NAME = "raic.cfg"


def load_config(node_directory: Path) -> Config:
    """Read and check the configuration of a node directory.

    :raises ConfigurationError: it has mistakes, all of them listed, or cannot be read.
    """
    path = node_directory / CONFIG_NAME
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigurationError(
            [f"{path} cannot be read ({error.strerror}): make a node with 'raic create-node'"]
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path} is not UTF-8: byte {error.start} is wrong"]) from None
    return parse_config(node_directory, text)


def parse_config(node_directory: Path, text: str) -> Config:
    """Check a configuration's text.

    :raises ConfigurationError: it has mistakes, all of them listed.
    """
    checked = check_text(CONFIG_NAME, text)
    _check_location(checked)
    _check_expiry(checked)
    _check_memory(checked)
    providers = read_providers(checked, node_directory)
    backend = read_backend(checked, providers)
    certificates = _certificates(checked, node_directory)
    onion, i2p = onion_settings(checked, node_directory), i2p_settings(checked, node_directory)
    introducers = _introducers(checked, node_directory)
    check_privacy(checked, introducers)
    checked.raise_problems()
    assert backend is not None, "its absence was noted as a problem"
    return Config(
        node_directory=node_directory,
        node=NodeSettings(
            nickname=checked.get("node", "nickname"),
            ports=checked.get("node", "tub.port"),
            hints=checked.get("node", "tub.location"),
            web_port=checked.get("node", "web.port"),
            keepalive=checked.get("node", "timeout.keepalive"),
            disconnect=checked.get("node", "timeout.disconnect"),
            log_level=checked.get("node", "log_level"),
        ),
        storage=StorageSettings(
            **{
                name: checked.get("storage", name)
                for name in (
                    "reserved_space",
                    "readonly",
                    "readonly_mutable",
                    "force_foolscap",
                    "max_mutable_message",
                    "upload_memory",
                    "body_memory",
                    "max_connections",
                )
            }
        ),
        backend=backend,
        providers=providers,
        onion=onion,
        i2p=i2p,
        introducers=introducers,
        certificates=certificates,
        notices=tuple(checked.notices),
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


def _check_expiry(checked: Checked) -> None:
    mode = checked.get("storage", "expire.mode")
    for key, needed in (
        ("expire.override_lease_duration", "age"),
        ("expire.cutoff_date", "cutoff-date"),
    ):
        if checked.get("storage", key) is not None and mode not in (None, needed):
            checked.refuse("storage", key, f"it goes with expire.mode = {needed} alone: remove it")


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
