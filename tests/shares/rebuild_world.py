"""An index that is lost and made anew."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from raic.shares.findings import RebuildReport
from raic.shares.rebuild import highest_epoch, rebuild
from raic.values import (
    Lease,
    StoredShare,
)
from tests.shares.stores import INDEX_A
from tests.shares.upload_world import BothTestCase


@frozen
class Visible:
    """What clients can see of a storage index.

    :ivar renewable: the digests of the leases' renew secrets.
    """

    shares: Mapping[int, bytes]
    slot: Mapping[int, bytes]
    renewable: frozenset[bytes]


class RebuildTestCase(BothTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.progress: list[RebuildReport] = []

    def rebuild(self) -> RebuildReport:
        """Throw the index away and make another one."""
        epoch = self.successResultOf(highest_epoch(self.remote)) + 1
        before = self.objects()
        self.index = self.new_index(epoch)
        self.slots = self.new_slots()
        self.buckets = self.buckets_over(self.remote)
        self.progress = []
        report = self.successResultOf(
            rebuild(self.remote, self.index, self.sealer, self.clock, self.progress.append)
        )
        self.assertEqual(self.objects(), before)
        return report

    def visible(self, storage_index: bytes = INDEX_A) -> Visible:
        bucket: Mapping[int, StoredShare] = self.successResultOf(
            self.index.get_bucket(storage_index)
        )
        leases: tuple[Lease, ...] = self.successResultOf(self.index.get_leases(storage_index))
        return Visible(
            {shnum: self.held(shnum, storage_index) or b"" for shnum in bucket},
            self.contents(storage_index),
            frozenset(lease.renew_digest for lease in leases),
        )

    def replace(self, key: str, data: bytes | None, under: str = "") -> None:
        """Do to an object what only a broken provider does."""
        self.successResultOf(self.remote.delete_objects([key]))
        if data is not None:
            self.successResultOf(self.remote.put_object(under or key, data))

    def bytes_of(self, key: str) -> bytes:
        return self.successResultOf(self.remote.get_object(key, 0, 2**40))
