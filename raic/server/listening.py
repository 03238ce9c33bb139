"""What ``tub.port`` and ``tub.location`` mean: endpoints to listen on, hints for clients."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from fcntl import ioctl
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.endpoints import quoteStringArgument, serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint

from raic.errors import ConfigurationError
from raic.server.onion import OnionEndpoint, OnionService

_SIOCGIFADDR = 0x8915
_NEEDS = {"tor": "txtorcon", "i2p": "txi2p"}
_PACKAGES = {"txi2p": "txi2p-tahoe"}
"""Where a library is in a package of another name; the one called txi2p is for Python 2."""


@frozen
class I2pDestination:
    """``[i2p]``: a destination that a running I2P router serves.

    :ivar sam_port: the router's SAM port, as an endpoint description.
    :ivar port: which port clients see.
    :ivar key_file: the destination's private key.
    """

    sam_port: str
    port: int
    key_file: Path


def describe_port(
    description: str, onion: OnionService | None = None, i2p: I2pDestination | None = None
) -> str:
    """The Twisted endpoint description of one item of ``tub.port``; of ``listen:tor`` some words.

    A bare number means TCP; ``listen:tor`` and ``listen:i2p`` mean what their sections say.

    :raises ConfigurationError: the section or the library that the item needs is missing.
    """
    if description == "listen:tor":
        return _describe_onion(onion)
    if description == "listen:i2p":
        return _describe_i2p(i2p)
    return _full(description)


def _describe_onion(onion: OnionService | None) -> str:
    _check_section("tor", onion, "onion.local_port, onion.external_port, onion.private_key_file")
    assert onion is not None
    return f"hidden service of the Tor daemon at {onion.control_port}"


def _describe_i2p(i2p: I2pDestination | None) -> str:
    _check_section("i2p", i2p, "sam.port, dest.port, dest.private_key_file")
    assert i2p is not None
    return f"i2p:{_quote(str(i2p.key_file))}:{i2p.port}:api=SAM:apiEndpoint={_quote(i2p.sam_port)}"


def _quote(value: str) -> str:
    return str(quoteStringArgument(value))  # type: ignore[no-untyped-call]  # Twisted's own


def _check_section(kind: str, section: object, keys: str) -> None:
    problems = []
    library = _NEEDS[kind]
    if find_spec(library) is None:
        package = _PACKAGES.get(library, library)
        problems.append(f"listen:{kind} needs {library}: run 'pip install {package}'")
    if section is None:
        problems.append(f"listen:{kind} needs {keys} in [{kind}]")
    if problems:
        raise ConfigurationError(problems)


def make_endpoint(
    reactor: Any,
    item: str,
    onion: OnionService | None = None,
    i2p: I2pDestination | None = None,
) -> IStreamServerEndpoint:
    """The endpoint that one item of ``tub.port`` means.

    :raises ConfigurationError: the section or the library that it needs is missing, or Twisted
        does not understand it.
    """
    description = describe_port(item, onion, i2p)
    if item == "listen:tor":
        assert onion is not None
        return OnionEndpoint(reactor, onion)
    try:
        endpoint: IStreamServerEndpoint = serverFromString(  # type: ignore[no-untyped-call]  # as above
            reactor, description
        )
    except (ValueError, TypeError) as error:
        raise ConfigurationError([f"[node] tub.port: {description!r}: {error}"]) from error
    return endpoint


def local_addresses() -> tuple[str, ...]:
    """The first IPv4 address of each network interface that has one, loopback last."""
    addresses = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode())
            try:
                addresses.append(socket.inet_ntoa(ioctl(probe, _SIOCGIFADDR, request)[20:24]))
            except OSError:
                continue  # it has none
    return tuple(sorted(addresses, key=lambda address: address.startswith("127.")))


def resolve_location(
    hints: Iterable[str],
    ports: Sequence[str],
    addresses: Callable[[], Sequence[str]] = local_addresses,
) -> tuple[str, ...]:
    """The hints for clients, ``AUTO`` replaced by a hint for each address of this machine.

    The port of these is that of the first TCP item of ``tub.port``; where it listens on one
    interface only, they name that one.

    :raises ConfigurationError: ``AUTO`` without a TCP port.
    """
    resolved: list[str] = []
    for hint in hints:
        resolved += _local_hints(ports, addresses) if hint == "AUTO" else [hint]
    return tuple(dict.fromkeys(resolved))


def _local_hints(ports: Sequence[str], addresses: Callable[[], Sequence[str]]) -> list[str]:
    for description in ports:
        if found := re.match(r"tcp:(?:port=)?(\d+)", _full(description)):
            bound = re.search(r":interface=([^:]+)", description)
            hosts = [bound[1]] if bound and bound[1] != "0.0.0.0" else addresses()  # noqa: S104 - compared, not bound
            return [f"tcp:{host}:{found[1]}" for host in hosts]
    raise ConfigurationError(["[node] tub.location: AUTO needs a tcp: port in tub.port"])


def _full(description: str) -> str:
    return f"tcp:{description}" if description.isdigit() else description
