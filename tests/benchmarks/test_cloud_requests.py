"""How many requests the operations of a node take, on real services."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import gatherResults

from raic.backends.libcloud import LibcloudProvider, LibcloudSettings
from raic.errors import ObjectNotFound
from raic.interfaces import IRequestCounts, IStorageProvider
from tests.backends.s3.stores import s3_provider, settings_for
from tests.backends.swift.scripted import Scripted
from tests.backends.swift.swift_world import SwiftWorld
from tests.benchmarks.cloud_requests import TOGETHER, Requests, count_requests, table
from tests.contracts.driving import ReactorSuite, driven, reactor
from tests.services.azurite import azurite_server
from tests.services.moto import S3Endpoint, moto_endpoint
from tests.services.swift import swift_server

PART_SIZE = 8 * 1024 * 1024

FREE = {
    "list shares",
    "list shares where none are",
    "ask for a share that is there",
    "renew a lease",
    "grant another lease",
    "read a share's beginning again",
    "read near a share's beginning",
    "read that range again",
    "compare with a test vector",
    "read a mutable share",
    "read a mutable share again",
}
"""What the index and the cache answer."""

COSTLY: dict[str, Requests] = {
    "store a small share": {"put_object": 1},
    # Of 20 MiB in three parts: on S3 begin, the parts, complete.
    "store a large share": {"write": 4, "finish": 1},
    "read a share's beginning": {"get_object": 1},
    "read a range": {"get_object": 1},
    "read a long range": {"stream_object": 1},
    "write a mutable share": {"put_object": 1},
    "overwrite a mutable share": {"put_object": 1},
    f"store {TOGETHER} small shares at once": {"put_object": TOGETHER},
    f"write {TOGETHER} mutable shares at once": {"put_object": TOGETHER},
}
"""What else takes, where the service has all that it could have."""


class CountingCase(ReactorSuite):
    async def count(self, leaf: IStorageProvider) -> dict[str, Requests]:
        """All steps but the start, which comes first."""
        folder = Path(self.mktemp())
        folder.mkdir()
        counted = await count_requests(leaf, folder, reactor)
        self.start = counted.pop("start")
        self.assertEqual(counted.keys(), FREE | COSTLY.keys())
        return counted

    def assert_free(self, counted: dict[str, Requests]) -> None:
        self.assertEqual({step: counted[step] for step in FREE}, {step: {} for step in FREE})

    async def assert_fewest(self, leaf: IStorageProvider, **changed: Requests) -> None:
        counted = await self.count(leaf)
        self.assert_free(counted)
        costly = COSTLY | {key.replace("_", " "): took for key, took in changed.items()}
        self.assertEqual({step: counted[step] for step in costly}, costly)


@pytest.mark.service
class ServiceTests(CountingCase):
    @driven
    async def test_s3(self) -> None:
        await self.assert_fewest(self.s3(moto_endpoint()))
        self.assertEqual(self.start, {"start": 4})

    @driven
    async def test_s3_as_swift_speaks_it(self) -> None:
        server = swift_server()
        await self.assert_fewest(self.s3(S3Endpoint(server.endpoint, server.user, server.key)))

    def s3(self, endpoint: S3Endpoint) -> IStorageProvider:
        return s3_provider(endpoint, settings_for(endpoint, part_size=PART_SIZE))

    @driven
    async def test_swift(self) -> None:
        world = SwiftWorld()
        self.addCleanup(world.close)
        leaf = world.provider(part_size=PART_SIZE)
        # The parts, their list, and once whether the service understood the list.
        await self.assert_fewest(leaf, store_a_large_share={"write": 3, "finish": 2})
        self.assertEqual((leaf.account.tokens, self.start["get_space"]), (1, 1))

    @driven
    async def test_azure(self) -> None:
        server = azurite_server()
        settings = LibcloudSettings(
            "azure_blobs",
            server.make_container(),
            prefix="raic/",
            host=server.host,
            port=server.port,
            secure=False,
        )
        secrets = {"key": server.account, "secret": server.key}
        counted = await self.count(LibcloudProvider("azure", settings, lambda: secrets, reactor))
        self.assert_free(counted)
        self.assertEqual(self.start, {"start": 5})
        # Each part is two blocks and their list; what is read at once is at most 4 MiB of one.
        large = {"store a large share": {"write": 9, "finish": 1}}
        stream = {"read a long range": {"stream_object": 6}}
        costly = COSTLY | large | stream
        self.assertEqual({step: counted[step] for step in costly}, costly)


class FileTests(CountingCase):
    @driven
    async def test_the_driver_for_files_sends_none(self) -> None:
        folder = Path(self.mktemp()).absolute()
        (folder / "container").mkdir(parents=True)
        settings = LibcloudSettings("local", "container", path=str(folder))
        counted = await self.count(LibcloudProvider("files", settings, dict, reactor))
        self.assertEqual([step for step, requests in counted.items() if requests], [])


class ExactTests(Scripted):
    """What is counted is what the server sees."""

    def assert_exact(self) -> None:
        provider = IRequestCounts(self.provider)
        self.assertEqual(sum(provider.requests_made().values()), len(self.server.requests))

    async def start(self) -> None:
        await self.provider.start()
        self.assert_exact()

    @driven
    async def test_operations_at_once(self) -> None:
        putting = [self.provider.put_object(f"a/{number}", b"data") for number in range(20)]
        reading = self.refused(self.provider.get_object("a/x", 0, 1), ObjectNotFound)
        await gatherResults(putting)
        await reading
        made = self.provider.requests_made()
        self.assertEqual(made["put_object"], 20)
        self.assert_exact()

    @driven
    async def test_a_token_that_is_refused(self) -> None:
        self.swift.tokens.clear()
        await self.provider.put_object("a", b"data")
        self.assert_exact()
        # Refused; a new token; once more.
        self.assertEqual(self.provider.requests_made()["put_object"], 3)


class TableTests(ReactorSuite):
    def test_a_line_says_how_many_and_what_for(self) -> None:
        first, second = table({"store": {"write": 4, "finish": 1}, "list shares": {}})
        self.assertEqual(first.split(), ["store", "5", "4", "write,", "1", "finish"])
        self.assertEqual(second.split(), ["list", "shares", "0"])
