"""Who listens on which TCP port, as the kernel tells it: nothing is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from attrs import frozen

_LISTENING = "0A"

Address = IPv4Address | IPv6Address


@frozen
class Listener:
    """A socket that takes connections.

    :ivar socket: its number in ``/proc``.
    """

    address: Address
    port: int
    socket: int

    def covers(self, wanted: Address) -> bool:
        """Whether another socket cannot take this address, on the same port."""
        anywhere = self.address.is_unspecified or wanted.is_unspecified
        same_kind = self.address.version == wanted.version
        # A socket for all addresses of IPv6 takes those of IPv4 too, as a rule.
        both = self.address.is_unspecified and self.address.version == 6
        return self.address == wanted or (anywhere and (same_kind or both))


def listeners(port: int, net: Path = Path("/proc/net")) -> list[Listener]:
    """Those on one port."""
    found = [*_listed(net / "tcp"), *_listed(net / "tcp6")]
    return [listener for listener in found if listener.port == port]


def sockets_of(process: int, proc: Path = Path("/proc")) -> frozenset[int] | None:
    """The numbers of a process's sockets; None when this user may not know them."""
    links = []
    try:
        for each in (proc / str(process) / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                links.append(os.readlink(each))
    except OSError:
        return None
    numbers = (link[len("socket:[") : -1] for link in links if link.startswith("socket:["))
    return frozenset(map(int, numbers))


def _listed(path: Path) -> Iterator[Listener]:
    """``0: 0100007F:0D81 00000000:0000 0A ... 15 fields, the tenth the socket's number``."""
    try:
        lines = path.read_text("ascii").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        words = line.split()
        if words[3] == _LISTENING:
            address, port = words[1].split(":")
            yield Listener(_address(address), int(port, 16), int(words[9]))


def _address(text: str) -> Address:
    """Groups of four bytes, each of them little-endian."""
    data = bytes.fromhex(text)
    return ip_address(b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4)))
