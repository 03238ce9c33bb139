"""What there is at which path."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from importlib.resources import files

from attrs import frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from raic.deferreds import async_to_deferred
from raic.errors import RaicError
from raic.server.web.answers import HTML, JSON, Answer, Refused
from raic.server.web.channel import WebChannel, WebRequest
from raic.server.web.events import Events, Gather
from raic.server.web.guard import (
    LONGEST_TARGET,
    Doorkeeper,
    check_host,
    check_origin,
    take_query,
)
from raic.server.web.metrics import form_for
from raic.server.web.page import render_page
from raic.status import NodeStatus, Readiness, plain
from raic.status.form import make_schema

LOCAL_NAMES = ("localhost", "ip6-localhost", "ip6-loopback")

_REVEAL: Mapping[str, Collection[str]] = {"reveal": ("0", "1")}
_KINDS = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_METHODS = (b"GET", b"HEAD")
_STATIC = ("style.css", "live.js", "icon.svg")


@frozen
class Asked:
    """What an answer depends on.

    :ivar reveal: whether to reveal what is left out otherwise.
    :ivar known: whether whoever asks has given the password, or needs none.
    :ivar accept: the kinds of answers that are wished for.
    """

    reveal: bool
    known: bool
    accept: str


@frozen
class Place:
    """What is at a path.

    :ivar answer: makes the answer.
    :ivar parameters: what the query may have.
    :ivar open: whether it can be asked without a password.
    """

    answer: Callable[[Asked], Deferred[Answer]]
    parameters: Mapping[str, Collection[str]] = {}
    open: bool = False


class WebSite(ServerFactory):
    """Serves the status of a node.

    :param gather: asks for it.
    :param password: None where none is needed.
    :param names: by which the node is known, besides its addresses.
    """

    _log = Logger()
    noisy = False

    def __init__(
        self,
        gather: Gather,
        clock: IReactorTime,
        password: str | None = None,
        names: Collection[str] = (),
    ) -> None:
        self._gather = gather
        self._clock = clock
        self._doorkeeper = Doorkeeper(password, clock)
        self._names = frozenset(name.lower() for name in (*names, *LOCAL_NAMES))
        self._events = Events(gather, clock)
        self.connections: set[WebChannel] = set()
        self._places = {
            "/": Place(self._page, _REVEAL),
            "/api/v1/status": Place(self._status, _REVEAL),
            "/api/v1/schema": Place(self._schema),
            "/metrics": Place(self._metrics),
            "/healthz": Place(self._health, open=True),
            "/readyz": Place(self._ready, open=True),
            **{f"/static/{name}": Place(_static(name), open=True) for name in _STATIC},
        }

    def buildProtocol(self, addr: IAddress | None) -> WebChannel:
        """See ``IProtocolFactory``."""
        channel = WebChannel()
        channel.factory = self
        channel.site = self
        return channel

    def log(self, request: WebRequest) -> None:
        """Called after each request; nobody wants to know."""

    def use_password(self, password: str | None) -> None:
        """Have this be the password from now on; None for none."""
        self._doorkeeper = Doorkeeper(password, self._clock)

    def close(self) -> None:
        """End all connections."""
        self._events.stop()
        for connection in list(self.connections):
            connection.transport.abortConnection()

    def begin(self, request: WebRequest) -> None:
        """See :class:`raic.server.web.channel.Answering`."""
        answering = self._answer(request)
        answering.addErrback(_refused).addErrback(self._failed).addCallback(request.answer)

    @async_to_deferred
    async def _answer(self, request: WebRequest) -> Answer:
        target = request.uri.decode("latin-1")
        if len(target) > LONGEST_TARGET:
            raise Refused(414, f"a path has at most {LONGEST_TARGET} characters")
        host = check_host(request.values, self._names)
        check_origin(request.values, host)
        path, _, query = target.partition("?")
        if path == "/api/v1/events":
            return self._begin_events(request, query)
        place = self._places.get(path)
        if place is None or not place.open:
            self._doorkeeper.check(request.values, _peer(request))
        if place is None:
            raise Refused(404, "there is nothing at this path")
        _check_method(request)
        taken = take_query(query, place.parameters)
        self._check_reveal(taken)
        known = not place.open or self._doorkeeper.knows(request.values, _peer(request))
        accept = ",".join(request.values("Accept"))
        return await place.answer(Asked(taken.get("reveal") == "1", known, accept))

    def _begin_events(self, request: WebRequest, query: str) -> Answer:
        self._doorkeeper.check(request.values, _peer(request))
        _check_method(request)
        taken = take_query(query, _REVEAL)
        self._check_reveal(taken)
        self._events.add(request, reveal=taken.get("reveal") == "1")
        return Answer(b"")  # it was begun already

    def _check_reveal(self, taken: Mapping[str, str]) -> None:
        if taken.get("reveal") == "1" and not self._doorkeeper.is_needed:
            raise Refused(
                403,
                "addresses and storage indexes are shown only where a password is asked for: run"
                " 'raic credentials set web', then 'raic reload'",
            )

    def _rendered(self, status: NodeStatus, *, reveal: bool) -> bytes:
        may_reveal = self._doorkeeper.is_needed
        return render_page(status, reveal=reveal, may_reveal=may_reveal).encode()

    @async_to_deferred
    async def _page(self, asked: Asked) -> Answer:
        status = await self._gather(asked.reveal)
        return Answer(self._rendered(status, reveal=asked.reveal), HTML)

    @async_to_deferred
    async def _status(self, asked: Asked) -> Answer:
        return _json(plain(await self._gather(asked.reveal)))

    @async_to_deferred
    async def _schema(self, asked: Asked) -> Answer:
        return _json(make_schema())

    @async_to_deferred
    async def _metrics(self, asked: Asked) -> Answer:
        form = form_for(asked.accept)
        return Answer(form.expose(await self._gather(False)), form.content_type)

    @async_to_deferred
    async def _health(self, asked: Asked) -> Answer:
        return Answer(b"alive\n")

    @async_to_deferred
    async def _ready(self, asked: Asked) -> Answer:
        servers = (await self._gather(False)).servers
        if servers and all(server.readiness.ready for server in servers):
            return Answer(b"ready\n")
        text = "not ready"
        if asked.known:
            told = [_why(each.name, each.readiness) for each in servers if not each.readiness.ready]
            text = "\n".join(told) or "not ready: no server has started yet"
        return Answer(f"{text}\n".encode(), status=503)

    def _failed(self, failure: Failure) -> Answer:
        error = failure.value
        if isinstance(error, RaicError):
            text = f"the node cannot tell: {error}; {error.remedy}"
        else:
            self._log.failure("while answering on the status page's port", failure)
            text = "the node met an error of its own: look into its log"
        return Answer(f"{text}\n".encode(), status=503)


def _refused(failure: Failure) -> Answer:
    failure.trap(Refused)
    refused: Refused = failure.value  # type: ignore[assignment]
    return refused.answer()


def _check_method(request: WebRequest) -> None:
    if request.method not in _METHODS:
        raise Refused(405, "nothing here can be changed: only GET and HEAD", {"Allow": "GET, HEAD"})


def _peer(request: WebRequest) -> str:
    return str(getattr(request.client, "host", ""))


def _why(name: str, readiness: Readiness) -> str:
    prefix = f"{name}: " if name else ""
    return f"{prefix}not ready: {readiness.problem}; {readiness.remedy}"


def _json(value: object) -> Answer:
    return Answer(json.dumps(value, indent=1, allow_nan=False).encode("ascii") + b"\n", JSON)


def _static(name: str) -> Callable[[Asked], Deferred[Answer]]:
    body = files("raic.server.web").joinpath("static", name).read_bytes()
    found = Answer(body, _KINDS[name.rpartition(".")[2]])
    return lambda asked: succeed(found)
