"""Questions to the operator, each answer tested before the next."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import TypeVar

import click

from raic.assembly.checks.sockets import listeners
from raic.config import parsers

T = TypeVar("T")

CONNECT_SECONDS = 5.0


def ask(question: str, parse: Callable[[str], T], default: str | None = None) -> T:
    """Ask until the answer is right.

    :param parse: makes the value of the text, or raises ``ValueError`` saying what to write.
    :param default: what an empty answer stands for; empty for an answer that may be empty; None
        where there has to be one.
    """
    while True:
        text = click.prompt(question, default=default, show_default=bool(default))
        try:
            return parse(str(text).strip())
        except ValueError as error:
            tell(f"that cannot be used: {error}")


def choose(question: str, choices: Sequence[tuple[str, str]], default: str) -> str:
    """Ask for one of some words, after telling what each means."""
    width = max(len(word) for word, _ in choices)
    for word, meaning in choices:
        click.echo(f"  {word:<{width}}  {meaning}")
    return ask(question, parsers.one_of(*(word for word, _ in choices)), default)


def tell(text: str) -> None:
    """Say something between two questions."""
    click.echo(f"  {text}")


def one_line(text: str) -> str:
    """Text that may stand in ``raic.cfg``."""
    if not text.isprintable():
        raise ValueError("write it on one line, in printable text")
    return text


def free_port(taken: Sequence[int]) -> Callable[[str], int]:
    """Makes the parser of a port on which nothing listens.

    :param taken: by other answers.
    """

    def parse(text: str) -> int:
        port = parsers.port_number(text)
        if port in taken:
            raise ValueError(f"{port} was given to another server already: write another one")
        if listeners(port):
            raise ValueError(
                f"another program listens there (ss -ltnp 'sport = :{port}' names it): write"
                " another one"
            )
        try:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ValueError(f"it cannot be used ({error.strerror}): write another one") from None
        return port

    return parse


def reachable_host(text: str) -> str:
    """A name or an address that leads somewhere."""
    parsers.location(f"tcp:{f'[{text}]' if ':' in text else text}:1")
    try:
        socket.getaddrinfo(text, None)
    except OSError as error:
        raise ValueError(
            f"{text} is not known ({error.strerror}): write an address, or a name that exists"
        ) from None
    return text


def is_here(host: str) -> bool:
    """Whether an address is of use on this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def introducer(text: str) -> str:
    """The FURL of an introducer that can be connected to; empty for none."""
    if not text:
        return ""
    parsers.furl(text)
    hints = text.partition("@")[2].partition("/")[0].split(",")
    addresses = [hint.split(":")[-2:] for hint in hints if hint.startswith("tcp:")]
    for host, port in addresses:
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
        except OSError:
            continue
        return text
    if addresses:
        raise ValueError("it does not answer: ask whoever runs it, or write nothing for now")
    return text
