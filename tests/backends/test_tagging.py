from __future__ import annotations

import errno
from collections.abc import Callable
from hashlib import blake2b
from os import environ

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer, noLongerProvides

from raic.backends.abilities import OPTIONAL, abilities
from raic.backends.faults import FaultPlan
from raic.backends.faulty import FaultyProvider
from raic.backends.memory import MemoryProvider
from raic.backends.tagging import TaggingProvider
from raic.backends.tags import plain_size, stored_size
from raic.errors import NoSpace, ObjectCorrupt, ObjectNotFound, StorageUnusable
from raic.interfaces import IInterruptedUploads, IObjectUpload, IStorageProvider
from raic.values import ListedObject, Space
from tests.backends.filesystems import FilesystemTestCase
from tests.backends.test_tagging_contract import TAG_KEY
from tests.contracts.consumer import Collector
from tests.contracts.provider import KEY, TEN, pattern
from tests.strategies import sizes

BLOCK = 65_536
STORED = BLOCK + 16


class SizeTests(SynchronousTestCase):
    @given(st.one_of(sizes(BLOCK), st.integers(0, 2**50)))
    def test_a_size_can_be_told_from_what_is_stored(self, size: int) -> None:
        self.assertEqual(plain_size(stored_size(size)), size)

    @given(st.one_of(sizes(STORED), st.integers(0, 2**50)))
    def test_only_what_can_be_stored_has_a_size(self, stored: int) -> None:
        size = plain_size(stored)
        if size is not None:
            self.assertEqual(stored_size(size), stored)
        else:
            near = stored // STORED * BLOCK
            self.assertNotIn(stored, [stored_size(near + more) for more in range(17)])

    def test_some_sizes(self) -> None:
        for size, stored in ((0, 16), (1, 17), (BLOCK, STORED), (BLOCK + 1, STORED + 17)):
            self.assertEqual(stored_size(size), stored)
        for impossible in (0, 15, STORED + 1, STORED + 16):
            self.assertIsNone(plain_size(impossible))


class TaggingTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.memory = MemoryProvider("memory")
        self.plan = FaultPlan()
        self.inner = FaultyProvider(self.memory, self.plan)
        self.provider = TaggingProvider(self.inner, TAG_KEY)
        self.successResultOf(self.provider.start())

    def put(self, data: bytes, key: str = KEY) -> bytes:
        """Store an object; what is stored then."""
        self.successResultOf(self.provider.put_object(key, data))
        return self.successResultOf(self.memory.get_object(key, 0, 2**40))

    def replace(self, stored: bytes, key: str = KEY) -> None:
        """Alter what is stored."""
        self.successResultOf(self.memory.delete_objects([key]))
        self.successResultOf(self.memory.put_object(key, stored))

    def read(self, offset: int = 0, length: int = 2**40, key: str = KEY) -> Deferred[bytes]:
        return self.provider.get_object(key, offset, length)

    def stream(self, collector: Collector, offset: int = 0, length: int = 2**40) -> Deferred[int]:
        return self.provider.stream_object(KEY, offset, length, collector)


class HeldWriteTests(FilesystemTestCase):
    """Where workers write, one write waits for the next."""

    def begin(self, size: int) -> IObjectUpload:
        """Begin to upload an object of so many bytes."""
        self.start()
        self.tagged = TaggingProvider(self.provider, TAG_KEY)
        return self.tagged.open_upload(KEY, size)

    def test_what_two_writes_bring_goes_to_a_worker_together(self) -> None:
        data = pattern(4_500_000)
        upload = self.begin(len(data))
        for at in range(0, len(data), 1_000_000):
            self.successResultOf(upload.write(data[at : at + 1_000_000]))
        self.successResultOf(upload.finish())
        self.assertEqual(len(self.disk.called("write_pieces")), 3)
        read = self.successResultOf(self.tagged.get_object(KEY, 0, 2**40))
        self.assertTrue(read == data)

    def test_what_went_wrong_with_a_write_is_told_with_the_next(self) -> None:
        upload = self.begin(3_000_000)
        self.disk.fail("write_pieces", errno.ENOSPC)
        self.successResultOf(upload.write(bytes(1_000_000)))
        self.failureResultOf(upload.write(bytes(1_000_000)), NoSpace)
        self.successResultOf(upload.abort())
        self.assertEqual(self.files(), [])

    def test_nothing_is_written_of_an_upload_that_is_aborted_after_its_first_write(self) -> None:
        upload = self.begin(3_000_000)
        self.successResultOf(upload.write(bytes(1_000_000)))
        self.successResultOf(upload.abort())
        self.failureResultOf(upload.write(bytes(1_000_000)), StorageUnusable)
        self.assertEqual(self.disk.called("write", "write_pieces")[1:], [])


class FormatTests(TaggingTestCase):
    def test_blocks_are_followed_by_their_tags(self) -> None:
        data = pattern(2 * BLOCK + 5)
        cipher = AESGCM(
            blake2b(KEY.encode(), digest_size=32, key=TAG_KEY, person=b"raic-tag").digest()
        )
        expected = b""
        for number, flag in ((0, 0), (1, 0), (2, 1)):
            block = data[number * BLOCK : (number + 1) * BLOCK]
            nonce = number.to_bytes(8, "big") + bytes([0, 0, 0, flag])
            expected += block + cipher.encrypt(nonce, b"", block)
        self.assertTrue(self.put(data) == expected)

    def test_the_vectors_of_the_specification(self) -> None:
        self.assertEqual(self.put(b"").hex(), "ce99fa516e62d6ef779f304fbf48208b")
        self.assertEqual(self.put(TEN, KEY + "1")[10:].hex(), "7c65675130b4b99181600f0e8f4b2248")

    def test_an_upload_stores_what_a_put_stores(self) -> None:
        for size in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7):
            for piece in (1000, BLOCK, 100_000, 10**6):
                key = f"{KEY}.{size}.{piece}"
                data = pattern(size)
                stored = self.put(data, key)
                upload = self.provider.open_upload(key, size)
                for at in range(0, size, piece):
                    self.successResultOf(upload.write(data[at : at + piece]))
                # It would be KeyTaken if it were anything else.
                self.assertEqual(self.successResultOf(upload.finish()).size, size)
                self.assertEqual(len(stored), stored_size(size))

    def test_a_key_of_another_length_is_refused(self) -> None:
        self.assertRaises(ValueError, TaggingProvider, self.inner, TAG_KEY[:31])


class TamperingTests(TaggingTestCase):
    """Whatever is read is what was written, or the read fails."""

    def tampered(self, stored: bytes, draw: Callable[..., int]) -> bytes:
        at = draw(st.one_of(sizes(STORED), st.integers(0, len(stored)))) % (len(stored) + 1)
        kind = draw(st.integers(0, 4))
        if kind == 0:
            return stored[:at]
        if kind == 1:
            return stored + stored[at:] + b"x" * (at == len(stored))
        if kind == 2:
            return stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :] if stored[at:] else b""
        if kind == 3:
            return stored[:at] + stored[at + STORED :]
        return stored[STORED : 2 * STORED] + stored[:STORED] + stored[2 * STORED :]

    @settings(deadline=None, max_examples=int(environ.get("RAIC_TAMPERING_EXAMPLES", "50")))
    @given(sizes(BLOCK), sizes(BLOCK), sizes(BLOCK), st.data())
    def test_no_wrong_byte_is_ever_read(
        self, size: int, offset: int, length: int, data: st.DataObject
    ) -> None:
        self.setUp()  # anew for each example
        written = pattern(size)
        stored = self.put(written)
        self.replace(self.tampered(stored, data.draw))
        expected = written[offset : offset + length]
        read: list[object] = []
        self.read(offset, length).addBoth(read.append)
        if read != [expected]:
            self.assertEqual([type(getattr(f, "value", f)) for f in read], [ObjectCorrupt])
        self.assertIn(self.provider.read_now(KEY, offset, length), (None, expected))
        collector = Collector()
        streamed: list[object] = []
        self.stream(collector, offset, length).addBoth(streamed.append)
        self.assertFalse(collector.registered)
        if streamed == [len(expected)]:
            self.assertTrue(collector.data == expected)
        else:
            self.assertEqual([type(getattr(f, "value", f)) for f in streamed], [ObjectCorrupt])
            self.assertTrue(expected.startswith(collector.data))

    def assert_corrupt(self, offset: int = 0, length: int = 2**40) -> None:
        refused = self.failureResultOf(self.read(offset, length), ObjectCorrupt).value
        self.assertIn(KEY, str(refused))
        self.failureResultOf(self.stream(Collector(), offset, length), ObjectCorrupt)
        self.assertIsNone(self.provider.read_now(KEY, offset, length))

    def test_an_object_under_another_key_is_noticed(self) -> None:
        stored = self.put(TEN)
        self.replace(stored, KEY + "1")
        self.failureResultOf(self.read(key=KEY + "1"), ObjectCorrupt)

    def test_an_object_of_another_tag_key_is_noticed(self) -> None:
        stranger = TaggingProvider(self.memory, bytes(32))
        self.successResultOf(stranger.put_object(KEY, TEN))
        self.assert_corrupt()

    def test_an_object_cut_off_between_blocks_is_noticed(self) -> None:
        stored = self.put(pattern(3 * BLOCK))
        for blocks in (0, 1, 2):
            self.replace(stored[: blocks * STORED])
            self.assert_corrupt()
            self.assert_corrupt(2 * BLOCK + 1, 10)
            self.assert_corrupt(blocks * BLOCK, 1)

    def test_an_object_cut_off_within_a_tag_is_noticed(self) -> None:
        stored = self.put(pattern(BLOCK + 1))
        for kept in (STORED - 1, STORED + 1, STORED + 16):
            self.replace(stored[:kept])
            self.assert_corrupt()
            self.assert_corrupt(BLOCK, 1)

    def test_an_object_not_of_this_layer_is_noticed(self) -> None:
        for stored in (b"", b"x", bytes(16), bytes(STORED + 1)):
            self.replace(stored)
            self.assert_corrupt()

    def test_bytes_appended_are_noticed_where_they_matter(self) -> None:
        stored = self.put(pattern(BLOCK))
        self.replace(stored + stored)
        self.assert_corrupt(0, 2 * BLOCK)
        self.assert_corrupt(BLOCK, 1)
        self.assertTrue(self.successResultOf(self.read(0, BLOCK)) == pattern(BLOCK))

    def test_an_answer_cut_short_on_its_way_is_noticed(self) -> None:
        self.put(pattern(3 * BLOCK))
        for keep in (0, 1, STORED, STORED + 1):
            self.plan.truncate("get_object", keep)
            self.failureResultOf(self.read(0, 2 * BLOCK), ObjectCorrupt)
            self.plan.truncate("stream_object", keep)
            self.failureResultOf(self.stream(Collector(), 0, 2 * BLOCK), ObjectCorrupt)
            self.plan.truncate("read_now", keep)
            self.assertIsNone(self.provider.read_now(KEY, 0, 2 * BLOCK))

    def test_a_stream_ends_at_the_first_wrong_byte(self) -> None:
        data = pattern(40 * BLOCK)
        self.put(data)
        self.plan.corrupt("stream_object", 30 * STORED + 5)
        collector = Collector()
        self.failureResultOf(self.stream(collector), ObjectCorrupt)
        self.assertFalse(collector.registered)
        self.assertTrue(data.startswith(collector.data))
        self.assertTrue(0 < len(collector.data) <= 30 * BLOCK)


class ReadingTests(TaggingTestCase):
    def test_a_range_costs_one_request_of_the_blocks_it_needs(self) -> None:
        requests: list[tuple[int, int]] = []
        memory = self.memory

        class Watched(MemoryProvider):
            def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
                requests.append((offset, length))
                return memory.get_object(key, offset, length)

        data = pattern(4 * BLOCK + 10)
        self.put(data)
        provider = TaggingProvider(Watched("watched"), TAG_KEY)
        for offset, length, first, blocks in (
            (0, 1, 0, 1),
            (BLOCK - 1, 1, 0, 1),
            (BLOCK - 1, 2, 0, 2),
            (BLOCK, BLOCK, 1, 1),
            (3 * BLOCK, BLOCK + 10, 3, 2),
            (4 * BLOCK + 3, 100, 4, 1),
            (5, 0, 0, 0),
        ):
            read = self.successResultOf(provider.get_object(KEY, offset, length))
            self.assertEqual(read, data[offset : offset + length])
            self.assertEqual(requests.pop(), (first * STORED, blocks * STORED))
            self.assertEqual(requests, [])

    def test_nothing_beyond_the_end_is_believed_until_the_end_was_seen(self) -> None:
        for size in (0, 10, BLOCK, BLOCK + 1):
            self.put(pattern(size), f"{KEY}.{size}")
            for offset in (size, BLOCK, 2 * BLOCK, 5 * BLOCK + 1):
                beyond = pattern(size)[offset : offset + 10]
                read = self.successResultOf(self.read(offset, 10, f"{KEY}.{size}"))
                self.assertEqual(read, beyond)

    def test_an_end_that_cannot_be_seen_is_not_believed(self) -> None:
        self.put(TEN)
        self.plan.forget("put_object")
        self.plan.fail("list_objects", ObjectNotFound)
        self.failureResultOf(self.read(BLOCK, 1), ObjectNotFound)

    def test_a_stream_comes_in_large_pieces(self) -> None:
        data = pattern(40 * BLOCK + 3)
        self.put(data)
        for offset in (0, 5, BLOCK + 1):
            collector = Collector()
            count = self.successResultOf(self.stream(collector, offset))
            self.assertEqual(count, len(data) - offset)
            self.assertTrue(collector.data == data[offset:])
            for piece in collector.pieces[:-1]:
                self.assertGreaterEqual(len(piece), 256 * 1024)

    def test_a_consumer_that_pauses_at_the_end_gets_the_rest_when_it_resumes(self) -> None:
        data = pattern(9 * BLOCK)
        self.put(data)
        collector = Collector(pausing=True)
        streaming = self.stream(collector)
        resumed = 0
        while not streaming.called:
            collector.resume()
            resumed += 1
            self.assertLess(resumed, 20)
        self.assertEqual(self.successResultOf(streaming), len(data))
        self.assertTrue(collector.data == data)

    def test_a_stream_that_registers_late_is_told_what_it_missed(self) -> None:
        data = pattern(20 * BLOCK)
        self.put(data)
        gate = self.plan.hang("stream_object")
        paused = Collector(pausing=True)
        streaming = self.stream(paused)
        gate.release()
        self.assertEqual(paused.pieces, [])
        while not streaming.called:
            paused.resume()
        self.assertTrue(paused.data == data)
        gate = self.plan.hang("stream_object")
        stopped = Collector()
        streaming = self.stream(stopped)
        stopped.stop()
        self.assertEqual(self.successResultOf(streaming), 0)
        gate.release()
        self.assertEqual(stopped.pieces, [])


class LayerTests(TaggingTestCase):
    def test_sizes_are_listed_as_they_were_written(self) -> None:
        for size in (0, 1, BLOCK, BLOCK + 1):
            self.put(pattern(size), f"a/{size:06}")
        self.replace(bytes(15), "a/x")
        page = self.successResultOf(self.provider.list_objects("a/", None))
        expected = [ListedObject(f"a/{size:06}", size) for size in (0, 1, BLOCK, BLOCK + 1)]
        self.assertEqual(list(page.objects), [*expected, ListedObject("a/x", 15)])

    def test_what_is_available_leaves_room_for_tags(self) -> None:
        memory = MemoryProvider("memory", capacity=stored_size(3 * BLOCK + 5))
        provider = TaggingProvider(memory, TAG_KEY)
        self.successResultOf(provider.start())
        space = self.successResultOf(provider.get_space())
        self.assertEqual(space, Space(0, 3 * BLOCK + 5))
        self.successResultOf(provider.put_object(KEY, bytes(space.available)))
        self.assertEqual(self.successResultOf(provider.get_space()).available, 0)

    def test_a_buffer_counts_the_layer_itself(self) -> None:
        own = self.provider.buffer_size(2**40) - self.inner.buffer_size(stored_size(2**40))
        self.assertTrue(2**20 < own < 2**21)
        self.assertLess(self.provider.buffer_size(100), 400)

    def test_it_has_the_abilities_of_what_it_wraps(self) -> None:
        @implementer(IInterruptedUploads)
        class Interrupted(MemoryProvider):
            def clear_interrupted_uploads(self, prefix: str) -> Deferred[int]:
                cleared: Deferred[int] = Deferred()
                cleared.callback(len(prefix))
                return cleared

        inner = Interrupted("interrupted")
        for layer in (TaggingProvider(inner, TAG_KEY), FaultyProvider(inner, FaultPlan())):
            self.assertEqual(set(abilities(layer)), set(OPTIONAL))
            self.assertEqual(self.successResultOf(layer.clear_interrupted_uploads("ab")), 2)
        plain = Plain()
        for layer in (TaggingProvider(plain, TAG_KEY), FaultyProvider(plain, FaultPlan())):
            self.assertEqual(abilities(layer), ())
        self.assertTrue(IStorageProvider.providedBy(layer))


class Plain(FaultyProvider):
    """A provider without any optional interface."""

    def __init__(self) -> None:
        super().__init__(MemoryProvider("plain"), FaultPlan())
        for ability in abilities(self):
            noLongerProvides(self, ability)
