"""Which objects slots write and read: inline data, chunks, heads, the cache."""

from __future__ import annotations

from raic.backends.memory import MemoryProvider
from raic.errors import ObjectCorrupt
from raic.shares.keys import ChunkKey, parse_key
from raic.shares.slot_cache import AreaCache
from raic.shares.slot_writer import INLINE_BYTES, PARALLEL_CHUNKS
from raic.values import Chunk, Inline, ReadVector, TestWriteVectors
from tests.shares.slot_machine_world import (
    DELETE,
    MIB,
    Held,
    Short,
    SlotTestCase,
    expecting,
    noise,
    put,
    writes,
)
from tests.shares.stores import INDEX_A


class Small(SlotTestCase):
    def test_what_clients_test_needs_no_request(self) -> None:
        data = noise(2000)
        self.change(s0=put((0, data)))
        self.slots = self.new_slots()
        self.calls()
        typical = TestWriteVectors(expecting((0, 41, data[:41]), (0, 256, data[:256])))
        absent = TestWriteVectors(expecting((0, 1, b"")))
        asked = self.ask({0: typical, 1: absent}, [ReadVector(0, 41)])
        # the share that is made takes the old bytes along
        self.assertTrue(self.successResultOf(asked).success)
        self.assertEqual(self.calls(), ["get_object slots", "put_object slots"])
        asked = self.ask({0: typical}, [ReadVector(0, 41), ReadVector(2000, 9)])
        self.assertTrue(self.successResultOf(asked).success)
        for other in (expecting((0, 1, b"")), expecting((1999, 2, data[-2:]))):
            asked = self.ask({0: TestWriteVectors(other)})
            self.assertFalse(self.successResultOf(asked).success)
        self.assertEqual(self.calls(), [])

    def test_a_small_update_is_one_request(self) -> None:
        data = noise(2000)
        self.change(s0=put((0, data)), s1=put((0, data)))
        for offset in (0, 500, 1999):
            self.calls()
            self.change(s0=put((offset, b"x")))
            self.assertEqual(self.calls(), ["put_object slots"])

    def test_after_a_restart_old_bytes_are_read_once(self) -> None:
        data = noise(2000)
        self.change(s0=put((0, data)), s1=put((0, data)))
        self.slots = self.new_slots()
        self.calls()
        self.change(s0=put((1000, b"x")))
        self.assertEqual(self.calls(), ["get_object slots", "put_object slots"])
        self.assertEqual(self.contents()[1], data)
        self.change(s0=put((1000, b"y")))
        self.assertEqual(self.calls(), ["put_object slots"])

    def test_after_a_restart_what_is_overwritten_wholly_is_not_read(self) -> None:
        self.change(s0=put((0, noise(2000))), s1=put((0, b"head only")))
        self.slots = self.new_slots()
        self.calls()
        self.change(s0=put((0, b"x" * 1000), (900, b"y" * 1100)))
        self.assertEqual(self.calls(), ["put_object slots"])

    def test_a_read_warms_the_cache_for_the_write(self) -> None:
        self.change(s0=put((0, noise(2000))))
        self.slots = self.new_slots()
        self.contents()
        self.calls()
        self.change(s0=put((1000, b"x")))
        self.assertEqual(self.calls(), ["put_object slots"])

    def test_a_provider_with_immediate_reads_is_read_without_waiting(self) -> None:
        local = MemoryProvider("attic")
        self.successResultOf(local.start())
        data = noise(2000)
        self.slots = self.new_slots(provider=local)
        self.change(s0=put((0, data)))
        self.slots = self.new_slots(provider=local)
        reader = self.successResultOf(self.slots.open(INDEX_A, 0))
        self.assertEqual(reader.read_now(1000, 500), data[1000:1500])
        self.change(s0=put((1000, b"x")))
        self.assertEqual(self.contents()[0], data[:1000] + b"x" + data[1001:])

    def test_without_immediate_reads_only_the_head_and_the_cache_are_at_hand(self) -> None:
        data = noise(2000)
        self.change(s0=put((0, data)))
        self.slots = self.new_slots()
        reader = self.successResultOf(self.slots.open(INDEX_A, 0))
        self.assertEqual(reader.read_now(0, 256), data[:256])
        self.assertIsNone(reader.read_now(0, 257))
        self.assertEqual(self.successResultOf(reader.read(0, 257)), data[:257])
        self.assertEqual(reader.read_now(0, 257), data[:257])

    def test_an_object_that_is_too_short_is_corrupt(self) -> None:
        self.change(s0=put((0, noise(2000))))
        self.slots = self.new_slots()
        self.remote.shortened.add(self.version().key)
        self.failureResultOf(self.slots.read(INDEX_A, [], [ReadVector(0, 300)]), ObjectCorrupt)
        version = self.version()
        self.failureResultOf(self.ask({0: put((0, b"x"))}), ObjectCorrupt)
        self.assertEqual(self.version(), version)

    def test_a_short_object_is_corrupt_to_immediate_reads_too(self) -> None:
        local = MemoryProvider("attic")
        self.successResultOf(local.start())
        self.slots = self.new_slots(provider=local)
        self.change(s0=put((0, noise(2000))))
        key, size = self.version().key, self.version().size
        data = self.successResultOf(local.get_object(key, 0, size - 1))
        self.successResultOf(local.delete_objects([key]))
        self.successResultOf(local.put_object(key, data))
        self.slots = self.new_slots(provider=local)
        reader = self.successResultOf(self.slots.open(INDEX_A, 0))
        self.assertIsNone(reader.read_now(1000, 1000))
        self.failureResultOf(reader.read(1000, 1000), ObjectCorrupt)


class Caching(SlotTestCase):
    def test_the_least_recently_used_gives_way(self) -> None:
        cache = AreaCache(10)
        cache.put("a", b"aaaa")
        cache.put("b", b"bbbb")
        cache.get("a")
        cache.put("c", b"cccc")
        self.assertEqual([cache.get(key) for key in "abc"], [b"aaaa", None, b"cccc"])

    def test_bytes_put_again_or_dropped_are_not_counted_twice(self) -> None:
        cache = AreaCache(10)
        for _ in range(5):
            cache.put("a", b"aaaa")
        cache.put("b", b"bbbb")
        self.assertEqual(cache.get("a"), b"aaaa")
        cache.drop("a")
        cache.drop("a")
        cache.put("c", b"cccccc")
        self.assertEqual([cache.get(key) for key in "abc"], [None, b"bbbb", b"cccccc"])

    def test_what_is_larger_than_the_cache_is_not_kept(self) -> None:
        cache = AreaCache(10)
        cache.put("a", b"a" * 11)
        self.assertIsNone(cache.get("a"))


class Large(SlotTestCase):
    """Slots above 256 KiB."""

    def setUp(self) -> None:
        super().setUp()
        self.data = noise(3 * MIB + 500)
        self.change(s0=put((0, self.data)), s1=put((0, b"small")))

    def chunks(self, shnum: int = 0) -> tuple[Chunk, ...]:
        content = self.version().shares[shnum].content
        assert not isinstance(content, Inline)
        return content

    def test_shares_are_cut_into_chunks(self) -> None:
        expected = ["put_object chunks"] * 5 + ["put_object slots"]
        self.assertEqual(self.calls(), expected)
        self.assertEqual([chunk.length for chunk in self.chunks()], [MIB, MIB, MIB, 500])
        self.assertEqual([chunk.length for chunk in self.chunks(1)], [5])
        for chunk in self.chunks():
            assert chunk.key is not None
            key = parse_key(chunk.key)
            assert isinstance(key, ChunkKey)
            self.assertEqual((key.version, key.size), (self.version().version, chunk.length))
        version = self.version()
        self.assertEqual(version.size, version.header_length)
        self.slots = self.new_slots()
        self.assertEqual(self.contents(), {0: self.data, 1: b"small"})

    def test_only_chunks_that_change_are_written(self) -> None:
        before = self.chunks()
        self.calls()
        self.change(s0=put((MIB + 10, b"hello")))
        self.assertEqual(
            self.calls(), ["get_object chunks", "put_object chunks", "put_object slots"]
        )
        after = self.chunks()
        self.assertEqual((after[0], *after[2:]), (before[0], *before[2:]))
        self.assertNotEqual(after[1], before[1])
        expected = bytearray(self.data)
        expected[MIB + 10 : MIB + 15] = b"hello"
        self.assertEqual(self.contents()[0], expected)
        self.assertEqual(self.successResultOf(self.index.get_totals()).garbage, 2)

    def test_chunks_overwritten_wholly_are_not_read(self) -> None:
        self.calls()
        self.change(s0=put((MIB, b"x" * MIB), (3 * MIB, b"y" * 500)))
        self.assertEqual(self.calls(), ["put_object chunks"] * 2 + ["put_object slots"])

    def test_bytes_that_are_the_same_already_change_nothing(self) -> None:
        version = self.version()
        self.calls()
        self.change(s0=put((MIB - 5, self.data[MIB - 5 : MIB + 5])), s1=put((0, b"s")))
        self.assertEqual(self.calls(), ["get_object chunks"] * 2)
        self.assertEqual(self.version(), version)

    def test_holes_are_stored_nowhere(self) -> None:
        self.calls()
        self.change(s1=put((20 * MIB, b"x")))
        calls = self.calls()
        self.assertEqual(calls.count("put_object chunks"), 2)
        chunks = self.chunks(1)
        self.assertEqual([chunk.key is None for chunk in chunks], [False] + [True] * 19 + [False])
        expected = b"small" + bytes(20 * MIB - 5) + b"x"
        self.assertEqual(self.contents()[1], expected)
        self.change(s1=put((5 * MIB, b"")))
        self.assertEqual(self.contents()[1], expected)
        self.change(s1=put((5 * MIB + 1, b"y")))
        self.assertEqual(self.contents()[1][5 * MIB : 5 * MIB + 3], b"\0y\0")

    def test_a_hole_at_the_end_is_stored_nowhere(self) -> None:
        self.change(s1=put((5 * MIB, b"")))
        self.assertEqual([chunk.key is None for chunk in self.chunks(1)], [False] + [True] * 4)
        self.assertEqual(self.contents()[1], b"small" + bytes(5 * MIB - 5))

    def test_zeros_written_over_a_chunk_free_it(self) -> None:
        self.calls()
        self.change(s0=put((MIB, bytes(MIB))))
        self.assertEqual(self.calls(), ["put_object slots"])
        self.assertIsNone(self.chunks()[1].key)

    def test_truncation_rewrites_the_last_chunk_alone(self) -> None:
        before = self.chunks()
        self.calls()
        self.change(s0=put(new_length=2 * MIB + 5))
        self.assertEqual(
            self.calls(), ["get_object chunks", "put_object chunks", "put_object slots"]
        )
        self.assertEqual(self.chunks()[:2], before[:2])
        self.assertEqual(self.contents()[0], self.data[: 2 * MIB + 5])
        self.change(s0=put(new_length=2 * MIB))
        self.assertEqual(self.chunks(), before[:2])

    def test_growth_rewrites_the_last_chunk_alone(self) -> None:
        before = self.chunks()
        self.change(s0=put((3 * MIB + 600, b"end")))
        self.assertEqual(self.chunks()[:3], before[:3])
        self.assertEqual(self.contents()[0], self.data + bytes(100) + b"end")

    def test_a_slot_that_shrinks_is_inline_again(self) -> None:
        self.change(s0=put((1, b"x"), new_length=INLINE_BYTES - 5))
        self.assertIsInstance(self.version().shares[0].content, Inline)
        expected = self.data[:1] + b"x" + self.data[2 : INLINE_BYTES - 5]
        self.assertEqual(self.contents(), {0: expected, 1: b"small"})
        self.assertEqual(self.successResultOf(self.index.get_totals()).garbage, 6)
        self.change(s1=put((5, b"!")))
        self.assertEqual(self.chunks()[0].length, INLINE_BYTES - 5)
        self.assertEqual(self.contents(), {0: expected, 1: b"small!"})

    def test_deleting_the_large_share_makes_the_rest_inline(self) -> None:
        self.change(s0=DELETE)
        self.assertIsInstance(self.version().shares[1].content, Inline)
        self.assertEqual(self.contents(), {1: b"small"})

    def test_a_large_slot_can_be_deleted(self) -> None:
        self.change(s0=DELETE, s1=DELETE)
        self.assertEqual(self.contents(), {})
        self.assertEqual(self.successResultOf(self.index.get_totals()).garbage, 7)

    def test_heads_follow(self) -> None:
        self.change(s0=put((100, b"x" * 300)), s1=put((300, b"y")))
        shares = self.version().shares
        self.assertEqual(shares[0].head, self.data[:100] + b"x" * 156)
        self.assertEqual(shares[1].head, b"small" + bytes(251))

    def test_reads_go_across_chunks(self) -> None:
        self.calls()
        vectors = [ReadVector(MIB - 3, MIB + 6), ReadVector(3 * MIB + 490, 100)]
        found = self.successResultOf(self.slots.read(INDEX_A, [0], vectors))[0]
        self.assertEqual(found[0], self.data[MIB - 3 : 2 * MIB + 3])
        self.assertEqual(found[1], self.data[3 * MIB + 490 :])
        self.assertEqual(self.calls(), ["get_object chunks"] * 4)

    def test_tests_go_across_chunks(self) -> None:
        edge = self.data[MIB - 3 : MIB + 3]
        asked = {0: TestWriteVectors(expecting((MIB - 3, 6, edge)), writes((0, b"x")))}
        self.assertTrue(self.successResultOf(self.ask(asked)).success)
        asked = {0: TestWriteVectors(expecting((MIB - 3, 6, b"x" * 6)), writes((0, b"y")))}
        self.assertFalse(self.successResultOf(self.ask(asked)).success)

    def test_a_chunk_that_is_too_short_is_corrupt(self) -> None:
        key = self.chunks()[1].key
        assert key is not None
        self.remote.shortened.add(key)
        self.failureResultOf(self.slots.read(INDEX_A, [0], [ReadVector(MIB, 9)]), ObjectCorrupt)

    def test_immediate_reads_serve_chunks(self) -> None:
        local = MemoryProvider("attic")
        self.successResultOf(local.start())
        self.slots = self.new_slots(provider=local, index=self.new_index(epoch=2))
        self.change(s0=put((0, self.data), (5 * MIB, b"x")))
        reader = self.successResultOf(self.slots.open(INDEX_A, 0))
        expected = self.data[MIB:] + bytes(2 * MIB - 500) + b"x"
        self.assertEqual(reader.read_now(MIB, 9 * MIB), expected)

    def test_few_chunks_are_on_their_way_at_once(self) -> None:
        held = Held()
        self.remote.fates = [held] * 100
        asked = self.ask({0: put((0, noise(10 * MIB, 7)))})
        for left in range(10, 0, -1):
            self.assertEqual(len(held), min(left, PARALLEL_CHUNKS))
            held.let_go()
        self.assertEqual(len(held), 1)
        held.let_go()
        self.assertTrue(self.successResultOf(asked).success)
        self.assertEqual(self.contents()[0], noise(10 * MIB, 7))


class Edges(SlotTestCase):
    def test_exactly_the_limit_is_inline(self) -> None:
        self.change(s0=put((0, noise(INLINE_BYTES - 1))), s1=put((0, b"x")))
        self.assertIsInstance(self.version().shares[0].content, Inline)
        self.calls()
        self.change(s2=put((0, b"y")))
        self.assertNotIsInstance(self.version().shares[0].content, Inline)
        self.assertEqual(self.calls(), ["put_object chunks"] * 3 + ["put_object slots"])
        expected = {0: noise(INLINE_BYTES - 1), 1: b"x", 2: b"y"}
        self.assertEqual(self.contents(), expected)

    def test_an_empty_share_beside_a_large_one_has_no_chunks(self) -> None:
        self.change(s0=put((0, noise(MIB))), s1=TestWriteVectors())
        self.assertEqual(self.version().shares[1].content, ())
        self.assertEqual(self.contents(), {0: noise(MIB), 1: b""})

    def test_a_new_slot_of_zeros_is_only_a_version(self) -> None:
        self.change(s0=put((MIB, b"")))
        self.assertEqual(self.calls(), ["put_object slots"])
        self.assertEqual(self.contents(), {0: bytes(MIB)})

    def test_missing_fragments_are_noted_for_repair(self) -> None:
        self.remote.fates = [Short(1), Short(0, 2), None, Short(1)]
        self.change(s0=put((0, noise(2 * MIB + 5))))
        self.assertEqual(self.successResultOf(self.index.get_totals()).repairs, 4)
        self.remote.fates = [Short(3)]
        self.change(s0=put(new_length=5))
        # Those of the objects that are garbage now were dropped.
        self.assertEqual(self.successResultOf(self.index.get_totals()).repairs, 1)
