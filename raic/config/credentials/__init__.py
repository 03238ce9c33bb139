"""The secrets of providers: where they are looked for, in which order, and how they are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from attrs import frozen

from raic.config.credentials.chain import Answer, Credentials, Found, Trouble, find_credentials
from raic.config.credentials.command import CommandSource
from raic.config.credentials.fields import FieldsOf, fields_of
from raic.config.credentials.keychain import ANSWER_SECONDS, KeychainSource
from raic.config.credentials.sealedfile import FILE_NAME, SealedFileSource, find_passphrase
from raic.config.credentials.secret import Secret
from raic.config.credentials.sources import EnvironmentSource, Source, SystemdSource
from raic.config.credentials.wanted import (
    Wanted,
    parse_command,
    parse_mode,
    wanted_credentials,
)

__all__ = [
    "Answer",
    "Credentials",
    "FieldsOf",
    "Found",
    "Secret",
    "Source",
    "Sources",
    "Trouble",
    "Wanted",
    "fields_of",
    "find_credentials",
    "find_passphrase",
    "parse_command",
    "parse_mode",
    "standard_sources",
    "wanted_credentials",
]


@frozen
class Sources:
    """All sources; the first two can be written to."""

    keychain: KeychainSource
    file: SealedFileSource
    systemd: SystemdSource
    environment: EnvironmentSource
    command: CommandSource

    @property
    def ordered(self) -> tuple[Source, ...]:
        """The order in which they are asked."""
        return (self.keychain, self.file, self.systemd, self.environment, self.command)


def standard_sources(
    node_directory: Path,
    server_id: str,
    environment: Mapping[str, str],
    passphrase: Callable[[], Secret | None] | None = None,
    keychain_seconds: float = ANSWER_SECONDS,
) -> Sources:
    """The sources of a node.  Costs nothing; none is asked yet.

    :param server_id: tells this node's entries in the keychain from those of others.
    :param passphrase: of the encrypted file; without it, systemd and the environment are asked.
    """
    return Sources(
        KeychainSource(server_id, seconds=keychain_seconds),
        SealedFileSource(
            node_directory / "private" / FILE_NAME,
            passphrase or partial(find_passphrase, environment),
        ),
        SystemdSource(environment),
        EnvironmentSource(environment),
        CommandSource(node_directory),
    )
