"""``[server:NAME]`` sections: several storage servers in one process, each with its own backend.

Each server is a node of its own: its node directory is ``servers/NAME`` below that of the file,
with its keys, its index and its addresses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve, frozen

from raic.config.backends import NAME, NAME_FORM, find_backend
from raic.config.checking import Checked
from raic.config.model import Backend, NodeSettings, ProviderSettings
from raic.config.reading import Text

FOLDER = "servers"

_PREFIX = "server:"


@frozen
class ServerSettings:
    """``[server:NAME]``, with what it has from ``[node]``."""

    name: str
    backend: Backend
    node: NodeSettings


def server_directory(node_directory: Path, name: str) -> Path:
    """The node directory of one of several servers."""
    return node_directory / FOLDER / name


def read_servers(
    checked: Checked, providers: Mapping[str, ProviderSettings], node: NodeSettings
) -> tuple[ServerSettings, ...]:
    """All servers; none when the node is a single one.  What is wrong is noted."""
    sections = [name for name in checked.text.sections if name.startswith(_PREFIX)]
    if not sections:
        return ()
    for section, key in (("storage", "backend"), ("node", "tub.port"), ("node", "tub.location")):
        if (section, key) in checked.text.entries:
            checked.refuse(section, key, "it stands in each [server:NAME]: remove it")
    found = [_server(checked, section, providers, node) for section in sections]
    servers = tuple(server for server in found if server is not None)
    _check_apart(checked, servers)
    return servers


def server_providers(text: Text) -> dict[str, frozenset[str]]:
    """The providers that each server stores with, by its name, as far as the file says so.

    Nothing of the file needs to be right.
    """
    found = {}
    for section in text.sections:
        if section.startswith(_PREFIX):
            backend = text.entries.get((section, "backend"))
            kind, _, name = ("" if backend is None else backend.value).partition(":")
            listed = text.entries.get((f"array:{name}", "providers"))
            if kind == "array":
                names = [] if listed is None else listed.value.split(",")
            else:
                names = [name]
            found[section.removeprefix(_PREFIX)] = frozenset(each.strip() for each in names)
    return found


def _server(
    checked: Checked,
    section: str,
    providers: Mapping[str, ProviderSettings],
    node: NodeSettings,
) -> ServerSettings | None:
    name = section.removeprefix(_PREFIX)
    if not NAME.fullmatch(name):
        checked.refuse(section, "backend", f"write the server's name {NAME_FORM}")
    backend = find_backend(checked, section, checked.get(section, "backend"), providers)
    ports, hints = checked.get(section, "tub.port"), checked.get(section, "tub.location")
    for key, value in (("tub.port", ports), ("tub.location", hints)):
        if not value:
            checked.refuse(section, key, "it is required: clients reach each server at its own")
    if ports and any(port.startswith("listen:") for port in ports):
        checked.refuse(section, "tub.port", "listen: is for a node with a single server")
    if backend is None or not ports or not hints:
        return None
    if not checked.get("node", "reveal-IP-address"):
        _check_hidden(checked, section, hints)
    nickname = checked.get(section, "nickname") or f"{node.nickname}-{name}"
    return ServerSettings(name, backend, evolve(node, nickname=nickname, ports=ports, hints=hints))


def _check_hidden(checked: Checked, section: str, hints: tuple[str, ...]) -> None:
    if not all(hint.startswith(("tor:", "i2p:")) for hint in hints):
        checked.refuse(
            section,
            "tub.location",
            "with reveal-IP-address = false only tor: and i2p: hints may stand here",
        )


def _check_apart(checked: Checked, servers: tuple[ServerSettings, ...]) -> None:
    """No two servers may write to one place or listen on one port."""
    places = Counter(member.name for server in servers for member in server.backend.members)
    ports = Counter(port for server in servers for port in server.node.ports)
    for server in servers:
        section = _PREFIX + server.name
        for member in server.backend.members:
            if places[member.name] > 1:
                checked.refuse(
                    section, "backend", f"provider:{member.name} belongs to another server as well"
                )
        for port in server.node.ports:
            if ports[port] > 1:
                checked.refuse(section, "tub.port", f"{port} is another server's as well")
