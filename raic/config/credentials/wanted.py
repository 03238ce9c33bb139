"""What ``raic.cfg`` says of credentials: which providers need them, and where they may be."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from attrs import frozen

from raic.backends.registry import Secret as Field
from raic.config.credentials.fields import FieldsOf, fields_of
from raic.config.reading import Text
from raic.errors import ConfigurationError

AMBIENT = "ambient"
STORED = "stored"
DEFAULT_TYPE = "filesystem"

_SECTION = "provider:"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


@frozen
class Wanted:
    """The credentials that one provider needs.

    :ivar provider: its name.
    :ivar kind: its type.
    :ivar ambient: whether the cloud's SDK finds credentials by itself.
    :ivar command: the words of ``credentials_command``; none for no command.
    """

    provider: str
    kind: str
    fields: tuple[Field, ...]
    ambient: bool = False
    command: tuple[str, ...] = ()

    @property
    def required(self) -> frozenset[str]:
        """The names of the fields that must be found."""
        return frozenset(field.name for field in self.fields if not field.optional)


def parse_mode(text: str) -> str:
    """One of: stored, ambient."""
    if text not in (STORED, AMBIENT):
        raise ValueError(f"write {STORED} or {AMBIENT}")
    return text


def parse_command(text: str) -> tuple[str, ...]:
    """A program and its arguments."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        reason = str(error).lower()
        raise ValueError(
            f"write a program and its arguments, quoted as in a shell: {reason}"
        ) from None
    if "\0" in text:
        raise ValueError("write it without null characters")
    return words


def wanted_credentials(text: Text, fields: FieldsOf = fields_of) -> tuple[Wanted, ...]:
    """What each ``[provider:NAME]`` section needs, in the order of the file.

    :raises ConfigurationError: the sections have mistakes in what concerns credentials.
    """
    wanted: list[Wanted] = []
    problems: list[str] = []
    for section, line in text.sections.items():
        if section.startswith(_SECTION):
            try:
                wanted.append(_wanted(text, section, fields))
            except (ConfigurationError, ValueError) as error:
                problems.append(f"raic.cfg, line {line}: [{section}] {error}")
    problems += ambiguous_variables(wanted)
    if problems:
        raise ConfigurationError(problems)
    return tuple(wanted)


def _wanted(text: Text, section: str, fields: FieldsOf) -> Wanted:
    name = section.removeprefix(_SECTION)
    if not _NAME.fullmatch(name):
        raise ValueError("name it in lower-case letters, digits, '-' and '_'")
    settings = {
        key: entry.value for (where, key), entry in text.entries.items() if where == section
    }
    kind = settings.get("type", DEFAULT_TYPE)
    try:
        ambient = parse_mode(settings.get("credentials", STORED)) == AMBIENT
    except ValueError as error:
        raise ValueError(f"credentials: {error}") from None
    try:
        command = parse_command(settings.get("credentials_command", ""))
    except ValueError as error:
        raise ValueError(f"credentials_command: {error}") from None
    return Wanted(name, kind, fields(kind, settings), ambient, command)


def variable_name(provider: str, field: str) -> str:
    """The environment variable of a secret: ``RAIC_<PROVIDER>_<FIELD>``."""
    return f"RAIC_{provider}_{field}".replace("-", "_").upper()


def ambiguous_variables(wanted: Iterable[Wanted]) -> list[str]:
    """A problem for each environment variable that would stand for two secrets."""
    owners: dict[str, str] = {}
    problems = []
    for each in wanted:
        for field in each.fields:
            variable = variable_name(each.provider, field.name)
            owner = owners.setdefault(variable, each.provider)
            if owner != each.provider:
                problems.append(
                    f"raic.cfg: the environment variable {variable} would belong to both"
                    f" [provider:{owner}] and [provider:{each.provider}]: rename one"
                )
    return problems
