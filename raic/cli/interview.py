"""The conversation of ``raic create-node --interactive``: what it asks, and what it tries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
from attrs import define, field, frozen
from rich.console import Console

from raic.assembly.checks import Finding, Level
from raic.backends.registry import ProviderType, Setting, provider_type, provider_types
from raic.cli import asking
from raic.cli.credentials import ask_secret
from raic.cli.telling import printable
from raic.config.backends import NAME, NAME_FORM
from raic.config.composing import Composed, Listening, NewProvider
from raic.config.credentials import Secret
from raic.config.loading import parse_servers
from raic.config.parsers import one_of, whole
from raic.config.providerkeys import FILESYSTEM
from raic.errors import ConfigurationError

FOLDER, CLOUD, ARRAY, SERVERS = "folder", "cloud", "array", "servers"

_SHAPES = (
    (FOLDER, "in a folder of this machine"),
    (CLOUD, "in one cloud"),
    (ARRAY, "in several clouds or folders, coded so that whole ones may be lost"),
    (SERVERS, "in several clouds, each a server of its own: the clients spread their shares"),
)

_KINDS = {
    FILESYSTEM: "a folder of this machine",
    "s3": "Amazon S3, and what speaks its protocol",
    "swift": "OpenStack Swift",
    "cloudfiles": "Rackspace Cloud Files",
    "libcloud": "what else Apache Libcloud has a driver for",
}

_ASKED: Mapping[str, tuple[str, ...]] = {
    "s3": ("container", "region", "endpoint_url"),
    "swift": ("container", "auth_url", "auth_version", "project", "region"),
    "cloudfiles": ("container", "region"),
    "libcloud": ("driver", "container", "region", "host", "port"),
}
"""What is asked of our own types; of others, what they require."""

_FIRST_PORT = 3457
_PAGE_PORT = 3456
_AGAIN, _CHANGE, _KEEP = "again", "change", "keep"

Try = Callable[[NewProvider, Mapping[str, str]], tuple[Finding, ...]]
"""Looks at a provider with these secrets; raises ``ConfigurationError``."""


@frozen
class Answers:
    """What came of the conversation.

    :ivar secrets: by provider and field.
    """

    node: Composed
    secrets: Mapping[str, Mapping[str, Secret]] = field(repr=False)


@define
class Interview:
    """Asks for a node, and tries each answer.

    :param directory: where the node will be.
    :param attempt: looks at a provider.
    """

    directory: Path
    attempt: Try
    _secrets: dict[str, dict[str, Secret]] = field(factory=dict, repr=False)
    _ports: list[int] = field(factory=list)
    _names: list[str] = field(factory=list)

    def hold(self) -> Answers:
        """Ask everything.

        :raises click.Abort: the operator ended it.
        """
        nickname = asking.ask("the name that clients show", asking.one_line, "raic")
        host = asking.ask(
            "where clients reach this machine: its name or address; 127.0.0.1 for clients on this"
            " machine alone",
            asking.reachable_host,
            "127.0.0.1",
        )
        click.echo("\nwhere shares lie:")
        shape = asking.choose("where", _SHAPES, FOLDER)
        count = 1
        if shape in (ARRAY, SERVERS):
            count = asking.ask("how many", _several, "3")
        listening = []
        if shape != SERVERS:
            listening.append(self._listen("the port to listen on", host))
        providers = []
        for number in range(count):
            if count > 1:
                click.echo(f"\nprovider {number + 1} of {count}")
            providers.append(self._provider(shape))
            if shape == SERVERS:
                listening.append(self._listen(f"the port of server {providers[-1].name}", host))
        array = self._array(len(providers)) if shape == ARRAY else None
        introducer = asking.ask(
            "\nthe FURL of an introducer, if there is one", asking.introducer, ""
        )
        page = asking.ask(
            "the port of the status page, on this machine; 'none' for no page",
            self._page_port,
            str(_PAGE_PORT),
        )
        node = Composed(
            nickname,
            tuple(listening),
            tuple(providers),
            array,
            shape == SERVERS,
            introducer,
            page,
        )
        parse_servers(self.directory, node.text())
        return Answers(node, self._secrets)

    def _listen(self, question: str, host: str) -> Listening:
        default = _FIRST_PORT if not self._ports else self._ports[-1] + 1
        port = asking.ask(question, asking.free_port(self._ports), str(default))
        self._ports.append(port)
        here = asking.is_here(host)
        return Listening(port, "127.0.0.1" if host == "localhost" else host, here)

    def _page_port(self, text: str) -> int | None:
        return None if text == "none" else asking.free_port(self._ports)(text)

    # Providers

    def _provider(self, shape: str) -> NewProvider:
        """Ask for a provider until it works, or is to be kept as it is."""
        name, kind = self._name_and_kind(shape)
        provider: NewProvider | None = None
        secrets: dict[str, Secret] = {}
        answer = _CHANGE
        while provider is None or answer != _KEEP:
            if provider is None or answer == _CHANGE:
                provider = NewProvider(name, kind, _settings(kind, provider))
                secrets = _ask_secrets(name, kind)
            if self._works(provider, secrets):
                break
            answer = asking.ask(
                "'again' tries again, 'change' asks again, 'keep' keeps it as it is",
                one_of(_AGAIN, _CHANGE, _KEEP),
                _CHANGE,
            )
        self._secrets[name] = secrets
        return provider

    def _name_and_kind(self, shape: str) -> tuple[str, str]:
        kind = FILESYSTEM
        if shape != FOLDER:
            known = [FILESYSTEM, *provider_types()] if shape == ARRAY else provider_types()
            choices = [(each, _KINDS.get(each, "of another package")) for each in known]
            kind = asking.choose("what it is", choices, "s3")
        if shape in (FOLDER, CLOUD):
            return ("disk" if shape == FOLDER else "cloud"), kind
        default = kind if kind not in self._names else f"{kind}{len(self._names) + 1}"
        name = asking.ask("a name of your own for it", self._new_name, default)
        self._names.append(name)
        return name, kind

    def _new_name(self, text: str) -> str:
        if not NAME.fullmatch(text):
            raise ValueError(f"write it {NAME_FORM}")
        if text in self._names:
            raise ValueError("another one has this name: write another name")
        return text

    def _works(self, provider: NewProvider, secrets: Mapping[str, Secret]) -> bool:
        """Try a provider, and tell what came of it."""
        try:
            with _busy(f"looking at {provider.name}"):
                revealed = {name: secret.reveal() for name, secret in secrets.items()}
                found = self.attempt(provider, revealed)
        except ConfigurationError as error:
            for problem in error.problems:
                asking.tell(f"that cannot be used: {printable(problem)}")
            return False
        for each in found:
            if each.level is not Level.OK:
                asking.tell(f"{each.level.value}: {each.subject}: {printable(each.text)}")
                asking.tell(f"  what to do: {printable(each.remedy)}")
        works = all(each.level is not Level.ERROR for each in found)
        if works:
            asking.tell(f"{provider.name} can be used: {len(found)} things looked at")
        return works

    # The array

    def _array(self, total: int) -> tuple[int, int]:
        needed = asking.ask(
            f"\nhow many of the {total} shall suffice to read",
            _between(1, total),
            str(max(1, (total + 1) // 2)),
        )
        least = min(needed + 1, total)
        happy = asking.ask(
            "how many must have a write before it is acknowledged",
            _between(least, total),
            str(least),
        )
        asking.tell(
            f"any {total - needed} of them may be lost; clients can write while {happy} answer;"
            f" this takes {total / needed:.2f} times the bytes"
        )
        return needed, happy


def _several(text: str) -> int:
    number = whole(text)
    if not 2 <= number <= 20:
        raise ValueError("write a number from 2 to 20")
    return number


def _between(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = whole(text)
        if not least <= number <= most:
            raise ValueError(f"write a number from {least} to {most}")
        return number

    return parse


def _settings(kind: str, before: NewProvider | None) -> dict[str, str]:
    """The texts of a provider's keys."""
    earlier = {} if before is None else before.settings
    if kind == FILESYSTEM:
        default = earlier.get("path", "storage")
        return {"path": asking.ask("the folder", asking.one_line, default)}
    offered = provider_type(kind)
    return {
        each.name: asking.ask(
            f"{each.name}: {each.help.rstrip('.')}",
            _checked(each),
            earlier.get(each.name) or each.default or (None if each.required else ""),
        )
        for each in _asked(kind, offered)
    }


def _asked(kind: str, offered: ProviderType) -> Iterator[Setting]:
    wanted = _ASKED.get(kind)
    for each in offered.settings:
        if each.required or (wanted is not None and each.name in wanted):
            yield each


def _checked(setting: Setting) -> Callable[[str], str]:
    """The text itself, if it can be used."""

    def parse(text: str) -> str:
        asking.one_line(text)
        if text or setting.required:
            setting.parse(text)
        return text

    return parse


def _ask_secrets(name: str, kind: str) -> dict[str, Secret]:
    if kind == FILESYSTEM:
        return {}
    secrets = {}
    for each in provider_type(kind).secrets:
        secret = ask_secret(name, each)
        if secret is not None:
            secrets[each.name] = secret
    return secrets


@contextmanager
def _busy(what: str) -> Iterator[None]:
    console = Console(highlight=False)
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield
