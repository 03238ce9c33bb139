"""Secrets of the protocol, in the forms in which they are kept."""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest

from raic.shares.sealing import NONCE_BYTES, Sealer, new_nonce
from raic.values import LEASE_SECONDS, Lease, LeaseSecrets, WriteEnabler

_CONTEXT = b"write-enabler"


def lease_digest(secret: bytes) -> bytes:
    """Tahoe's own form of a stored lease secret: its unkeyed BLAKE2b-256."""
    return blake2b(secret, digest_size=32).digest()


def new_lease(secrets: LeaseSecrets, now: float) -> Lease:
    """A lease of 31 days from ``now``."""
    return Lease(
        lease_digest(secrets.renew), lease_digest(secrets.cancel), int(now) + LEASE_SECONDS
    )


def keep_write_enabler(
    sealer: Sealer, storage_index: bytes, secret: bytes, nodeid: bytes
) -> WriteEnabler:
    """A write enabler as the index keeps it: nonce, then ciphertext."""
    nonce = new_nonce()
    sealed = nonce + sealer.seal(_CONTEXT, secret, storage_index + nodeid, nonce)
    return WriteEnabler(sealer.digest(secret), sealed, nodeid)


def reveal_write_enabler(sealer: Sealer, storage_index: bytes, kept: WriteEnabler) -> bytes:
    """The write enabler itself, for the header of the next version.

    :raises SealBroken: it was sealed with another node key.
    """
    nonce, ciphertext = kept.sealed[:NONCE_BYTES], kept.sealed[NONCE_BYTES:]
    return sealer.open(_CONTEXT, ciphertext, storage_index + kept.nodeid, nonce)


def is_write_enabler(sealer: Sealer, kept: WriteEnabler, secret: bytes) -> bool:
    """Whether ``secret`` is the write enabler, in time that does not depend on it."""
    return compare_digest(kept.digest, sealer.digest(secret))
