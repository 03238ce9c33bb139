"""Parsers of values: each takes a key's text and raises ``ValueError`` saying what to write."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Callable, Sequence
from time import strptime
from typing import TypeVar

T = TypeVar("T")
Parser = Callable[[str], T]

_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_SIZE = re.compile(r"(?P<number>\d+)\s*(?P<scale>[KMGTPE]?)(?P<binary>I?)B?", re.IGNORECASE)
_DURATION = re.compile(r"(?P<number>\d+)\s*(?P<unit>days?|months?|mos?|years?)")
_UNIT_DAYS = {"day": 1, "mo": 31, "month": 31, "year": 365}
_SHORT_DURATION = re.compile(r"(?P<number>\d{1,6})\s*(?P<unit>minutes?|hours?|days?)")
_UNIT_SECONDS = {"minute": 60, "hour": 60 * 60, "day": 24 * 60 * 60}
_HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]")
_FURL = re.compile(r"pb://[a-z2-7]{32}@[^/\s#]*/[^/\s#]+")
DAY = 24 * 60 * 60


def text(value: str) -> str:
    """One line of printable text."""
    if not value.isprintable():
        raise ValueError("write it on one line, without control characters")
    return value


def boolean(value: str) -> bool:
    """A boolean."""
    try:
        return _BOOLEANS[value.lower()]
    except KeyError:
        raise ValueError("write true or false") from None


def only(allowed: bool, reason: str) -> Parser[bool]:
    """A boolean of which one value alone can be honoured."""

    def parse(value: str) -> bool:
        if boolean(value) is not allowed:
            raise ValueError(reason)
        return allowed

    parse.__doc__ = boolean.__doc__
    return parse


def one_of(*choices: str) -> Parser[str]:
    """One of a few words."""

    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError("write one of: " + ", ".join(choices))
        return value

    parse.__doc__ = "One of: " + ", ".join(choices)
    return parse


def exactly(allowed: str, reason: str) -> Parser[str]:
    """A word of which one alone can be honoured."""

    def parse(value: str) -> str:
        if value.lower() != allowed:
            raise ValueError(reason)
        return allowed

    return parse


def size(value: str) -> int:
    """A size, such as 5G, 100 MB or 1GiB; an empty one is nothing."""
    if not value:
        return 0
    found = _SIZE.fullmatch(value)
    if found is None:
        raise ValueError("write a size such as 5G, 100 MB or 1GiB")
    power = " KMGTPE".index(found["scale"].upper() or " ")
    factor: int = (1024 if found["binary"] else 1000) ** power
    return int(found["number"]) * factor


def positive_size(value: str) -> int:
    """A size above 0, such as 64MiB."""
    number = size(value)
    if not number:
        raise ValueError("write a size above 0, such as 64MiB")
    return number


def whole(value: str) -> int:
    """A whole number above 0."""
    if not re.fullmatch(r"[0-9]{1,9}", value) or not int(value):
        raise ValueError("write a whole number above 0")
    return int(value)


def seconds(value: str) -> int:
    """A whole number of seconds, up to a day; 0 is possible."""
    if not re.fullmatch(r"[0-9]{1,5}", value) or int(value) > DAY:
        raise ValueError("write a whole number of seconds, from 0 to 86400")
    return int(value)


def count(value: str) -> int:
    """A whole number, 0 included."""
    if not value.isascii() or not value.isdecimal() or len(value) > 9:
        raise ValueError("write a whole number, such as 0 or 3")
    return int(value)


def price(value: str) -> float:
    """An amount of money, without a currency."""
    if not re.fullmatch(r"[0-9]{1,9}([.][0-9]{1,9})?", value):
        raise ValueError("write an amount such as 0.023, without a currency")
    return float(value)


def percentage(value: str) -> float:
    """A percentage, without the sign: above 0."""
    if not re.fullmatch(r"[0-9]{1,3}([.][0-9]{1,9})?", value) or not 0 < float(value) <= 100:
        raise ValueError("write a percentage above 0 and up to 100, such as 99.9")
    return float(value)


def port_number(value: str) -> int:
    """The number of a TCP port."""
    if not _is_port(value):
        raise ValueError("write a port number from 1 to 65535")
    return int(value)


def optional(inner: Parser[T]) -> Callable[[str], T | None]:
    """A value that may be left empty."""

    def parse(value: str) -> T | None:
        return inner(value) if value else None

    parse.__doc__ = inner.__doc__
    return parse


def duration(value: str) -> int:
    """A duration, such as 60 days, 2 months or 1 year."""
    found = _DURATION.fullmatch(value)
    if found is None:
        raise ValueError("write a duration such as 60 days, 2 months or 1 year")
    return int(found["number"]) * _UNIT_DAYS[found["unit"].removesuffix("s")] * DAY


def short_duration(value: str) -> int:
    """A duration of minutes, hours or days, in seconds."""
    found = _SHORT_DURATION.fullmatch(value)
    if found is None or int(found["number"]) == 0:
        raise ValueError("write a duration such as 30 minutes, 1 hour or 2 days")
    return int(found["number"]) * _UNIT_SECONDS[found["unit"].removesuffix("s")]


def date(value: str) -> int:
    """A date, such as 2030-01-16."""
    try:
        return timegm(strptime(value, "%Y-%m-%d"))
    except ValueError:
        raise ValueError("write a date such as 2030-01-16") from None


def furl(value: str) -> str:
    """A FURL: pb://TUBID@tcp:HOST:PORT/NAME."""
    if not _FURL.fullmatch(value):
        raise ValueError("write a FURL: pb://TUBID@tcp:HOST:PORT/NAME")
    return value


def file_name(value: str) -> str:
    """The path of a file or directory."""
    if not value:
        raise ValueError("write a path")
    return text(value)


def ports(value: str) -> tuple[str, ...]:
    """Twisted server endpoint descriptions, separated by commas."""
    if value == "disabled":
        raise ValueError("a storage node has to listen: write such as tcp:3457")
    return tuple(_port(each.strip()) for each in re.split(r"(?<!\\),", value))


def _port(description: str) -> str:
    if description.isdigit():
        description = f"tcp:{description}"
    kind, *arguments = re.split(r"(?<!\\):", description)
    if kind == "systemd" or description in ("listen:tor", "listen:i2p"):
        return description
    if kind not in ("tcp", "tcp6") or not arguments:
        raise ValueError("write such as tcp:3457 or tcp:3457:interface=127.0.0.1")
    _check_port(arguments)
    return description


def _check_port(arguments: Sequence[str]) -> None:
    named = dict(argument.partition("=")[::2] for argument in arguments if "=" in argument)
    bare = [argument for argument in arguments if "=" not in argument]
    if len(bare) > 1 or not named.keys() <= {"port", "interface", "backlog"}:
        raise ValueError("beside the port number only interface=ADDRESS and backlog=NUMBER may be")
    if not _is_port(bare[0] if bare else named.get("port", "")):
        raise ValueError("write a port number from 1 to 65535, since clients have to know it")


def _is_port(number: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{1,5}", number)) and 0 < int(number) < 65536


def location(value: str) -> tuple[str, ...]:
    """Hints, such as tcp:storage.example.net:3457, separated by commas."""
    if value == "disabled":
        raise ValueError("a storage node has to be reachable: write such as tcp:HOST:3457")
    return tuple(_hint(each.strip()) for each in value.split(","))


def _hint(hint: str) -> str:
    if hint == "AUTO" or re.fullmatch(r"i2p:[A-Za-z0-9.~:=-]+", hint):
        return hint
    kind, _, address = hint.partition(":") if re.match("(tcp|tor):", hint) else ("tcp", "", hint)
    host, _, port = address.rpartition(":")
    if not _HOST.fullmatch(host) or not _is_port(port):
        raise ValueError("write such as tcp:storage.example.net:3457")
    if kind == "tor" and not host.endswith(".onion"):
        raise ValueError("the host of a tor: hint ends in .onion")
    return f"{kind}:{host}:{port}"
