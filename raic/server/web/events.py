"""Server-sent events: the page as it changes."""

from __future__ import annotations

import json
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from raic.deferreds import async_to_deferred
from raic.server.web.answers import EVENTS, Answer, Refused
from raic.server.web.channel import WebRequest
from raic.server.web.page import render_main
from raic.status import NodeStatus

Gather = Callable[[bool], Deferred[NodeStatus]]
"""Asks for the status; with what is left out otherwise, when given True."""

INTERVAL_SECONDS = 2.0
"""How often the page changes."""

MOST_LISTENERS = 20
"""How many pages are kept up to date at once; others are as good as without JavaScript."""


@implementer(IPushProducer)
class Listener:
    """A page that is kept up to date; one that does not read misses what happens meanwhile.

    :param reveal: whether it shows what is left out otherwise.
    """

    def __init__(self, request: WebRequest, *, reveal: bool) -> None:
        self.reveal = reveal
        self._request = request
        self._paused = False
        request.registerProducer(self, True)

    def send(self, event: bytes) -> None:
        """Tell it, if it listens."""
        if not self._paused:
            self._request.write(event)

    def pauseProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = True

    def resumeProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = False

    def stopProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = True


class Events:
    """Sends the page again and again to those who listen; does nothing while nobody does."""

    _log = Logger()

    def __init__(self, gather: Gather, clock: IReactorTime) -> None:
        self._gather = gather
        self._clock = clock
        self._listeners: set[Listener] = set()
        self._next: IDelayedCall | None = None
        self._telling: Deferred[None] | None = None

    def add(self, request: WebRequest, *, reveal: bool) -> None:
        """Begin the answer to a request; it ends when the client has enough.

        :raises Refused: there are too many already.
        """
        if len(self._listeners) >= MOST_LISTENERS:
            raise Refused(503, "too many pages are open", {"Retry-After": "60"})
        request.begin_answer(Answer(b"", EVENTS), endless=True)
        if request.method == b"HEAD":
            request.finish()
            return
        request.write(b"retry: 5000\n\n")
        listener = Listener(request, reveal=reveal)
        self._listeners.add(listener)
        request.notifyFinish().addBoth(lambda _: self._listeners.discard(listener))
        if self._next is None and self._telling is None:
            self._next = self._clock.callLater(INTERVAL_SECONDS, self._begin)

    def stop(self) -> None:
        """Send nothing any more."""
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
        if self._telling is not None:
            self._telling.cancel()

    def _begin(self) -> None:
        self._next = None
        if self._listeners:
            self._telling = self._tell()

    @async_to_deferred
    async def _tell(self) -> None:
        """Send it once, and call for the next time; never fails."""
        try:
            for reveal in {each.reveal for each in self._listeners}:
                self._send(render_main(await self._gather(reveal), reveal=reveal), reveal=reveal)
        except CancelledError:
            return
        except Exception:  # noqa: BLE001 - the next time may do better
            self._log.failure("the status page was not brought up to date")
        self._telling = None
        if self._listeners:
            self._next = self._clock.callLater(INTERVAL_SECONDS, self._begin)

    def _send(self, html: str, *, reveal: bool) -> None:
        event = f"event: page\ndata: {json.dumps(html)}\n\n".encode("ascii")
        for listener in [each for each in self._listeners if each.reveal is reveal]:
            listener.send(event)
