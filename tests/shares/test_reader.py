"""Reading immutable shares."""

from __future__ import annotations

from twisted.internet.interfaces import IConsumer, IProducer, IPushProducer
from zope.interface import implementer
from zope.interface.verify import verifyObject

from raic.errors import ObjectCorrupt, ObjectNotFound
from raic.interfaces import IShareReader
from raic.values import StoredShare
from tests.shares.stores import INDEX_A, StoreTestCase, pattern
from tests.shares.upload_world import UploadTestCase

MIB = 1024 * 1024


@implementer(IConsumer)
class Taker:
    """Takes what comes until it has enough.

    :param enough: after so many bytes it stops the stream.
    """

    def __init__(self, enough: int | None = None, pauses: bool = False) -> None:
        self.data = b""
        self.enough = enough
        self.pauses = pauses
        self.producer: IPushProducer | None = None

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        assert streaming
        self.producer = IPushProducer(producer)

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        assert self.producer is not None
        self.data += data
        if self.pauses:
            self.producer.pauseProducing()
        if self.enough is not None and len(self.data) >= self.enough:
            self.producer.stopProducing()


class ReaderTests(StoreTestCase):
    """Over a provider with immediate reads."""

    def setUp(self) -> None:
        super().setUp()
        self.data = pattern(3 * MIB)
        self.store(self.data)
        self.share: StoredShare = self.successResultOf(self.index.get_bucket(INDEX_A))[0]
        self.reader = self.buckets.open(self.share)

    def test_the_interface_is_provided(self) -> None:
        verifyObject(IShareReader, self.reader)
        self.assertEqual(self.reader.length, 3 * MIB)

    def test_ranges_are_those_of_the_share(self) -> None:
        for begin, length in ((0, 10), (0, 3 * MIB), (5, 0), (MIB + 1, MIB), (3 * MIB - 1, 1)):
            wanted = self.data[begin : begin + length]
            self.assertEqual(self.successResultOf(self.reader.read(begin, length)), wanted)
            self.assertEqual(self.reader.read_now(begin, length), wanted)
            taker = Taker()
            self.assertEqual(self.successResultOf(self.reader.stream(begin, length, taker)), length)
            self.assertEqual(taker.data, wanted)
            self.assertIsNone(taker.producer)

    def test_ranges_end_where_the_share_does(self) -> None:
        for begin, length, left in ((3 * MIB - 5, 10, 5), (3 * MIB, 1, 0), (2**62, 2**62, 0)):
            wanted = self.data[3 * MIB - left :] if left else b""
            self.assertEqual(self.successResultOf(self.reader.read(begin, length)), wanted)
            self.assertEqual(self.reader.read_now(begin, length), wanted)
            taker = Taker()
            self.assertEqual(self.successResultOf(self.reader.stream(begin, length, taker)), left)
            self.assertEqual(taker.data, wanted)

    def test_negative_ranges_are_mistakes(self) -> None:
        self.assertRaises(ValueError, self.reader.read, -1, 5)
        self.assertRaises(ValueError, self.reader.read_now, 0, -1)

    def test_the_object_is_pinned_until_the_reader_is_closed(self) -> None:
        self.assertTrue(self.pins.is_pinned(self.share.key))
        self.reader.close()
        self.reader.close()
        self.assertFalse(self.pins.is_pinned(self.share.key))

    def test_a_consumer_that_stops_the_stream_gets_what_it_took(self) -> None:
        taker = Taker(enough=1)
        delivered = self.successResultOf(self.reader.stream(0, 3 * MIB, taker))
        self.assertEqual(delivered, len(taker.data))
        self.assertLess(delivered, 3 * MIB)

    def test_a_consumer_sets_the_pace(self) -> None:
        taker = Taker(pauses=True)
        streaming = self.reader.stream(0, 3 * MIB, taker)
        before = -1
        while taker.producer is not None:
            self.assertNoResult(streaming)
            self.assertGreater(len(taker.data), before)
            before = len(taker.data)
            taker.producer.resumeProducing()
        self.assertEqual(self.successResultOf(streaming), 3 * MIB)
        self.assertEqual(taker.data, self.data)


class BrokenObjectTests(UploadTestCase):
    """Over a provider without immediate reads, whose object lacks its last bytes."""

    def setUp(self) -> None:
        super().setUp()
        self.store(b"a short share")
        share = self.successResultOf(self.index.get_bucket(INDEX_A))[0]
        self.key = share.key
        self.reader = self.buckets.open(share)

    def cut(self) -> None:
        size = self.objects()[self.key]
        data = self.successResultOf(self.remote.get_object(self.key, 0, size))
        self.successResultOf(self.remote.delete_objects([self.key]))
        self.successResultOf(self.remote.put_object(self.key, data[:-3]))

    def test_without_immediate_reads_nothing_is_had_at_once(self) -> None:
        self.assertIsNone(self.reader.read_now(0, 5))
        self.assertEqual(self.reader.read_now(13, 5), b"")

    def test_an_answer_is_never_short(self) -> None:
        self.cut()
        self.assertEqual(self.successResultOf(self.reader.read(0, 10)), b"a short sh")
        self.failureResultOf(self.reader.read(0, 13), ObjectCorrupt)
        self.failureResultOf(self.reader.stream(0, 13, Taker()), ObjectCorrupt)

    def test_an_immediate_answer_is_never_short(self) -> None:
        self.cut()
        share = self.successResultOf(self.index.get_bucket(INDEX_A))[0]
        StoreTestCase.setUp(self)
        data = self.successResultOf(self.remote.get_object(share.key, 0, 2**20))
        self.successResultOf(self.memory.put_object(share.key, data))
        reader = self.buckets.open(share)
        self.assertEqual(reader.read_now(0, 10), b"a short sh")
        self.assertIsNone(reader.read_now(0, 13))

    def test_a_missing_object_says_so(self) -> None:
        self.successResultOf(self.remote.delete_objects([self.key]))
        self.failureResultOf(self.reader.read(0, 13), ObjectNotFound)
        self.failureResultOf(self.reader.stream(0, 13, Taker()), ObjectNotFound)
