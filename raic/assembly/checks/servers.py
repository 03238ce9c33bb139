"""``raic.cfg``, and the servers that it is of."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from raic.assembly.checks.configuration import check_configuration, check_writers
from raic.assembly.checks.findings import Finding, grouped
from raic.assembly.checks.secretsinfile import check_secrets
from raic.config.loading import CONFIG_NAME, config_directory, load_config, load_servers
from raic.config.model import Config
from raic.config.reading import read_text
from raic.errors import ConfigurationError


@frozen
class Server:
    """A server to be looked at.

    :ivar name: empty for the only one.
    :ivar directory: its node directory.
    :ivar config: None when ``raic.cfg`` has mistakes.
    """

    name: str
    directory: Path
    config: Config | None


def check_file(directory: Path) -> tuple[list[Finding], list[Server]]:
    """What is found of the file, and what else is to be looked at.

    :param directory: of a node, or of one of several servers.
    """
    main = config_directory(directory)
    loaded = _load(directory)
    mistakes = loaded if isinstance(loaded, ConfigurationError) else loaded[0]
    try:
        text = (main / CONFIG_NAME).read_bytes().decode("utf-8", "replace")
    except OSError:
        return grouped("configuration", check_configuration(main, mistakes, ())), [
            Server("", directory, None)
        ]
    secrets = check_secrets(text)
    told = {finding.line for finding in secrets if finding.line is not None}
    found = [*check_configuration(main, mistakes, told), *secrets, *check_writers(main)]
    return grouped("configuration", found), _servers(directory, loaded, text)


def _load(directory: Path) -> tuple[Config, ...] | ConfigurationError:
    try:
        if config_directory(directory) == directory:
            return load_servers(directory)
        return (load_config(directory),)
    except ConfigurationError as mistakes:
        return mistakes


def _servers(
    directory: Path, loaded: tuple[Config, ...] | ConfigurationError, text: str
) -> list[Server]:
    if not isinstance(loaded, ConfigurationError):
        several = len(loaded) > 1 or loaded[0].node_directory != directory
        return [
            Server(each.node_directory.name if several else "", each.node_directory, each)
            for each in loaded
        ]
    if config_directory(directory) == directory and any(
        section.startswith("server:") for section in read_text(text).sections
    ):
        return []  # the keys are the servers', and which there are is not known yet
    return [Server("", directory, None)]
