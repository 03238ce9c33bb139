"""The operator's face, as the configuration has it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from raic.assembly.members import Reactor
from raic.assembly.status import NodeStatusGatherer, ServerStatusGatherer, WarningBook
from raic.config.credentials import find_credentials, standard_sources
from raic.config.credentials.page import WEB, WEB_NAME
from raic.config.identity import Identity, load_identity
from raic.config.loading import config_directory
from raic.config.model import Config, NodeSettings
from raic.config.webport import WebPort, parse_web_port
from raic.deferreds import async_to_deferred
from raic.errors import ConfigurationError, IdentityError
from raic.server.web import WebSite
from raic.status import NodeStatus
from raic.workers import ThreadWorkers

Password = Callable[[], "str | None"]
"""Looks for the password; blocks.  Raises ``ConfigurationError`` when it cannot be had."""


def make_web_face(
    configs: Sequence[Config],
    identities: Sequence[Identity],
    servers: Callable[[], Sequence[ServerStatusGatherer]],
    warnings: WarningBook,
    reactor: Reactor,
) -> WebFace | None:
    """The face of a process with these servers; None where ``web.port`` is empty.

    :param servers: asks for those that have started.
    """
    node = configs[0].node
    if node.web_port is None:
        return None
    directory = config_directory(configs[0].node_directory)
    password: Password = partial(find_password, directory, identities[0])
    if any(WEB_NAME in config.providers for config in configs):
        password = _ambiguous
    return WebFace(node, NodeStatusGatherer(servers, warnings, reactor), password, reactor)


def find_password(
    directory: Path, identity: Identity, environment: Mapping[str, str] | None = None
) -> str | None:
    """The password of the status page; None without any.  Blocks.

    :param directory: with ``raic.cfg``; its keys say which entries of the keychain are meant.
    :param environment: variables, where it may be; None for those of this process.
    :param identity: for a directory that has none.
    :raises ConfigurationError: there is none, and some place could not be looked into.
    """
    with suppress(IdentityError):  # of several servers each has keys of its own
        identity = load_identity(directory / "private")
    variables = os.environ if environment is None else environment
    sources = standard_sources(directory, identity.server_id, variables)
    answer = find_credentials(WEB, sources.ordered)
    found = answer.found.get("password")
    if found is not None:
        return found.secret.reveal()
    if answer.troubles:
        raise ConfigurationError([f"{each.problem}: {each.remedy}" for each in answer.troubles])
    return None


def _ambiguous() -> None:
    raise ConfigurationError(
        [f"raic.cfg: [provider:{WEB_NAME}]: rename it, for the page's password is kept as its"]
    )


class WebFace:
    """The status page at its port.

    :param password: looks for it.
    """

    _log = Logger()

    def __init__(
        self,
        node: NodeSettings,
        gatherer: NodeStatusGatherer,
        password: Password,
        reactor: Reactor,
    ) -> None:
        assert node.web_port is not None
        self._place = parse_web_port(node.web_port)
        self._names = (*node.web_hosts, *own_names())
        self._gatherer = gatherer
        self._password = password
        self._reactor = reactor
        self._workers = ThreadWorkers(reactor, 1, "raic-web")
        self._site: WebSite | None = None
        self._port: IListeningPort | None = None
        self._stopped = False

    @async_to_deferred
    async def start(self) -> str:
        """Serve it.

        :return: fires with a line that says where; fails with a ``ConfigurationError`` where it
            may not be served without a password and there is none, or with ``CannotListenError``.
        """
        try:
            password = await self._workers.run(self._password)
        except ConfigurationError as error:
            if not self._place.is_local:
                raise without_password(self._place, error.problems) from error
            self._log.warn("the status page asks for no password: {error}", error=error)
            password = None
        if password is None and not self._place.is_local:
            raise without_password(self._place)
        if self._stopped:
            return ""
        self._site = WebSite(self._gather, self._reactor, password, self._names)
        port: IListeningPort = self._reactor.listenTCP(
            self._place.port, self._site, interface=self._place.interface
        )
        self._port = port
        number = cast(IPv4Address | IPv6Address, port.getHost()).port
        return f"status page: http://{_host(self._place)}:{number}/"

    @async_to_deferred
    async def reload(self) -> None:
        """Look for the password again; never fails: what cannot be had stays as it was."""
        try:
            password = await self._workers.run(self._password)
        except ConfigurationError as error:
            self._log.warn("the status page's password stays as it was: {error}", error=error)
            return
        if self._site is None:
            return
        if password is None and not self._place.is_local:
            self._log.warn("the status page keeps its password, which is nowhere any more")
            return
        self._site.use_password(password)

    @async_to_deferred
    async def stop(self) -> None:
        """Serve it no more; never fails."""
        self._stopped = True
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
        if self._site is not None:
            self._site.close()
        await self._workers.stop()

    def _gather(self, reveal: bool) -> Deferred[NodeStatus]:
        return self._gatherer.gather(reveal=reveal)


def without_password(place: WebPort, problems: Sequence[str] = ()) -> ConfigurationError:
    """Why a page that others reach is not served.

    :param problems: of the places where a password could be.
    """
    what = (
        f"raic.cfg: [node] web.port: the status page is not served at {place.interface}, which"
        " others reach, without a password"
    )
    error = ConfigurationError([what, *problems])
    error.remedy = (
        "run 'raic credentials set web' and start the node again, or remove the interface from"
        " web.port: then only this machine reaches it"
    )
    return error


def own_names() -> tuple[str, ...]:
    """The names of this machine, as far as it knows them itself."""
    name = socket.gethostname().lower()
    return (name, name.partition(".")[0]) if name else ()


def _host(place: WebPort) -> str:
    return f"[{place.interface}]" if ":" in place.interface else place.interface
