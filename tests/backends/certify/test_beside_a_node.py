"""What a certification writes is no node's business."""

from __future__ import annotations

from raic.backends.certify import FOLDER
from raic.shares.claims import Claimant, newest_claim
from raic.shares.findings import RebuildReport
from raic.shares.orphans import OrphanReport, find_orphans
from raic.shares.rebuild import highest_epoch
from raic.shares.sealing import Sealer
from tests.shares.rebuild_world import RebuildTestCase
from tests.shares.stores import INDEX_A
from tests.test_assembly import AssemblyCase


class BesideANode(RebuildTestCase):
    """Objects of a certification under way, or of one that was killed."""

    def setUp(self) -> None:
        super().setUp()
        for name in ("create/17", "large", "odd/same/below", "shares/aa/x"):
            key = f"{FOLDER}0123456789abcdef/{name}"
            self.successResultOf(self.remote.put_object(key, b"certified"))

    def test_a_restore_sees_only_what_is_a_nodes(self) -> None:
        self.store(b"share")
        report = self.rebuild()
        self.assertEqual(report, RebuildReport(shares=1, share_bytes=5, leases=1))

    def test_no_epoch_is_read_from_it(self) -> None:
        self.assertEqual(self.successResultOf(highest_epoch(self.remote)), 0)

    def test_it_is_neither_an_orphan_nor_foreign(self) -> None:
        self.store(b"share")
        report = self.successResultOf(find_orphans(self.remote, self.index, self.clock))
        self.assertEqual(report, OrphanReport(listed=1))
        self.assertEqual(self.successResultOf(self.index.next_garbage(2**40, 10)), ())

    def test_it_claims_nothing(self) -> None:
        claimant = Claimant(Sealer(b"k" * 32), "v0-" + "a" * 52)
        newest = self.successResultOf(newest_claim(self.remote, claimant))
        self.assertIsNone(newest)
        self.assertEqual(self.successResultOf(self.index.get_bucket(INDEX_A)), {})


class FirstStart(AssemblyCase):
    async def test_what_a_certification_left_is_not_taken_for_shares_without_an_index(self) -> None:
        await self.add_object(f"{FOLDER}0123456789abcdef/left")
        self.assertTrue((await self.run_once()).clean)
