"""Sealing under the node's key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from raic.errors import SealBroken
from raic.shares.sealing import NONCE_BYTES, TAG_BYTES, Sealer, new_nonce

KEY = bytes(range(32))
NONCE = bytes(range(12))


class SealerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sealer = Sealer(KEY)
        self.sealed = self.sealer.seal(b"context", b"a secret", b"beside it", NONCE)

    def test_the_seal_is_as_specified(self) -> None:
        self.assertEqual(self.sealer.key_id.hex(), "04ccb1990ece836f")
        self.assertEqual(self.sealed.hex(), "548321238e304386488b8339ebd84ef27c8c4dcdeef44a96")
        self.assertEqual(
            self.sealer.digest(b"a secret").hex(),
            "2b341c755058d93606c10496fb1c55e75ff6ca66a2a8993b4cae5b81cfd9315c",
        )

    @given(st.binary(max_size=100), st.binary(max_size=100), st.binary(max_size=100))
    def test_what_was_sealed_opens(self, context: bytes, text: bytes, beside: bytes) -> None:
        nonce = new_nonce()
        sealed = self.sealer.seal(context, text, beside, nonce)
        self.assertEqual(len(sealed), len(text) + TAG_BYTES)
        self.assertEqual(self.sealer.open(context, sealed, beside, nonce), text)

    def test_another_key_does_not_open_it(self) -> None:
        other = Sealer(bytes(32))
        self.assertNotEqual(other.key_id, self.sealer.key_id)
        self.assertNotEqual(other.digest(b"a secret"), self.sealer.digest(b"a secret"))
        self.assertRaises(SealBroken, other.open, b"context", self.sealed, b"beside it", NONCE)

    def test_nothing_but_the_same_context_text_and_nonce_opens_it(self) -> None:
        altered = bytes([self.sealed[0] ^ 1]) + self.sealed[1:]
        for context, sealed, beside, nonce in (
            (b"other", self.sealed, b"beside it", NONCE),
            (b"context", altered, b"beside it", NONCE),
            (b"context", self.sealed[:-1], b"beside it", NONCE),
            (b"context", b"", b"beside it", NONCE),
            (b"context", self.sealed, b"beside", NONCE),
            (b"context", self.sealed, b"beside it", bytes(NONCE_BYTES)),
        ):
            self.assertRaises(SealBroken, self.sealer.open, context, sealed, beside, nonce)

    def test_a_key_of_another_length_is_refused(self) -> None:
        self.assertRaises(ValueError, Sealer, KEY[:-1])
