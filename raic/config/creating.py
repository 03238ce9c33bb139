"""A new node directory: made aside, then moved into place, so that a crash leaves nothing half."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from secrets import token_hex
from string import Template

from attrs import asdict, evolve, frozen

from raic.config.addresses import make_addresses, write_addresses
from raic.config.files import sync_directory, write_new_file
from raic.config.identity import Identity, load_identity, new_identity_files
from raic.config.loading import CONFIG_NAME, parse_servers
from raic.config.model import Config
from raic.config.servers import server_directory
from raic.errors import ConfigurationError, IdentityError

DEFAULT_PORT = "tcp:3457:interface=127.0.0.1"
DEFAULT_LOCATION = "tcp:127.0.0.1:3457"


@frozen
class NewNode:
    """What goes into the ``raic.cfg`` of a new node; texts as they stand there."""

    nickname: str = "raic"
    port: str = DEFAULT_PORT
    location: str = DEFAULT_LOCATION
    web_port: str = ""
    introducer: str = ""

    template: str = "disk"

    def config_text(self, directory: Path) -> str:
        """A commented ``raic.cfg``, which names the commands to type next.

        :param directory: of the node.
        """
        return (
            Template(_template(self.template))
            .substitute(
                directory=directory,
                nickname=self.nickname,
                port=self.port,
                location=self.location,
                web=f"web.port = {self.web_port}\n" if self.web_port else "",
                client=f"\n[client]\nintroducer.furl = {self.introducer}"
                if self.introducer
                else "",
            )
            .rstrip()
            + "\n"
        )


def template_names() -> tuple[str, ...]:
    """What there are templates of."""
    return ("disk", "s3", "swift", "three-clouds", "servers")


def _template(name: str) -> str:
    return (files("raic.config") / "templates" / f"{name}.cfg").read_text("utf-8")


Fill = Callable[[Path, Sequence[Config]], None]
"""Completes a new node before anybody can see it: takes the directory as it will be moved into
place, and the servers' configurations as they will be in force.  What it raises is the end of it.
"""


def create_node_directory(path: Path, new: NewNode, now: int) -> tuple[Config, Identity]:
    """Make the directory of a node that is one server.

    :param now: the current time.
    :return: the new node's configuration and identity.
    :raises ConfigurationError: what was asked for makes no valid ``raic.cfg``.
    :raises IdentityError: there is something at ``path`` already, or it cannot be made.
    """
    (config,) = create_new_node(path, new, now)
    return config, load_identity(config.private)


def create_new_node(path: Path, new: NewNode, now: int) -> tuple[Config, ...]:
    """Make a node directory of a template; see :func:`create_from_text`."""
    _refuse_unprintable({**asdict(new), "directory": str(path)})
    return create_from_text(path, new.config_text(path), now)


def create_from_text(
    path: Path, text: str, now: int, fill: Fill | None = None
) -> tuple[Config, ...]:
    """Make a node directory, whole or not at all.

    :param text: of ``raic.cfg``.
    :param now: the current time.
    :param fill: does the rest.
    :return: the configuration of each server.
    :raises ConfigurationError: the text has mistakes.
    :raises IdentityError: there is something at ``path`` already, or it cannot be made.
    """
    configs = parse_servers(path, text)
    refuse_taken(path)
    aside = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fill(aside, text, configs, now)
        if fill is not None:
            fill(aside, configs)
        # Onto an empty directory this succeeds; onto one that is in use it fails.
        aside.rename(path)
        sync_directory(path.parent)
    except OSError as error:
        raise cannot_make(path, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return configs


def create_server_directory(config: Config, now: int) -> None:
    """Make the directory of one of several servers, with an identity, unless it is there.

    :raises IdentityError: it cannot be made.
    """
    path = config.node_directory
    if path.exists():
        return
    aside = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        path.parent.mkdir(0o700, exist_ok=True)
        os.mkdir(aside, 0o700)
        _write_identity(aside, config, now)
        sync_directory(aside)
        aside.rename(path)
        sync_directory(path.parent)
    except OSError as error:
        raise cannot_make(path, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _fill(aside: Path, text: str, configs: Sequence[Config], now: int) -> None:
    os.mkdir(aside, 0o700)
    _write_identity(aside, configs[0], now)
    if len(configs) > 1:
        for config in configs:
            own = server_directory(aside, config.node_directory.name)
            create_server_directory(evolve(config, node_directory=own), now)
    write_new_file(aside / CONFIG_NAME, text.encode(), 0o644)
    sync_directory(aside)


def _write_identity(aside: Path, config: Config, now: int) -> None:
    private = aside / "private"
    # This machine's own addresses are looked up at each start of the node.
    hints = tuple(hint for hint in config.node.hints if hint != "AUTO")
    os.mkdir(private, 0o700)
    for name, data in new_identity_files(now, hints).items():
        write_new_file(private / name, data)
    write_addresses(private, make_addresses(load_identity(private), hints, config.node.nickname))
    sync_directory(private)


def _refuse_unprintable(values: Mapping[str, str]) -> None:
    """A line break in a value could smuggle in a key."""
    wrong = [name for name, value in values.items() if not value.isprintable()]
    if wrong:
        raise ConfigurationError(
            [f"{name.replace('_', ' ')}: write it on one line, in printable text" for name in wrong]
        )


def refuse_taken(path: Path) -> None:
    """Do nothing if a node directory can be made at ``path``.

    :raises IdentityError: there is something already.
    """
    if path.is_symlink() or path.exists():
        if path.is_dir() and not any(path.iterdir()):
            return
        what = "a node" if (path / CONFIG_NAME).exists() else "something else"
        error = IdentityError(f"{path} holds {what} already; nothing was changed")
        error.remedy = "name another directory, or run the node that is there with 'raic run'"
        raise error


def cannot_make(path: Path, cause: OSError) -> IdentityError:
    """The error for a node directory that could not be made."""
    error = IdentityError(f"{path} cannot be made: {cause.strerror}")
    error.remedy = "name a directory whose parent exists and can be written to"
    return error
