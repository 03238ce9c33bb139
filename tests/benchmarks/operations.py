"""What is measured over HTTP: each operation as a script of ready-made requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, islice, repeat, starmap
from os import urandom
from statistics import median

from attrs import frozen

from tests.benchmarks.driver import Script, drive
from tests.end_to_end.wire import Address, Requests, vectors

SMALL = urandom(1024)
PATCH_BYTES = 1_000_000
READ_BYTES = 350_000
SHARE_BYTES = 16 * PATCH_BYTES
WHOLE_BYTES = 64 * 1024 * 1024
KNOWN = 64
"""How many shares or slots the operations that need some go round."""

PREPARED = 8000
"""How many operations that store something small are made ahead for all connections together; a
measurement ends early when they do not suffice."""


@frozen
class Done:
    """What a measurement found.

    :ivar rate: operations per second.
    :ivar latency: the median time of an operation, in seconds.
    :ivar server: the server's processor time for an operation, in seconds.
    :ivar client: the client's likewise.
    """

    rate: float
    latency: float
    server: float
    client: float


@frozen
class Operation:
    """One row of the table.

    :ivar unit: bytes that one operation moves; 0 where operations are counted.
    :ivar prepare: given the server and how many scripts, makes them.
    :ivar concurrency: the numbers of connections to measure with.
    """

    name: str
    prepare: Callable[[Address, int], list[Script]]
    unit: int = 0
    concurrency: tuple[int, ...] = (8, 1)

    def measure(
        self, address: Address, connections: int, seconds: float, processor: Callable[[], float]
    ) -> Done:
        """Run it once.

        :param processor: how many seconds of processor time the server has had so far.
        """
        scripts = self.prepare(address, connections)
        before = processor()
        run = drive(address, scripts, seconds)
        count = len(run.latencies)
        return Done(
            count / run.seconds,
            median(run.latencies),
            (processor() - before) / count,
            run.client / count,
        )


def _put(requests: Requests, data: bytes, piece: int) -> tuple[bytes, ...]:
    """A new share: its allocation, and its bytes in pieces."""
    storage_index = urandom(16)
    offsets = range(0, len(data), piece)
    writes = (requests.write(storage_index, 0, at, data[at : at + piece]) for at in offsets)
    return requests.allocate(storage_index, {0}, len(data)), *writes


def _make_shares(address: Address, data: bytes, count: int) -> list[bytes]:
    """Store shares under new storage indexes."""
    requests = Requests(address.swissnum)
    indexes = [urandom(16) for _ in range(count)]
    operations = [
        (requests.allocate(each, {0}, len(data)), requests.write(each, 0, 0, data))
        for each in indexes
    ]
    drive(address, [iter(operations)], 60.0)
    return indexes


def _make_slots(address: Address, count: int) -> list[bytes]:
    requests = Requests(address.swissnum)
    indexes = [urandom(16) for _ in range(count)]
    creations = [
        (requests.change(each, {0: vectors((0, SMALL), tests=[(0, b"")])}),) for each in indexes
    ]
    drive(address, [iter(creations)], 60.0)
    return indexes


def _spread(operations: Sequence[tuple[bytes, ...]], count: int) -> list[Script]:
    """The same operations for ever on every connection, each beginning with another one."""
    return [islice(cycle(operations), at * len(operations) // count, None) for at in range(count)]


def _uploads(size: int, piece: int) -> Callable[[Address, int], list[Script]]:
    def prepare(address: Address, count: int) -> list[Script]:
        requests = Requests(address.swissnum)
        data = urandom(size)
        return [(_put(requests, data, piece) for _ in repeat(None)) for _ in range(count)]

    return prepare


def _small_uploads(address: Address, count: int) -> list[Script]:
    """Made ahead: to make one takes the client as long as to send it."""
    requests = Requests(address.swissnum)
    return _made(lambda: _put(requests, SMALL, PATCH_BYTES), count)


def _made(make: Callable[[], tuple[bytes, ...]], count: int) -> list[Script]:
    each = min(PREPARED // count, PREPARED // 4)
    return [iter(list(starmap(make, repeat((), each)))) for _ in range(count)]


def _whole_upload(address: Address, count: int) -> list[Script]:
    """Made ahead: copying 64 MiB together takes a while."""
    requests = Requests(address.swissnum)
    data = urandom(WHOLE_BYTES)
    return [iter([_put(requests, data, WHOLE_BYTES) for _ in range(3)]) for _ in range(count)]


def _downloads(piece: int) -> Callable[[Address, int], list[Script]]:
    def prepare(address: Address, count: int) -> list[Script]:
        requests = Requests(address.swissnum)
        (storage_index,) = _make_shares(address, urandom(WHOLE_BYTES), 1)
        offsets = range(0, WHOLE_BYTES - piece + 1, piece)
        reads = [(requests.read("immutable", storage_index, 0, at, piece),) for at in offsets]
        return _spread(reads, count)

    return prepare


def _on_shares(make: Callable[[Requests, bytes], bytes]) -> Callable[[Address, int], list[Script]]:
    def prepare(address: Address, count: int) -> list[Script]:
        requests = Requests(address.swissnum)
        return _spread([(make(requests, i),) for i in _make_shares(address, SMALL, KNOWN)], count)

    return prepare


def _slot_creations(address: Address, count: int) -> list[Script]:
    requests = Requests(address.swissnum)
    vector = {0: vectors((0, SMALL), tests=[(0, b"")])}
    return _made(lambda: (requests.change(urandom(16), vector),), count)


def _slot_updates(address: Address, count: int) -> list[Script]:
    requests = Requests(address.swissnum)
    texts = SMALL[:40] + urandom(len(SMALL) - 40), SMALL
    changes = [{0: vectors((0, text), tests=[(0, SMALL[:40])])} for text in texts]
    slots = _make_slots(address, KNOWN)
    # Each connection has slots of its own, and every update changes bytes.
    return [
        cycle([(requests.change(each, one, [(0, 40)]),) for one in changes for each in mine])
        for mine in (slots[at::count] for at in range(count))
    ]


def _slot_reads(address: Address, count: int) -> list[Script]:
    requests = Requests(address.swissnum)
    slots = _make_slots(address, KNOWN)
    return _spread([(requests.read("mutable", each, 0, 0, 1024),) for each in slots], count)


OPERATIONS = (
    Operation("upload, 1 MB PATCHes", _uploads(SHARE_BYTES, PATCH_BYTES), SHARE_BYTES, (4,)),
    Operation("upload, 64 MiB PATCH", _whole_upload, WHOLE_BYTES, (1,)),
    Operation("download, 350 kB reads", _downloads(READ_BYTES), READ_BYTES, (4,)),
    Operation("download, 64 MiB read", _downloads(WHOLE_BYTES), WHOLE_BYTES, (1,)),
    Operation("put 1 KiB", _small_uploads),
    Operation("read 1 KiB", _on_shares(lambda r, i: r.read("immutable", i, 0, 0, 1024))),
    Operation("list", _on_shares(lambda r, i: r.shares("immutable", i))),
    Operation("renew lease", _on_shares(lambda r, i: r.renew(i))),
    Operation("create slot", _slot_creations),
    Operation("update slot", _slot_updates),
    Operation("read slot", _slot_reads),
)
