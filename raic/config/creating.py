"""A new node directory: made aside, then moved into place, so that a crash leaves nothing half."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from secrets import token_hex

from attrs import asdict, frozen

from raic.config.addresses import make_addresses, write_addresses
from raic.config.files import sync_directory, write_new_file
from raic.config.identity import Identity, load_identity, new_identity_files
from raic.config.loading import CONFIG_NAME, parse_config
from raic.config.model import Config
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

    def config_text(self) -> str:
        """A small, commented ``raic.cfg``."""
        optional = f"web.port = {self.web_port}\n" if self.web_port else ""
        client = f"\n[client]\nintroducer.furl = {self.introducer}\n" if self.introducer else ""
        return f"""\
# The configuration of a RAIC storage node.  Every key is described in docs/configuration.rst.

[node]
nickname = {self.nickname}
tub.port = {self.port}
# What clients connect to.  Loopback addresses are of use to clients on this machine alone.
tub.location = {self.location}
{optional}
[storage]
backend = provider:disk
# No share is accepted that would leave less room than this on the disk.
reserved_space = 1G

[provider:disk]
type = filesystem
# Relative to this file's folder.
path = storage
{client}"""


def create_node_directory(path: Path, new: NewNode, now: int) -> tuple[Config, Identity]:
    """Make a node directory.

    :param now: the current time.
    :return: the new node's configuration and identity.
    :raises ConfigurationError: what was asked for makes no valid ``raic.cfg``.
    :raises IdentityError: there is something at ``path`` already, or it cannot be made.
    """
    _refuse_unprintable(new)
    config = parse_config(path, new.config_text())
    refuse_taken(path)
    aside = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fill(aside, new, config, now)
        # Onto an empty directory this succeeds; onto one that is in use it fails.
        aside.rename(path)
        sync_directory(path.parent)
    except OSError as error:
        raise cannot_make(path, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return config, load_identity(config.private)


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


def _fill(aside: Path, new: NewNode, config: Config, now: int) -> None:
    os.mkdir(aside, 0o700)
    _write_identity(aside, config, now)
    write_new_file(aside / CONFIG_NAME, new.config_text().encode(), 0o644)
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


def _refuse_unprintable(new: NewNode) -> None:
    """A line break in a value could smuggle in a key."""
    wrong = [name for name, value in asdict(new).items() if not value.isprintable()]
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
