"""What every provider promises: the text of ``IStorageProvider`` as tests."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from twisted.internet.defer import CancelledError, Deferred, gatherResults, maybeDeferred
from zope.interface.verify import verifyObject

from raic.backends.abilities import abilities
from raic.errors import KeyTaken, ObjectNotFound, ProviderError, StorageUnusable
from raic.interfaces import (
    IImmediateReads,
    IInterruptedUploads,
    IMadeUpload,
    IObjectUpload,
    IStorageProvider,
)
from raic.values import ListedObject, Stored
from tests.contracts.consumer import Collector, Inspector
from tests.contracts.driving import Driven, driven

KEY = "shares/aa/aaaaaaaaaaaaaaaaaaaaaaaaaa/0.txn.5.10"
TEN = b"0123456789"
BAD_KEYS = (
    *("", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/..", "a/../b", "A", "a b", "a,b", "ä"),
    *("a\n", "a" * 513),
)
RANGES = ((0, 10), (0, 3), (3, 4), (9, 1), (9, 5), (10, 0), (10, 1), (11, 3), (0, 100), (4, 0))


def _halves(piece: memoryview) -> tuple[memoryview, bytes]:
    return piece[: len(piece) // 2], bytes(piece[len(piece) // 2 :])


def pattern(size: int) -> bytes:
    """Bytes none of which is where another one ought to be."""
    words = (number.to_bytes(4, "big") for number in range(size // 4 + 1))
    return b"".join(words)[:size]


class ProviderContract(Driven):
    """Mix this into a ``SynchronousSuite`` or a ``ReactorSuite``.

    :cvar large: the size of an object that is uploaded and streamed in several pieces.
    :cvar many: a number of objects that needs several pages.
    :cvar knows_taken_keys: whether the provider can tell that a key names other bytes.
    :cvar makes: whether bytes of an upload can be made where they are written.
    :cvar inspects: whether a consumer of a stream can look at it where it is read.
    """

    large = 2_200_001
    many = 1_001
    knows_taken_keys = True
    makes = False
    inspects = False

    def make_provider(self) -> IStorageProvider:
        """A provider with an empty storage of its own, not started."""
        raise NotImplementedError

    def restarted(self, provider: IStorageProvider) -> IStorageProvider:
        """What a new process would have after ``provider`` was stopped; not started."""
        return provider

    def usable(self, key: str) -> str:
        """A key that is like ``key`` and that this provider takes."""
        return key

    def setUp(self) -> Deferred[None] | None:  # type: ignore[override]  # trial waits for it
        self.provider = self.make_provider()

        async def start() -> None:
            await self.provider.start()

        async def stop() -> None:
            await self.provider.stop()

        self.addCleanup(lambda: self.drive(stop()))
        return self.drive(start())

    async def restart(self) -> None:
        await self.provider.stop()
        self.provider = self.restarted(self.provider)
        await self.provider.start()

    async def upload(self, key: str, *pieces: bytes) -> Stored:
        upload = self.provider.open_upload(key, sum(map(len, pieces)))
        for piece in pieces:
            await upload.write(piece)
        return await upload.finish()

    async def listed(self, prefix: str = "") -> list[ListedObject]:
        """Everything under a prefix, each page checked."""
        objects: list[ListedObject] = []
        token = None
        while True:
            page = await self.provider.list_objects(prefix, token)
            self.assertLessEqual(len(page.objects), 1000)
            objects.extend(page.objects)
            token = page.next_token
            if token is None:
                break
        keys = [found.key for found in objects]
        self.assertEqual(keys, sorted(set(keys)))
        return objects

    def read_now(self, key: str, offset: int = 0, length: int = 100) -> bytes | None:
        if not IImmediateReads.providedBy(self.provider):
            return None
        return IImmediateReads(self.provider).read_now(key, offset, length)

    async def assert_absent(self, key: str) -> None:
        """Nothing shows that an object of that key was ever there."""
        await self.refused(self.provider.get_object(key, 0, 10), ObjectNotFound)
        self.assertIsNone(self.read_now(key))
        await self.refused(self.provider.stream_object(key, 0, 9, Collector()), ObjectNotFound)
        self.assertNotIn(key, [found.key for found in await self.listed()])

    # What it is

    def test_provides_what_it_says(self) -> None:
        verifyObject(IStorageProvider, self.provider)
        verifyObject(IObjectUpload, self.provider.open_upload(KEY, 10))
        for ability in abilities(self.provider):
            verifyObject(ability, self.provider)

    def test_has_a_name(self) -> None:
        self.assertIsInstance(self.provider.name, str)

    @driven
    async def test_an_empty_provider_lists_nothing(self) -> None:
        self.assertEqual(await self.listed(), [])

    @driven
    async def test_space_is_never_negative(self) -> None:
        await self.provider.put_object(KEY, TEN)
        space = await self.provider.get_space()
        self.assertGreaterEqual(space.available, 0)
        self.assertGreaterEqual(space.used or 0, 0)

    @driven
    async def test_nothing_can_be_done_before_the_start_and_after_the_stop(self) -> None:
        await self.provider.put_object(KEY, TEN)
        await self.provider.get_object(KEY, 0, 10)
        await self.provider.stop()
        await self.assert_unusable(self.provider)
        await self.assert_unusable(self.make_provider())

    @driven
    async def test_a_second_start_waits_for_the_first(self) -> None:
        await self.provider.stop()
        self.provider = self.restarted(self.provider)
        first = self.provider.start()
        await self.provider.start()
        await self.provider.put_object(KEY, TEN)
        await first

    async def assert_unusable(self, provider: IStorageProvider) -> None:
        collector = Collector()
        for answer in (
            provider.put_object(KEY, TEN),
            provider.get_object(KEY, 0, 1),
            provider.stream_object(KEY, 0, 1, collector),
            provider.list_objects("", None),
            provider.delete_objects([KEY]),
            provider.get_space(),
            provider.open_upload(KEY, 10).write(TEN),
            provider.open_upload(KEY, 0).finish(),
        ):
            refused = await self.refused(answer, StorageUnusable)
            self.assertEqual(refused.provider, provider.name)
            self.assertTrue(refused.remedy)
        await provider.open_upload(KEY, 10).abort()
        self.assertFalse(collector.registered)
        if IImmediateReads.providedBy(provider):
            self.assertIsNone(IImmediateReads(provider).read_now(KEY, 0, 1))

    @driven
    async def test_objects_outlast_a_restart(self) -> None:
        await self.provider.put_object(KEY, TEN)
        await self.upload("slots/a/b/c", TEN)
        await self.restart()
        self.assertEqual(await self.provider.get_object(KEY, 0, 10), TEN)
        self.assertEqual([found.key for found in await self.listed()], [KEY, "slots/a/b/c"])

    # Keys and ranges

    @driven
    async def test_a_bad_key_is_a_programming_error(self) -> None:
        for bad in BAD_KEYS:
            for call in (
                lambda key: self.provider.put_object(key, TEN),
                lambda key: self.provider.open_upload(key, 10).write(TEN),
                lambda key: self.provider.get_object(key, 0, 1),
                lambda key: self.provider.stream_object(key, 0, 1, Collector()),
                lambda key: self.provider.delete_objects([key]),
            ):
                await self.refused(maybeDeferred(call, bad), ValueError)

    @driven
    async def test_a_negative_range_is_a_programming_error(self) -> None:
        await self.provider.put_object(KEY, TEN)
        for offset, length in ((-1, 1), (0, -1)):
            reading = maybeDeferred(self.provider.get_object, KEY, offset, length)
            await self.refused(reading, ValueError)
            streaming = maybeDeferred(self.provider.stream_object, KEY, offset, length, Collector())
            await self.refused(streaming, ValueError)

    @driven
    async def test_any_good_key_can_be_used_beside_any_other(self) -> None:
        long = "a" * 512
        keys = ["a", "a/b", "a/b/c", "a/b/c/d", "a/b/c.d", "a-b/c/d", "a.b/c/d", "a/b-c/d"]
        keys += ["a_b", "-", "...", "a/.b/c..", ".incoming/a", "0/0/0", long, "x/" + long[:510]]
        keys += ["a/b/" + long[:508], "a/b/" + long[:200], "a/b/" + long[:201], "x/y/" + "z/" * 200]
        keys = [self.usable(key.rstrip("/")) for key in keys]
        for key in keys:
            await self.provider.put_object(key, key.encode())
        self.assertEqual([found.key for found in await self.listed()], sorted(keys))
        for key in keys:
            self.assertEqual(await self.provider.get_object(key, 0, 600), key.encode())

    # Small objects

    @driven
    async def test_a_small_object_is_there_as_soon_as_it_was_put(self) -> None:
        stored = await self.provider.put_object(KEY, TEN)
        self.assertEqual(stored, Stored(KEY, 10))
        self.assertEqual(await self.provider.get_object(KEY, 0, 10), TEN)
        self.assertEqual(await self.listed(), [ListedObject(KEY, 10)])

    @driven
    async def test_an_empty_object_can_be_put(self) -> None:
        self.assertEqual(await self.provider.put_object(KEY, b""), Stored(KEY, 0))
        self.assertEqual(await self.provider.get_object(KEY, 0, 10), b"")
        self.assertEqual(await self.listed(), [ListedObject(KEY, 0)])

    @driven
    async def test_putting_the_same_again_succeeds(self) -> None:
        await self.provider.put_object(KEY, TEN)
        self.assertEqual(await self.provider.put_object(KEY, TEN), Stored(KEY, 10))
        self.assertEqual(await self.listed(), [ListedObject(KEY, 10)])

    @driven
    async def test_other_bytes_do_not_replace_an_object(self) -> None:
        if not self.knows_taken_keys:
            return
        await self.provider.put_object(KEY, TEN)
        for other in (b"012345678x", TEN[:9], TEN + b"0", b""):
            await self.refused(self.provider.put_object(KEY, other), KeyTaken)
            await self.refused(self.upload(KEY, other), KeyTaken)
        self.assertEqual(await self.provider.get_object(KEY, 0, 100), TEN)

    @driven
    async def test_a_range_has_the_bytes_that_the_object_has(self) -> None:
        await self.provider.put_object(KEY, TEN)
        for offset, length in RANGES:
            found = await self.provider.get_object(KEY, offset, length)
            self.assertEqual(found, TEN[offset : offset + length], (offset, length))

    @driven
    async def test_what_is_missing_is_not_found_whatever_the_range(self) -> None:
        await self.provider.put_object(KEY + "0", TEN)
        await self.assert_absent(KEY)
        await self.refused(self.provider.get_object(KEY, 0, 0), ObjectNotFound)
        await self.refused(self.provider.get_object("shares", 0, 5), ObjectNotFound)
        await self.refused(self.provider.get_object("shares/aa", 0, 5), ObjectNotFound)

    # Reads that need not wait

    @driven
    async def test_an_immediate_read_says_what_a_read_says_or_nothing(self) -> None:
        await self.provider.put_object(KEY, TEN)
        for offset, length in RANGES:
            found = await self.provider.get_object(KEY, offset, length)
            self.assertIn(self.read_now(KEY, offset, length), (found, None))

    @driven
    async def test_nothing_missing_is_read_immediately(self) -> None:
        await self.assert_absent(KEY)
        self.assertIsNone(self.read_now("not a key"))

    # Uploads

    @driven
    async def test_an_upload_is_invisible_until_it_is_finished(self) -> None:
        upload = self.provider.open_upload(KEY, 10)
        await self.assert_absent(KEY)
        await upload.write(TEN[:7])
        await self.assert_absent(KEY)
        await upload.write(TEN[7:])
        await self.assert_absent(KEY)
        self.assertEqual(await upload.finish(), Stored(KEY, 10))
        self.assertEqual(await self.provider.get_object(KEY, 0, 100), TEN)
        self.assertEqual(await self.listed(), [ListedObject(KEY, 10)])

    @driven
    async def test_an_upload_may_come_in_any_pieces(self) -> None:
        data = pattern(self.large)
        for number, size in enumerate((65_536, self.large)):
            key = f"{KEY}.{number}"
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            await self.upload(key, b"", *pieces, b"")
            self.assertTrue(await self.provider.get_object(key, 0, self.large + 1) == data)

    @driven
    async def test_an_empty_object_can_be_uploaded(self) -> None:
        self.assertEqual(await self.upload(KEY), Stored(KEY, 0))
        self.assertEqual(await self.upload(KEY + "0", b""), Stored(KEY + "0", 0))
        self.assertEqual(await self.provider.get_object(KEY, 0, 1), b"")

    @driven
    async def test_uploading_the_same_again_succeeds(self) -> None:
        await self.provider.put_object(KEY, TEN)
        self.assertEqual(await self.upload(KEY, TEN), Stored(KEY, 10))
        self.assertEqual(await self.listed(), [ListedObject(KEY, 10)])

    @driven
    async def test_several_uploads_do_not_mix(self) -> None:
        first = self.provider.open_upload(KEY + "1", 10)
        second = self.provider.open_upload(KEY + "2", 10)
        for at in range(10):
            await gatherResults([first.write(TEN[at : at + 1]), second.write(b"x")])
        await gatherResults([second.finish(), first.finish()])
        self.assertEqual(await self.provider.get_object(KEY + "1", 0, 10), TEN)
        self.assertEqual(await self.provider.get_object(KEY + "2", 0, 10), b"x" * 10)

    @driven
    async def test_bytes_that_are_made_stand_in_the_order_of_the_calls(self) -> None:
        upload = self.provider.open_upload(KEY, self.large)
        self.assertEqual(IMadeUpload.providedBy(upload), self.makes)
        if not self.makes:
            return
        verifyObject(IMadeUpload, upload)
        data = pattern(self.large)
        cuts = [0, 1, 70_000, 70_000, self.large // 2, self.large]
        pieces = [memoryview(data)[begin:end] for begin, end in pairwise(cuts)]
        making = IMadeUpload(upload)
        begun = [making.write_made(len(piece), partial(_halves, piece)) for piece in pieces]
        await gatherResults(begun)
        self.assertEqual(await upload.finish(), Stored(KEY, self.large))
        self.assertTrue(await self.provider.get_object(KEY, 0, self.large + 1) == data)

    @driven
    async def test_an_upload_can_be_aborted_while_bytes_are_made(self) -> None:
        upload = self.provider.open_upload(KEY, 10)
        if not self.makes:
            return
        making = [IMadeUpload(upload).write_made(5, lambda: (TEN[:5],)) for _ in range(2)]
        aborting = upload.abort()
        await gatherResults([each.addErrback(lambda _: None) for each in making])
        await aborting
        await self.assert_absent(KEY)

    @driven
    async def test_an_aborted_upload_leaves_nothing(self) -> None:
        for written in (0, 4, 10):
            upload = self.provider.open_upload(KEY, 10)
            if written:
                await upload.write(TEN[:written])
            await upload.abort()
            await self.assert_absent(KEY)
            await upload.abort()
            await self.refused(upload.write(b""), ProviderError)
            await self.refused(upload.finish(), ProviderError)
        await self.provider.put_object(KEY, TEN)

    @driven
    async def test_an_upload_can_be_aborted_while_it_writes(self) -> None:
        upload = self.provider.open_upload(KEY, self.large)
        writing = upload.write(pattern(self.large))
        writing.addErrback(lambda _: None)
        await gatherResults([upload.abort(), upload.abort()])
        await writing
        await self.assert_absent(KEY)

    @driven
    async def test_an_upload_aborted_while_it_finishes_leaves_all_or_nothing(self) -> None:
        upload = self.provider.open_upload(KEY, 10)
        await upload.write(TEN)
        finishing = upload.finish()
        await upload.abort()
        try:
            await finishing
        except ProviderError:
            await self.assert_absent(KEY)
        else:
            self.assertEqual(await self.provider.get_object(KEY, 0, 100), TEN)

    @driven
    async def test_aborting_what_is_finished_changes_nothing(self) -> None:
        upload = self.provider.open_upload(KEY, 10)
        await upload.write(TEN)
        await upload.finish()
        await upload.abort()
        self.assertEqual(await self.provider.get_object(KEY, 0, 100), TEN)

    @driven
    async def test_an_upload_of_another_size_than_announced_never_appears(self) -> None:
        for data in (TEN[:9], TEN + b"x", b""):
            upload = self.provider.open_upload(KEY, 10)
            await upload.write(data)
            await self.refused(upload.finish(), ValueError)
            await self.assert_absent(KEY)
            await upload.abort()
        await self.provider.put_object(KEY, TEN)

    @driven
    async def test_stopping_aborts_uploads(self) -> None:
        upload = self.provider.open_upload(KEY, 10)
        await upload.write(TEN)
        await self.provider.stop()
        await self.refused(upload.finish(), StorageUnusable)
        await self.refused(upload.write(b""), StorageUnusable)
        await upload.abort()
        await self.restart()
        await self.assert_absent(KEY)

    def test_a_buffer_holds_no_more_than_is_reasonable(self) -> None:
        for size in (0, 1, 10**6, 2**40):
            self.assertGreaterEqual(self.provider.buffer_size(size), 0)

    # Streams

    async def stream(self, collector: Collector, offset: int, length: int, key: str = KEY) -> int:
        """Stream a range, resuming the consumer whenever it pauses."""
        results: list[int] = []
        streaming = self.provider.stream_object(key, offset, length, collector)
        streaming.addCallback(results.append)
        while not (results or streaming.called):
            await self.turn()
            collector.resume()
        await streaming
        self.assertFalse(collector.registered)
        return results[0]

    @driven
    async def test_a_stream_delivers_a_range_of_any_size(self) -> None:
        data = pattern(self.large)
        await self.upload(KEY, data)
        middle = self.large // 2
        for offset, length in (
            *((0, self.large), (0, 1), (1, self.large - 2), (middle, 500_000)),
            *((0, 65_536), (65_536, 65_536), (65_535, 2), (self.large - 1, 1)),
        ):
            collector = Collector()
            count = await self.stream(collector, offset, length)
            self.assertTrue(collector.data == data[offset : offset + length])
            self.assertEqual(count, length)

    @driven
    async def test_what_was_inspected_is_written_next(self) -> None:
        data = pattern(2_500)
        await self.upload(KEY, data)
        inspector = Inspector()
        await self.stream(inspector, 0, len(data))
        self.assertEqual(inspector.data, data)
        self.assertEqual(inspector.inspected, [])
        self.assertEqual(inspector.seen, 4 if self.inspects else 0)
        stopping = Inspector(stop_after=1)
        await self.provider.stream_object(KEY, 0, len(data), stopping)
        self.assertEqual(stopping.data, data[: len(stopping.data)])

    @driven
    async def test_a_stream_ends_where_the_object_ends(self) -> None:
        await self.provider.put_object(KEY, TEN)
        for offset, length in (*RANGES, (0, 2**40)):
            collector = Collector()
            count = await self.stream(collector, offset, length)
            self.assertEqual(collector.data, TEN[offset : offset + length], (offset, length))
            self.assertEqual(count, len(collector.data))

    @driven
    async def test_an_empty_object_can_be_streamed(self) -> None:
        await self.provider.put_object(KEY, b"")
        for length in (0, 1):
            self.assertEqual(await self.stream(Collector(), 0, length), 0)

    @driven
    async def test_a_stream_waits_for_a_consumer_that_pauses(self) -> None:
        data = pattern(self.large)
        await self.upload(KEY, data)
        collector = Collector(pausing=True)
        count = await self.stream(collector, 0, self.large)
        self.assertEqual(count, self.large)
        self.assertTrue(collector.data == data)
        self.assertGreater(len(collector.pieces), 2)

    @driven
    async def test_a_consumer_can_stop_a_stream(self) -> None:
        data = pattern(self.large)
        await self.upload(KEY, data)
        for pieces in (0, 1, 2):
            collector = Collector(stop_after=pieces)
            count = await self.provider.stream_object(KEY, 0, self.large, collector)
            self.assertEqual(len(collector.pieces), pieces)
            self.assertEqual(count, len(collector.data))
            self.assertTrue(data.startswith(collector.data))
            self.assertFalse(collector.registered)

    @driven
    async def test_a_stream_that_is_cancelled_ends(self) -> None:
        await self.upload(KEY, pattern(self.large))
        collector = Collector(pausing=True)
        streaming = self.provider.stream_object(KEY, 0, self.large, collector)
        streaming.cancel()
        await self.refused(streaming, CancelledError)
        await self.listed()
        self.assertFalse(collector.registered)

    @driven
    async def test_a_stream_of_what_is_missing_leaves_no_producer(self) -> None:
        for length in (0, 10):
            collector = Collector()
            streaming = self.provider.stream_object(KEY, 0, length, collector)
            await self.refused(streaming, ObjectNotFound)
            self.assertFalse(collector.registered)
            self.assertEqual(collector.pieces, [])

    # Listing and deleting

    @driven
    async def test_a_listing_has_the_keys_of_its_prefix_alone(self) -> None:
        keys = ["a/b/c", "a/b/d", "a/bb/c", "a/b", "ab/c/d", "b"]
        for key in keys:
            await self.provider.put_object(key, TEN)
        for prefix in ("", "a", "a/", "a/b", "a/b/", "a/b/c", "a/b/cc", "a/bb/", "b", "c", "a/a"):
            found = [listed.key for listed in await self.listed(prefix)]
            self.assertEqual(found, sorted(key for key in keys if key.startswith(prefix)), prefix)

    async def put_many(self) -> list[str]:
        keys = [f"shares/{'abc'[n % 3]}{n % 7}/{n:05}/{n}" for n in range(self.many)]
        for at in range(0, len(keys), 100):
            await gatherResults(
                [
                    self.provider.put_object(key, b"x" * (len(key) % 5))
                    for key in keys[at : at + 100]
                ]
            )
        return sorted(keys)

    @driven
    async def test_a_long_listing_comes_in_pages(self) -> None:
        keys = await self.put_many()
        await self.provider.put_object("slots/a/b/c", TEN)
        found = await self.listed("shares/")
        self.assertEqual(found, [ListedObject(key, len(key) % 5) for key in keys])
        self.assertEqual(len(await self.listed()), len(keys) + 1)

    @driven
    async def test_what_stays_is_on_one_page_whatever_else_comes_and_goes(self) -> None:
        keys = await self.put_many()
        first = await self.provider.list_objects("shares/", None)
        seen = [found.key for found in first.objects]
        token = first.next_token
        # The token's own object goes, others before and after it, and new ones come.
        gone = {*seen[-3:], *keys[:2], *keys[-2:]}
        self.assertEqual(await self.provider.delete_objects(gone), frozenset())
        await self.provider.put_object("shares/0", TEN)
        await self.provider.put_object("shares/z/z/z", TEN)
        await self.restart()
        while token is not None:
            page = await self.provider.list_objects("shares/", token)
            seen += [found.key for found in page.objects]
            token = page.next_token
        self.assertEqual(len(seen), len(set(seen)))
        self.assertEqual({key for key in keys if key not in gone} - set(seen), set())

    @driven
    async def test_a_deleted_object_is_gone(self) -> None:
        for number in range(3):
            await self.provider.put_object(f"{KEY}{number}", TEN)
            await self.provider.get_object(f"{KEY}{number}", 0, 1)
        failed = await self.provider.delete_objects([KEY + "0", KEY + "2"])
        self.assertEqual(failed, frozenset())
        await self.assert_absent(KEY + "0")
        await self.assert_absent(KEY + "2")
        self.assertEqual(await self.listed(), [ListedObject(KEY + "1", 10)])

    @driven
    async def test_what_is_missing_counts_as_deleted(self) -> None:
        await self.provider.put_object(KEY, TEN)
        for keys in ([], ["a/b/c/d", KEY], {"a/b/c/d", KEY}):
            self.assertEqual(await self.provider.delete_objects(keys), frozenset())
        await self.assert_absent(KEY)

    # Leavings

    @driven
    async def test_nothing_of_a_running_upload_is_cleared(self) -> None:
        if not IInterruptedUploads.providedBy(self.provider):
            return
        upload = self.provider.open_upload(KEY, 10)
        await upload.write(TEN)
        cleared = await IInterruptedUploads(self.provider).clear_interrupted_uploads("")
        self.assertEqual(cleared, 0)
        await upload.finish()
        self.assertEqual(await self.provider.get_object(KEY, 0, 10), TEN)
