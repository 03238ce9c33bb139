"""Tor, I2P, and whether the node may be known by its IP address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raic.config.checking import Checked
from raic.config.model import I2pSettings, OnionSettings

_ONION = ("control.port", "onion.local_port", "onion.external_port", "onion.private_key_file")
_DESTINATION = ("sam.port", "dest.port", "dest.private_key_file")


def onion_settings(checked: Checked, node_directory: Path) -> OnionSettings | None:
    """What ``listen:tor`` needs; None where it is not asked for."""
    if not _complete(checked, "tor", "onion", _ONION):
        return None
    control, local, external, _ = (checked.get("tor", key) for key in _ONION)
    return OnionSettings(
        control, local, external, _key_file(checked, "tor", _ONION[-1], node_directory)
    )


def i2p_settings(checked: Checked, node_directory: Path) -> I2pSettings | None:
    """What ``listen:i2p`` needs; None where it is not asked for."""
    if not _complete(checked, "i2p", "dest", _DESTINATION):
        return None
    sam, port, _ = (checked.get("i2p", key) for key in _DESTINATION)
    return I2pSettings(sam, port, _key_file(checked, "i2p", _DESTINATION[-1], node_directory))


def _key_file(checked: Checked, section: str, key: str, node_directory: Path) -> Path:
    path = node_directory / Path(checked.get(section, key)).expanduser()
    if not path.is_file():
        checked.refuse(section, key, f"there is no file {path}: 'tahoe create-node' can make one")
    return path


def _complete(checked: Checked, section: str, switch: str, needed: Sequence[str]) -> bool:
    """Whether all is there; notes what is missing, and what would have no effect."""
    given = [key for key in (switch, *needed) if checked.get(section, key)]
    if f"listen:{section}" not in checked.get("node", "tub.port"):
        for key in given:
            checked.refuse(
                section,
                key,
                f"it needs listen:{section} in tub.port: add that, or remove it",
            )
        return False
    if not checked.get(section, "enabled"):
        checked.refuse(section, "enabled", f"tub.port has listen:{section}: remove one of them")
    missing = [key for key in needed if key not in given]
    for key in missing:
        checked.refuse(section, key, f"it is required by listen:{section} in tub.port")
    return not missing


def check_privacy(checked: Checked, hints: Sequence[str], introducers: Sequence[str]) -> None:
    """Refuse what would reveal an IP address that may not be revealed.

    :param hints: of ``[node] tub.location``, where that counts.
    """
    if checked.get("node", "reveal-IP-address"):
        return
    if any(not hint.startswith(("tor:", "i2p:")) for hint in hints):
        checked.refuse(
            "node", "tub.location", "reveal-IP-address = false allows tor: and i2p: hints alone"
        )
    if introducers:
        checked.refuse(
            "node",
            "reveal-IP-address",
            "false forbids introducers, because the node connects to them directly: remove"
            " [client] introducer.furl and private/introducers.yaml, and give clients the node's"
            " private/servers.yaml",
        )
