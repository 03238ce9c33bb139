"""Large objects on a real Swift: what is in the container besides the object, and when."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from raic.backends.swift import SwiftProvider
from raic.values import ListedObject
from tests.backends.swift.swift_world import PART_SIZE, SwiftWorld
from tests.contracts.consumer import Collector
from tests.contracts.driving import ReactorSuite, driven
from tests.contracts.provider import pattern
from tests.services.swift import running_swift

KEY = "shares/aa/one"
DATA = pattern(3 * PART_SIZE + 1)


class LargeSuite(ReactorSuite):
    """A container and a provider on it."""

    def setUp(self) -> Deferred[None] | None:  # type: ignore[override]  # trial waits for it
        self.world = self.make_world()
        self.addCleanup(self.world.close)
        self.provider = self.world.provider()
        self.addCleanup(self.stop)
        return self.drive(self.start())

    def make_world(self) -> SwiftWorld:
        return SwiftWorld()

    async def start(self) -> None:
        await self.provider.start()

    def stop(self) -> Deferred[None]:
        return self.provider.stop()

    async def begun(self, key: str = KEY, provider: SwiftProvider | None = None) -> Any:
        upload = (provider or self.provider).open_upload(key, len(DATA))
        await upload.write(DATA)
        return upload

    async def stored(self, key: str = KEY) -> None:
        await (await self.begun(key)).finish()

    async def listed(self) -> list[str]:
        page = await self.provider.list_objects("", None)
        return [found.key for found in page.objects]

    def segments(self) -> list[str]:
        return [name for name in self.world.names() if "~segments" in name]


@pytest.mark.service
class LargeObjectTests(LargeSuite):
    """With static large objects and bulk deletes."""

    @driven
    async def test_its_segments_are_in_no_listing(self) -> None:
        await self.stored()
        self.assertEqual(len(self.segments()), 4)
        page = await self.provider.list_objects("", None)
        self.assertEqual(page.objects, (ListedObject(KEY, len(DATA)),))
        for name in self.segments():
            self.assertTrue(name.startswith(f"raic/home/~segments/{KEY}~"), name)

    @driven
    async def test_any_range_of_it_can_be_read(self) -> None:
        await self.stored()
        for offset, length in ((0, 1), (PART_SIZE - 1, 2), (len(DATA) - 1, 5), (len(DATA), 1)):
            found = await self.provider.get_object(KEY, offset, length)
            self.assertEqual(found, DATA[offset : offset + length])
        collector = Collector()
        await self.provider.stream_object(KEY, 0, len(DATA) + 1, collector)
        self.assertTrue(collector.data == DATA)

    @driven
    async def test_deleting_it_deletes_its_segments(self) -> None:
        await self.stored()
        await self.stored("shares/aa/two")
        await self.provider.put_object("shares/aa/small", b"small")
        await self.provider.put_object("shares/aa/one/x", b"small")
        keys = [KEY, "shares/aa/small", "shares/aa/one/x", "shares/aa/missing"]
        self.assertEqual(await self.provider.delete_objects(keys), frozenset())
        self.assertEqual(await self.listed(), ["shares/aa/two"])
        self.assertEqual(len(self.segments()), 4)
        self.assertTrue(await self.provider.get_object("shares/aa/two", 0, len(DATA)) == DATA)

    @driven
    async def test_another_process_deletes_its_segments_too(self) -> None:
        await self.stored()
        await self.stored("shares/aa/two")
        await self.provider.stop()
        self.provider = self.world.provider(page=1)
        await self.provider.start()
        keys = ["a", "shares/aa/one/x", KEY, "shares/aa/onf", "shares/aa/two", "z"]
        self.assertEqual(await self.provider.delete_objects(keys), frozenset())
        self.assertEqual(self.world.names(), [])

    @driven
    async def test_many_deletes_are_one_request(self) -> None:
        keys = [f"a/{number}" for number in range(30)]
        for key in keys:
            await self.provider.put_object(key, b"x")
        before = self.provider.account.requests
        await self.provider.delete_objects(keys)
        # One asks whether there are segments.
        self.assertEqual(self.provider.account.requests - before, 2)
        self.assertEqual(self.world.names(), [])

    @driven
    async def test_an_aborted_upload_leaves_no_segment(self) -> None:
        upload = await self.begun()
        self.assertNotEqual(self.segments(), [])
        await upload.abort()
        self.assertEqual(self.world.names(), [])

    @driven
    async def test_the_same_bytes_twice_are_stored_once(self) -> None:
        await self.stored()
        kept = self.segments()
        await self.stored()
        self.assertEqual(self.segments(), kept)
        self.assertTrue(await self.provider.get_object(KEY, 0, len(DATA)) == DATA)

    @driven
    async def test_leavings_of_another_process_are_cleared(self) -> None:
        await self.stored()
        await self.stored("shares/aa/two")
        killed = self.world.store()
        for key in (KEY, "shares/aa/three"):
            parts = killed.begin_parts(key, len(DATA))
            for number in range(4):
                killed.put_part(parts, number, DATA[number * PART_SIZE :][:PART_SIZE])
        killed.close()
        running = await self.begun("shares/aa/four")
        self.assertEqual(await self.provider.clear_interrupted_uploads("slots/"), 0)
        self.assertEqual(await self.provider.clear_interrupted_uploads(""), 2)
        await running.finish()
        self.assertEqual(len(self.segments()), 12)
        for key in (KEY, "shares/aa/two", "shares/aa/four"):
            self.assertTrue(await self.provider.get_object(key, 0, len(DATA)) == DATA)

    @driven
    async def test_a_lost_segment_is_corruption(self) -> None:
        await self.stored()
        name = self.segments()[0]
        self.world.ask("DELETE", f"/{name}")
        with self.assertRaises(Exception) as caught:
            await self.provider.get_object(KEY, 0, 10)
        self.assertEqual(type(caught.exception).__name__, "ObjectCorrupt")

    @driven
    async def test_space_is_what_the_containers_quota_leaves(self) -> None:
        await self.provider.put_object("a", bytes(1000))
        self.world.ask("POST", "", headers={"X-Container-Meta-Quota-Bytes": "5000"})
        space = await self.provider.get_space()
        self.assertLessEqual(space.available, 5000)
        self.assertIsNone(space.used)


@pytest.mark.service
class PlainServiceTests(LargeSuite):
    """Without large objects and without bulk deletes."""

    def make_world(self) -> SwiftWorld:
        running = running_swift(large_objects=False)
        server = running.__enter__()
        self.addCleanup(running.__exit__, None, None, None)
        return SwiftWorld(server)

    @driven
    async def test_objects_are_deleted_one_by_one(self) -> None:
        keys = [f"a/{number}" for number in range(5)]
        for key in keys:
            await self.provider.put_object(key, b"x")
        self.assertEqual(await self.provider.delete_objects([*keys, "missing"]), frozenset())
        self.assertEqual(self.world.names(), [])
