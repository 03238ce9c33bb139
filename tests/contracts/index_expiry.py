"""What every index promises of expiring, expunging and advisories, as tests."""

from __future__ import annotations

from attrs import evolve

from raic.errors import VersionConflict
from raic.values import (
    GONE,
    VERIFIED,
    Advisory,
    ExpiryBatch,
    ExpiryRule,
    ExpiryRun,
    Expunged,
    LeasePlace,
    UpcomingLeases,
)
from tests.contracts.driving import driven
from tests.contracts.index import LATER, NOTHING, IndexContract
from tests.contracts.index_values import (
    INDEX_A,
    INDEX_B,
    NOW,
    chunk,
    chunked,
    fragments_of,
    inline,
    make_lease,
    make_share,
)

OVER = NOW - 1
RULE = ExpiryRule(NOW)
TOMBSTONE = "expunged/aa/" + make_share().key.split("/")[2] + "/t.1"


def make_advisory(received: int, shnum: int = 0, kind: str = "mutable") -> Advisory:
    """A claim."""
    return Advisory(kind, INDEX_A, shnum, "claim", received)


class ExpiryContract(IndexContract):
    """As :class:`~tests.contracts.index.IndexContract`, which it includes."""

    async def expire(
        self, rule: ExpiryRule = RULE, limit: int = 100, after: LeasePlace | None = None
    ) -> tuple[ExpiryRun, LeasePlace | None]:
        batch = ExpiryBatch(NOW, NOW + 1, LATER, limit, after)
        return await self.index.expire(rule, batch)

    async def share_with(self, *expires: int, shnum: int = 0) -> str:
        """A share in A, with a lease for each time; its object's key."""
        share = make_share(shnum=shnum)
        for number, when in enumerate(expires):
            lease = make_lease(number, when)
            if number:
                await self.index.renew_lease(INDEX_A, lease)
            else:
                await self.index.commit_share(share, lease, fragments_of(share.key))
        return share.key

    @driven
    async def test_what_ends_soon_is_told(self) -> None:
        self.assertEqual(await self.index.get_upcoming(NOW, 10), UpcomingLeases(None, 0, 0))
        day = 24 * 60 * 60
        await self.share_with(
            NOW - 5, NOW + 5, NOW + day - 1, NOW + day, NOW + 6 * day, NOW + LATER
        )
        self.assertEqual(await self.index.get_upcoming(NOW, 10), UpcomingLeases(NOW + 5, 2, 4))
        self.assertEqual(await self.index.get_upcoming(NOW, 1), UpcomingLeases(NOW + 5, 1, 1))

    # Expiring

    @driven
    async def test_shares_go_when_all_their_leases_are_over(self) -> None:
        first = await self.share_with(OVER, OVER)
        second = await self.share_with(OVER, shnum=1)
        run, following = await self.expire()
        self.assertIsNone(following)
        self.assertEqual(
            run, ExpiryRun(NOW, NOW + 1, RULE, leases=2, shares=2, share_bytes=200, objects=2)
        )
        self.assertEqual(await self.index.get_bucket(INDEX_A), {})
        self.assertEqual(await self.leases(), ())
        self.assertEqual(await self.garbage(LATER - 1), ())
        self.assertEqual(await self.garbage_keys(), {first, second})
        self.assertEqual(await self.index.get_totals(), evolve(NOTHING, garbage=2))
        await self.kill()
        self.assertEqual(await self.index.get_bucket(INDEX_A), {})
        self.assertEqual(await self.index.get_expiry_runs(1), (run,))

    @driven
    async def test_a_slot_goes_with_its_chunks(self) -> None:
        version = await self.put_slot(inline(), chunked(chunk(1), shnum=1), lease=make_lease(1, 0))
        run, _ = await self.expire()
        self.assertEqual((run.leases, run.shares, run.slots, run.objects), (1, 0, 1, 2))
        self.assertEqual(run.slot_bytes, 1050)
        self.assertIsNone(await self.index.get_slot(INDEX_A))
        self.assertEqual(await self.garbage_keys(), version.keys())
        self.assertEqual(await self.index.get_totals(), evolve(NOTHING, garbage=2))

    @driven
    async def test_one_lease_that_is_not_over_keeps_all_shares_and_those_over_go(self) -> None:
        await self.share_with(OVER, NOW, OVER)
        await self.share_with(OVER, shnum=1)
        run, _ = await self.expire()
        self.assertEqual((run.leases, run.shares), (2, 0))
        self.assertEqual(set(await self.index.get_bucket(INDEX_A)), {0, 1})
        self.assertEqual(await self.leases(), (make_lease(1, NOW),))

    @driven
    async def test_a_renewal_before_the_expiry_counts(self) -> None:
        await self.share_with(OVER)
        renewing = self.index.renew_lease(INDEX_A, make_lease(0, NOW))
        run, _ = await self.expire()
        self.assertTrue(await renewing)
        self.assertEqual((run.leases, run.shares), (0, 0))
        self.assertEqual(len(await self.index.get_bucket(INDEX_A)), 1)

    @driven
    async def test_a_renewal_after_the_expiry_is_refused(self) -> None:
        await self.share_with(OVER)
        expiring = self.index.expire(RULE, ExpiryBatch(NOW, NOW, LATER, 1))
        self.assertFalse(await self.index.renew_lease(INDEX_A, make_lease(0, LATER)))
        await expiring
        self.assertEqual(await self.leases(), ())

    @driven
    async def test_what_the_rule_leaves_out_keeps_its_shares_and_its_leases(self) -> None:
        await self.share_with(OVER)
        await self.expire(ExpiryRule(NOW, immutable=False))
        self.assertEqual(await self.leases(), (make_lease(0, OVER),))
        await self.put_slot(inline())
        run, _ = await self.expire(ExpiryRule(NOW, mutable=False))
        self.assertEqual((run.leases, run.shares, run.slots), (0, 1, 0))
        self.assertIsNotNone(await self.index.get_slot(INDEX_A))
        self.assertEqual(await self.leases(), (make_lease(0, OVER),))
        run, _ = await self.expire()
        self.assertEqual((run.leases, run.slots), (1, 1))

    @driven
    async def test_a_slot_that_never_had_a_lease_stays(self) -> None:
        await self.put_slot(inline())
        await self.expire(ExpiryRule(NOW + 10**9))
        self.assertIsNotNone(await self.index.get_slot(INDEX_A))

    @driven
    async def test_a_run_goes_in_batches_past_what_stays(self) -> None:
        await self.share_with(OVER - 5, OVER, NOW)
        version = await self.put_slot(inline())
        for number in range(3):
            share = make_share(INDEX_B, number)
            await self.index.commit_share(share, make_lease(number, OVER + number - 3))
        rule = ExpiryRule(NOW, mutable=False)
        run, following = await self.expire(rule, limit=1)
        counts = []
        while following is not None:
            self.assertIsNone(run.ended)
            counts.append(run.shares)
            run, following = await self.expire(rule, 1, following)
        self.assertEqual((run.shares, run.leases, run.ended), (3, 3, NOW + 1))
        self.assertEqual(counts, [0, 3, 3])
        self.assertEqual(await self.index.get_slot(INDEX_A), version)
        self.assertEqual(len(await self.leases()), 3)

    @driven
    async def test_repairs_of_what_goes_are_forgotten(self) -> None:
        await self.share_with(OVER)
        self.assertEqual((await self.index.get_totals()).repairs, 2)
        await self.expire()
        self.assertEqual((await self.index.get_totals()).repairs, 0)

    @driven
    async def test_the_newest_runs_are_remembered(self) -> None:
        for number in range(103):
            batch = ExpiryBatch(NOW + number, NOW + number, LATER, 10)
            await self.index.expire(ExpiryRule(number, mutable=False), batch)
        runs = await self.index.get_expiry_runs(1000)
        self.assertEqual([run.started - NOW for run in runs], list(range(102, 2, -1)))
        self.assertEqual(runs[0].rule, ExpiryRule(102, mutable=False))
        self.assertEqual(len(await self.index.get_expiry_runs(2)), 2)

    # Expunging

    async def expunge(self, leaving_out: str = "") -> Expunged:
        objects = await self.index.get_objects(INDEX_A) - {leaving_out}
        await self.index.reserve([TOMBSTONE])
        return await self.index.expunge(INDEX_A, objects, TOMBSTONE, "court", NOW, LATER)

    @driven
    async def test_all_that_is_expunged_becomes_garbage_and_the_tombstone_last(self) -> None:
        key = await self.share_with(NOW)
        old = await self.put_slot(inline(), number=1)
        version = await self.put_slot(chunked(chunk(1)), number=2, lease=make_lease())
        keys = {key, old.key, *version.keys()}
        self.assertEqual(await self.index.get_objects(INDEX_A), keys)
        note = await self.expunge()
        self.assertEqual(note, Expunged(NOW, INDEX_A, "court", 1, 1, 1150))
        self.assertEqual(await self.index.get_expunged(10), (note,))
        self.assertEqual(await self.garbage_keys(), keys)
        self.assertEqual(await self.index.get_objects(INDEX_A), keys)
        self.assertEqual(await self.index.get_totals(), evolve(NOTHING, garbage=5))
        self.assertEqual(await self.index.unknown_keys([TOMBSTONE]), set())
        await self.index.settle_garbage(await self.garbage())
        self.assertEqual(await self.garbage_keys(), {TOMBSTONE})

    @driven
    async def test_what_the_tombstone_does_not_name_is_not_expunged(self) -> None:
        key = await self.share_with(NOW)
        version = await self.put_slot(inline())
        for left_out in (key, version.key):
            with self.assertRaises(VersionConflict):
                await self.expunge(left_out)
        self.assertEqual(await self.index.get_slot(INDEX_A), version)
        self.assertEqual(await self.index.get_expunged(10), ())
        self.assertEqual((await self.index.get_totals()).intents, 1)

    @driven
    async def test_other_storage_indexes_stay(self) -> None:
        other = make_share(INDEX_B)
        await self.index.commit_share(other, make_lease())
        await self.share_with(NOW)
        await self.expunge()
        self.assertEqual(await self.index.get_bucket(INDEX_B), {0: other})
        self.assertEqual(len(await self.leases(INDEX_B)), 1)
        self.assertEqual(await self.index.get_objects(INDEX_B), {other.key})

    # Advisories

    @driven
    async def test_no_more_than_ten_advisories_of_a_share_are_taken_in_a_day(self) -> None:
        taken = [await self.index.advise(make_advisory(NOW + n)) for n in range(12)]
        self.assertEqual(taken, [True] * 10 + [False] * 2)
        self.assertTrue(await self.index.advise(make_advisory(NOW, shnum=1)))
        self.assertTrue(await self.index.advise(make_advisory(NOW, kind="immutable")))
        self.assertTrue(await self.index.advise(make_advisory(NOW + 86400)))
        self.assertFalse(await self.index.advise(make_advisory(NOW + 86400)))

    @driven
    async def test_the_oldest_advisory_is_settled_with_others_of_its_share(self) -> None:
        self.assertIsNone(await self.index.next_advisory())
        given = [make_advisory(NOW), make_advisory(NOW, 1), make_advisory(NOW + 5)]
        for one in given:
            await self.index.advise(one)
        self.assertEqual(await self.index.next_advisory(), given[0])
        await self.index.settle_advisory(evolve(given[0], received=NOW + 4), NOW + 9, VERIFIED)
        self.assertEqual(await self.index.next_advisory(), given[1])
        await self.index.settle_advisory(given[1], NOW + 10, GONE)
        self.assertEqual(await self.index.next_advisory(), given[2])
        settled = (
            given[2],
            evolve(given[1], checked=NOW + 10, verdict=GONE),
            evolve(given[0], checked=NOW + 9, verdict=VERIFIED),
        )
        self.assertEqual(await self.index.get_advisories(9), settled)
