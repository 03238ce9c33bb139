"""What a read-test-write does, as Tahoe's own server does it."""

from __future__ import annotations

from raic.errors import BadWriteEnabler, MessageMalformed, MessageTooLarge, NoSuchShare
from raic.shares.layout import SLOT_MAGIC, leases_in, read_header
from raic.shares.secrets import lease_digest
from raic.shares.vectors import available
from raic.values import LEASE_SECONDS, LeaseSecrets, ReadVector, TestWriteVectors
from tests.shares.slot_machine_world import (
    ALL,
    DELETE,
    ENABLER,
    LIMIT,
    NODE_ID,
    SlotTestCase,
    expecting,
    put,
    writes,
)
from tests.shares.stores import INDEX_A, INDEX_B, NOW, SECRETS, pattern

OTHER = LeaseSecrets(b"R" * 32, b"C" * 32)


class Writing(SlotTestCase):
    def test_a_write_makes_the_slot_and_the_share(self) -> None:
        self.assertEqual(self.successResultOf(self.slots.shnums(INDEX_A)), frozenset())
        self.change(s3=put((0, b"hello")))
        self.assertEqual(self.contents(), {3: b"hello"})
        self.assertEqual(self.successResultOf(self.slots.shnums(INDEX_A)), frozenset([3]))
        self.assertEqual(self.contents(INDEX_B), {})

    def test_empty_writes_make_an_empty_share(self) -> None:
        self.change(s0=TestWriteVectors())
        self.assertEqual(self.contents(), {0: b""})

    def test_writes_are_applied_in_order(self) -> None:
        self.change(s0=put((0, b"aaaa"), (2, b"bbbb"), (1, b"c")))
        self.assertEqual(self.contents(), {0: b"acbbbb"})

    def test_holes_are_zeros(self) -> None:
        self.change(s0=put((0, b"a"), (3, b"b")))
        self.change(s0=put((6, b"c")))
        self.assertEqual(self.contents(), {0: b"a\0\0b\0\0c"})

    def test_new_length_truncates_and_never_lengthens(self) -> None:
        self.change(s0=put((0, b"abcdef"), new_length=100))
        self.assertEqual(self.contents(), {0: b"abcdef"})
        self.change(s0=put((4, b"EFGH"), new_length=5))
        self.assertEqual(self.contents(), {0: b"abcdE"})
        self.change(s0=put((7, b"x")))
        self.assertEqual(self.contents(), {0: b"abcdE\0\0x"})

    def test_new_length_nought_deletes_whatever_the_writes(self) -> None:
        self.change(s0=put((0, b"zero")), s1=put((0, b"one")))
        self.change(s0=put((0, b"more"), new_length=0), s7=DELETE)
        self.assertEqual(self.contents(), {1: b"one"})

    def test_deleting_from_no_slot_does_nothing(self) -> None:
        self.change(s0=DELETE)
        self.assertEqual(self.calls(), [])
        self.assertEqual(self.successResultOf(self.index.get_totals()).slots, 0)

    def test_a_share_number_beyond_255_is_malformed(self) -> None:
        for shnum in (256, 2**64, -1):
            self.failureResultOf(self.ask({shnum: put((0, b"x"))}), MessageMalformed)
        self.change(s255=put((0, b"x")))

    def test_a_share_may_not_grow_too_large(self) -> None:
        self.change(s0=put((0, b"x")))
        for offset in (LIMIT, 2**60, 2**64):
            self.failureResultOf(self.ask({0: put((offset, b"x"))}), MessageTooLarge)
        self.assertEqual(self.contents(), {0: b"x"})

    def test_a_failed_test_is_told_even_if_the_write_would_be_too_large(self) -> None:
        asked = TestWriteVectors(expecting((0, 1, b"x")), writes((2**60, b"")))
        self.assertFalse(self.successResultOf(self.ask({0: asked})).success)

    def test_all_shares_are_in_the_one_object(self) -> None:
        for shnum in range(10):
            self.change(**{f"s{shnum}": put((0, b"%d" % shnum * 100))})
        self.assertEqual(self.calls(), ["put_object slots"] * 10)
        self.slots = self.new_slots()
        self.assertEqual(self.contents(), {shnum: b"%d" % shnum * 100 for shnum in range(10)})


class Testing(SlotTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.change(s0=put((0, b"zero")), s1=put((0, b"one")))

    def result_of(self, shnum: int, *each: tuple[int, int, bytes]) -> bool:
        asked = {shnum: TestWriteVectors(expecting(*each))}
        return self.successResultOf(self.ask(asked)).success

    def test_bytes_are_compared(self) -> None:
        self.assertTrue(self.result_of(0, (0, 4, b"zero"), (1, 2, b"er")))
        self.assertFalse(self.result_of(0, (0, 4, b"zerO")))
        self.assertFalse(self.result_of(0, (0, 4, b"zer")))
        self.assertFalse(self.result_of(0, (0, 3, b"zero")))
        self.assertTrue(self.result_of(0, (0, 99, b"zero")))
        self.assertTrue(self.result_of(0, (4, 99, b""), (2**62, 2**62, b"")))
        self.assertFalse(self.result_of(0, (0, 1, b"")))

    def test_a_missing_share_is_empty(self) -> None:
        self.assertFalse(self.result_of(2, (0, 4, b"zero")))
        self.assertTrue(self.result_of(2, (0, 1, b"")))

    def test_one_failure_keeps_all_shares_as_they_were(self) -> None:
        asked = {
            0: TestWriteVectors(expecting((0, 4, b"zero")), writes((0, b"ZERO"))),
            1: TestWriteVectors(expecting((0, 3, b"two")), writes((0, b"ONE"))),
            2: put((0, b"TWO")),
        }
        result = self.successResultOf(self.ask(asked, ALL, secrets=OTHER))
        self.assertFalse(result.success)
        self.assertEqual(result.data, {0: (b"zero",), 1: (b"one",)})
        self.assertEqual(self.contents(), {0: b"zero", 1: b"one"})
        self.assertEqual(len(self.successResultOf(self.index.get_leases(INDEX_A))), 1)

    def test_bytes_beyond_the_head_are_compared(self) -> None:
        data = pattern(1000)
        self.change(s0=put((0, data)))
        self.slots = self.new_slots()
        self.assertTrue(self.result_of(0, (200, 500, data[200:700])))
        self.assertFalse(self.result_of(0, (200, 500, data[200:699] + b"x")))


class Reading(SlotTestCase):
    def test_every_share_is_read_before_the_writes(self) -> None:
        self.change(s0=put((0, b"zero")), s1=put((0, b"one")))
        reads = (ReadVector(1, 2), ReadVector(2, 100), ReadVector(50, 1))
        result = self.successResultOf(self.ask({0: put((0, b"ZERO")), 2: DELETE}, reads))
        self.assertEqual(result.data, {0: (b"er", b"ro", b""), 1: (b"ne", b"e", b"")})

    def test_without_vectors_every_share_is_there(self) -> None:
        self.change(s0=put((0, b"zero")), s1=put((0, b"one")))
        result = self.successResultOf(self.ask({}))
        self.assertEqual((result.success, result.data), (True, {0: (), 1: ()}))

    def test_nothing_is_read_from_no_slot(self) -> None:
        result = self.successResultOf(self.ask({}, ALL))
        self.assertEqual((result.success, result.data), (True, {}))

    def test_some_shares_are_read(self) -> None:
        self.change(s0=put((0, b"zero")), s1=put((0, b"one")))
        read = self.slots.read
        self.assertEqual(self.successResultOf(read(INDEX_A, [1, 2, 999], ALL)), {1: (b"one",)})
        self.assertEqual(self.successResultOf(read(INDEX_A, [2], ALL)), {})
        self.assertEqual(self.successResultOf(read(INDEX_B, [], ALL)), {})

    def test_negative_numbers_are_malformed(self) -> None:
        read = self.slots.read(INDEX_A, [], [ReadVector(-1, 1)])
        self.failureResultOf(read, MessageMalformed)

    def test_too_much_is_refused_before_reading(self) -> None:
        self.change(**{f"s{shnum}": put((0, b"x" * 300)) for shnum in range(256)})
        self.slots = self.new_slots(max_read=256 * 30 * 300 - 1)
        self.calls()
        reads = [ReadVector(0, 2**60)] * 30
        self.failureResultOf(self.slots.read(INDEX_A, [], reads), MessageTooLarge)
        self.failureResultOf(self.ask({}, reads), MessageTooLarge)
        self.assertEqual(self.calls(), [])
        fewer = self.successResultOf(self.slots.read(INDEX_A, range(255), reads))
        self.assertEqual(fewer, dict.fromkeys(range(255), (b"x" * 300,) * 30))


class Enabling(SlotTestCase):
    def test_another_write_enabler_is_refused_before_anything_else(self) -> None:
        self.change(s0=put((0, b"zero")))
        for vectors in ({}, {1: put((0, b"x"))}, {300: DELETE}, {0: put((2**60, b""))}):
            asked = self.ask(vectors, [ReadVector(-1, 1)], enabler=b"W" * 32)
            refusal = self.failureResultOf(asked, BadWriteEnabler).value
            self.assertEqual(refusal.nodeid, NODE_ID)
        self.assertEqual(self.contents(), {0: b"zero"})

    def test_a_slot_keeps_the_node_id_it_was_made_with(self) -> None:
        self.change(s0=put((0, b"zero")))
        self.slots = self.new_slots(nodeid=b"m" * 20)
        self.change(s0=put((0, b"one")))
        asked = self.ask({}, enabler=b"W" * 32)
        self.assertEqual(self.failureResultOf(asked, BadWriteEnabler).value.nodeid, NODE_ID)

    def test_a_deleted_slot_can_be_made_again_with_another(self) -> None:
        self.change(s0=put((0, b"zero")), s1=put((0, b"one")))
        self.change(s0=DELETE)
        self.failureResultOf(self.ask({}, enabler=b"W" * 32), BadWriteEnabler)
        self.change(s1=DELETE)
        asked = self.ask({0: put((0, b"again"))}, enabler=b"W" * 32)
        self.assertTrue(self.successResultOf(asked).success)
        self.assertEqual(self.contents(), {0: b"again"})
        self.failureResultOf(self.ask({}), BadWriteEnabler)

    def test_a_node_id_has_20_bytes(self) -> None:
        self.assertRaises(ValueError, self.new_slots, nodeid=b"n" * 32)


class Leasing(SlotTestCase):
    def expiries(self, storage_index: bytes = INDEX_A) -> dict[bytes, int]:
        leases = self.successResultOf(self.index.get_leases(storage_index))
        return {lease.renew_digest: lease.expires for lease in leases}

    def test_a_write_grants_and_renews(self) -> None:
        self.change(s0=put((0, b"zero")))
        self.clock.advance(100)
        self.successResultOf(self.ask({0: put((0, b"one"))}, secrets=OTHER))
        self.clock.advance(100)
        self.change(s0=put((0, b"two")))
        ours, others = lease_digest(SECRETS.renew), lease_digest(OTHER.renew)
        expected = {ours: NOW + 200 + LEASE_SECONDS, others: NOW + 100 + LEASE_SECONDS}
        self.assertEqual(self.expiries(), expected)

    def test_a_touched_share_is_enough(self) -> None:
        self.change(s0=put((0, b"zero")))
        version = self.version()
        self.calls()
        self.clock.advance(100)
        self.change(s0=TestWriteVectors(expecting((0, 1, b"z"))))
        self.assertEqual(list(self.expiries().values()), [NOW + 100 + LEASE_SECONDS])
        self.assertEqual((self.version(), self.calls()), (version, []))

    def test_reading_and_deleting_renew_nothing(self) -> None:
        self.change(s0=put((0, b"zero")), s1=put((0, b"one")))
        self.clock.advance(100)
        self.successResultOf(self.ask({}, ALL))
        self.change(s0=DELETE)
        self.change(s7=DELETE)
        self.assertEqual(list(self.expiries().values()), [NOW + LEASE_SECONDS])

    def test_the_header_repeats_the_latest_hundred_and_the_new_one(self) -> None:
        for count in range(120):
            self.clock.advance(1)
            secrets = LeaseSecrets(b"%032d" % count, b"c" * 32)
            self.successResultOf(self.ask({0: put((0, b"%d" % count))}, secrets=secrets))
        # the one renewed is among the oldest, and granted once
        self.successResultOf(self.ask({0: put((0, b"x"))}, secrets=LeaseSecrets(b"0" * 32, b"")))
        version = self.version()
        data = self.successResultOf(self.remote.get_object(version.key, 0, version.size))
        leases = leases_in(read_header(version.key, SLOT_MAGIC, data, self.sealer))
        expected = [lease_digest(b"%032d" % count) for count in [0, *range(119, 19, -1)]]
        self.assertEqual([lease.renew_digest for lease in leases], expected)
        self.assertEqual(leases[0].expires, NOW + 120 + LEASE_SECONDS)


class Unchanging(SlotTestCase):
    """Vectors that change nothing write nothing."""

    def test_the_same_bytes(self) -> None:
        data = pattern(1000)
        self.change(s0=put((0, data)), s1=TestWriteVectors())
        version = self.version()
        self.calls()
        for asked in (
            put(),
            put((0, data)),
            put((500, data[500:600]), (0, b"")),
            put((0, b"x"), (0, data[:1])),
            put(new_length=1000),
            put(new_length=1001),
        ):
            self.change(s0=asked, s1=TestWriteVectors(), s9=DELETE)
        self.assertEqual((self.version(), self.calls()), (version, []))

    def test_other_bytes_beyond_the_head_do_change(self) -> None:
        self.change(s0=put((0, pattern(1000))))
        self.change(s0=put((999, b"x")))
        self.assertEqual(self.contents()[0], pattern(1000)[:999] + b"x")


class Opening(SlotTestCase):
    def test_there_must_be_such_a_share(self) -> None:
        self.failureResultOf(self.slots.open(INDEX_A, 0), NoSuchShare)
        self.change(s0=put((0, b"zero")))
        self.failureResultOf(self.slots.open(INDEX_A, 1), NoSuchShare)
        self.assertEqual(self.successResultOf(self.slots.open(INDEX_A, 0)).length, 4)

    def test_ranges_are_cut_at_the_end(self) -> None:
        data = pattern(1000)
        self.change(s0=put((0, data)))
        reader = self.successResultOf(self.slots.open(INDEX_A, 0))
        for offset, size in ((0, 1), (990, 20), (1000, 1), (2**62, 2**62), (300, 400)):
            expected = data[offset : offset + available(1000, offset, size)]
            self.assertEqual(self.successResultOf(reader.read(offset, size)), expected)
            self.assertEqual(reader.read_now(offset, size), expected)


class Headers(SlotTestCase):
    """What a restore needs."""

    def test_the_write_enabler_is_sealed_in(self) -> None:
        self.change(s0=put((0, b"zero")))
        self.change(s0=put((0, b"one")))
        version = self.version()
        data = self.successResultOf(self.remote.get_object(version.key, 0, version.size))
        header = read_header(version.key, SLOT_MAGIC, data, self.sealer)
        self.assertEqual(header.length, version.header_length)
        self.assertEqual(header.sealed_part["write-enabler"], ENABLER)
        self.assertEqual(header.sealed_part["write-enabler-nodeid"], NODE_ID)
        self.assertEqual(header.open_part["shares"], [[0, 4, 0]])
        self.assertNotIn(ENABLER, data)

    def test_a_tombstone_has_no_shares(self) -> None:
        self.change(s0=put((0, b"zero")))
        before = self.objects("slots/").keys()
        self.change(s0=DELETE)
        (key,) = self.objects("slots/").keys() - before
        data = self.successResultOf(self.remote.get_object(key, 0, 10000))
        header = read_header(key, SLOT_MAGIC, data, self.sealer)
        self.assertEqual((header.open_part["shares"], header.length), ([], len(data)))
        self.assertIsNone(self.successResultOf(self.index.get_slot(INDEX_A)))
