"""A site over a real storage service in memory, and a client that speaks to it in bytes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import cbor2
from attrs import frozen
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.memory import MemoryProvider
from raic.budget import MemoryBudget
from raic.interfaces import IIndex, IStorageProvider
from raic.server.http import Limits, make_site
from raic.server.http.channel import StorageChannel
from raic.server.operations import OperationMeter
from raic.server.service import StorageService
from raic.server.space import SpaceGauge
from raic.shares.buckets import Buckets
from raic.shares.index import create_index, open_index
from raic.shares.keys import encode_index
from raic.shares.pins import Pins
from raic.shares.sealing import Sealer
from raic.shares.slots import Slots
from raic.workers import InlineWorkers

SWISSNUM = b"wgkidlx4vtnokxmy6x2oaotlwtdtwxd3"
INDEX = bytes(range(16))
SI = encode_index(INDEX)
NOW = 1_700_000_000

RENEW = b"lease-renew-secret"
CANCEL = b"lease-cancel-secret"
UPLOAD = b"upload-secret"
ENABLER = b"write-enabler"
LEASE = {RENEW: b"r" * 32, CANCEL: b"c" * 32}
ALLOCATE = {**LEASE, UPLOAD: b"u" * 32}
WRITE = {UPLOAD: b"u" * 32}
CHANGE = {**LEASE, ENABLER: b"w" * 32}

MAX_MESSAGE = 1024 * 1024
CBOR = "application/cbor"


@frozen
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def message(self) -> Any:
        """The CBOR message in it."""
        assert self.headers["content-type"] == CBOR, self
        return cbor2.loads(self.body)


class Transport(StringTransport):
    """Notes how a connection ended, and tells the channel as a socket would.

    :ivar stalls: whether the other end does not read.
    :ivar deaf: whether the other end does not agree to close.
    """

    channel: StorageChannel
    aborted = False
    stalls = False
    deaf = False

    def write(self, data: bytes) -> None:
        """Take bytes; when told to stall, as a socket whose other end does not read."""
        super().write(data)
        if self.stalls:
            self.channel.pauseProducing()

    def loseConnection(self) -> None:
        """Close when what was written has been sent: at once."""
        if not self.disconnecting and not self.deaf:
            super().loseConnection()
            self.channel.connectionLost(Failure(ConnectionDone()))

    def abortConnection(self) -> None:
        """Close without sending what was written."""
        self.aborted = True
        if not self.disconnecting:
            super().abortConnection()
            self.channel.connectionLost(Failure(ConnectionLost()))


class Connection:
    """A client's end."""

    def __init__(self, channel: StorageChannel) -> None:
        self.channel = channel
        self.transport = Transport()
        self.transport.channel = channel
        channel.makeConnection(self.transport)

    @property
    def closed(self) -> bool:
        """Whether the server has closed the connection."""
        return self.transport.disconnecting

    def send(self, data: bytes) -> None:
        """Send bytes; what is sent on a closed connection is lost."""
        if not self.closed:
            self.channel.dataReceived(data)

    def lose(self) -> None:
        """Go away."""
        self.transport.disconnecting = True
        self.channel.connectionLost(Failure(ConnectionDone()))

    def received(self) -> bytes:
        """What the server has sent since this was last called."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def answers(self, head: bool = False) -> list[Answer]:
        """The complete answers among it."""
        data, answers = self.received(), []
        while data:
            answer, data = _parse(data, head)
            answers.append(answer)
        return answers

    def answer(self, head: bool = False) -> Answer:
        """The one answer among it."""
        (answer,) = self.answers(head)
        return answer


def _parse(data: bytes, head: bool) -> tuple[Answer, bytes]:
    top, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = top.decode("ascii").split("\r\n")
    version, status, _ = first.split(" ", 2)
    assert version == "HTTP/1.1", first
    parted = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in parted}
    length = 0 if head else int(headers.get("content-length", 0))
    assert len(rest) >= length, "the answer is shorter than its Content-Length"
    return Answer(int(status), headers, rest[:length]), rest[length:]


def secret_lines(secrets: Mapping[bytes, bytes]) -> list[bytes]:
    """The header lines that carry secrets."""
    return [
        b"X-Tahoe-Authorization: %b %b" % (kind, b64encode(secret))
        for kind, secret in secrets.items()
    ]


def raw_request(
    method: str,
    path: str,
    secrets: Mapping[bytes, bytes] | None = None,
    body: bytes | None = None,
    headers: Sequence[str] = (),
    *,
    swissnum: bytes | None = SWISSNUM,
    length: int | None = None,
) -> bytes:
    """The bytes of a request.

    :param length: for a ``Content-Length`` that is not the body's.
    """
    lines = [f"{method} /storage/v1/{path} HTTP/1.1".encode(), b"Host: there"]
    if swissnum is not None:
        lines.append(b"Authorization: Tahoe-LAFS " + b64encode(swissnum))
    lines += secret_lines(secrets or {})
    lines += [header.encode("latin-1") for header in headers]
    if length is None and body is not None:
        length = len(body)
    if length is not None:
        lines.append(b"Content-Length: %d" % length)
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def service_over(
    provider: IStorageProvider, index: IIndex, clock: IReactorTime, budget: MemoryBudget
) -> tuple[StorageService, SpaceGauge, Pins]:
    """A service, the gauge to stop in the end, and the objects being read."""
    sealer, pins = Sealer(b"k" * 32), Pins()
    space = SpaceGauge(provider, clock)
    space.start()
    service = StorageService(
        index,
        Buckets(provider, index, sealer, pins, clock, MemoryBudget(64 * 1024 * 1024)),
        Slots(
            provider,
            index,
            sealer,
            pins,
            clock,
            nodeid=b"n" * 20,
            max_share_size=MAX_MESSAGE,
            max_read=MAX_MESSAGE,
            budget=budget,
        ),
        space,
        clock,
        maximum_mutable=MAX_MESSAGE,
    )
    return service, space, pins


class FaceTestCase(SynchronousTestCase):
    """Has a site over a service with everything behind it, in memory.

    :cvar limits: of its connections.
    """

    limits = Limits()

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.provider = self.make_provider()
        self.successResultOf(self.provider.start())
        path = self.mktemp()
        create_index(path, 1)
        self.fatal: list[Exception] = []
        self.index = open_index(
            path, self.clock, None, sync=False, local_listing=True, on_fatal=self.fatal.append
        )
        self.addCleanup(self.index.close)
        self.budget = MemoryBudget(8 * 1024 * 1024)
        self.service = self.make_service()
        self.meter = OperationMeter(self.clock)
        self.site = make_site(
            self.service,
            SWISSNUM,
            self.clock,
            InlineWorkers(),
            application_version=b"raic/0",
            max_message=MAX_MESSAGE,
            body_budget=self.budget,
            meter=self.meter,
            limits=self.limits,
        )

    def make_provider(self) -> IStorageProvider:
        """What the service stores in."""
        return MemoryProvider("attic")

    def make_service(self) -> StorageService:
        """A service over the provider and the index."""
        service, space, self.pins = service_over(self.provider, self.index, self.clock, self.budget)
        self.addCleanup(space.stop)
        return service

    def pass_time(self, seconds: int) -> None:
        """Let time pass, a second at a time."""
        self.clock.pump([1.0] * seconds)

    def connect(self) -> Connection:
        """A new connection."""
        return Connection(self.site.buildProtocol(None))

    def ask(self, *arguments: Any, **keywords: Any) -> Answer:
        """The answer to :func:`raw_request`'s request, over a connection of its own."""
        connection = self.connect()
        connection.send(raw_request(*arguments, **keywords))
        answer = connection.answer(head=arguments[0] == "HEAD")
        if not connection.closed:
            connection.lose()
        return answer

    def pinned(self) -> set[str]:
        """The objects being read."""
        page = self.successResultOf(self.provider.list_objects("", None))
        return {listed.key for listed in page.objects if self.pins.is_pinned(listed.key)}

    # What tests begin with

    def allocate(self, shnums: set[int], size: int) -> Answer:
        """Begin uploads."""
        message = cbor2.dumps({"share-numbers": shnums, "allocated-size": size})
        return self.ask("POST", f"immutable/{SI}", ALLOCATE, message)

    def write(self, shnum: int, begin: int, data: bytes, total: int | str = "*") -> Answer:
        """Send a piece of a share."""
        content_range = f"Content-Range: bytes {begin}-{begin + len(data) - 1}/{total}"
        return self.ask("PATCH", f"immutable/{SI}/{shnum}", WRITE, data, [content_range])

    def store(self, data: bytes, shnum: int = 0) -> None:
        """Store an immutable share."""
        self.assertEqual(self.allocate({shnum}, len(data)).message["allocated"], {shnum})
        self.assertEqual(self.write(shnum, 0, data).status, 201)

    def change(self, message: object, secrets: Mapping[bytes, bytes] = CHANGE) -> Answer:
        """Send a read-test-write."""
        return self.ask("POST", f"mutable/{SI}/read-test-write", secrets, cbor2.dumps(message))

    def store_slot(self, data: bytes, shnum: int = 0) -> None:
        """Store a mutable share."""
        write = {"test": [], "write": [{"offset": 0, "data": data}], "new-length": None}
        answer = self.change({"test-write-vectors": {shnum: write}, "read-vector": []})
        self.assertTrue(answer.message["success"])
