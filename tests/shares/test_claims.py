"""What a claim is, byte by byte, and who is believed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.faults import FaultPlan
from raic.backends.faulty import FaultyProvider
from raic.backends.memory import MemoryProvider
from raic.backends.tagging import TaggingProvider
from raic.errors import ObjectCorrupt, ObjectNotFound, OwnershipUnknown
from raic.shares import claims, layout
from raic.shares.claims import Claim, Claimant, list_claims, newest_claim
from raic.shares.keys import ClaimKey, parse_claim_key, parse_key
from raic.shares.layout import CLAIM_MAGIC, UnsealedHeader, read_open_part
from raic.shares.sealing import Sealer

NODE_KEY = bytes(range(32))
SERVER = "v0-aaaqeayeaudaocajbifqydiob4"
TXN = "abcdefghijklmnopqrstuvwxy4"
NOW = 1_700_000_000
US = Claimant(Sealer(NODE_KEY), SERVER, "attic", "7.1234")
OTHERS = Claimant(Sealer(bytes(32)), "v0-others", "cellar", "9.9")

# What version 1 wrote.  These bytes lie on providers: they never change.
CLAIM_KEY = f"claims/3.{TXN}.139"
CLAIM = bytes.fromhex(
    "52414943636c6d310000008b0000004904ccb1990ece836f000000000000000000000000a469736572766572"
    "2d6964781d76302d6161617165617965617564616f63616a626966717964696f62346565706f636803676372"
    "65617465641a6553f10064686f7374656174746963acb32cce97fde81299d63dc004517f4b8268e3dfe88f59"
    "0a1dd7ad5d8827"
)


class ClaimKeyTests(SynchronousTestCase):
    def test_a_key_is_as_specified(self) -> None:
        self.assertEqual(str(ClaimKey(3, TXN, 139)), CLAIM_KEY)
        self.assertEqual(parse_claim_key(CLAIM_KEY), ClaimKey(3, TXN, 139))

    def test_keys_are_ordered_by_epoch_as_a_number_then_by_transaction(self) -> None:
        self.assertLess(ClaimKey(9, "z" * 26, 1), ClaimKey(10, "a" * 26, 1))
        self.assertLess(ClaimKey(10, "a" * 26, 2), ClaimKey(10, "b" * 26, 1))

    def test_other_names_are_no_claims(self) -> None:
        for name in (
            "claims/",
            CLAIM_KEY + "\n",
            CLAIM_KEY.replace("/3.", "/03."),
            CLAIM_KEY.replace("/3.", f"/{2**32 + 1}."),
            CLAIM_KEY.replace(".139", ""),
            CLAIM_KEY.upper(),
            "claims/aa/" + CLAIM_KEY,
        ):
            self.assertIsNone(parse_claim_key(name), name)

    def test_a_claim_is_no_object_of_a_share_or_slot(self) -> None:
        self.assertIsNone(parse_key(CLAIM_KEY))

    @given(st.integers(0, 2**32), st.integers(0, 10**18))
    def test_every_key_can_be_read(self, epoch: int, size: int) -> None:
        key = ClaimKey(epoch, TXN, size)
        self.assertEqual(parse_claim_key(str(key)), key)


class ClaimTests(SynchronousTestCase):
    def test_a_claim_is_written_as_ever(self) -> None:
        self.patch(layout, "new_nonce", lambda: bytes(12))
        self.patch(claims, "new_transaction_id", lambda: TXN)
        key, data = US.new_claim(3, NOW)
        self.assertEqual((str(key), data), (CLAIM_KEY, CLAIM))

    def test_a_claim_is_read_as_ever(self) -> None:
        key = ClaimKey(3, TXN, len(CLAIM))
        expected = Claim(key, True, SERVER, "attic", NOW, "7.1234")
        self.assertEqual(US.read(key, CLAIM), expected)

    def test_a_claim_of_another_server_tells_who_it_is(self) -> None:
        key, data = OTHERS.new_claim(3, NOW)
        found = US.read(key, data)
        self.assertEqual(found, Claim(key, False, "v0-others", "cellar", NOW))
        self.assertEqual(
            found.describe(), "server v0-others on host cellar at 2023-11-14 22:13:20 UTC"
        )

    def test_a_claim_forged_in_our_name_is_not_ours(self) -> None:
        forger = Claimant(Sealer(bytes(32)), SERVER, "attic")
        key, data = forger.new_claim(3, NOW)
        self.assertFalse(US.read(key, data).ours)
        # Nor with our key's id, which everybody can read.
        forged = data[:16] + US.sealer.key_id + data[24:]
        self.assertFalse(US.read(key, forged).ours)

    def test_a_claim_of_ours_under_another_key_is_not_ours(self) -> None:
        key, data = US.new_claim(3, NOW)
        self.assertFalse(US.read(ClaimKey(4, key.txn, key.size), data).ours)

    def test_a_server_that_has_our_node_key_alone_is_another_server(self) -> None:
        twin = Claimant(US.sealer, "v0-twin")
        self.assertFalse(US.read(*twin.new_claim(3, NOW)).ours)

    def test_every_altered_byte_makes_it_foreign(self) -> None:
        key = ClaimKey(3, TXN, len(CLAIM))
        for place in range(len(CLAIM)):
            data = bytearray(CLAIM)
            data[place] ^= 1
            self.assertFalse(US.read(key, bytes(data)).ours, place)

    @given(st.binary(max_size=300))
    def test_rubbish_is_somebody_elses(self, data: bytes) -> None:
        key = ClaimKey(3, TXN, len(data))
        self.assertFalse(US.read(key, data).ours)
        self.assertFalse(US.read(key, CLAIM_MAGIC + data).ours)

    def test_what_others_wrote_is_shown_without_control_characters(self) -> None:
        header = UnsealedHeader(
            CLAIM_MAGIC,
            {"server-id": "v0\x1b[2J\n" + "x" * 5000, "host": 7, "created": 2**60},
            {},
        )
        key = ClaimKey(3, TXN, header.length)
        found = US.read(key, header.sealed_for(str(key), OTHERS.sealer))
        self.assertEqual(found.server_id, "v0?[2J?" + "x" * 93)
        self.assertEqual((found.host, found.created), ("", 0))
        self.assertTrue(found.describe().endswith("xxx"))
        self.assertEqual(Claim(key, False).describe(), "a server that cannot be named")

    def test_an_open_part_that_is_no_map_or_is_cut_short_is_refused(self) -> None:
        header = UnsealedHeader(CLAIM_MAGIC, [], {})  # type: ignore[arg-type]  # on purpose
        data = header.sealed_for("claims/x", OTHERS.sealer)
        for broken in (data, CLAIM[:-1]):
            self.assertRaises(ObjectCorrupt, read_open_part, "claims/x", broken)


class ListedClaimsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.memory = MemoryProvider("cloud")
        self.memory.start()

    def put(self, claimant: Claimant, epoch: int) -> ClaimKey:
        key, data = claimant.new_claim(epoch, NOW)
        self.memory.put_object(str(key), data)
        return key

    def test_a_prefix_without_claims_is_nobodys(self) -> None:
        self.memory.put_object("claims/readme", b"")
        self.assertIsNone(self.successResultOf(newest_claim(self.memory, US)))

    def test_the_claim_with_the_highest_epoch_is_the_newest(self) -> None:
        keys = [self.put(US, epoch) for epoch in (10, 9, 2)]
        self.assertEqual(self.successResultOf(list_claims(self.memory)), keys[::-1])
        found = self.successResultOf(newest_claim(self.memory, US))
        assert found is not None
        self.assertEqual(found.key, keys[0])

    def test_a_claim_that_goes_while_it_is_looked_for_is_passed_over(self) -> None:
        old, new = self.put(US, 3), self.put(US, 4)
        plan = FaultPlan()
        gate = plan.hang("get_object")
        looking = newest_claim(FaultyProvider(self.memory, plan), US)
        self.memory.delete_objects([str(new)])
        gate.release()
        found = self.successResultOf(looking)
        assert found is not None
        self.assertEqual(found.key, old)

    def test_a_claim_that_is_listed_but_not_there_leaves_the_matter_open(self) -> None:
        self.put(US, 3)
        plan = FaultPlan()
        plan.fail("get_object", ObjectNotFound, times=None)
        looking = newest_claim(FaultyProvider(self.memory, plan), US)
        self.failureResultOf(looking, OwnershipUnknown)

    def test_a_claim_with_the_tags_of_another_server_is_foreign(self) -> None:
        theirs = TaggingProvider(self.memory, b"t" * 32)
        ours = TaggingProvider(self.memory, b"o" * 32)
        key, data = OTHERS.new_claim(3, NOW)
        theirs.put_object(str(key), data)
        self.assertEqual(self.successResultOf(newest_claim(ours, US)), Claim(key, False))
        key, data = US.new_claim(4, NOW)
        ours.put_object(str(key), data)
        found = self.successResultOf(newest_claim(ours, US))
        assert found is not None
        self.assertTrue(found.ours)
