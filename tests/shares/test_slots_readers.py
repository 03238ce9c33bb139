"""Readers that outlive a version, streams, and slots that several ask at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IProducer, IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from raic.errors import ProviderBusy, ServiceBusy
from raic.interfaces import IShareReader
from raic.shares.ages import GARBAGE_SECONDS
from raic.shares.collector import Collector
from raic.shares.slot_locks import SlotLocks
from raic.shares.slot_reader import PIECE_BYTES
from raic.values import TestWriteVectors
from tests.shares.slot_machine_world import (
    ALL,
    DELETE,
    MIB,
    Held,
    SlotTestCase,
    busy,
    expecting,
    noise,
    put,
    writes,
)
from tests.shares.stores import INDEX_A, INDEX_B


class Pinning(SlotTestCase):
    def collect(self) -> None:
        """Delete all garbage that nobody reads."""
        self.clock.advance(GARBAGE_SECONDS)
        collector = Collector(self.remote, self.index, self.pins, self.clock)
        while self.successResultOf(collector.collect_once()):
            pass

    def test_a_reader_stays_at_its_version(self) -> None:
        for old in (noise(2000), noise(3 * MIB)):
            self.change(s0=put((0, old)))
            self.slots = self.new_slots()
            reader = self.successResultOf(self.slots.open(INDEX_A, 0))
            verifyObject(IShareReader, reader)
            self.change(s0=put((0, b"new"), (1500, b"new")))
            self.change(s0=DELETE)
            self.collect()
            self.assertEqual(reader.length, len(old))
            self.assertEqual(self.successResultOf(reader.read(0, 2**60)), old)
            reader.close()
            reader.close()
            self.collect()
            self.assertEqual(self.objects("chunks/"), {})

    def test_only_the_share_that_is_read_is_kept(self) -> None:
        self.change(s0=put((0, noise(2 * MIB))), s1=put((0, noise(2 * MIB, 2))))
        reader = self.successResultOf(self.slots.open(INDEX_A, 1))
        self.change(s0=DELETE, s1=DELETE)
        self.collect()
        self.assertEqual(len(self.objects("chunks/")), 2)
        self.assertEqual(self.successResultOf(reader.read(0, 2 * MIB)), noise(2 * MIB, 2))

    def test_what_is_being_read_is_kept(self) -> None:
        self.change(s0=put((0, noise(2 * MIB))))
        held = Held()
        self.remote.read_fates = [held] * 2
        asked = self.slots.read(INDEX_A, [], ALL)
        self.change(s0=DELETE)
        self.collect()
        held.let_go()
        held.let_go()
        self.assertEqual(self.successResultOf(asked), {0: (noise(2 * MIB),)})
        self.collect()
        self.assertEqual(self.objects("chunks/"), {})

    def test_what_an_update_reads_is_kept(self) -> None:
        self.change(s0=put((0, noise(2 * MIB))))
        version = self.version()
        held = Held()
        self.remote.read_fates = [held]
        asked = self.ask({0: put((5, b"x"))})
        keys = version.keys()
        self.assertTrue(all(self.pins.is_pinned(key) for key in keys))
        held.refuse(ProviderBusy("attic", "get_object", "slow down"))
        self.failureResultOf(asked, ProviderBusy)
        self.assertFalse(any(self.pins.is_pinned(key) for key in keys))


@implementer(IConsumer)
class Consumer:
    """Pauses its producer after each piece when told so."""

    def __init__(self, pausing: bool = False) -> None:
        self.pieces: list[bytes] = []
        self.producers = 0
        self.producer: IPushProducer | None = None
        self._pausing = pausing

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        assert streaming
        self.producers += 1
        self.producer = IPushProducer(producer)

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        self.pieces.append(data)
        if self._pausing:
            self.now().pauseProducing()

    def now(self) -> IPushProducer:
        """The producer."""
        assert self.producer is not None
        return self.producer


class Streaming(SlotTestCase):
    def stream(self, offset: int, length: int, consumer: Consumer, data: bytes) -> Deferred[int]:
        self.change(s0=put((0, data)))
        self.slots = self.new_slots()
        self.calls()
        reader = self.successResultOf(self.slots.open(INDEX_A, 0))
        return reader.stream(offset, length, consumer)

    def test_chunks_come_one_after_the_other(self) -> None:
        data = noise(3 * MIB + 5)
        consumer = Consumer()
        streamed = self.stream(MIB - 3, 2**60, consumer, data)
        self.assertEqual(self.successResultOf(streamed), 2 * MIB + 8)
        self.assertEqual(b"".join(consumer.pieces), data[MIB - 3 :])
        self.assertLessEqual(max(map(len, consumer.pieces)), PIECE_BYTES)
        self.assertEqual((consumer.producers, consumer.producer), (1, None))
        self.assertEqual(self.calls(), ["get_object chunks"] * 4)

    def test_a_small_share_is_one_request(self) -> None:
        consumer = Consumer()
        streamed = self.stream(10, 1000, consumer, noise(2000))
        self.assertEqual(self.successResultOf(streamed), 1000)
        self.assertEqual(consumer.pieces, [noise(2000)[10:1010]])
        self.assertEqual(self.calls(), ["get_object slots"])

    def test_nothing_is_streamed_beyond_the_end(self) -> None:
        consumer = Consumer()
        self.assertEqual(self.successResultOf(self.stream(2000, 5, consumer, noise(2000))), 0)
        self.assertEqual((consumer.pieces, consumer.producers), ([], 1))

    def test_a_paused_consumer_is_waited_for(self) -> None:
        consumer = Consumer(pausing=True)
        streamed = self.stream(0, 2**60, consumer, noise(2 * MIB))
        for count in range(1, 8):
            self.assertEqual(len(consumer.pieces), count)
            # the second chunk is fetched while the consumer thinks about the end of the first
            self.assertEqual(len(self.calls()), {1: 1, 4: 1}.get(count, 0))
            self.assertNoResult(streamed)
            consumer.now().resumeProducing()
        self.assertEqual(self.successResultOf(streamed), 2 * MIB)
        self.assertEqual(b"".join(consumer.pieces), noise(2 * MIB))

    def test_a_consumer_may_stop(self) -> None:
        consumer = Consumer(pausing=True)
        streamed = self.stream(0, 2**60, consumer, noise(2 * MIB))
        consumer.now().resumeProducing()
        consumer.now().stopProducing()
        self.assertEqual(self.successResultOf(streamed), 2 * PIECE_BYTES)
        self.assertEqual(len(self.calls()), 1)

    def test_a_failure_ends_the_stream(self) -> None:
        consumer = Consumer()
        self.remote.read_fates = [None, busy]
        self.failureResultOf(self.stream(0, 2**60, consumer, noise(2 * MIB)), ProviderBusy)
        self.assertEqual(b"".join(consumer.pieces), noise(2 * MIB)[:MIB])
        self.assertIsNone(consumer.producer)


class Memory(SlotTestCase):
    def test_what_is_read_counts_until_it_is_handed_over_unless_it_is_little(self) -> None:
        self.change(s0=put((0, noise(60_000))), s1=put((0, noise(60_000))))
        asking: tuple[Callable[[], Deferred[Any]], ...] = (
            lambda: self.slots.read(INDEX_A, (), ALL),
            lambda: self.ask({}, ALL),
        )
        for ask in asking:
            self.slots = self.new_slots()
            self.budget.limit = 119_999
            self.failureResultOf(ask(), ServiceBusy)
            self.budget.limit += 1
            held = Held()
            self.remote.read_fates = [held]
            asked = ask()
            self.assertEqual(self.budget.taken, 120_000)
            little = self.slots.read(INDEX_A, (1,), ALL)
            self.assertEqual(self.successResultOf(little), {1: (noise(60_000),)})
            held.let_go()
            self.successResultOf(asked)
            self.assertEqual(self.budget.taken, 0)


class Together(SlotTestCase):
    def test_a_second_update_waits_for_the_first(self) -> None:
        held = Held()
        self.remote.fates = [held, held]
        first = self.ask({0: put((0, b"first"))})
        asked = TestWriteVectors(expecting((0, 5, b"first")), writes((0, b"second")))
        second = self.ask({0: asked}, ALL)
        self.assertEqual(len(held), 1)
        held.let_go()
        self.assertTrue(self.successResultOf(first).success)
        self.assertNoResult(second)
        held.let_go()
        result = self.successResultOf(second)
        self.assertEqual((result.success, result.data), (True, {0: (b"first",)}))
        self.assertEqual(self.contents(), {0: b"second"})

    def test_a_failed_update_lets_the_next_go_on(self) -> None:
        held = Held()
        self.remote.fates = [held]
        first = self.ask({0: put((0, b"first"))})
        second = self.ask({0: put((0, b"second"))})
        held.refuse(ProviderBusy("attic", "put_object", "slow down"))
        self.failureResultOf(first, ProviderBusy)
        self.assertTrue(self.successResultOf(second).success)

    def test_slots_do_not_wait_for_one_another_nor_reads_for_writes(self) -> None:
        self.change(s0=put((0, b"old")))
        held = Held()
        self.remote.fates = [held]
        first = self.ask({0: put((0, b"new"))})
        second = self.ask({0: put((0, b"other"))}, storage_index=INDEX_B)
        self.assertTrue(self.successResultOf(second).success)
        self.assertEqual(self.contents(), {0: b"old"})
        self.assertNoResult(first)
        held.let_go()
        self.assertEqual(self.contents(), {0: b"new"})

    def test_a_thousand_may_wait(self) -> None:
        held = Held()
        self.remote.fates = [held]
        asked = [self.ask({0: put((0, b"%04d" % count))}) for count in range(1000)]
        held.let_go()
        self.assertTrue(all(self.successResultOf(each).success for each in asked))
        self.assertEqual(self.contents(), {0: b"0999"})


class Locking(SynchronousTestCase):
    def test_an_idle_slot_has_no_lock(self) -> None:
        locks = SlotLocks()
        self.successResultOf(locks.acquire(b"a"))
        waiting = [locks.acquire(b"a") for _ in range(2)]
        self.successResultOf(locks.acquire(b"b"))
        self.assertEqual(len(locks), 2)
        locks.release(b"b")
        locks.release(b"a")
        self.successResultOf(waiting[0])
        self.assertNoResult(waiting[1])
        locks.release(b"a")
        self.successResultOf(waiting[1])
        self.assertEqual(len(locks), 1)
        locks.release(b"a")
        self.assertEqual(len(locks), 0)

    def test_who_asks_while_the_lock_is_handed_over_comes_last(self) -> None:
        locks = SlotLocks()
        order: list[str] = []

        def take(name: str) -> None:
            locks.acquire(b"a").addCallback(lambda _: took(name))

        def took(name: str) -> None:
            order.append(name)
            if name == "second":
                take("fourth")
            locks.release(b"a")

        self.successResultOf(locks.acquire(b"a"))
        take("second")
        take("third")
        locks.release(b"a")
        self.assertEqual(order, ["second", "third", "fourth"])
        self.assertEqual(len(locks), 0)
