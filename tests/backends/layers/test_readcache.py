from __future__ import annotations

from itertools import pairwise
from os import environ

from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.faults import FaultPlan, Gate
from raic.backends.faulty import FaultyProvider
from raic.backends.layers.readcache import CacheSettings, ReadCacheLayer
from raic.backends.memory import MemoryProvider
from raic.errors import ObjectNotFound, ProviderError, ProviderUnreachable
from tests.backends.layers.worlds import LayerCase, Remote
from tests.contracts.consumer import Collector
from tests.contracts.provider import KEY, TEN, pattern

READ = 350_000
BLOCK = 65_536
DATA = pattern(5_000_000)


class CacheCase(LayerCase):
    def setUp(self) -> None:
        super().setUp()
        self.layer = ReadCacheLayer(self.leaf)
        self.data = DATA
        self.put(KEY, self.data)

    def read(self, offset: int, length: int = READ) -> None:
        reading = self.layer.get_object(KEY, offset, length)
        self.assertTrue(self.successResultOf(reading) == self.data[offset : offset + length])

    @property
    def requests(self) -> int:
        return len(self.leaf.reads)


class RepeatedReadTests(CacheCase):
    def test_the_beginning_of_a_share_is_not_asked_for_twice(self) -> None:
        self.read(0, 36)
        self.read(0, 36)
        self.read(500, 1_000)
        self.read(0, BLOCK)
        self.assertEqual(self.leaf.reads, [(0, BLOCK)])

    def test_what_was_read_can_be_read_immediately(self) -> None:
        self.assertIsNone(self.layer.read_now(KEY, 0, 100))
        self.read(0)
        self.assertEqual(self.layer.read_now(KEY, 70_000, 90_000), self.data[70_000:160_000])
        self.assertIsNone(self.layer.read_now(KEY, 600_000, 10))
        self.assertIsNone(self.layer.read_now(KEY, 0, 0))
        self.assertIsNone(self.layer.read_now(KEY, -1, 10))
        self.assertEqual((self.layer.hits, self.layer.misses), (1, 1))

    def test_only_what_is_missing_is_asked_for(self) -> None:
        self.read(0, BLOCK)
        self.read(0, 3 * BLOCK)
        self.assertEqual(self.leaf.reads, [(0, BLOCK), (BLOCK, 2 * BLOCK)])

    def test_the_end_of_an_object_is_known_once_seen(self) -> None:
        self.read(4_990_000, 50_000)
        self.read(4_990_000, 10_000)
        self.read(4_999_999, 100)
        self.assertEqual(self.requests, 1)
        self.assertEqual(self.layer.read_now(KEY, 4_990_000, 200_000), self.data[4_990_000:])

    def test_an_object_of_whole_blocks_ends_where_it_ends(self) -> None:
        self.put(KEY + "0", bytes(2 * BLOCK))
        for length in (3 * BLOCK, 3 * BLOCK, 4 * BLOCK):
            reading = self.layer.get_object(KEY + "0", 0, length)
            self.assertEqual(len(self.successResultOf(reading)), 2 * BLOCK)
        self.assertEqual(self.requests, 1)
        beyond = self.layer.get_object(KEY + "0", 2 * BLOCK, 10)
        self.assertEqual(self.successResultOf(beyond), b"")

    def test_two_readers_share_one_request(self) -> None:
        gate = self.plan.hang("get_object")
        reads = [self.layer.get_object(KEY, at, 10) for at in (0, 5)]
        self.assertEqual(self.requests, 1)
        gate.release()
        self.assertEqual(self.successResultOf(reads[0]), self.data[:10])
        self.assertEqual(self.successResultOf(reads[1]), self.data[5:15])

    def test_a_failed_read_keeps_nothing(self) -> None:
        self.plan.fail("get_object")
        self.failureResultOf(self.layer.get_object(KEY, 0, 10), ProviderUnreachable)
        self.assertEqual(self.layer.used, 0)
        self.read(0, 10)

    def test_streams_and_very_large_reads_pass_by(self) -> None:
        self.successResultOf(self.layer.stream_object(KEY, 0, 5_000_000, Collector()))
        self.assertEqual(self.layer.used, 0)
        self.layer = ReadCacheLayer(self.leaf, CacheSettings(capacity=1_000_000))
        self.read(0, 250_001)
        self.assertEqual(self.layer.used, 0)
        self.read(0, 250_000)
        self.assertEqual(self.layer.used, 4 * BLOCK)

    def test_a_long_download_leaves_what_is_used_often(self) -> None:
        self.layer = ReadCacheLayer(self.leaf, CacheSettings(capacity=2_000_000))
        self.put(KEY + "0", TEN)
        for _ in range(2):
            self.successResultOf(self.layer.get_object(KEY + "0", 0, 10))
        for at in range(0, len(self.data), READ):
            self.read(at)
        self.assertEqual(self.layer.read_now(KEY + "0", 0, 10), TEN)
        self.assertLessEqual(self.layer.used, 2_000_000)


class DeletionTests(CacheCase):
    def test_a_deleted_object_is_forgotten(self) -> None:
        self.read(0, 10)
        self.successResultOf(self.layer.delete_objects([KEY]))
        self.assertIsNone(self.layer.read_now(KEY, 0, 10))
        self.failureResultOf(self.layer.get_object(KEY, 0, 10), ObjectNotFound)
        self.assertEqual(self.layer.used, 0)

    def test_what_was_on_its_way_when_an_object_was_deleted_is_not_kept(self) -> None:
        late = Late(self.memory)
        self.layer = ReadCacheLayer(late)
        reading = self.layer.get_object(KEY, 0, 10)
        self.successResultOf(self.layer.delete_objects([KEY]))
        late.release()
        self.assertEqual(self.successResultOf(reading), self.data[:10])
        self.assertIsNone(self.layer.read_now(KEY, 0, 10))
        self.assertEqual(self.layer.used, 0)

    def test_what_was_read_during_a_deletion_is_not_kept(self) -> None:
        gate = self.plan.hang("delete_objects")
        deleting = self.layer.delete_objects([KEY])
        self.read(0, 10)
        gate.release()
        self.successResultOf(deleting)
        self.assertIsNone(self.layer.read_now(KEY, 0, 10))

    def test_what_arrives_after_the_stop_is_not_kept(self) -> None:
        late = Late(self.memory)
        self.layer = ReadCacheLayer(late)
        reading = self.layer.get_object(KEY, 0, 10)
        self.successResultOf(self.layer.stop())
        late.release()
        self.successResultOf(reading)
        self.assertIsNone(self.layer.read_now(KEY, 0, 10))
        self.successResultOf(self.layer.start())
        self.assertEqual(self.layer.used, 0)


class Late(Remote):
    """Reads at once, and tells later."""

    def __init__(self, inner: MemoryProvider) -> None:
        super().__init__(inner)
        self.gate = Gate()

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        reading = super().get_object(key, offset, length)
        return self.gate.passed().addCallback(lambda _: reading)

    def release(self) -> None:
        self.gate.release()


class ReadAheadTests(CacheCase):
    def test_a_sequential_reader_finds_everything_there(self) -> None:
        for at in range(0, len(self.data), READ):
            if at > READ:
                self.assertEqual(self.layer.read_now(KEY, at, READ), self.data[at : at + READ], at)
            else:
                self.read(at)
        self.assertLess(self.requests, len(self.data) / READ)

    def test_nothing_is_asked_for_twice(self) -> None:
        for at in range(0, len(self.data), READ):
            self.read(at)
        asked = sorted(self.leaf.reads)
        for (offset, length), (following, _) in pairwise(asked):
            self.assertLessEqual(offset + length, following)

    def test_nothing_is_asked_for_beyond_an_end_that_is_known(self) -> None:
        self.layer = ReadCacheLayer(self.leaf, length_of=lambda key: len(self.data))
        for at in range(0, len(self.data), READ):
            self.read(at)
        self.assertTrue(all(offset < len(self.data) for offset, _ in self.leaf.reads))

    def test_latency_is_hidden(self) -> None:
        """Each request takes 100 ms; a reader of 14 pieces waits for two or three of them."""
        slow = Slow(self)
        self.layer = ReadCacheLayer(slow)
        began = self.clock.seconds()
        for at in range(0, len(self.data), READ):
            reading = self.layer.get_object(KEY, at, READ)
            while not reading.called:
                self.clock.advance(0.01)
            self.successResultOf(reading)
            self.clock.advance(0.03)  # the client's own time
        waited = self.clock.seconds() - began - 15 * 0.03
        self.assertLess(waited, 0.35)
        self.pass_time(1)

    def test_what_is_fetched_ahead_is_bounded(self) -> None:
        self.layer = ReadCacheLayer(self.leaf, CacheSettings(capacity=4 * READ))
        self.read(0)
        gate = self.plan.hang("get_object", times=None)
        reads = [self.layer.get_object(KEY, at, READ) for at in (READ, 2 * READ)]
        ahead = sum(length for _, length in self.leaf.reads[1:]) - 2 * READ
        self.assertLessEqual(ahead, READ + 2 * BLOCK)
        gate.release()
        for reading in reads:
            self.successResultOf(reading)

    def test_what_could_not_be_fetched_ahead_is_asked_for_again(self) -> None:
        self.read(0)
        self.plan.fail("get_object", nth=2)
        self.read(READ)
        self.read(2 * READ)
        self.read(3 * READ)

    def test_a_reader_that_waits_for_what_could_not_be_fetched_asks_itself(self) -> None:
        gates = Gate()
        self.layer = ReadCacheLayer(Failing(self.memory, gates))
        first = self.layer.get_object(KEY, 0, READ)
        second = self.layer.get_object(KEY, 0, READ)
        gates.release()
        self.failureResultOf(first, ProviderUnreachable)
        self.assertTrue(self.successResultOf(second) == self.data[:READ])


class Failing(Remote):
    """The first read fails when the gate opens."""

    def __init__(self, inner: MemoryProvider, gate: Gate) -> None:
        super().__init__(inner)
        self.gate = gate

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        reading = super().get_object(key, offset, length)
        if len(self.reads) > 1:
            return reading

        def fail(_: object) -> bytes:
            raise ProviderUnreachable(self.name, "get_object", "it broke")

        return self.gate.passed().addCallback(fail)


class Slow(Remote):
    def __init__(self, case: CacheCase) -> None:
        super().__init__(case.memory)
        self.case = case

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        waiting: Deferred[None] = Deferred()
        self.case.clock.callLater(0.1, waiting.callback, None)
        read = super().get_object
        return waiting.addCallback(lambda _: read(key, offset, length))


NUMBERS = st.integers(0, 5)
OBJECTS = {f"object{n}": bytes(range(n * 13)) for n in range(6)}
SETTINGS = CacheSettings(capacity=100, read_ahead=24, block=4, request=12)
CASE = SynchronousTestCase()


class CacheModel(RuleBasedStateMachine):
    """Reads, in flight and answered in any order, against dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = MemoryProvider("memory")
        self.plan = FaultPlan()
        self.faulty = Remote(FaultyProvider(self.inner, self.plan))
        self.layer = ReadCacheLayer(self.faulty, SETTINGS)
        self.capacity = SETTINGS.capacity
        CASE.successResultOf(self.layer.start())
        self.there: dict[str, bytes] = {}
        self.gates: list[Gate] = []
        self.reading: list[Deferred[None]] = []

    @rule(number=NUMBERS)
    def put(self, number: int) -> None:
        key = f"object{number}"
        self.there[key] = OBJECTS[key]
        CASE.successResultOf(self.layer.put_object(key, OBJECTS[key]))

    @rule(number=NUMBERS)
    def delete(self, number: int) -> None:
        key = f"object{number}"
        self.there.pop(key, None)
        CASE.successResultOf(self.layer.delete_objects([key]))

    @rule()
    def hang_next(self) -> None:
        self.gates.append(self.plan.hang("get_object"))

    @rule()
    def fail_next(self) -> None:
        self.plan.fail("get_object")

    @rule(which=NUMBERS)
    def answer(self, which: int) -> None:
        if which < len(self.gates):
            self.gates.pop(which).release()

    @rule(number=NUMBERS, offset=st.integers(0, 70), length=st.integers(0, 30))
    def read(self, number: int, offset: int, length: int) -> None:
        key = f"object{number}"
        expected = OBJECTS[key][offset : offset + length]
        immediate = self.layer.read_now(key, offset, length)
        if immediate is not None:
            assert key in self.there, "a deleted object was read"
            assert immediate == expected
        reading = self.layer.get_object(key, offset, length)
        if reading.called and key not in self.there:
            CASE.failureResultOf(reading, ObjectNotFound, ProviderUnreachable)
        else:
            self.check_later(reading, expected)

    @rule(capacity=st.sampled_from([0, SETTINGS.capacity // 2, SETTINGS.capacity]))
    def adjust(self, capacity: int) -> None:
        self.capacity = capacity
        self.layer.adjust(evolve(SETTINGS, capacity=capacity, read_ahead=capacity // 4))

    @rule(number=NUMBERS, length=st.integers(1, 9))
    def read_all(self, number: int, length: int) -> None:
        for offset in range(0, len(OBJECTS[f"object{number}"]), length):
            self.read(number, offset, length)

    def check_later(self, reading: Deferred[bytes], expected: bytes) -> None:
        def check(data: bytes) -> None:
            assert data == expected

        def accept(failed: Failure) -> None:
            failed.trap(ProviderError)

        self.reading.append(reading.addCallbacks(check, accept))

    @invariant()
    def memory_is_bounded(self) -> None:
        assert self.layer.used <= self.capacity

    def teardown(self) -> None:
        for gate in self.gates:
            gate.release()
        self.plan.heal()
        for reading in self.reading:
            CASE.successResultOf(reading)


class CacheModelTests(SynchronousTestCase):
    def test_reads_what_is_there(self) -> None:
        run_state_machine_as_test(
            CacheModel,
            settings=settings(
                max_examples=int(environ.get("RAIC_MODEL_EXAMPLES", "60")),
                stateful_step_count=40,
                deadline=None,
            ),
        )
