"""One TCP port for both dialects.

A Foolscap client speaks first, and plainly: ``GET /id/``.  Whatever else comes is the beginning of
TLS, and HTTP is inside.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

FOOLSCAP_BEGINS = b"GET /id/"

FIRST_BYTES_SECONDS = 30.0
"""How long a connection may take to show which dialect it speaks."""

READ_BYTES = 128 * 1024
"""How much of TLS is read from the socket at a time: twice Twisted's own, which takes a tenth off
the work for an upload."""


class _Sniffer(Protocol):
    """Waits for the first bytes, then passes everything on to the dialect's own protocol."""

    def __init__(self, port: SharedFactory, address: IAddress) -> None:
        self._port = port
        self._address = address
        self._first = b""
        self._timer: IDelayedCall | None = None
        self._inner: IProtocol | None = None

    def connectionMade(self) -> None:
        """Start the clock."""
        self._timer = self._port.clock.callLater(FIRST_BYTES_SECONDS, self._hang_up)

    def dataReceived(self, data: bytes) -> None:
        """Pass bytes on, as soon as it is known to whom."""
        # Looked up anew each time: Foolscap replaces its own method once it has negotiated.
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        self._first += data
        begins = self._first[: len(FOOLSCAP_BEGINS)]
        if begins == FOOLSCAP_BEGINS:
            self._become(self._port.foolscap)
        elif not FOOLSCAP_BEGINS.startswith(begins):
            cast(Any, self.transport).bufferSize = READ_BYTES
            self._become(self._port.https)

    def _become(self, factory: IProtocolFactory) -> None:
        self._stop_clock()
        inner = factory.buildProtocol(self._address)
        if inner is None:
            self._hang_up()
            return
        self._inner = inner
        assert self.transport is not None
        inner.makeConnection(self.transport)
        first, self._first = self._first, b""
        inner.dataReceived(first)

    def _hang_up(self) -> None:
        cast(ITCPTransport, self.transport).abortConnection()

    def _stop_clock(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Pass the end on."""
        self._stop_clock()
        if self._inner is not None:
            self._inner.connectionLost(reason)


class SharedFactory(Factory):
    """Gives each connection to one of two factories, by what it says first.

    :param https: already wrapped in TLS.
    """

    noisy = False

    def __init__(
        self, foolscap: IProtocolFactory, https: IProtocolFactory, clock: IReactorTime
    ) -> None:
        self.foolscap = foolscap
        self.https = https
        self.clock = clock

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """See ``IProtocolFactory``."""
        return _Sniffer(self, cast(IAddress, addr))

    def startFactory(self) -> None:
        """Start both."""
        self.foolscap.doStart()
        self.https.doStart()

    def stopFactory(self) -> None:
        """Stop both."""
        self.foolscap.doStop()
        self.https.doStop()


@implementer(IStreamServerEndpoint)
class SharedPort:
    """An endpoint for ``Tub.listenOn`` at which HTTPS is answered too.

    :ivar listening: fires with the port when it is open, fails when it cannot be opened: Foolscap
        itself would tell nobody.
    :param endpoint: where to listen.
    :param https: the HTTP site, already wrapped in TLS; None to offer Foolscap alone.
    :param clock: times the first bytes.
    """

    def __init__(
        self, endpoint: IStreamServerEndpoint, https: IProtocolFactory | None, clock: IReactorTime
    ) -> None:
        self._endpoint = endpoint
        self._https = https
        self._clock = clock
        self.listening: Deferred[IListeningPort] = Deferred()

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen, for Foolscap's factory and the site's.

        :return: fires with the open port; never, if it cannot be opened.
        """
        factory = protocolFactory
        if self._https is not None:
            factory = SharedFactory(protocolFactory, self._https, self._clock)
        for_foolscap: Deferred[IListeningPort] = Deferred()

        def opened(port: IListeningPort) -> None:
            for_foolscap.callback(port)
            self.listening.callback(port)

        self._endpoint.listen(factory).addCallbacks(opened, self.listening.errback)
        return for_foolscap
