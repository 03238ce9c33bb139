"""The ``raic.cfg`` of a new node, made of answers."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from raic.errors import ConfigurationError


@frozen
class NewProvider:
    """A provider.

    :ivar settings: the texts of its keys, ``type`` aside.
    """

    name: str
    kind: str
    settings: Mapping[str, str] = field(factory=dict)

    def section(self) -> str:
        """Its lines."""
        lines = [f"[provider:{self.name}]", f"type = {self.kind}"]
        lines += [f"{key} = {value}" for key, value in self.settings.items() if value]
        _refuse_unprintable(lines)
        return "\n".join([*lines, ""])


@frozen
class Listening:
    """Where a server listens and is reached.

    :ivar host: what clients connect to.
    :ivar here: whether only clients on this machine can.
    """

    port: int
    host: str
    here: bool

    def lines(self) -> list[str]:
        """``tub.port`` and ``tub.location``."""
        where = f":interface={self.host}" if self.here else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return [f"tub.port = tcp:{self.port}{where}", f"tub.location = tcp:{host}:{self.port}"]


@frozen
class Composed:
    """A node.

    :ivar array: ``needed`` and ``happy`` of an array of all providers; None for none.
    :ivar servers: whether each provider is a server of its own.
    :ivar listening: of each server; one, unless there are several.
    :ivar web_port: of the status page, on this machine; None for no page.
    """

    nickname: str
    listening: tuple[Listening, ...]
    providers: tuple[NewProvider, ...]
    array: tuple[int, int] | None = None
    servers: bool = False
    introducer: str = ""
    web_port: int | None = None

    def text(self) -> str:
        """The file.

        :raises ConfigurationError: an answer cannot stand in it.
        """
        lines = [
            "# The configuration of a RAIC storage node.  Every key is described in"
            " docs/configuration.rst.",
            "",
            "[node]",
            f"nickname = {self.nickname}",
            *([] if self.servers else self.listening[0].lines()),
            *([] if self.web_port is None else [f"web.port = tcp:{self.web_port}"]),
            "",
            *self._backend(),
            *([f"[client]\nintroducer.furl = {self.introducer}\n"] if self.introducer else []),
        ]
        _refuse_unprintable([self.nickname, self.introducer])
        return "\n".join(lines) + "\n" + "\n".join(each.section() for each in self.providers)

    def _backend(self) -> list[str]:
        names = [each.name for each in self.providers]
        if self.servers:
            lines = []
            for name, listening in zip(names, self.listening, strict=True):
                section = [f"[server:{name}]", f"backend = provider:{name}"]
                lines += [*section, *listening.lines(), ""]
            return lines
        if self.array is None:
            folder = self.providers[0].kind == "filesystem"
            reserved = ["reserved_space = 1G"] if folder else []
            return ["[storage]", f"backend = provider:{names[0]}", *reserved, ""]
        needed, happy = self.array
        return [
            *("[storage]", "backend = array:all", ""),
            *("[array:all]", f"providers = {', '.join(names)}"),
            "# So many suffice to read.",
            f"needed = {needed}",
            "# So many must have a write before it is acknowledged.",
            *(f"happy = {happy}", ""),
        ]


def _refuse_unprintable(texts: list[str]) -> None:
    """A line break could smuggle in a key."""
    if not all(text.isprintable() for text in texts):
        raise ConfigurationError(["write it on one line, in printable text"])
