"""The headers of objects, byte by byte."""

from __future__ import annotations

from hashlib import blake2b
from struct import unpack

import cbor2
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from twisted.trial.unittest import SynchronousTestCase

from raic.errors import ObjectCorrupt, SealBroken
from raic.shares import layout
from raic.shares.layout import (
    FRAME_BYTES,
    MAX_HEADER_BYTES,
    SHARE_MAGIC,
    SLOT_MAGIC,
    UnsealedHeader,
    header_length,
    leases_in,
    manifest_entry,
    read_header,
    share_header,
    slot_header,
    slot_share,
)
from raic.shares.sealing import Sealer
from raic.values import Chunk, Inline, Lease, SlotShare, Version

NODE_KEY = bytes(range(32))
INDEX = bytes(range(16))
LEASES = (Lease(b"R" * 32, b"C" * 32, 1_702_678_400),)
TXN = "abcdefghijklmnopqrstuvwxy4"
PLACE = "aa/aaaqeayeaudaocajbifqydiob4"
SHARE_KEY = f"shares/{PLACE}/5.{TXN}.1000.1204"
SLOT_KEY = f"slots/{PLACE}/3.70.{TXN}.438"
CHUNK_KEY = f"chunks/{PLACE}/3.69.{TXN}.300000"

# What version 1 wrote.  These bytes lie on providers: they never change.
SHARE_HEADER = bytes.fromhex(
    "5241494373687231000000cc0000004504ccb1990ece836f000000000000000000000000a46d73746f726167"
    "652d696e64657850000102030405060708090a0b0c0d0e0f6c73686172652d6e756d62657205666c656e6774"
    "681903e867637265617465641a6553f100fe234d563a114e15b2477be8e4fc8f258f8082c44b2d314673c35a"
    "bba35e37c67b529092bf3f36aa7c90a55c4736a2fd688d69423aa78a0112b9e1c1228a2b01c5966b73a540b0"
    "b10388c554ca20f83117419819820615df044c8512258a43b7e70529"
)
SLOT_HEADER = bytes.fromhex(
    "52414943736c74310000018e000000ad04ccb1990ece836f000000000000000000000000a56d73746f726167"
    "652d696e64657850000102030405060708090a0b0c0d0e0f6565706f63680367636f756e7465721846667368"
    "6172657382830018280083071a001493e08282f61a0010000082784b6368756e6b732f61612f616161716561"
    "7965617564616f63616a626966717964696f62342f332e36392e6162636465666768696a6b6c6d6e6f707172"
    "73747576777879342e3330303030301a000493e067637265617465641a6553f1006dd64968b51f5904b41b87"
    "936460bf981937bb5953c8bdf68a9aa9c1512bbfeb0714c83cdd00a463e5fc0ce01cdcc73377c8b764caa9e5"
    "7e354cd9122d3d4699bf055ce750b3cf51fc38d0d2a46996f3e73bd9e19dad057a998c4d04f3c11b79c9ed8e"
    "e1883e376c01d5f339b79da7e304eb2bca48d8a2d26075aed8af76c38370b735183351549b0e77b07c581610"
    "09ab9ea8436f4e74ce8bfb5a210da28cc38ad72d571435c6ae39ad9bb2a06f76d860c224ac387095e5885dfe"
    "a924"
)

SLOT_SHARES = (
    SlotShare(0, 40, b"", Inline(0)),
    SlotShare(7, 1_348_576, b"", (Chunk(None, 1_048_576), Chunk(CHUNK_KEY, 300_000))),
)


def example_share() -> UnsealedHeader:
    return share_header(INDEX, 5, 1000, 1_700_000_000, LEASES)


def example_slot() -> UnsealedHeader:
    return slot_header(
        INDEX, Version(3, 70), SLOT_SHARES, 1_700_000_000, b"W" * 32, b"N" * 20, LEASES
    )


class FrozenHeaderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sealer = Sealer(NODE_KEY)

    def test_a_share_header_is_written_as_ever(self) -> None:
        self.patch(layout, "new_nonce", lambda: bytes(12))
        self.assertEqual(example_share().sealed_for(SHARE_KEY, self.sealer), SHARE_HEADER)

    def test_a_slot_header_is_written_as_ever(self) -> None:
        self.patch(layout, "new_nonce", lambda: bytes(12))
        self.assertEqual(example_slot().sealed_for(SLOT_KEY, self.sealer), SLOT_HEADER)

    def test_a_share_header_is_read_as_ever(self) -> None:
        header = read_header(SHARE_KEY, SHARE_MAGIC, SHARE_HEADER + b"share", self.sealer)
        self.assertEqual(header.length, len(SHARE_HEADER))
        self.assertEqual(
            header.open_part,
            {
                "storage-index": INDEX,
                "share-number": 5,
                "length": 1000,
                "created": 1_700_000_000,
            },
        )
        self.assertEqual(leases_in(header), LEASES)

    def test_a_slot_header_is_read_as_ever(self) -> None:
        header = read_header(SLOT_KEY, SLOT_MAGIC, SLOT_HEADER, self.sealer)
        shares = header.open_part["shares"]
        self.assertEqual(
            header.open_part,
            {
                "storage-index": INDEX,
                "epoch": 3,
                "counter": 70,
                "shares": [
                    [0, 40, 0],
                    [7, 1_348_576, [[None, 1_048_576], [CHUNK_KEY, 300_000]]],
                ],
                "created": 1_700_000_000,
            },
        )
        self.assertEqual(tuple(slot_share(entry, b"") for entry in shares), SLOT_SHARES)
        self.assertEqual(header.sealed_part["write-enabler"], b"W" * 32)
        self.assertEqual(header.sealed_part["write-enabler-nodeid"], b"N" * 20)
        self.assertEqual(leases_in(header), LEASES)

    def test_the_specification_alone_suffices_to_read_a_header(self) -> None:
        magic, length, open_length, key_id, nonce = unpack(">8sII8s12s", SHARE_HEADER[:36])
        self.assertEqual(magic, b"RAICshr1")
        self.assertEqual(length, len(SHARE_HEADER))
        self.assertEqual(key_id, blake2b(NODE_KEY, digest_size=8, person=b"raic-key-id").digest())
        name = SHARE_KEY.encode("ascii")
        before, sealed = SHARE_HEADER[: 36 + open_length], SHARE_HEADER[36 + open_length :]
        key = blake2b(name, digest_size=32, key=NODE_KEY, person=b"raic-seal").digest()
        opened = ChaCha20Poly1305(key).decrypt(nonce, sealed, name + before)
        self.assertEqual(cbor2.loads(before[36:])["share-number"], 5)
        self.assertEqual(cbor2.loads(opened), {"leases": [[b"R" * 32, b"C" * 32, 1_702_678_400]]})


class HeaderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sealer = Sealer(NODE_KEY)

    def test_the_length_is_known_before_the_key(self) -> None:
        for unsealed in (example_share(), example_slot()):
            self.assertEqual(unsealed.length, len(unsealed.sealed_for("slots/any", self.sealer)))

    def test_no_secret_is_in_the_clear(self) -> None:
        for header in (SHARE_HEADER, SLOT_HEADER):
            for secret in (b"WWWW", b"RRRR", b"CCCC", b"NNNN"):
                self.assertNotIn(secret, header)

    def test_a_header_belongs_to_one_key(self) -> None:
        other = SHARE_KEY.replace("/5.", "/6.")
        self.assertRaises(SealBroken, read_header, other, SHARE_MAGIC, SHARE_HEADER, self.sealer)

    def test_a_header_is_read_with_one_node_key(self) -> None:
        other = Sealer(bytes(32))
        self.assertRaises(SealBroken, read_header, SHARE_KEY, SHARE_MAGIC, SHARE_HEADER, other)

    def test_every_altered_byte_is_noticed(self) -> None:
        for place in range(len(SHARE_HEADER)):
            data = bytearray(SHARE_HEADER)
            data[place] ^= 1
            self.assertRaises(
                (SealBroken, ObjectCorrupt),
                read_header,
                SHARE_KEY,
                SHARE_MAGIC,
                bytes(data),
                self.sealer,
            )

    def test_a_header_cut_short_is_noticed(self) -> None:
        for length in (0, FRAME_BYTES - 1, FRAME_BYTES, len(SHARE_HEADER) - 1):
            self.assertRaises(
                ObjectCorrupt,
                read_header,
                SHARE_KEY,
                SHARE_MAGIC,
                SHARE_HEADER[:length],
                self.sealer,
            )

    def test_the_other_kind_of_header_is_refused(self) -> None:
        self.assertRaises(
            ObjectCorrupt, read_header, SHARE_KEY, SLOT_MAGIC, SHARE_HEADER, self.sealer
        )

    def test_an_impossible_length_is_refused(self) -> None:
        for length in (0, FRAME_BYTES, MAX_HEADER_BYTES + 1):
            frame = SHARE_HEADER[:8] + length.to_bytes(4, "big") + SHARE_HEADER[12:FRAME_BYTES]
            self.assertRaises(ObjectCorrupt, header_length, SHARE_KEY, frame)

    def test_a_part_that_is_not_cbor_is_refused(self) -> None:
        header = _Broken(SHARE_MAGIC, {}, {}).sealed_for(SHARE_KEY, self.sealer)
        self.assertRaises(ObjectCorrupt, read_header, SHARE_KEY, SHARE_MAGIC, header, self.sealer)

    def test_a_header_prints_no_secret(self) -> None:
        header = read_header(SLOT_KEY, SLOT_MAGIC, SLOT_HEADER, self.sealer)
        self.assertNotIn("WWWW", repr(header))

    def test_a_share_without_chunks_is_a_line_of_the_manifest_too(self) -> None:
        for share in (SlotShare(3, 0, b"", Inline(0)), SlotShare(3, 0, b"", ())):
            self.assertEqual(slot_share(manifest_entry(share), b""), share)


class _Broken(UnsealedHeader):
    """Has half a text for its open part."""

    def __init__(self, *parts: object) -> None:
        super().__init__(SHARE_MAGIC, {}, {})
        self.length += 1
        self._open = b"\x62x"
