"""Secrets in the forms in which they are kept."""

from __future__ import annotations

from hashlib import blake2b

from twisted.trial.unittest import SynchronousTestCase

from raic.errors import SealBroken
from raic.shares.sealing import Sealer
from raic.shares.secrets import (
    is_write_enabler,
    keep_write_enabler,
    lease_digest,
    new_lease,
    reveal_write_enabler,
)
from raic.values import LeaseSecrets

INDEX = bytes(16)
NODEID = b"n" * 20
SECRET = b"w" * 32


class LeaseTests(SynchronousTestCase):
    def test_a_lease_lasts_31_days(self) -> None:
        lease = new_lease(LeaseSecrets(b"r" * 32, b"c" * 32), 1000.9)
        self.assertEqual(lease.expires, 1000 + 31 * 24 * 60 * 60)
        self.assertEqual(lease.renew_digest, lease_digest(b"r" * 32))
        self.assertEqual(lease.cancel_digest, lease_digest(b"c" * 32))

    def test_digests_are_those_of_tahoe(self) -> None:
        self.assertEqual(lease_digest(b"r" * 32), blake2b(b"r" * 32, digest_size=32).digest())

    def test_neither_secrets_nor_digests_are_printed(self) -> None:
        secrets = LeaseSecrets(b"renewing", b"cancelling")
        self.assertNotIn("renewing", repr(secrets))
        self.assertNotIn("cancelling", repr(secrets))
        self.assertNotIn("digest", repr(new_lease(secrets, 0)))


class WriteEnablerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sealer = Sealer(b"k" * 32)
        self.kept = keep_write_enabler(self.sealer, INDEX, SECRET, NODEID)

    def test_it_is_recognised_and_can_be_had_again(self) -> None:
        self.assertTrue(is_write_enabler(self.sealer, self.kept, SECRET))
        self.assertEqual(reveal_write_enabler(self.sealer, INDEX, self.kept), SECRET)
        self.assertEqual(self.kept.nodeid, NODEID)

    def test_another_one_is_not_recognised(self) -> None:
        self.assertFalse(is_write_enabler(self.sealer, self.kept, b"x" * 32))
        self.assertFalse(is_write_enabler(self.sealer, self.kept, b""))

    def test_it_belongs_to_one_slot_and_one_node(self) -> None:
        self.assertRaises(SealBroken, reveal_write_enabler, self.sealer, b"o" * 16, self.kept)
        other = Sealer(b"o" * 32)
        self.assertRaises(SealBroken, reveal_write_enabler, other, INDEX, self.kept)
        self.assertFalse(is_write_enabler(other, self.kept, SECRET))

    def test_it_is_not_kept_in_the_clear(self) -> None:
        self.assertNotIn(SECRET, self.kept.sealed)
        self.assertNotIn(SECRET, self.kept.digest)
        again = keep_write_enabler(self.sealer, INDEX, SECRET, NODEID)
        self.assertNotEqual(again.sealed, self.kept.sealed)
