"""``raic identity``: the backup of what cannot be made anew."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import click

from raic.cli.credentials import Passphrase
from raic.cli.passphrases import get_passphrase, passphrase_option
from raic.cli.place import DEFAULT_DIRECTORY
from raic.config.credentials import (
    Secret,
    Sources,
    Wanted,
    find_credentials,
    standard_sources,
)
from raic.config.files import replace_file, write_new_file
from raic.config.identity import load_identity
from raic.config.loading import load_servers
from raic.config.model import Config
from raic.config.portable import (
    MAX_FILE_BYTES,
    PortableIdentity,
    gather_identity,
    open_identity,
    put_identity,
    seal_identity,
)
from raic.errors import IdentityError

_EXPORTED = "name a file that 'raic identity export' wrote"


@click.group()
def identity() -> None:
    """Back up who a node is: its keys, and its configuration.

    The rest can be made anew of these and of what its providers hold: see 'raic restore'.
    """


@identity.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--nodedir",
    type=click.Path(path_type=Path),
    default=DEFAULT_DIRECTORY,
    show_default=True,
    help="The node's directory.",
)
@click.option("--with-credentials", is_flag=True, help="Also the secrets of its providers.")
@click.option("--force", is_flag=True, help="Replace FILE.")
@passphrase_option
def export_(
    file: Path, nodedir: Path, *, with_credentials: bool, force: bool, passphrase_file: Path | None
) -> None:
    """Write the identity of a node to FILE, which a passphrase opens.

    The node may run meanwhile.
    """
    os.umask(0o077)
    directory = nodedir.absolute()
    secrets = _secrets(load_servers(directory), directory) if with_credentials else {}
    gathered = gather_identity(directory, secrets, int(time.time()))
    if file.exists() and not force:
        raise _unusable(f"there is a file {file} already", "give --force to replace it")
    passphrase = get_passphrase(passphrase_file, str(file), new=True)
    data = seal_identity(gathered, passphrase)
    open_identity(data, passphrase)
    try:
        (replace_file if force else write_new_file)(file.absolute(), data)
    except OSError as error:
        what = f"{file} cannot be written: {error.strerror}"
        raise _unusable(what, "name a file in a folder that you may write to") from error
    for name in gathered.left_out:
        click.echo(f"not in it, keep a copy yourself: {name}")
    count = sum(len(each) for each in secrets.values())
    credentials = f"with the credentials of {count} providers" if count else "without credentials"
    click.echo(f"wrote the identity of {_names(gathered, directory)} to {file}, {credentials}")
    click.echo("keep it away from this machine, and the passphrase away from it")


@identity.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("nodedir", type=click.Path(path_type=Path))
@click.option(
    "--store",
    type=click.Choice(["keychain", "file"]),
    default="keychain",
    show_default=True,
    help="Where to keep the credentials that are in FILE.",
)
@passphrase_option
def import_(file: Path, nodedir: Path, store: str, passphrase_file: Path | None) -> None:
    """Make a node directory NODEDIR of what 'raic identity export' wrote to FILE.

    Its index is not there: 'raic restore' makes it anew.
    """
    directory = nodedir.absolute()
    found = take_identity(file, directory, passphrase_file, store)
    click.echo(f"the identity of {_names(found, directory)} is in {nodedir}")
    click.echo(f"make its index anew: raic restore {nodedir}")


def take_identity(
    file: Path, directory: Path, passphrase_file: Path | None, store: str
) -> PortableIdentity:
    """Make a node directory of an identity file, unless that node is there.

    :param store: where credentials go: ``keychain`` or ``file``.
    :raises IdentityError: there is another node, or the file cannot be used.
    """
    os.umask(0o077)
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise _unusable(f"{file} is too long for an identity", _EXPORTED)
        data = file.read_bytes()
    except OSError as error:
        raise _unusable(f"{file} cannot be read: {error.strerror}", _EXPORTED) from error
    found = open_identity(data, get_passphrase(passphrase_file, str(file), new=False))
    if put_identity(found, directory, int(time.time())):
        _keep_secrets(found, directory, store)
    return found


def _secrets(
    configs: tuple[Config, ...], directory: Path
) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    secrets = {}
    for config in configs:
        sources = _sources(config)
        found = {}
        for wanted in _wanted(config):
            revealed = find_credentials(wanted, sources.ordered).reveal()
            if revealed:
                found[wanted.provider] = revealed
        secrets[config.node_directory.relative_to(directory).as_posix()] = found
    return secrets


def _keep_secrets(identity: PortableIdentity, directory: Path, store: str) -> None:
    if not any(identity.secrets.values()):
        return
    for config in load_servers(directory):
        name = config.node_directory.relative_to(directory).as_posix()
        secrets = identity.secrets.get(name, {})
        sources = _sources(config)
        target = sources.file if store == "file" else sources.keychain
        for wanted in _wanted(config):
            texts = secrets.get(wanted.provider)
            if texts:
                kept = target.store(wanted, {field: Secret(text) for field, text in texts.items()})
                click.echo(f"the credentials of {wanted.provider} are kept in: {kept}")


def _wanted(config: Config) -> list[Wanted]:
    return [each.cloud.wanted for each in config.backend.members if each.cloud is not None]


def _sources(config: Config) -> Sources:
    passphrase = Passphrase(Path(), may_ask=True)
    server_id = load_identity(config.private).server_id
    sources = standard_sources(config.node_directory, server_id, os.environ, passphrase)
    passphrase.path = sources.file.path
    return sources


def _names(identity: PortableIdentity, directory: Path) -> str:
    places = [directory / server / "private" for server in identity.servers()]
    return ", ".join(load_identity(place).server_id for place in places)


def _unusable(problem: str, remedy: str) -> IdentityError:
    error = IdentityError(problem)
    error.remedy = remedy
    return error
