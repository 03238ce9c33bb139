"""``raic credentials``: the secrets of providers."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Mapping
from getpass import GetPassWarning
from pathlib import Path
from typing import Any, TypeVar

import click
from attrs import define
from twisted.internet.defer import Deferred

from raic.backends.registry import Secret as Field
from raic.cli.completion import provider_names
from raic.cli.failing import FAILED
from raic.cli.place import DEFAULT_DIRECTORY
from raic.cli.reactor import run_until_done
from raic.config.credentials import (
    Answer,
    FieldsOf,
    Secret,
    Sources,
    Wanted,
    fields_of,
    find_credentials,
    find_passphrase,
    standard_sources,
    wanted_credentials,
)
from raic.config.credentials.page import WEB, WEB_NAME, has_page, may_have_password
from raic.config.identity import load_identity
from raic.config.loading import CONFIG_NAME, config_directory
from raic.config.reading import Text, read_text
from raic.config.servers import server_directory, server_providers
from raic.errors import ConfigurationError, CredentialsUnusable, ProviderError

T = TypeVar("T")

UNLOCK_SECONDS = 120.0
"""How long a desktop may take to ask for the keychain's password."""

Prove = Callable[[Path, str, Mapping[str, str], Any], Deferred[str]]
"""Shows that a provider lets us in.

Takes the node directory, the provider's name, its secrets (none with ``credentials = ambient``)
and the reactor.  Fires with a sentence on what was proved; fails with ``ProviderError``, or with
``ConfigurationError`` when the provider cannot be made.
"""

Runner = Callable[[Callable[[Any], Deferred[str]]], str]


def make_credentials_group(
    prove: Prove | None = None, fields: FieldsOf = fields_of, runner: Runner = run_until_done
) -> click.Group:
    """The commands.

    :param prove: what ``test`` does; without it, ``test`` says that it cannot.
    :param fields: which secrets a type needs.
    :param runner: runs what ``prove`` needs the reactor for.
    """

    @click.group("credentials")
    def credentials() -> None:
        """Keep the secrets of providers.

        Secrets are typed in, and go into the OS keychain or into an encrypted file: never onto the
        command line, never into raic.cfg.
        """

    nodedir = click.option(
        "--nodedir",
        type=click.Path(path_type=Path),
        default=DEFAULT_DIRECTORY,
        show_default=True,
        help="The node's directory.",
    )

    @credentials.command("set")
    @click.argument("name", shell_complete=provider_names)
    @nodedir
    @click.option(
        "--store",
        type=click.Choice(["keychain", "file"]),
        default="keychain",
        show_default=True,
        help="Where to keep them: the OS keychain, or a file that a passphrase opens.",
    )
    def set_(name: str, nodedir: Path, store: str) -> None:
        """Ask for the secrets of provider NAME, and keep them.

        NAME is web for the password of the status page.
        """
        _set(_open(nodedir, fields, name), name, store)

    @credentials.command("list")
    @nodedir
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def list_(nodedir: Path, as_json: bool) -> None:
        """Show which secrets are found, and where; never the secrets."""
        _list(_open(nodedir, fields, may_ask=not as_json), as_json=as_json)

    @credentials.command()
    @click.argument("name", shell_complete=provider_names)
    @nodedir
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def test(name: str, nodedir: Path, *, as_json: bool) -> None:
        """Prove that provider NAME lets the node in."""
        _test(_open(nodedir, fields, may_ask=not as_json), name, prove, runner, as_json=as_json)

    @credentials.command()
    @click.argument("name", shell_complete=provider_names)
    @nodedir
    @click.option("--yes", is_flag=True, help="Do not ask.")
    def delete(name: str, nodedir: Path, *, yes: bool) -> None:
        """Delete the secrets of provider NAME from the keychain and the encrypted file."""
        node = _open(nodedir, fields, name)
        node.one(name)
        if not yes:
            click.confirm(f"delete the credentials of {name}?", abort=True)
        _delete(node, name)

    return credentials


@define
class _Node:
    directory: Path
    wanted: tuple[Wanted, ...]
    sources: Sources

    def one(self, name: str) -> Wanted:
        """:raises ConfigurationError: there is no such provider, or it needs no secrets."""
        known = [wanted.provider for wanted in self.wanted]
        if name not in known:
            there = ", ".join(known) or "none"
            raise ConfigurationError([f"there is no section [provider:{name}]; there are: {there}"])
        wanted = self.wanted[known.index(name)]
        if not wanted.fields:
            raise ConfigurationError(
                [f"[provider:{name}]: type {wanted.kind} needs no credentials"]
            )
        return wanted


@define
class Passphrase:
    """The passphrase of the encrypted file: found, or asked for once."""

    path: Path
    may_ask: bool
    known: Secret | None = None

    def __call__(self) -> Secret | None:
        """See :class:`~raic.config.credentials.sealedfile.SealedFileSource`."""
        if self.known is None:
            self.known = find_passphrase(os.environ)
        if self.known is None and self.may_ask:
            new = not self.path.exists()
            text = f"{'New passphrase' if new else 'Passphrase'} for {self.path}"
            self.known = _ask(text, confirm=new)
        return self.known


def _open(
    nodedir: Path, fields: FieldsOf, name: str | None = None, *, may_ask: bool = True
) -> _Node:
    """What raic.cfg says of credentials; nothing else of it needs to be right yet.

    :param name: whose are meant; None for all.
    :raises ConfigurationError: there is no such file, or it has mistakes in that.
    """
    directory = nodedir.absolute()
    path = config_directory(directory) / CONFIG_NAME
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = f"{path} cannot be read: make a node with 'raic create-node'"
        raise ConfigurationError([problem]) from error
    wanted = _wanted(read_text(text), directory, fields, name)
    server_id = load_identity(directory / "private").server_id
    passphrase = Passphrase(Path(), may_ask)
    sources = standard_sources(directory, server_id, os.environ, passphrase, UNLOCK_SECONDS)
    passphrase.path = sources.file.path
    return _Node(directory, wanted, sources)


def _wanted(text: Text, directory: Path, fields: FieldsOf, name: str | None) -> tuple[Wanted, ...]:
    """What the providers of a server need, and its status page."""
    is_main = directory == config_directory(directory)
    if is_main and name == WEB_NAME and may_have_password(text):
        return (WEB,)
    found = _of_server(text, directory, wanted_credentials(text, fields))
    return (*found, WEB) if is_main and has_page(text) else found


def _of_server(text: Text, directory: Path, wanted: tuple[Wanted, ...]) -> tuple[Wanted, ...]:
    """What one server needs; all that there is, unless the node is several servers.

    :raises ConfigurationError: it is, and this is none of them.
    """
    servers = server_providers(text)
    if not servers:
        return wanted
    main = config_directory(directory)
    if directory == main or directory.name not in servers:
        places = ", ".join(str(server_directory(main, name)) for name in servers)
        raise ConfigurationError(
            [f"{main} has several servers, each with credentials of its own: name one of {places}"]
        )
    return tuple(each for each in wanted if each.provider in servers[directory.name])


def _set(node: _Node, name: str, store: str) -> None:
    wanted = node.one(name)
    if wanted.ambient:
        raise ConfigurationError(
            [f"[provider:{name}] says credentials = ambient: remove that line to keep others"]
        )
    target = node.sources.file if store == "file" else node.sources.keychain
    if store == "keychain":
        node.sources.keychain.must_be_usable()  # before anything is typed
    secrets = {}
    for field in wanted.fields:
        secret = ask_secret(name, field)
        if secret is not None:
            secrets[field.name] = secret
    click.echo(f"kept in: {target.store(wanted, secrets)}")
    answer = find_credentials(wanted, node.sources.ordered)
    others = {each.source for each in answer.found.values()} - {target.kind}
    if others:
        raise CredentialsUnusable(
            f"but the secrets of {name} in {', '.join(sorted(others))} come first",
            "delete those there; 'raic credentials list' shows the order",
        )


def _list(node: _Node, *, as_json: bool) -> None:
    answers = [find_credentials(wanted, node.sources.ordered) for wanted in node.wanted]
    if as_json:
        click.echo(json.dumps(_as_json(node.sources, answers), indent=2))
    else:
        _print_list(node.sources, answers)
    if any(answer.missing for answer in answers):
        click.get_current_context().exit(FAILED)


def _test(node: _Node, name: str, prove: Prove | None, runner: Runner, *, as_json: bool) -> None:
    answer = find_credentials(node.one(name), node.sources.ordered)
    if not as_json:
        _print_answer(answer)
    secrets = answer.reveal()
    if prove is None:
        click.echo("raic: this version cannot try providers out", err=True)
        click.get_current_context().exit(FAILED)
    try:
        proved = runner(lambda reactor: prove(node.directory, name, secrets, reactor))
    except ProviderError as error:
        if not as_json:
            raise
        _print_tested(name, works=False, text=str(error), remedy=error.remedy)
        click.get_current_context().exit(FAILED)
    if as_json:
        _print_tested(name, works=True, text=proved, remedy="")
    else:
        click.echo(proved)


def _print_tested(name: str, *, works: bool, text: str, remedy: str) -> None:
    told = {"name": name, "works": works, "text": text, "remedy": remedy}
    click.echo(json.dumps(told, indent=2))


def ask_secret(provider: str, field: Field) -> Secret | None:
    """Ask for a field of a provider's credentials; None for an optional one that is left out.

    :raises click.UsageError: there is no terminal to ask on.
    """
    empty = " (empty for none)" if field.optional else ""
    text = f"{provider} {field.name}, {field.help}{empty}"
    return _ask(text, optional=field.optional, hidden=field.hidden)


def ask_passphrase(text: str) -> Secret:
    """Ask for a new passphrase, twice."""
    secret = _ask(text, confirm=True)
    assert secret is not None
    return secret


def _ask(
    text: str, *, optional: bool = False, hidden: bool = True, confirm: bool = False
) -> Secret | None:
    """Ask until a secret is given.

    :param hidden: ask without echo.

    :raises click.UsageError: there is no terminal to ask on.
    """
    with warnings.catch_warnings():
        # What getpass says before it reads a secret from where it would be seen.
        warnings.simplefilter("error", GetPassWarning)
        while True:
            try:
                given = click.prompt(
                    text,
                    hide_input=hidden,
                    confirmation_prompt=confirm,
                    default="" if optional else None,
                    show_default=False,
                )
                return Secret(given) if given else None
            except GetPassWarning:
                raise click.UsageError(
                    "secrets are asked for on a terminal, and there is none: use systemd"
                    " credentials, the environment or credentials_command"
                ) from None
            except ValueError as error:
                click.echo(f"that cannot be used: {error}", err=True)


def _delete(node: _Node, name: str) -> None:
    wanted = node.one(name)
    troubles = []
    for store in (node.sources.keychain, node.sources.file):
        try:
            if store.forget(wanted):
                click.echo(f"deleted from: {store.describe()}")
        except CredentialsUnusable as error:
            troubles.append(error)
    for trouble in troubles:
        click.echo(f"raic: {trouble}\nwhat to do: {trouble.remedy}", err=True)
    answer = find_credentials(wanted, node.sources.ordered)
    for field, found in answer.found.items():
        click.echo(f"still there: {name} {field}, in {found.source}")
    if not answer.found:
        click.echo(f"nothing is left of the credentials of {name}")
    if troubles:
        click.get_current_context().exit(FAILED)


def _print_list(sources: Sources, answers: list[Answer]) -> None:
    click.echo("secrets are looked for in this order:")
    for number, source in enumerate(sources.ordered, 1):
        click.echo(f"  {number}. {source.kind}: {source.describe()}")
    for answer in answers:
        click.echo("")
        _print_answer(answer)


def _print_answer(answer: Answer) -> None:
    wanted = answer.wanted
    click.echo(f"{wanted.provider} (type {wanted.kind})")
    if wanted.ambient:
        click.echo("  ambient: the cloud's own library looks for them")
    elif not wanted.fields:
        click.echo("  needs no credentials")
    else:
        for field in wanted.fields:
            found = answer.found.get(field.name)
            absent = "none, not needed" if field.optional else "MISSING"
            click.echo(f"  {field.name}: {absent if found is None else found.source}")
    for trouble in answer.troubles:
        click.echo(f"  {trouble.source}: {trouble.problem}")
        click.echo(f"    what to do: {trouble.remedy}")


def _as_json(sources: Sources, answers: list[Answer]) -> dict[str, Any]:
    return {
        "order": [
            {"source": source.kind, "description": source.describe()} for source in sources.ordered
        ],
        "providers": [
            {
                "name": answer.wanted.provider,
                "type": answer.wanted.kind,
                "ambient": answer.wanted.ambient,
                "fields": [
                    {
                        "name": field.name,
                        "optional": field.optional,
                        "source": answer.found[field.name].source
                        if field.name in answer.found
                        else None,
                    }
                    for field in answer.wanted.fields
                ],
                "troubles": [
                    {"source": each.source, "problem": each.problem, "remedy": each.remedy}
                    for each in answer.troubles
                ],
            }
            for answer in answers
        ],
    }
