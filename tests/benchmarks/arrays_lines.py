"""An array of clouds behind slow lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from random import Random
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve
from twisted.internet.defer import Deferred, gatherResults

from raic.assembly.members import length_of
from raic.backends.array.members import Member
from raic.backends.layers.observation import ObservationLayer
from raic.backends.layers.readcache import CacheSettings, ReadCacheLayer
from raic.backends.layers.stack import LayerSettings, wrap_in_layers
from raic.backends.s3 import S3Credentials, S3Provider, S3Settings
from raic.interfaces import IStorageProvider
from tests.benchmarks.arrays_moves import ARRAY, Measured, Options, Share, make_array, timed
from tests.benchmarks.s3_throughput import MIB
from tests.services.lean_s3 import lean_s3_process
from tests.services.lines import lines_process
from tests.services.moto import S3Endpoint, moto_process

CLOUDS = "clouds"
"""The same members, each with an object of its own, as large as a fragment: what the services and
this machine allow."""

AHEAD = "array, ahead"


class Lines:
    """An array over lines, as a node has it."""

    def __init__(self, options: Options, endpoints: Sequence[S3Endpoint], reactor: Any) -> None:
        self._options = options
        self._members = [_cloud(f"cloud-{n}", each, reactor) for n, each in enumerate(endpoints)]
        self._array = make_array(options, self._members, reactor)
        observed = ObservationLayer(self._array, reactor, 60.0)
        self._observed: IStorageProvider = observed
        self._ahead = ReadCacheLayer(observed, CacheSettings(), length_of)

    async def measure(self) -> Measured:
        """Move shares up and down."""
        measured: Measured = defaultdict(lambda: defaultdict(list))
        await self._array.start()
        try:
            # So that there are connections, and the lines are known.
            size = min(self._options.size, self._options.total * 16 * MIB)
            await self._turn(size, defaultdict(lambda: defaultdict(list)))
            for _ in range(self._options.rounds):
                await self._turn(self._options.size, measured)
                await self._read_in_pieces(measured)
        finally:
            await self._array.stop()
        return measured

    async def _turn(self, size: int, measured: Measured) -> None:
        """Once up and once down."""
        share = Share(size)
        alone = [Share(size // self._options.needed) for _ in self._members]
        providers = [member.provider for member in self._members]

        async def all_up(_: IStorageProvider) -> None:
            await _together(map(Share.upload, alone, providers))

        async def all_down(_: IStorageProvider) -> None:
            await _together(map(Share.download, alone[: self._options.needed], providers))

        for what, by_name in (
            ("up", {CLOUDS: all_up, ARRAY: share.upload}),
            ("down", {CLOUDS: all_down, ARRAY: share.download}),
        ):
            for name, move in by_name.items():
                measured[what][name].append(await timed(size, move(self._observed)))
        await self._observed.delete_objects([share.key])
        for each, provider in zip(alone, providers, strict=True):
            await provider.delete_objects([each.key])

    async def _read_in_pieces(self, measured: Measured) -> None:
        size = self._options.read_size
        share = Share(size)
        await share.upload(self._observed)
        for name, provider in ((ARRAY, self._observed), (AHEAD, self._ahead)):
            measured["read"][name].append(await timed(size, share.read(provider)))
        await self._ahead.delete_objects([share.key])


async def _together(moves: Iterable[Coroutine[Any, Any, None]]) -> None:
    await gatherResults(map(Deferred.fromCoroutine, moves))


def _cloud(name: str, endpoint: S3Endpoint, reactor: Any) -> Member:
    """A member as it is with its defaults; an array has the cache above all of them."""
    settings = S3Settings(
        endpoint.make_container(), region=endpoint.region, endpoint_url=endpoint.url
    )
    credentials = S3Credentials(endpoint.access_key_id, endpoint.secret_access_key)
    leaf = S3Provider(name, settings, lambda: credentials, reactor)
    random = Random(0)
    return Member(name, wrap_in_layers(leaf, LayerSettings(cache=None), reactor, random).provider)


@contextmanager
def behind_lines(options: Options) -> Iterator[list[S3Endpoint]]:
    with ExitStack() as stack:
        process = moto_process if options.moto else lean_s3_process
        services = [stack.enter_context(process()) for _ in range(options.total)]
        urls = [urlsplit(service.url) for service in services]
        targets = [(url.hostname or "", url.port or 0) for url in urls]
        ports = stack.enter_context(lines_process(targets, options.rate, options.delay))
        yield [
            evolve(service, url=f"http://127.0.0.1:{port}")
            for service, port in zip(services, ports, strict=True)
        ]


def line_seconds(options: Options) -> dict[str, float]:
    """How long the lines alone need: a fragment over each, of those that are used."""
    return {
        "up": options.size / options.needed / options.rate,
        "down": options.size / options.needed / options.rate,
        "read": options.read_size / options.needed / options.rate,
    }


def lines_table(options: Options, measured: Measured) -> list[str]:
    """The lines of the report."""
    needed = line_seconds(options)
    title = f"{options.needed}-of-{options.total}, each member behind"
    title += f" {options.delay * 1e3:.0f} ms and {options.rate * 8 / 1e6:.0f} Mbit/s each way"
    lines = [title, f"{'':8}{'':16}{'seconds':>8}{'lines':>8}{'ratio':>8}{'CPU s/GB':>10}"]
    for what, by_name in measured.items():
        for name, samples in by_name.items():
            seconds = median(sample.seconds for sample in samples)
            cpu = median(sample.cpu / sample.size for sample in samples) * 1e9
            figures = f"{seconds:8.2f}{needed[what]:8.2f}{needed[what] / seconds:8.3f}{cpu:10.2f}"
            lines.append(f"{what:8}{name:16}{figures}")
    return lines
