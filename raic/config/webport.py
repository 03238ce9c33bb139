"""Where the operator's status page is: ``web.port``."""

from __future__ import annotations

import re
from ipaddress import ip_address

from attrs import frozen

DEFAULT_INTERFACE = "127.0.0.1"

_FORM = re.compile(
    r"(?:(?P<kind>tcp6?):(?:port=)?)?(?P<port>\d{1,5})(?::interface=(?P<interface>[0-9A-Fa-f.:\\]+))?"
)
_NAME = re.compile(r"[a-z0-9._-]{1,253}")
_WRITE = "write a port, or such as tcp:3456:interface=127.0.0.1"


@frozen
class WebPort:
    """A TCP port.

    :ivar interface: the address of the network interface, IPv4 or IPv6.
    """

    port: int
    interface: str

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return ip_address(self.interface).is_loopback


def web_port(value: str) -> str:
    """The value of ``web.port``, checked; raises ``ValueError`` saying what to write."""
    parse_web_port(value)
    return value


def host_names(value: str) -> tuple[str, ...]:
    """The value of ``web.hosts``; raises ``ValueError`` saying what to write."""
    names = tuple(name.strip().lower() for name in value.split(",") if name.strip())
    if not all(_NAME.fullmatch(name) for name in names):
        raise ValueError("write names such as status.example.net, separated by commas, no ports")
    return names


def parse_web_port(value: str) -> WebPort:
    """What ``web.port`` says; without an interface it is loopback.

    :raises ValueError: it says what to write.
    """
    found = _FORM.fullmatch(value)
    if found is None or int(found["port"]) > 65535:
        raise ValueError(_WRITE)
    default = "::1" if found["kind"] == "tcp6" else DEFAULT_INTERFACE
    interface = (found["interface"] or default).replace("\\", "")
    try:
        ip_address(interface)
    except ValueError:
        raise ValueError(f"the interface is an address: {_WRITE}") from None
    return WebPort(int(found["port"]), interface)
