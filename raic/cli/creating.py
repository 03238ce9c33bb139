"""A new node, made of a conversation: nothing is there until all of it is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from attrs import evolve

from raic.assembly.checks import Finding
from raic.assembly.checks.trying import try_provider
from raic.cli.credentials import UNLOCK_SECONDS, ask_passphrase
from raic.cli.interview import Answers, Interview
from raic.cli.reactorthread import ReactorThread
from raic.config.composing import NewProvider
from raic.config.creating import NewNode, create_from_text, create_new_node
from raic.config.credentials import Secret, Wanted, find_passphrase, standard_sources
from raic.config.credentials.keychain import KeychainSource
from raic.config.credentials.sealedfile import (
    PASSPHRASE_CREDENTIAL,
    PASSPHRASE_VARIABLE,
    SealedFileSource,
)
from raic.config.identity import load_identity
from raic.config.model import Config
from raic.config.providerkeys import FILESYSTEM
from raic.config.servers import server_directory
from raic.errors import CredentialsUnusable

TRY_SECONDS = 15.0
"""How long a service may take to answer a question while the operator waits."""

Store = KeychainSource | SealedFileSource


def hold_conversation(directory: Path, now: int) -> tuple[Config, ...]:
    """Ask, try, ask once more, and make the node.

    :raises click.Abort: the operator ended it; nothing was made.
    """
    click.echo(
        f"a new storage node in {directory}; every answer is tried, nothing is made before the last"
        " question, and Ctrl-C ends this\n"
    )
    with ExitStack() as held:
        scratch = Path(held.enter_context(TemporaryDirectory(prefix="raic-"))) / "node"
        create_new_node(scratch, NewNode(), now)
        reactor = held.enter_context(ReactorThread())
        answers = Interview(directory, _Attempt(directory, scratch, reactor)).hold()
    text = answers.node.text()
    click.echo(f"\n{text}")
    click.confirm(f"make this node in {directory}?", default=True, abort=True)
    keeping = _Keeping(answers)
    try:
        configs = create_from_text(directory, text, int(time.time()), keeping.keep)
    except BaseException:
        keeping.undo()
        raise
    if keeping.in_file:
        click.echo(
            f"the node needs the passphrase at each start: in {PASSPHRASE_VARIABLE}, or as the"
            f" systemd credential {PASSPHRASE_CREDENTIAL}"
        )
    return configs


class _Attempt:
    """Looks at providers, with a node directory that is there for this alone."""

    def __init__(self, directory: Path, scratch: Path, reactor: ReactorThread) -> None:
        self._directory = directory
        self._scratch = scratch
        self._reactor = reactor

    def __call__(self, provider: NewProvider, secrets: Mapping[str, str]) -> tuple[Finding, ...]:
        section = self._placed(provider).section()
        found = self._reactor.ask(
            lambda reactor: try_provider(
                self._scratch, provider.name, section, secrets, reactor, TRY_SECONDS
            )
        )
        return tuple(self._at_home(each) for each in found)

    def _placed(self, provider: NewProvider) -> NewProvider:
        """A folder within the new node's directory is tried beside that."""
        path = Path(provider.settings.get("path", "")).expanduser()
        if provider.kind != FILESYSTEM or path.is_absolute():
            return provider
        beside = next(each for each in self._directory.parents if each.exists())
        return evolve(provider, settings={"path": str(beside / f".{self._directory.name}.try")})

    def _at_home(self, finding: Finding) -> Finding:
        """With the node's own directory in the place of the other."""
        scratch, directory = str(self._scratch), str(self._directory)
        return evolve(
            finding,
            text=finding.text.replace(scratch, directory),
            remedy=finding.remedy.replace(scratch, directory),
        )


class _Keeping:
    """Keeps the secrets of a node that is just being made, and can undo that.

    :ivar in_file: whether they are in the encrypted file.
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._kept: list[tuple[Store, Wanted]] = []
        self._passphrase: Secret | None = None
        self.in_file = False

    def keep(self, aside: Path, configs: Sequence[Config]) -> None:
        """Keep them; see :data:`~raic.config.creating.Fill`."""
        for config in configs:
            place = aside
            if len(configs) > 1:
                place = server_directory(aside, config.node_directory.name)
            for wanted in _wanted(config):
                secrets = self._answers.secrets.get(wanted.provider, {})
                if secrets:
                    self._keep_one(place, config, wanted, secrets)

    def undo(self) -> None:
        """Forget them; the file is gone with the directory that it was in."""
        for store, wanted in self._kept:
            with _told():
                store.forget(wanted)

    def _keep_one(
        self, place: Path, config: Config, wanted: Wanted, secrets: Mapping[str, Secret]
    ) -> None:
        identity = load_identity(place / "private")
        sources = standard_sources(place, identity.server_id, os.environ, self._ask, UNLOCK_SECONDS)
        if self._passphrase is None:
            # Noted first: what an interrupt leaves half done is to be undone, too.
            self._kept.append((sources.keychain, wanted))
            try:
                click.echo(f"{wanted.provider}: kept in {sources.keychain.store(wanted, secrets)}")
            except CredentialsUnusable as error:
                store, _ = self._kept.pop()
                with suppress(CredentialsUnusable):
                    store.forget(wanted)
                click.echo(f"the keychain cannot be used: {error}")
                click.echo("the secrets go into an encrypted file of the node, with a passphrase")
            else:
                return
        sources.file.store(wanted, secrets)
        name = sources.file.path.name
        click.echo(f"{wanted.provider}: kept in {config.private / name}")
        self.in_file = True

    def _ask(self) -> Secret:
        """The passphrase of the encrypted file: one for all."""
        if self._passphrase is None:
            self._passphrase = find_passphrase(os.environ) or ask_passphrase(
                "New passphrase for the encrypted file"
            )
        return self._passphrase


def _wanted(config: Config) -> Iterator[Wanted]:
    for member in config.backend.members:
        if member.cloud is not None:
            yield member.cloud.wanted


@contextmanager
def _told() -> Iterator[None]:
    """What cannot be undone is told, and does not hold up the rest."""
    try:
        yield
    except CredentialsUnusable as error:
        click.echo(f"raic: {error}\nwhat to do: {error.remedy}", err=True)
