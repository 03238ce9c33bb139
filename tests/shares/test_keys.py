"""The names of objects."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from raic.shares.keys import (
    ChunkKey,
    ShareKey,
    VersionKey,
    decode_index,
    encode_index,
    new_transaction_id,
    parse_key,
    usual_folders,
)
from raic.values import Version

INDEX = bytes(range(16))
TXN = "abcdefghijklmnopqrstuvwxy4"
SHARE = f"shares/aa/aaaqeayeaudaocajbifqydiob4/5.{TXN}.1000.1200"
SLOT = f"slots/aa/aaaqeayeaudaocajbifqydiob4/3.70.{TXN}.400"
CHUNK = f"chunks/aa/aaaqeayeaudaocajbifqydiob4/3.70.{TXN}.1048576"

INDEXES = st.binary(min_size=16, max_size=16)
SIZES = st.integers(0, 10**18)


class KeyTests(SynchronousTestCase):
    def test_keys_are_as_specified(self) -> None:
        version = Version(3, 70)
        self.assertEqual(str(ShareKey(INDEX, 5, TXN, 1000, 1200)), SHARE)
        self.assertEqual(str(VersionKey(INDEX, version, TXN, 400)), SLOT)
        self.assertEqual(str(ChunkKey(INDEX, version, TXN, 1048576)), CHUNK)

    def test_keys_say_what_their_objects_are(self) -> None:
        version = Version(3, 70)
        self.assertEqual(parse_key(SHARE), ShareKey(INDEX, 5, TXN, 1000, 1200))
        self.assertEqual(parse_key(SLOT), VersionKey(INDEX, version, TXN, 400))
        self.assertEqual(parse_key(CHUNK), ChunkKey(INDEX, version, TXN, 1048576))
        self.assertIs(type(parse_key(SLOT)), VersionKey)
        self.assertIs(type(parse_key(CHUNK)), ChunkKey)

    def test_other_names_are_nothing_of_ours(self) -> None:
        for name in (
            "",
            "shares/",
            SHARE + "\n",
            SHARE.replace("/5.", "/05."),
            SHARE.replace("/5.", "/256."),
            SHARE.replace("/aa/", "/ab/"),
            SHARE.replace("ob4/", "ob5/"),
            SHARE.upper(),
            SHARE.replace(".1200", ""),
            SLOT.replace("slots", "shares"),
            SLOT.replace("3.70", "-3.70"),
            SLOT.replace(".400", ".0400"),
            "claims/" + SLOT,
        ):
            self.assertIsNone(parse_key(name), name)

    @given(INDEXES, st.integers(0, 255), SIZES, SIZES)
    def test_every_share_key_can_be_read(
        self, index: bytes, shnum: int, length: int, size: int
    ) -> None:
        key = ShareKey(index, shnum, new_transaction_id(), length, size)
        self.assertEqual(parse_key(str(key)), key)
        self.assertLessEqual(len(str(key)), 512)

    @given(INDEXES, SIZES, SIZES, SIZES)
    def test_every_version_key_can_be_read(
        self, index: bytes, epoch: int, counter: int, size: int
    ) -> None:
        key = VersionKey(index, Version(epoch, counter), new_transaction_id(), size)
        self.assertEqual(parse_key(str(key)), key)

    @given(INDEXES)
    def test_the_usual_folders_are_those_of_all_shares_and_slots(self, index: bytes) -> None:
        usual = usual_folders()
        share = str(ShareKey(index, 0, new_transaction_id(), 1, 2))
        slot = str(VersionKey(index, Version(1, 1), new_transaction_id(), 2))
        for key in (share, slot):
            self.assertEqual(usual.count(key.rsplit("/", 2)[0]), 1)
        self.assertEqual(len(usual), 2 * 32 * 32)

    def test_transaction_ids_differ(self) -> None:
        self.assertNotEqual(new_transaction_id(), new_transaction_id())


class StorageIndexTests(SynchronousTestCase):
    @given(INDEXES)
    def test_text_and_bytes_say_the_same(self, index: bytes) -> None:
        self.assertEqual(decode_index(encode_index(index)), index)

    def test_other_texts_are_refused(self) -> None:
        good = encode_index(INDEX)
        for text in ("", good[:-1], good + "a", good.upper(), good[:-1] + "5", "1" + good[1:]):
            self.assertRaises(ValueError, decode_index, text)
