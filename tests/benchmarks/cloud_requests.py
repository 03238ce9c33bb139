"""Counts the cloud's requests for each operation: ``python -m tests.benchmarks.cloud_requests``.

Everything is as in a node, from the storage service down to the provider, with its default layers.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IConsumer, IProducer
from twisted.internet.task import react
from zope.interface import implementer

from raic.backends.layers.stack import LayerSettings, wrap_in_layers
from raic.backends.s3 import S3Credentials, S3Provider, S3Settings
from raic.backends.tagging import TaggingProvider
from raic.budget import MemoryBudget
from raic.interfaces import IShareReader, IStorageProvider
from raic.server.service import StorageService
from raic.server.space import SpaceGauge
from raic.shares.buckets import Buckets
from raic.shares.index import create_index, open_index
from raic.shares.keys import parse_key
from raic.shares.pins import Pins
from raic.shares.sealing import Sealer
from raic.shares.slots import Slots
from raic.values import LeaseSecrets, ReadVector, TestVector, TestWriteVectors, WriteVector
from tests.services.moto import S3Endpoint, moto_process

MIB = 1024 * 1024
SMALL, LARGE = 1000, 20 * MIB
SHARE, SLOT = b"i" * 16, b"m" * 16
SECRETS = LeaseSecrets(b"r" * 32, b"c" * 32)
OTHERS = LeaseSecrets(b"R" * 32, b"C" * 32)
ENABLER = b"w" * 32
TOGETHER = 8
"""How many do the same at once."""

Requests = dict[str, int]


def _length_of(key: str) -> int | None:
    parsed = parse_key(key)
    return None if parsed is None else parsed.size


class Node:
    """A storage service over a provider and its layers, without a port.

    :param reactor: one with everything.
    """

    def __init__(self, leaf: IStorageProvider, folder: Path, reactor: Any) -> None:
        self._reactor = reactor
        layers = wrap_in_layers(
            leaf,
            LayerSettings(),
            reactor,
            Random(1),
            protect=partial(TaggingProvider, key=bytes(32)),
            length_of=_length_of,
        )
        assert layers.observation is not None
        self.observation = layers.observation
        self.provider = layers.provider
        path = folder / "index.sqlite"
        create_index(path, 1)
        self.index = open_index(
            path, reactor, reactor, sync=False, local_listing=False, on_fatal=_raise
        )
        self.gauge = SpaceGauge(self.provider, reactor)
        self.service = self._make_service()

    def _make_service(self) -> StorageService:
        sealer, pins = Sealer(b"k" * 32), Pins()
        budget = MemoryBudget(256 * MIB)
        over = (self.provider, self.index, sealer, pins, self._reactor)
        most = 16 * MIB
        return StorageService(
            self.index,
            Buckets(*over, budget),
            Slots(
                *over,
                nodeid=bytes(20),
                max_share_size=most,
                max_read=most,
                budget=MemoryBudget(2**30),
            ),
            self.gauge,
            self._reactor,
            maximum_mutable=most,
        )

    async def start(self) -> None:
        """Start what has to be."""
        await self.provider.start()
        await self.gauge.start()

    async def stop(self) -> None:
        """Stop everything; fires when connections and threads are gone."""
        await self.service.stop()
        self.gauge.stop()
        await self.index.close()
        await self.provider.stop()

    def requests(self) -> Mapping[str, int]:
        """What the cloud was asked so far."""
        made = self.observation.snapshot().requests
        assert made is not None, "the provider does not count its requests"
        return made

    # What clients do

    async def store(self, size: int, storage_index: bytes = SHARE, shnum: int = 0) -> None:
        """Upload a share."""
        answer = await self.service.allocate_buckets(
            storage_index, {shnum}, size, SECRETS, b"upload"
        )
        upload, data = answer.allocated[shnum], bytes(MIB)
        for at in range(0, size, MIB):
            await upload.write(at, data[: size - at])
        await upload.close()

    async def exists(self, secrets: LeaseSecrets = SECRETS) -> None:
        """Ask to upload what is there."""
        answer = await self.service.allocate_buckets(SHARE, {0}, SMALL, secrets, b"upload")
        assert 0 in answer.already_have
        assert not answer.allocated

    async def read(self, shnum: int, offset: int, length: int) -> None:
        """Read a range as the faces do: at once if it can be had at once."""
        reader = await self.service.open_share(SHARE, shnum)
        try:
            data = reader.read_now(offset, length) or await reader.read(offset, length)
        finally:
            reader.close()
        assert len(data) == length

    async def download(self, shnum: int, length: int) -> None:
        """Read a share from its beginning, as a stream."""
        reader: IShareReader = await self.service.open_share(SHARE, shnum)
        try:
            assert await reader.stream(0, length, _Discard()) == length
        finally:
            reader.close()

    async def change(
        self,
        data: bytes,
        test: TestVector | None = None,
        *,
        expected: bool = True,
        storage_index: bytes = SLOT,
    ) -> None:
        """Compare the beginning of a mutable share, and write there."""
        tests = () if test is None else (test,)
        vectors = {0: TestWriteVectors(tests, (WriteVector(0, data),), len(data))}
        result = await self.service.read_test_write(
            storage_index, ENABLER, SECRETS, vectors, [ReadVector(0, 100)]
        )
        assert result.success is expected

    async def read_slot(self, size: int) -> None:
        """Read a mutable share."""
        found = await self.service.read_slot(SLOT, (), [ReadVector(0, size)])
        assert len(found[0][0]) == size


def _raise(error: Exception) -> None:
    raise error


@implementer(IConsumer)
class _Discard:
    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """See ``IConsumer``."""

    def unregisterProducer(self) -> None:
        """See ``IConsumer``."""

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""


def _many(make: Callable[[int], Coroutine[Deferred[Any], Any, None]]) -> Awaitable[Any]:
    """Do the same at once for several numbers."""
    return gatherResults([Deferred.fromCoroutine(make(number)) for number in range(TOGETHER)])


def _steps(node: Node) -> dict[str, Callable[[], Awaitable[Any]]]:
    """What is counted, in this order."""
    old, new = b"1" * SMALL, b"2" * SMALL
    same, other = TestVector(0, 100, old[:100]), TestVector(0, 3, b"---")
    return {
        "start": node.start,
        "store a small share": lambda: node.store(SMALL),
        "store a large share": lambda: node.store(LARGE, shnum=1),
        "list shares": lambda: node.service.list_shares(SHARE),
        "list shares where none are": lambda: node.service.list_shares(SLOT),
        "ask for a share that is there": node.exists,
        "renew a lease": lambda: node.service.add_lease(SHARE, SECRETS),
        "grant another lease": lambda: node.service.add_lease(SHARE, OTHERS),
        "read a share's beginning": lambda: node.read(1, 0, 4096),
        "read a share's beginning again": lambda: node.read(1, 0, 4096),
        "read near a share's beginning": lambda: node.read(1, 36, 1000),
        "read a range": lambda: node.read(1, 10 * MIB + 5, 100_000),
        "read that range again": lambda: node.read(1, 10 * MIB + 5, 100_000),
        "read a long range": lambda: node.download(1, LARGE),
        "write a mutable share": lambda: node.change(old),
        "compare with a test vector": lambda: node.change(new, other, expected=False),
        "overwrite a mutable share": lambda: node.change(new, same),
        "read a mutable share": lambda: node.read_slot(SMALL),
        "read a mutable share again": lambda: node.read_slot(SMALL),
        f"store {TOGETHER} small shares at once": lambda: _many(
            lambda number: node.store(SMALL, bytes([number]) * 16)
        ),
        f"write {TOGETHER} mutable shares at once": lambda: _many(
            lambda number: node.change(old, storage_index=bytes([64 + number]) * 16)
        ),
    }


async def count_requests(leaf: IStorageProvider, folder: Path, reactor: Any) -> dict[str, Requests]:
    """What each step took, by the provider's own operation.

    :param leaf: a provider of which nothing is stored yet; it is started and stopped.
    :param folder: for the index.
    """
    node = Node(leaf, folder, reactor)
    counted = {}
    try:
        before: Mapping[str, int] = {}
        for name, step in _steps(node).items():
            await step()
            after = node.requests()
            more = {key: count - before.get(key, 0) for key, count in after.items()}
            counted[name] = {key: count for key, count in more.items() if count}
            before = after
    finally:
        await node.stop()
    return counted


def table(counted: Mapping[str, Requests]) -> list[str]:
    """The lines of the report."""
    lines = []
    for step, requests in counted.items():
        detail = ", ".join(f"{count} {operation}" for operation, count in requests.items())
        lines.append(f"{step:36}{sum(requests.values()):4}  {detail}".rstrip())
    return lines


async def _measured(reactor: Any, endpoint: S3Endpoint) -> None:
    settings = S3Settings(
        endpoint.make_container(), region=endpoint.region, endpoint_url=endpoint.url
    )
    credentials = S3Credentials(endpoint.access_key_id, endpoint.secret_access_key)
    leaf = S3Provider("counted", settings, lambda: credentials, reactor)
    with TemporaryDirectory() as folder:
        counted = await count_requests(leaf, Path(folder), reactor)
    sys.stdout.write("\n".join(table(counted)) + "\n")


def main() -> None:
    """Count, on a service that speaks S3, and print a table."""
    with moto_process() as endpoint:
        react(lambda reactor: Deferred.fromCoroutine(_measured(reactor, endpoint)))


if __name__ == "__main__":
    main()
