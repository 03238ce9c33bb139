"""Listening at a hidden service of a running Tor daemon."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint, clientFromString
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.deferreds import async_to_deferred
from raic.errors import ListenerUnusable

ANSWER_SECONDS = 30.0
"""How long the daemon may take to let the node in, and to make the service."""

AGAIN_SECONDS = 30.0
"""How often it is tried to make the service anew once the daemon is gone."""


@frozen
class OnionService:
    """``[tor]``: a hidden service at which a running Tor daemon lets clients in.

    :ivar control_port: the daemon's control port, as an endpoint description.
    :ivar local_port: where the daemon connects to, on this machine.
    :ivar external_port: which port clients see.
    :ivar key_file: the service's private key, as ``tahoe create-node`` writes it.
    """

    control_port: str
    local_port: int
    external_port: int
    key_file: Path


Connect = Callable[[Any, str], "Deferred[Any]"]
"""Given a reactor and the control port, fires with txtorcon's protocol, ready for commands."""


@async_to_deferred
async def connect_to_daemon(reactor: Any, control_port: str) -> Any:
    """See :data:`Connect`."""
    factory = import_module("txtorcon").TorProtocolFactory()
    endpoint: Any = clientFromString(reactor, control_port)  # type: ignore[no-untyped-call]  # as below
    protocol = await endpoint.connect(factory)
    try:
        await protocol.post_bootstrap
    except BaseException:
        protocol.transport.loseConnection()
        raise
    return protocol


@implementer(IStreamServerEndpoint)
class OnionEndpoint:
    """A port of this machine to which a hidden service leads.

    The daemon drops the service when its control connection ends.  So that stays, and is made anew
    when the daemon was restarted.  Whether the service can be reached from elsewhere already is not
    waited for: that takes a minute, or for ever without a network.
    """

    def __init__(
        self, reactor: Any, service: OnionService, connect: Connect = connect_to_daemon
    ) -> None:
        self._reactor = reactor
        self._service = service
        self._connect = connect

    @async_to_deferred
    async def listen(self, protocolFactory: IProtocolFactory) -> IListeningPort:
        """Listen on the local port, and have the service made.

        :return: fires with the open port; fails with a ``CannotListenError`` or with
            :class:`~raic.errors.ListenerUnusable`.
        """
        service = self._service
        local: Any = TCP4ServerEndpoint(  # type: ignore[no-untyped-call]  # Twisted's own
            self._reactor, service.local_port, interface="127.0.0.1"
        )
        port: IListeningPort = await local.listen(protocolFactory)
        opened = OnionPort(self._reactor, port, service, self._connect)
        try:
            await opened.make_service()
        except BaseException:
            await opened.stop()
            raise
        return opened


@implementer(IListeningPort)
class OnionPort:
    """The open port; the service lasts as long as it."""

    _log = Logger()

    def __init__(
        self, reactor: Any, port: IListeningPort, service: OnionService, connect: Connect
    ) -> None:
        self._reactor = reactor
        self._port = port
        self._service = service
        self._connect = connect
        self._control: Any = None
        self._again: IDelayedCall | None = None
        self._stopped = False

    @async_to_deferred
    async def make_service(self) -> None:
        """Have the daemon make the service.

        :return: fires when it has; fails with ``ListenerUnusable``.
        """
        service = self._service
        making = self._make()
        making.addTimeout(ANSWER_SECONDS, self._reactor)
        try:
            name = await making
        except Exception as error:
            reason = str(error) or type(error).__name__
            raise ListenerUnusable(
                f"the Tor daemon at {service.control_port} makes no hidden service: {reason}",
                "start the daemon, and let this user use its control port (CookieAuthentication 1,"
                " and the group debian-tor on Debian); onion.private_key_file must hold a key of"
                " version 3",
            ) from error
        self._log.info(
            "Tor leads {name}.onion:{port} to this node", name=name, port=service.external_port
        )

    @async_to_deferred
    async def _make(self) -> str:
        service = self._service
        key = service.key_file.read_text("ascii").strip()
        control = await self._connect(self._reactor, service.control_port)
        try:
            answer = await control.queue_command(
                f"ADD_ONION {key} Flags=DiscardPK"
                f" Port={service.external_port},127.0.0.1:{service.local_port}"
            )
        except BaseException:
            control.transport.loseConnection()
            raise
        self._control = control
        control.when_disconnected().addBoth(self._lost, control)
        fields = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
        return str(fields.get("ServiceID", "?"))

    def _lost(self, _: object, control: Any) -> None:
        if control is not self._control:
            return
        self._control = None
        if not self._stopped:
            self._log.warn(
                "the Tor daemon is gone, and the hidden service with it; it is made anew as soon"
                " as the daemon is back: start it"
            )
            self._try_later()

    def _try_later(self) -> None:
        self._again = self._reactor.callLater(AGAIN_SECONDS, self._try_again)

    def _try_again(self) -> None:
        self._again = None

        def failed(_: Failure) -> None:
            if not self._stopped:
                self._try_later()

        self.make_service().addErrback(failed)

    @async_to_deferred
    async def stop(self) -> None:
        """Close the port, and have the daemon drop the service."""
        self._stopped = True
        if self._again is not None:
            self._again.cancel()
            self._again = None
        control, self._control = self._control, None
        if control is not None:
            control.transport.loseConnection()
        await maybeDeferred(self._port.stopListening)

    # IListeningPort

    def startListening(self) -> None:
        """It listens already."""

    def stopListening(self) -> Deferred[None]:
        """Close the port; fires when that is done."""
        return self.stop()

    def getHost(self) -> IAddress:
        """The local port's address."""
        return self._port.getHost()
