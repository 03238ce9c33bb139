"""``tub.port`` and ``tub.location``: where the node listens, and what clients are told."""

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from attrs import astuple

from raic.assembly.checks.deadline import TookTooLong
from raic.assembly.checks.findings import Finding, error, good, warning
from raic.assembly.checks.sockets import Address, Listener, listeners, sockets_of
from raic.assembly.checks.view import ConfiguredNode
from raic.config.loading import CONFIG_NAME
from raic.errors import ConfigurationError
from raic.server.listening import (
    I2pDestination,
    describe_port,
    resolve_location,
)
from raic.server.onion import OnionService

_TCP = re.compile(r"(?P<kind>tcp6?):(?:port=)?(?P<port>\d+)")
_INTERFACE = re.compile(r":interface=(?P<address>(?:\\.|[^:\\])+)")
_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


async def check_ports(node: ConfiguredNode) -> list[Finding]:
    """Whether each port is free, or the node's own."""
    config = node.config
    onion = None if config.onion is None else OnionService(*astuple(config.onion))
    i2p = None if config.i2p is None else I2pDestination(*astuple(config.i2p))
    findings = []
    for item in config.node.ports:
        try:
            findings.append(_port(node, describe_port(item, onion, i2p)))
        except ConfigurationError as problem:
            remedy = f"do so, or correct {node.directory / CONFIG_NAME}"
            findings += [error("tub.port", each, remedy) for each in problem.problems]
    return findings


def _port(node: ConfiguredNode, description: str) -> Finding:
    subject = "tub.port"
    found = _TCP.match(description)
    if found is None:
        return good(subject, f"{description}: tried when the node starts")
    bound = _INTERFACE.search(description)
    anywhere = "0.0.0.0" if found["kind"] == "tcp" else "::"  # noqa: S104 - compared, not bound
    host = bound["address"].replace("\\", "") if bound else anywhere
    try:
        address = ip_address(host)
    except ValueError:
        return error(subject, f"{description}: {host} is no address", "write an IP address there")
    port = int(found["port"])
    taken = [each for each in listeners(port) if each.covers(address)]
    if taken:
        return _taken(node, description, port, taken)
    if node.runner is not None:
        text = f"{description}: the running node does not listen there"
        return warning(subject, text, "restart the node: raic.cfg was changed after its start")
    return _free(description, address, port)


def _taken(node: ConfiguredNode, description: str, port: int, taken: list[Listener]) -> Finding:
    subject, known = "tub.port", None
    if node.runner:
        known = sockets_of(node.runner)
    if known is not None and any(each.socket in known for each in taken):
        return good(subject, f"{description}: the running node listens there")
    if node.runner is not None and known is None:
        text = f"{description}: something listens there, and this user may not see what"
        return warning(subject, text, "run this as the node's own user, or as root")
    text = f"{description}: another program listens there"
    remedy = f"end it (ss -ltnp 'sport = :{port}' names it), or change tub.port and tub.location"
    return error(subject, text, remedy)


def _free(description: str, address: Address, port: int) -> Finding:
    subject = "tub.port"
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        # On any port: this disturbs no one, and shows whether the address is this machine's.
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((str(address), 0))
    except OSError as problem:
        text = f"{description}: {address} is not an address of this machine: {problem.strerror}"
        return error(subject, text, "correct interface=; 'ip addr' shows the addresses there are")
    if port < _first_unprivileged() and os.geteuid() != 0:
        text = f"{description}: ports below {_first_unprivileged()} may be kept from this user"
        remedy = "choose a higher one, or give the service AmbientCapabilities=CAP_NET_BIND_SERVICE"
        return warning(subject, text, remedy)
    return good(subject, f"{description}: free")


def _first_unprivileged() -> int:
    with suppress(OSError, ValueError):
        return int(_UNPRIVILEGED.read_text("ascii"))
    return 1024


async def check_location(node: ConfiguredNode) -> list[Finding]:
    """Whether clients can follow the hints, as far as can be seen from here."""
    subject = "tub.location"
    ports = node.config.node.ports
    try:
        hints = resolve_location(node.config.node.hints, ports)
    except ConfigurationError as problem:
        remedy = "write where clients connect to, such as tcp:storage.example.net:3457"
        return [error(subject, each, remedy) for each in problem.problems]
    findings = [await _hint(node, hint) for hint in hints]
    public = [hint for hint in hints if not _is_loopback(hint)]
    private = all(_INTERFACE.search(port) and _binds_loopback(port) for port in ports)
    if not hints:
        findings.append(warning(subject, "no address was found", "write one in tub.location"))
    elif private and public:
        text = f"clients are told {public[0]}, but tub.port takes connections of this machine alone"
        findings.append(
            warning(subject, text, "remove interface= from tub.port, unless a proxy leads there")
        )
    elif not private and not public:
        text = "clients on other machines cannot follow it, though tub.port would let them in"
        findings.append(warning(subject, text, "write this machine's public name or address"))
    return findings


async def _hint(node: ConfiguredNode, hint: str) -> Finding:
    subject = "tub.location"
    if not hint.startswith("tcp:"):
        return good(subject, f"{hint}: well formed")
    host = hint.split(":", 1)[1].rpartition(":")[0].strip("[]")
    if _is_loopback(hint):
        return good(subject, f"{hint}: of use to clients on this machine alone")
    try:
        found = await node.surroundings.ask(lambda: socket.getaddrinfo(host, None))
    except (OSError, UnicodeError, TookTooLong) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        text = f"{hint}: the name {host} leads nowhere from here: {reason}"
        return warning(subject, text, "correct the name, or check the name service")
    addresses = sorted({str(each[4][0]) for each in found})
    return good(subject, hint if addresses == [host] else f"{hint}: {', '.join(addresses)}")


def _binds_loopback(port: str) -> bool:
    bound = _INTERFACE.search(port)
    return bound is not None and _loops(bound["address"].replace("\\", ""))


def _is_loopback(hint: str) -> bool:
    kind, _, address = hint.partition(":")
    return kind == "tcp" and _loops(address.rpartition(":")[0].strip("[]"))


def _loops(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
