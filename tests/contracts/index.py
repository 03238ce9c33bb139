"""What every index promises: the text of ``IIndex`` as tests."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from raic.errors import IndexStopped, VersionConflict
from raic.interfaces import IIndex
from raic.shares.ages import REQUEST_SECONDS
from raic.values import (
    Advisory,
    Chunk,
    ExpiryBatch,
    ExpiryRule,
    Garbage,
    Lease,
    SlotShare,
    SlotVersion,
    StoredShare,
    Totals,
)
from tests.contracts.driving import Driven, driven
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
    make_version,
)

LATER = NOW + 300
NOTHING = Totals(0, 0, 0, 0, 0, 0, 0, 0, 0)


class IndexContract(Driven):
    """Mix this into a ``SynchronousSuite`` or a ``ReactorSuite``.

    :cvar local_listing: whether the index keeps intents in memory only.
    """

    local_listing = False

    def make_index(self, clock: Clock) -> IIndex:
        """An empty index."""
        raise NotImplementedError

    def after_close(self, index: IIndex) -> IIndex:
        """What the next process has, after ``index`` was closed."""
        raise NotImplementedError

    def after_kill(self, index: IIndex) -> IIndex:
        """What the next process would have if this one were killed now."""
        raise NotImplementedError

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.index = self.make_index(self.clock)
        self.addCleanup(lambda: self.drive(self.close()))

    async def close(self) -> None:
        await self.index.close()

    async def restart(self) -> None:
        await self.index.close()
        self.index = self.after_close(self.index)

    async def kill(self) -> None:
        killed = self.index
        self.index = self.after_kill(killed)
        await killed.close()

    async def put_slot(
        self, *shares: SlotShare, lease: Lease | None = None, number: int = 0
    ) -> SlotVersion:
        """A new version of slot A, committed."""
        current = await self.index.get_slot(INDEX_A)
        version = make_version(self.index.next_version(), shares, number=number)
        expected = None if current is None else current.version
        await self.index.commit_slot(version, expected, lease, LATER)
        return version

    async def garbage(self, now: int = LATER, limit: int = 100) -> tuple[Garbage, ...]:
        return await self.index.next_garbage(now, limit)

    async def garbage_keys(self, now: int = LATER) -> set[str]:
        return {one.key for one in await self.garbage(now)}

    async def leases(self, storage_index: bytes = INDEX_A) -> tuple[Lease, ...]:
        return await self.index.get_leases(storage_index)

    def test_it_provides_the_interface(self) -> None:
        verifyObject(IIndex, self.index)

    @driven
    async def test_a_new_index_is_empty(self) -> None:
        self.assertEqual(await self.index.get_bucket(INDEX_A), {})
        self.assertIsNone(await self.index.get_slot(INDEX_A))
        self.assertEqual(await self.leases(), ())
        self.assertEqual(await self.index.get_totals(), NOTHING)
        self.assertEqual(await self.index.get_advisories(10), ())
        self.assertEqual(await self.garbage(), ())
        self.assertEqual(await self.index.unknown_keys(["a"]), {"a"})
        self.assertTrue(self.index.was_clean())

    # Closing

    @driven
    async def test_what_was_asked_before_closing_is_done(self) -> None:
        committing = self.index.commit_share(make_share(), make_lease())
        await self.restart()
        await committing
        self.assertEqual(set(await self.index.get_bucket(INDEX_A)), {0})

    @driven
    async def test_a_stop_is_clean_only_when_the_index_was_closed(self) -> None:
        await self.restart()
        self.assertTrue(self.index.was_clean())
        await self.kill()
        self.assertFalse(self.index.was_clean())
        await self.restart()
        self.assertTrue(self.index.was_clean())

    @driven
    async def test_a_closed_index_refuses_everything(self) -> None:
        index = self.index
        await index.close()
        await index.close()
        version = make_version(index.next_version(), [inline()])
        calls: list[Deferred[Any]] = [
            index.get_bucket(INDEX_A),
            index.get_slot(INDEX_A),
            index.get_leases(INDEX_A),
            index.get_totals(),
            index.get_advisories(1),
            index.unknown_keys(["a"]),
            index.reserve(["a"]),
            index.release([]),
            index.commit_share(make_share(), make_lease()),
            index.commit_slot(version, None, None, 0),
            index.renew_lease(INDEX_A, make_lease()),
            index.advise(Advisory("mutable", INDEX_A, 0, "", NOW)),
            index.next_advisory(),
            index.settle_advisory(Advisory("mutable", INDEX_A, 0, "", NOW), NOW, ""),
            index.expire(ExpiryRule(0), ExpiryBatch(0, 0, 0, 1)),
            index.get_expiry_runs(1),
            index.get_objects(INDEX_A),
            index.expunge(INDEX_A, [], "a", "", 0, 0),
            index.get_expunged(1),
            index.set_aside({INDEX_A: "broken"}),
            index.next_garbage(NOW, 1),
            index.settle_garbage([]),
            index.load([], []),
            index.raise_epoch(99),
        ]
        for call in calls:
            await self.refused(call, IndexStopped)

    # Versions

    @driven
    async def test_versions_rise_also_across_a_restart_and_a_kill(self) -> None:
        versions = [self.index.next_version() for _ in range(50)]
        await self.restart()
        versions += [self.index.next_version() for _ in range(50)]
        await self.kill()
        versions += [self.index.next_version() for _ in range(50)]
        self.assertEqual(versions, sorted(set(versions)))

    @driven
    async def test_a_raised_epoch_outlives_a_kill_and_versions_rise(self) -> None:
        before = self.index.next_version()
        raised = self.index.epoch() + 5
        self.assertEqual(before.epoch, raised - 5)
        await self.index.raise_epoch(raised)
        versions = [before, self.index.next_version()]
        self.assertEqual((self.index.epoch(), versions[1].epoch), (raised, raised))
        await self.kill()
        self.assertEqual(self.index.epoch(), raised)
        versions += [self.index.next_version() for _ in range(50)]
        self.assertEqual(versions, sorted(set(versions)))

    @driven
    async def test_an_epoch_is_never_lowered(self) -> None:
        await self.index.raise_epoch(7)
        await self.index.raise_epoch(3)
        self.assertEqual(self.index.epoch(), 7)
        await self.restart()
        self.assertEqual(self.index.next_version().epoch, 7)

    # Intents

    @driven
    async def test_a_reserved_key_is_known(self) -> None:
        await self.index.reserve(["a", "b"])
        await self.index.reserve(["a"])
        self.assertEqual(await self.index.unknown_keys(["a", "b", "c"]), {"c"})
        self.assertEqual(await self.index.get_totals(), evolve(NOTHING, intents=2))

    @driven
    async def test_a_released_key_is_garbage_instead(self) -> None:
        await self.index.reserve(["a", "b"])
        await self.index.release([Garbage("a", NOW + 5, 2)])
        self.assertEqual(await self.garbage(), (Garbage("a", NOW + 5, 2),))
        self.assertEqual(await self.index.get_totals(), evolve(NOTHING, intents=1, garbage=1))
        self.assertEqual(await self.index.unknown_keys(["a", "b"]), set())

    @driven
    async def test_a_key_that_was_never_reserved_is_noted_as_garbage_all_the_same(self) -> None:
        await self.index.release([Garbage("a", NOW)])
        self.assertEqual(await self.garbage(), (Garbage("a", NOW),))

    @driven
    async def test_garbage_released_again_waits_longer_never_shorter(self) -> None:
        await self.index.release([Garbage("a", NOW + 5, 1), Garbage("b", NOW + 6, 2)])
        await self.index.release([Garbage("a", NOW + 6, 2), Garbage("b", NOW + 5, 1)])
        found = set(await self.garbage())
        self.assertEqual(found, {Garbage("a", NOW + 6, 2), Garbage("b", NOW + 6, 2)})

    @driven
    async def test_intents_left_by_a_killed_process_become_garbage_to_be_deleted_twice(
        self,
    ) -> None:
        await self.index.reserve([make_share().key])
        await self.kill()
        await self.check_left_intent(passes=2)

    @driven
    async def test_intents_left_at_a_clean_stop_become_garbage(self) -> None:
        await self.index.reserve([make_share().key])
        await self.restart()
        await self.check_left_intent(passes=1)

    async def check_left_intent(self, passes: int) -> None:
        due = NOW + REQUEST_SECONDS
        expected = () if self.local_listing else (Garbage(make_share().key, due, passes),)
        self.assertEqual(await self.garbage(due), expected)
        self.assertEqual(await self.garbage(due - 1), ())
        self.assertEqual((await self.index.get_totals()).intents, 0)

    # Shares

    @driven
    async def test_a_committed_share_is_there_with_its_lease(self) -> None:
        share = make_share(INDEX_A, 3, 100)
        await self.index.reserve([share.key])
        fragments = fragments_of(share.key)
        await self.index.commit_share(share, make_lease(), fragments)
        self.assertEqual(await self.index.get_bucket(INDEX_A), {3: share})
        self.assertEqual(await self.index.get_bucket(INDEX_B), {})
        self.assertEqual(await self.leases(), (make_lease(),))
        totals = evolve(NOTHING, shares=1, share_bytes=100, leases=1, repairs=2)
        self.assertEqual(await self.index.get_totals(), totals)
        other = make_share(INDEX_A, 3, 100, number=1).key
        self.assertEqual(await self.index.unknown_keys([share.key, *fragments, other]), {other})

    @driven
    async def test_a_committed_share_outlives_a_kill_and_is_no_garbage(self) -> None:
        await self.index.reserve([make_share().key])
        await self.index.commit_share(make_share(), make_lease())
        await self.kill()
        self.assertEqual(await self.index.get_bucket(INDEX_A), {0: make_share()})
        self.assertEqual(await self.leases(), (make_lease(),))
        self.assertEqual(await self.garbage(NOW + REQUEST_SECONDS), ())

    @driven
    async def test_a_share_number_is_given_once(self) -> None:
        first, second = make_share(number=1), make_share(number=2)
        await self.index.commit_share(first, make_lease())
        await self.index.reserve([second.key])
        refused = self.index.commit_share(second, make_lease(5), fragments_of(second.key))
        await self.refused(refused, VersionConflict)
        self.assertEqual(await self.index.get_bucket(INDEX_A), {0: first})
        self.assertEqual(await self.leases(), (make_lease(),))
        totals = evolve(NOTHING, shares=1, share_bytes=100, leases=1, intents=1)
        self.assertEqual(await self.index.get_totals(), totals)

    # Slots

    @driven
    async def test_a_committed_slot_is_there_as_it_was_given(self) -> None:
        long = chunked(chunk(1), Chunk(None, 70), chunk(2), shnum=7)
        version = await self.put_slot(inline(0, 300), long, lease=make_lease())
        self.assertEqual(await self.index.get_slot(INDEX_A), version)
        self.assertIsNone(await self.index.get_slot(INDEX_B))
        self.assertEqual(await self.leases(), (make_lease(),))
        totals = evolve(NOTHING, slots=1, slot_bytes=1100, leases=1)
        self.assertEqual(await self.index.get_totals(), totals)
        self.assertEqual(await self.index.unknown_keys(version.keys()), set())
        await self.kill()
        self.assertEqual(await self.index.get_slot(INDEX_A), version)

    @driven
    async def test_a_commit_ends_the_intents_for_its_objects_and_notes_repairs(self) -> None:
        version = make_version(self.index.next_version(), [chunked(chunk(1))])
        await self.index.reserve([*version.keys(), "other"])
        fragments = [*fragments_of(version.key), *fragments_of(str(chunk(1).key))]
        await self.index.commit_slot(version, None, None, LATER, fragments)
        totals = await self.index.get_totals()
        self.assertEqual((totals.intents, totals.repairs), (1, 4))
        self.assertEqual(await self.index.unknown_keys(fragments), set())

    @driven
    async def test_objects_that_only_the_old_version_needs_become_garbage(self) -> None:
        old = await self.put_slot(chunked(chunk(1), chunk(2)), number=1)
        new = await self.put_slot(chunked(chunk(2), chunk(3)), number=2)
        self.assertEqual(await self.index.get_slot(INDEX_A), new)
        self.assertEqual(await self.garbage_keys(), {old.key, str(chunk(1).key)})
        self.assertEqual(await self.garbage(LATER - 1), ())
        totals = evolve(NOTHING, slots=1, slot_bytes=1100, garbage=2)
        self.assertEqual(await self.index.get_totals(), totals)
        self.assertEqual(await self.index.unknown_keys(old.keys() | new.keys()), set())

    @driven
    async def test_a_slot_that_is_not_as_expected_stays(self) -> None:
        old = await self.put_slot(inline(), number=1)
        new = make_version(self.index.next_version(), [inline()], number=2)
        for expected in (None, new.version):
            fragments = fragments_of(new.key)
            refused = self.index.commit_slot(new, expected, make_lease(), 0, fragments)
            await self.refused(refused, VersionConflict)
        elsewhere = make_version(self.index.next_version(), [inline()], INDEX_B)
        refused = self.index.commit_slot(elsewhere, old.version, None, 0)
        await self.refused(refused, VersionConflict)
        self.assertEqual(await self.index.get_slot(INDEX_A), old)
        totals = evolve(NOTHING, slots=1, slot_bytes=1000)
        self.assertEqual(await self.index.get_totals(), totals)

    @driven
    async def test_a_version_without_shares_ends_the_slot_and_its_leases(self) -> None:
        old = await self.put_slot(chunked(chunk(1)), lease=make_lease())
        tombstone = await self.put_slot(number=2)
        self.assertIsNone(await self.index.get_slot(INDEX_A))
        self.assertEqual(await self.leases(), ())
        self.assertEqual(await self.index.get_totals(), evolve(NOTHING, garbage=3))
        self.assertEqual(await self.index.unknown_keys(old.keys() | tombstone.keys()), set())
        again = await self.put_slot(inline(), number=3)
        self.assertEqual(await self.index.get_slot(INDEX_A), again)

    @driven
    async def test_leases_of_a_deleted_slot_stay_for_immutable_shares(self) -> None:
        await self.index.commit_share(make_share(), make_lease(1))
        await self.put_slot(inline(), lease=make_lease(2))
        await self.put_slot()
        self.assertEqual(len(await self.leases()), 2)

    @driven
    async def test_a_tombstone_waits_for_all_other_garbage_of_its_storage_index(self) -> None:
        old = await self.put_slot(inline(), number=1)
        tombstone = await self.put_slot(number=2)
        stray = make_share().key
        await self.index.release([Garbage(stray, LATER + 1000), Garbage("elsewhere", LATER)])
        self.assertEqual(await self.garbage_keys(), {old.key, "elsewhere"})
        await self.index.settle_garbage(await self.garbage())
        self.assertEqual(await self.garbage_keys(), set())
        await self.index.settle_garbage(await self.garbage(LATER + 1000))
        self.assertEqual(await self.garbage(LATER - 1), ())
        self.assertEqual(await self.garbage_keys(), {tombstone.key})

    @driven
    async def test_tombstones_do_not_wait_for_one_another(self) -> None:
        tombstones = set()
        for number in (1, 3):
            await self.put_slot(inline(), number=number)
            tombstones.add((await self.put_slot(number=number + 1)).key)
        await self.index.settle_garbage(await self.garbage())
        self.assertEqual(await self.garbage_keys(), tombstones)
        await self.index.settle_garbage(await self.garbage())
        self.assertEqual(await self.index.get_totals(), NOTHING)

    # Leases

    @driven
    async def test_nothing_stored_no_lease(self) -> None:
        self.assertFalse(await self.index.renew_lease(INDEX_A, make_lease()))
        self.assertEqual(await self.leases(), ())

    @driven
    async def test_a_lease_is_granted_on_a_share_and_on_a_slot(self) -> None:
        await self.index.commit_share(make_share(INDEX_B), make_lease())
        await self.put_slot(inline())
        for storage_index in (INDEX_A, INDEX_B):
            self.assertTrue(await self.index.renew_lease(storage_index, make_lease(9, NOW)))
            self.assertIn(make_lease(9, NOW), await self.leases(storage_index))

    @driven
    async def test_a_lease_is_renewed_by_its_renew_secret_and_never_shortened(self) -> None:
        await self.index.commit_share(make_share(), make_lease(1, NOW))
        self.assertTrue(await self.index.renew_lease(INDEX_A, make_lease(1, NOW + 5)))
        self.assertTrue(await self.index.renew_lease(INDEX_A, make_lease(1, NOW + 3)))
        self.assertEqual(await self.leases(), (make_lease(1, NOW + 5),))
        await self.index.commit_share(make_share(shnum=1), make_lease(1, NOW + 9))
        await self.put_slot(inline(), lease=make_lease(1, NOW + 8))
        self.assertEqual(await self.leases(), (make_lease(1, NOW + 9),))
        self.assertEqual((await self.index.get_totals()).leases, 1)

    @driven
    async def test_leases_come_the_latest_to_expire_first(self) -> None:
        await self.index.commit_share(make_share(), make_lease(1, NOW + 2))
        await self.index.renew_lease(INDEX_A, make_lease(2, NOW + 3))
        await self.index.renew_lease(INDEX_A, make_lease(3, NOW + 1))
        self.assertEqual([one.expires - NOW for one in await self.leases()], [3, 2, 1])

    # Advisories

    @driven
    async def test_advisories_come_the_newest_first(self) -> None:
        given = [Advisory("mutable", INDEX_A, n, f"claim {n} \u00e9", NOW) for n in range(3)]
        for one in given:
            await self.index.advise(one)
        self.assertEqual(await self.index.get_advisories(2), (given[2], given[1]))
        self.assertEqual(await self.index.get_totals(), evolve(NOTHING, advisories=3))

    # Garbage

    @driven
    async def test_the_oldest_garbage_comes_first_and_no_more_than_asked(self) -> None:
        given = [Garbage(str(n), NOW + n) for n in (3, 1, 2, 9)]
        await self.index.release(given)
        self.assertEqual([one.key for one in await self.garbage(NOW + 3)], ["1", "2", "3"])
        self.assertEqual([one.key for one in await self.garbage(NOW + 3, 2)], ["1", "2"])

    @driven
    async def test_settled_garbage_goes_or_waits_for_another_pass(self) -> None:
        await self.index.release([Garbage("once", NOW), Garbage("twice", NOW, 2)])
        settled = [evolve(one, not_before=LATER) for one in await self.garbage(NOW)]
        await self.index.settle_garbage(settled)
        self.assertEqual(await self.garbage(LATER - 1), ())
        self.assertEqual(await self.garbage(), (Garbage("twice", LATER, 1),))
        await self.index.settle_garbage(await self.garbage())
        self.assertEqual(await self.index.get_totals(), NOTHING)
        self.assertEqual(await self.index.unknown_keys(["once"]), {"once"})

    @driven
    async def test_garbage_that_was_noted_anew_meanwhile_stays(self) -> None:
        await self.index.release([Garbage("later", NOW), Garbage("again", NOW)])
        settled = await self.garbage(NOW)
        await self.index.release([Garbage("later", LATER), Garbage("again", NOW, 2)])
        await self.index.settle_garbage(settled)
        self.assertEqual(await self.garbage_keys(), {"later", "again"})

    # Rebuilding

    @driven
    async def test_nothing_of_a_storage_index_that_was_set_aside_is_unknown(self) -> None:
        aside, other = make_share(INDEX_A).key, make_share(INDEX_B).key
        await self.index.set_aside({INDEX_A: "broken"})
        await self.index.set_aside({INDEX_A: "broken again"})
        self.assertEqual(await self.index.unknown_keys([aside, other]), {other})

    @driven
    async def test_what_is_loaded_is_there(self) -> None:
        share, version = make_share(INDEX_B), make_version(self.index.next_version(), [inline()])
        await self.index.load(
            iter([(share, [make_lease(1), make_lease(2)])]), iter([(version, [make_lease(3)])])
        )
        self.assertEqual(await self.index.get_bucket(INDEX_B), {0: share})
        self.assertEqual(await self.index.get_slot(INDEX_A), version)
        self.assertEqual(len(await self.leases(INDEX_B)), 2)
        self.assertEqual(await self.leases(INDEX_A), (make_lease(3),))
        self.assertEqual((await self.index.get_totals()).slot_bytes, 1000)

    @driven
    async def test_a_share_that_is_there_already_stays(self) -> None:
        share = make_share(number=1)
        other: StoredShare = make_share(number=2, length=5)
        await self.index.commit_share(share, make_lease(1))
        await self.index.load([(other, [make_lease(2)])], [])
        self.assertEqual(await self.index.get_bucket(INDEX_A), {0: share})
        self.assertEqual((await self.index.get_totals()).share_bytes, 100)

    @driven
    async def test_of_two_loaded_versions_the_newer_stays(self) -> None:
        versions = [make_version(self.index.next_version(), [inline()]) for _ in range(4)]
        for loaded, newest in (([1, 2], 2), ([2, 1], 2), ([0], 2), ([3], 3), ([2], 3)):
            await self.index.load([], [(versions[number], []) for number in loaded])
            self.assertEqual(await self.index.get_slot(INDEX_A), versions[newest])
        self.assertEqual(await self.garbage(NOW + 10**9), ())

    @driven
    async def test_a_loaded_tombstone_ends_older_versions_of_the_slot(self) -> None:
        old, tombstone, new = (
            make_version(self.index.next_version(), shares)
            for shares in ([inline()], [], [inline(1)])
        )
        await self.index.load([], [(tombstone, []), (old, [make_lease()])])
        self.assertIsNone(await self.index.get_slot(INDEX_A))
        self.assertEqual(await self.leases(), ())
        await self.index.load([], [(new, [])])
        await self.index.load([], [(tombstone, [])])
        self.assertEqual(await self.index.get_slot(INDEX_A), new)
