"""Authenticated encryption under the node's key, so that no provider can read a secret."""

from __future__ import annotations

from hashlib import blake2b
from os import urandom

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from raic.errors import SealBroken

KEY_BYTES = 32
KEY_ID_BYTES = 8
NONCE_BYTES = 12
TAG_BYTES = 16


class Sealer:
    """Seals and opens small texts, each bound to a context.

    The cipher is ChaCha20-Poly1305 (RFC 8439), under a key of its own for each context:
    BLAKE2b-256 of the context, keyed with the node key and personalised ``raic-seal``.

    :param node_key: 32 random bytes, kept in ``private/``.
    """

    def __init__(self, node_key: bytes) -> None:
        if len(node_key) != KEY_BYTES:
            raise ValueError("a node key has 32 bytes")
        self._node_key = node_key
        self.key_id = blake2b(node_key, digest_size=KEY_ID_BYTES, person=b"raic-key-id").digest()

    def seal(self, context: bytes, plaintext: bytes, associated: bytes, nonce: bytes) -> bytes:
        """The ciphertext, 16 bytes longer than the text.

        :param nonce: from :func:`new_nonce`; kept beside the ciphertext by the caller.
        """
        return self._cipher(context).encrypt(nonce, plaintext, associated)

    def open(self, context: bytes, sealed: bytes, associated: bytes, nonce: bytes) -> bytes:
        """The text again.

        :raises SealBroken: another key or context, or altered bytes.
        """
        try:
            return self._cipher(context).decrypt(nonce, sealed, associated)
        except InvalidTag:
            raise SealBroken("a sealed part does not open with this node's key") from None

    def digest(self, secret: bytes) -> bytes:
        """32 bytes by which a secret can be recognised, but not guessed without the node key."""
        return blake2b(secret, digest_size=32, key=self._node_key, person=b"raic-digest").digest()

    def _cipher(self, context: bytes) -> ChaCha20Poly1305:
        key = blake2b(context, digest_size=32, key=self._node_key, person=b"raic-seal")
        return ChaCha20Poly1305(key.digest())


def new_nonce() -> bytes:
    """12 random bytes."""
    return urandom(NONCE_BYTES)
