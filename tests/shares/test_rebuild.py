"""The index, made anew from keys and headers."""

from __future__ import annotations

from attrs import evolve

from raic.errors import BadWriteEnabler, IndexFull
from raic.shares.ages import UNKNOWN_SECONDS
from raic.shares.findings import RebuildReport
from raic.shares.keys import SLOTS, ChunkKey, ClaimKey, VersionKey
from raic.shares.layout import share_header
from raic.shares.orphans import find_orphans
from raic.shares.rebuild import highest_epoch, rebuild
from raic.shares.recovery import FIRST_BYTES, NOBODY
from raic.shares.secrets import new_lease
from raic.values import (
    LEASE_SECONDS,
    Lease,
    LeaseSecrets,
    Version,
)
from tests.shares.rebuild_world import RebuildTestCase
from tests.shares.slot_machine_world import DELETE, MIB, noise, put
from tests.shares.stores import INDEX_A, INDEX_B, SECRETS, pattern


class RebuildTests(RebuildTestCase):
    def test_nothing_makes_an_empty_index(self) -> None:
        self.assertEqual(self.rebuild(), RebuildReport())
        self.assertEqual(self.successResultOf(highest_epoch(self.remote)), 0)

    def test_shares_and_slots_are_there_again(self) -> None:
        self.store(pattern(3 * MIB), 0)
        self.store(b"", 200)
        self.store(b"elsewhere", 7, INDEX_B)
        self.change(s0=put((0, b"small")), s3=put((5, noise(400))))
        before = self.visible(), self.visible(INDEX_B)
        report = self.rebuild()
        self.assertEqual((self.visible(), self.visible(INDEX_B)), before)
        slot = self.version()
        self.assertEqual(
            report,
            RebuildReport(
                shares=3, share_bytes=3 * MIB + 9, slots=1, slot_bytes=slot.size, leases=2
            ),
        )
        self.assertEqual(self.progress[-1], report)

    def test_rebuilt_is_what_was(self) -> None:
        self.change(s0=put((0, b"small")), s3=put((5, noise(400))))
        self.change(s9=put((0, noise(3 * MIB)), (9 * MIB + 3, b"behind a hole")))
        self.store(b"share")
        slot, bucket = self.version(), self.successResultOf(self.index.get_bucket(INDEX_A))
        totals = self.successResultOf(self.index.get_totals())
        self.rebuild()
        again = self.version()
        self.assertEqual(again.shares, slot.shares)
        self.assertEqual(again.keys(), slot.keys())
        self.assertEqual(again.write_enabler.digest, slot.write_enabler.digest)
        self.assertEqual(again.write_enabler.nodeid, slot.write_enabler.nodeid)
        self.assertEqual(self.successResultOf(self.index.get_bucket(INDEX_A)), bucket)
        anew = self.successResultOf(self.index.get_totals())
        self.assertEqual(
            (anew.shares, anew.share_bytes, anew.slots, anew.slot_bytes, anew.leases),
            (
                totals.shares,
                totals.share_bytes,
                totals.slots,
                totals.slot_bytes,
                totals.leases,
            ),
        )

    def test_the_write_enabler_still_guards_the_slot(self) -> None:
        self.change(s0=put((0, b"before")))
        self.rebuild()
        self.failureResultOf(self.ask({0: DELETE}, enabler=b"o" * 32), BadWriteEnabler)
        self.change(s0=put((0, b"after")))
        self.assertEqual(self.contents(), {0: b"aftere"})

    def test_what_is_written_from_then_on_is_newer(self) -> None:
        self.change(s0=put((0, b"1")))
        old = self.version().version
        self.rebuild()
        self.change(s0=put((0, b"2")))
        self.assertGreater(self.version().version, old)
        self.rebuild()
        self.assertEqual(self.contents(), {0: b"2"})

    def test_leases_get_their_full_time_and_can_be_renewed(self) -> None:
        self.store(b"share")
        self.clock.advance(LEASE_SECONDS - 10)
        now = int(self.clock.seconds())
        self.rebuild()
        leases = self.successResultOf(self.index.get_leases(INDEX_A))
        self.assertEqual(leases, (new_lease(SECRETS, now),))
        self.clock.advance(10)
        renewed = new_lease(SECRETS, self.clock.seconds())
        self.assertTrue(self.successResultOf(self.index.renew_lease(INDEX_A, renewed)))
        self.assertEqual(self.successResultOf(self.index.get_leases(INDEX_A)), (renewed,))

    def test_without_a_lease_there_is_one_that_nobody_can_renew(self) -> None:
        self.store(b"share")
        key = next(iter(self.objects()))
        header = share_header(INDEX_A, 0, 5, 0, [])
        bare = key.rsplit(".", 1)[0] + f".{header.length + 5}"
        self.replace(key, header.sealed_for(bare, self.sealer) + b"share", bare)
        self.assertEqual(self.rebuild().shares, 1)
        (lease,) = self.successResultOf(self.index.get_leases(INDEX_A))
        self.assertEqual(lease, Lease(NOBODY, NOBODY, int(self.clock.seconds()) + LEASE_SECONDS))
        self.assertEqual(self.held(), b"share")

    def test_a_long_header_is_read_wholly(self) -> None:
        for number in range(60):
            secrets = LeaseSecrets(bytes([number]) * 32, bytes(32))
            self.successResultOf(self.ask({0: put((number, b"x"))}, secrets=secrets))
        self.assertGreater(self.version().header_length, FIRST_BYTES)
        before = self.visible()
        self.rebuild()
        self.assertEqual(self.visible(), before)

    def test_inline_shares_far_into_the_object_have_heads(self) -> None:
        self.change(**{f"s{number}": put((0, noise(3000, number))) for number in range(50)})
        shares = self.version().shares
        self.rebuild()
        self.assertEqual(self.version().shares, shares)

    def test_more_than_a_page_of_each(self) -> None:
        indexes = [number.to_bytes(16, "big") for number in range(1, 700)]
        for one in indexes:
            self.store(one, 1, one)
            self.store(one, 2, one)
            self.successResultOf(self.ask({0: put((0, one))}, storage_index=one))
            self.successResultOf(self.ask({0: put((0, b"newer"))}, storage_index=one))
        report = self.rebuild()
        self.assertEqual((report.shares, report.slots), (2 * 699, 699))
        self.assertEqual(report.left_over, 699)
        for one in indexes[::50]:
            self.assertEqual(self.visible(one).shares, {1: one, 2: one})
            self.assertEqual(self.contents(one), {0: b"newer" + one[5:]})

    def test_rebuilding_again_into_the_same_index_changes_nothing(self) -> None:
        self.store(b"share")
        self.change(s0=put((0, b"slot")))
        report = self.rebuild()
        before = self.visible()
        again = self.successResultOf(
            rebuild(self.remote, self.index, self.sealer, self.clock, self.progress.append)
        )
        self.assertEqual(again, evolve(report, known=2))
        self.assertEqual(self.visible(), before)


class VersionTests(RebuildTestCase):
    def test_the_newest_version_counts_by_number_not_by_name(self) -> None:
        for number in range(12):
            self.change(s0=put((0, b"%02d" % number)))
        self.assertEqual(len(self.objects(SLOTS)), 12)
        self.assertEqual(self.rebuild().left_over, 11)
        self.assertEqual(self.contents(), {0: b"11"})

    def test_a_deleted_slot_stays_gone(self) -> None:
        self.change(s0=put((0, noise(2 * MIB))))
        self.change(s0=put((0, b"x")))
        self.change(s0=DELETE)
        report = self.rebuild()
        self.assertEqual((report.slots, report.deleted_slots, report.left_over), (0, 1, 3))
        self.assertEqual(self.contents(), {})
        self.assertEqual(self.visible().renewable, frozenset())
        self.change(s0=put((0, b"a new slot")), s1=put((0, b"y")))
        self.rebuild()
        self.assertEqual(self.contents(), {0: b"a new slot", 1: b"y"})

    def test_a_deleted_slot_never_comes_back_however_the_rest_is_deleted(self) -> None:
        self.change(s0=put((0, b"1")))
        self.change(s0=put((0, b"2")))
        self.change(s0=DELETE)
        gone: list[int] = []
        while self.objects():
            report = self.rebuild()
            self.assertEqual((report.slots, report.problems), (0, ()))
            self.successResultOf(find_orphans(self.remote, self.index, self.clock))
            self.collect_everything()
            gone.append(len(self.objects()))
        self.assertEqual(gone, [1, 0])

    def test_a_version_that_was_never_acknowledged_is_adopted(self) -> None:
        self.change(s0=put((0, b"old")))
        real = self.index.commit_slot

        def full(*arguments: object) -> object:
            raise IndexFull("no room")

        self.patch(self.index, "commit_slot", full)
        self.failureResultOf(self.ask({0: put((0, b"new"))}), IndexFull)
        self.patch(self.index, "commit_slot", real)
        self.rebuild()
        self.assertEqual(self.contents(), {0: b"new"})

    def test_the_highest_epoch_is_that_of_any_version_or_chunk(self) -> None:
        txn = "a" * 25 + "e"
        for epoch, kind in ((3, VersionKey), (17, ChunkKey), (2**40, ChunkKey)):
            key = kind(INDEX_A, Version(epoch, 1), txn, 1)
            self.successResultOf(self.remote.put_object(str(key), b"x"))
        self.assertEqual(self.successResultOf(highest_epoch(self.remote)), 17)

    def test_the_highest_epoch_may_be_that_of_a_claim(self) -> None:
        for epoch in (3, 20, 4, 2**32 + 1):
            self.successResultOf(self.remote.put_object(str(ClaimKey(epoch, "a" * 26, 1)), b"x"))
        self.successResultOf(self.remote.put_object("claims/99.other", b"x"))
        self.assertEqual(self.successResultOf(highest_epoch(self.remote)), 20)

    def test_claims_are_neither_shares_nor_orphans(self) -> None:
        claim = str(ClaimKey(3, "a" * 26, 1))
        self.successResultOf(self.remote.put_object(claim, b"x"))
        self.assertEqual(self.rebuild().problem_count, 0)
        self.successResultOf(find_orphans(self.remote, self.index, self.clock))
        self.clock.advance(2 * UNKNOWN_SECONDS)
        due = self.index.next_garbage(int(self.clock.seconds()), 10)
        self.assertEqual(self.successResultOf(due), ())
