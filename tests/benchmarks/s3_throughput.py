"""Compares our S3 provider with plain boto3: ``python -m tests.benchmarks.s3_throughput``.

All move the same bytes to and from the same server, which has a process of its own, and take
turns.  A figure is the median over all turns; a ratio is the median of the ratios to plain boto3 at
the same turn.  On a machine that has other things to do, look at the processor's time.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from io import BytesIO
from itertools import count
from os import urandom
from statistics import median
from time import perf_counter, process_time
from typing import Any, Protocol

import boto3
from attrs import frozen
from botocore.config import Config
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IProducer
from twisted.internet.task import react
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from raic.backends.s3 import S3Credentials, S3Provider, S3Settings
from raic.backends.tagging import TaggingProvider
from raic.interfaces import IStorageProvider
from tests.services.moto import S3Endpoint, moto_process

MIB = 1024 * 1024
WRITE_BYTES = 1_000_000
"""What a client sends at once."""

PLAIN = "boto3"
OURS = "S3Provider"
TAGGED = "TaggingProvider"

_numbers = count()


class Contender(Protocol):
    """Who moves an object."""

    async def upload(self, key: str, data: bytes) -> None:
        """All of it."""

    async def download(self, key: str, size: int) -> int:
        """All of it, in one request; returns how many bytes came."""


class Plain:
    """boto3 as its documentation shows it, without the checksums that nobody asked for."""

    def __init__(self, endpoint: S3Endpoint, container: str) -> None:
        self._container = container
        self._client = boto3.client(
            "s3",
            region_name=endpoint.region,
            endpoint_url=endpoint.url,
            aws_access_key_id=endpoint.access_key_id,
            aws_secret_access_key=endpoint.secret_access_key,
            config=Config(request_checksum_calculation="when_required"),
        )

    async def upload(self, key: str, data: bytes) -> None:
        """See :class:`Contender`."""
        await deferToThread(self._client.upload_fileobj, BytesIO(data), self._container, key)

    async def download(self, key: str, size: int) -> int:
        """See :class:`Contender`."""
        return await deferToThread(self._download, key, size)

    def _download(self, key: str, size: int) -> int:
        asked = f"bytes=0-{size - 1}"
        answer = self._client.get_object(Bucket=self._container, Key=key, Range=asked)
        return sum(map(len, answer["Body"].iter_chunks(MIB)))


class Ours:
    """A provider."""

    def __init__(self, provider: IStorageProvider) -> None:
        self._provider = provider

    async def upload(self, key: str, data: bytes) -> None:
        """See :class:`Contender`."""
        upload = self._provider.open_upload(key, len(data))
        for at in range(0, len(data), WRITE_BYTES):
            await upload.write(data[at : at + WRITE_BYTES])
        await upload.finish()

    async def download(self, key: str, size: int) -> int:
        """See :class:`Contender`."""
        return await self._provider.stream_object(key, 0, size, Discard())


@implementer(IConsumer)
class Discard:
    """A consumer that is always ready."""

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """See ``IConsumer``."""

    def unregisterProducer(self) -> None:
        """See ``IConsumer``."""

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""


@frozen
class Sample:
    """One transfer.

    :ivar rate: bytes per second.
    :ivar cpu: how many seconds of a processor this process took for each GB.
    """

    rate: float
    cpu: float


Measured = dict[str, dict[str, list[Sample]]]
"""By what was done and who did it, turn by turn."""


async def measure(
    reactor: Any, endpoint: S3Endpoint, size: int, rounds: int, reads: int, parts_in_flight: int
) -> Measured:
    """Move objects.

    :param reads: how often the objects of a round are read.
    """
    container = endpoint.make_container()
    settings = S3Settings(
        container,
        region=endpoint.region,
        endpoint_url=endpoint.url,
        parts_in_flight=parts_in_flight,
    )
    credentials = S3Credentials(endpoint.access_key_id, endpoint.secret_access_key)
    provider = S3Provider("measured", settings, lambda: credentials, reactor)
    contenders: dict[str, Contender] = {
        PLAIN: Plain(endpoint, container),
        OURS: Ours(provider),
        TAGGED: Ours(TaggingProvider(provider, bytes(32))),
    }
    measured: Measured = defaultdict(lambda: defaultdict(list))
    await provider.start()
    try:
        for turn in range(rounds):
            data = urandom(MIB) * (size // MIB)
            keys = {}
            for name in _in_turn(contenders, turn):
                keys[name] = key = f"object-{next(_numbers)}"
                sample = await _timed(size, contenders[name].upload(key, data))
                measured["upload"][name].append(sample)
            for again in range(reads):
                for name in _in_turn(contenders, turn + again):
                    sample = await _timed(size, contenders[name].download(keys[name], size))
                    measured["download"][name].append(sample)
            await provider.delete_objects(keys.values())
    finally:
        await provider.stop()
    return measured


def _in_turn(contenders: Iterable[str], turn: int) -> list[str]:
    names = [*contenders]
    first = turn % len(names)
    return names[first:] + names[:first]


async def _timed(size: int, moving: Awaitable[int | None]) -> Sample:
    begun, cpu = perf_counter(), process_time()
    received = await moving
    assert received in {None, size}
    return Sample(size / (perf_counter() - begun), (process_time() - cpu) / size * 1e9)


def table(measured: Measured) -> list[str]:
    """The lines of the report."""
    lines = [f"{'':28}{'MB/s':>8}{'ratio':>8}{'CPU s/GB':>10}{'ratio':>8}"]
    for what, values in measured.items():
        plain = values[PLAIN]
        for name, samples in values.items():
            pairs = [*zip(samples, plain, strict=True)]
            figures = (
                f"{median(each.rate for each in samples) / 1e6:8.0f}",
                f"{median(ours.rate / theirs.rate for ours, theirs in pairs):8.2f}",
                f"{median(each.cpu for each in samples):10.2f}",
                f"{median(ours.cpu / theirs.cpu for ours, theirs in pairs):8.2f}",
            )
            lines.append(f"{what:10}{name:18}{''.join(figures)}")
    return lines


def main(arguments: Sequence[str], run: Callable[..., Any] = react) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="s3_throughput", description=__doc__)
    parser.add_argument("--mib", type=int, default=256, help="size of the object")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reads", type=int, default=3, help="of each object")
    parser.add_argument("--parts-in-flight", type=int, default=3)
    options = parser.parse_args(arguments)

    async def run_all(reactor: Any, endpoint: S3Endpoint) -> None:
        size = options.mib * MIB
        measured = await measure(
            reactor, endpoint, size, options.rounds, options.reads, options.parts_in_flight
        )
        sys.stdout.write("\n".join(table(measured)) + "\n")

    def begin(reactor: Any, endpoint: S3Endpoint) -> Deferred[None]:
        measuring: Coroutine[Deferred[Any], Any, None] = run_all(reactor, endpoint)
        return Deferred.fromCoroutine(measuring)

    with moto_process() as endpoint:
        run(begin, [endpoint])


if __name__ == "__main__":
    main(sys.argv[1:])
