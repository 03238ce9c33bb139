"""A write that times out and lands a minute later, as the clients of a node see it: not at all."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from raic.backends.layers.timeout import Timeouts
from raic.budget import MemoryBudget
from raic.errors import NoSuchShare, OutcomeUnknown
from raic.server.service import StorageService
from raic.server.space import SpaceGauge
from raic.shares.ages import REQUEST_SECONDS
from raic.shares.buckets import Buckets
from raic.shares.collector import Collector
from raic.shares.index import create_index, open_index
from raic.shares.pins import Pins
from raic.shares.sealing import Sealer
from raic.shares.slots import Slots
from raic.values import TestWriteVectors as WriteVectors
from raic.values import WriteVector
from tests.backends.scenarios import worlds
from tests.backends.scenarios.matrix import BRIEF, HANG
from tests.contracts.driving import driven
from tests.shares.stores import INDEX_A, NODE_KEY, NOW, SECRETS

MIB = 1024 * 1024
SMALL, LARGE = b"x" * 1000, b"x" * (2 * MIB)
ENABLER = b"e" * 32


class LateLandingTests(worlds.S3World):
    """A whole storage service on the production stack; only its own time is a test's."""

    async def start(self) -> None:
        await self.restart(**BRIEF)
        self.clock = Clock()
        self.clock.advance(NOW)
        path = self.mktemp()
        create_index(path, 1)
        self.index = open_index(
            path, self.clock, None, sync=False, local_listing=False, on_fatal=self.fail
        )
        self.addCleanup(self.index.close)
        self.provider = self.layers(timeouts=Timeouts(answer=5.0)).provider
        self.pins = Pins()
        self.service = await self.make_service()
        self.addCleanup(self.service.stop)
        self.collector = Collector(self.provider, self.index, self.pins, self.clock)

    async def make_service(self) -> StorageService:
        sealer, budget = Sealer(NODE_KEY), MemoryBudget(64 * MIB)
        gauge = SpaceGauge(self.provider, self.clock)
        await gauge.start()
        self.addCleanup(gauge.stop)
        rest: Any = (sealer, self.pins, self.clock)
        slots = Slots(
            self.provider,
            self.index,
            *rest,
            nodeid=b"n" * 20,
            max_share_size=MIB,
            max_read=MIB,
            budget=MemoryBudget(2**30),
        )
        buckets = Buckets(self.provider, self.index, sealer, self.pins, self.clock, budget)
        return StorageService(self.index, buckets, slots, gauge, self.clock, maximum_mutable=MIB)

    async def upload(self, data: bytes) -> None:
        allocated = await self.service.allocate_buckets(INDEX_A, {0}, len(data), SECRETS, b"u")
        upload = allocated.allocated[0]
        await upload.write(0, data)
        await upload.close()

    def write_slot(self, data: bytes) -> Deferred[Any]:
        vectors = {1: WriteVectors((), (WriteVector(0, data),), None)}
        return self.service.read_test_write(INDEX_A, ENABLER, SECRETS, vectors, ())

    async def assert_nothing_visible(self) -> None:
        self.assertEqual(await self.service.list_shares(INDEX_A), frozenset())
        self.assertEqual(await self.service.list_slot_shares(INDEX_A), frozenset())
        await self.refused(self.service.open_share(INDEX_A, 0), NoSuchShare)
        self.assertFalse(await self.service.add_lease(INDEX_A, SECRETS))

    async def garbage(self) -> list[int]:
        """How often each of it is still to be deleted."""
        return [one.passes for one in await self.index.next_garbage(2**40, 100)]

    async def assert_deleted_at_last(self) -> None:
        """It lands between the two deletions, the last time at which it can."""
        await self.turn()  # the client is told first
        await self.assert_nothing_visible()
        self.assertEqual(self.objects(), {})
        self.assertEqual(await self.garbage(), [2])
        self.assertEqual(await self.collector.collect_once(), 0)  # too early
        self.clock.advance(REQUEST_SECONDS)
        await self.collector.collect_once()
        self.assertEqual(await self.garbage(), [1])
        self.script.land()
        self.assertEqual(len(self.objects()), 1)
        await self.assert_nothing_visible()
        self.clock.advance(REQUEST_SECONDS)
        await self.collector.collect_once()
        self.assertEqual(self.objects(), {})
        self.assertEqual(await self.garbage(), [])

    @driven
    async def test_a_small_share(self) -> None:
        self.script.always = {"write": HANG}
        await self.refused(Deferred.fromCoroutine(self.upload(SMALL)), OutcomeUnknown)
        self.script.heal()
        await self.assert_deleted_at_last()

    @driven
    async def test_a_large_share(self) -> None:
        self.script.always = {"write": HANG}
        await self.refused(Deferred.fromCoroutine(self.upload(LARGE)), OutcomeUnknown)
        self.script.heal()
        await self.assert_deleted_at_last()

    @driven
    async def test_a_slot(self) -> None:
        self.script.always = {"write": HANG}
        await self.refused(self.write_slot(SMALL), OutcomeUnknown)
        self.script.heal()
        await self.assert_deleted_at_last()

    @driven
    async def test_another_attempt_of_the_client_succeeds_meanwhile(self) -> None:
        self.script.always = {"write": HANG}
        await self.refused(Deferred.fromCoroutine(self.upload(SMALL)), OutcomeUnknown)
        self.script.heal()
        await self.upload(SMALL)
        self.script.land()
        self.assertEqual(len(self.objects()), 2)
        for _ in range(2):
            self.clock.advance(REQUEST_SECONDS)
            await self.collector.collect_once()
        self.assertEqual(len(self.objects()), 1)
        reader = await self.service.open_share(INDEX_A, 0)
        self.assertEqual(await reader.read(0, len(SMALL)), SMALL)
        reader.close()
