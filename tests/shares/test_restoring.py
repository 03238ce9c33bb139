"""The index, made anew from a copy and from what has happened to the objects since."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from functools import partial
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail

from raic.errors import ProviderUnreachable, StorageUnusable
from raic.shares.ages import UNKNOWN_SECONDS
from raic.shares.expunging import Expunger
from raic.shares.keys import CHUNKS, SHARES, SLOTS
from raic.shares.orphans import find_orphans, find_orphans_after
from raic.shares.secrets import new_lease
from raic.values import (
    LEASE_SECONDS,
    ExpiryBatch,
    ExpiryRule,
    Garbage,
    ListedObject,
    ObjectPage,
)
from tests.shares import test_rebuild_scenario
from tests.shares.checkpoint_world import CheckpointTestCase
from tests.shares.slot_machine_world import DELETE, MIB, noise, put
from tests.shares.stores import INDEX_A, INDEX_B, SECRETS, pattern

SEEDS = range(int(os.environ.get("RAIC_REBUILD_SEEDS", "4")))


class Restoring(CheckpointTestCase):
    def test_what_the_copy_knows_is_not_read_again(self) -> None:
        self.store(pattern(MIB))
        self.change(s0=put((0, noise(2 * MIB))))
        before = self.visible()
        key = self.checkpoint()
        self.remote.calls = []
        report = self.restore(key)
        self.assertEqual([k for m, k in self.remote.calls if m == "get" and k != str(key)], [])
        self.assertEqual((report.shares, report.slots, report.known, report.gone), (1, 1, 2, 0))
        self.assertEqual(report.leases, 1)
        self.assertEqual(self.visible(), before)

    def test_what_is_newer_is_there_too(self) -> None:
        self.store(b"one", 0)
        self.change(s0=put((0, b"old")))
        key = self.checkpoint()
        self.store(b"two", 1)
        self.store(b"elsewhere", 0, INDEX_B)
        self.change(s0=put((0, b"new")), s4=put((0, noise(2 * MIB))))
        before = self.visible(), self.visible(INDEX_B)
        report = self.restore(key)
        self.assertEqual((report.shares, report.slots, report.known), (3, 1, 1))
        self.assertEqual((self.visible(), self.visible(INDEX_B)), before)

    def test_no_lease_ends_before_its_time(self) -> None:
        self.store(b"one")
        self.clock.advance(LEASE_SECONDS - 10)
        key = self.checkpoint()
        renewed = new_lease(SECRETS, self.clock.seconds())
        self.successResultOf(self.index.renew_lease(INDEX_A, renewed))
        self.clock.advance(100)
        self.restore(key)
        self.assertEqual(self.revived.leases, 1)
        (lease,) = self.successResultOf(self.index.get_leases(INDEX_A))
        self.assertEqual(lease.expires, int(self.clock.seconds()) + LEASE_SECONDS)
        self.assertEqual(lease.renew_digest, renewed.renew_digest)

    def test_what_was_deleted_since_is_forgotten_with_its_leases(self) -> None:
        self.store(b"one")
        self.store(b"elsewhere", 0, INDEX_B)
        self.change(s0=put((0, noise(2 * MIB))))
        key = self.checkpoint()
        self.clock.advance(LEASE_SECONDS + 1)
        now = int(self.clock.seconds())
        expiring = self.index.expire(ExpiryRule(now), ExpiryBatch(now, now, now, 100))
        self.successResultOf(expiring)
        self.collect_everything()
        report = self.restore(key)
        self.assertEqual((report.shares, report.slots, report.gone), (0, 0, 3))
        self.assertEqual((report.problems, report.unresolved), ((), ()))
        totals = self.successResultOf(self.index.get_totals())
        self.assertEqual((totals.shares, totals.slots, totals.leases), (0, 0, 0))

    def test_a_slot_that_was_deleted_since_stays_gone(self) -> None:
        self.change(s0=put((0, noise(2 * MIB))))
        key = self.checkpoint()
        self.change(s0=DELETE)
        report = self.restore(key)
        self.assertEqual((report.slots, report.deleted_slots), (0, 1))
        self.assertEqual(self.contents(), {})
        self.settle()
        self.assertEqual(self.objects(SLOTS), {})
        self.assertEqual(self.objects(CHUNKS), {})

    def test_what_the_copy_calls_garbage_may_live_by_now(self) -> None:
        """As when a restore by headers alone came in between."""
        self.store(b"one")
        (object_key,) = self.objects(SHARES)
        self.successResultOf(self.index.release([Garbage(object_key, 0)]))
        self.successResultOf(self.index.forget([object_key]))
        key = self.checkpoint()
        report = self.restore(key)
        self.assertEqual(report.shares, 1)
        self.assertEqual(self.successResultOf(self.index.get_totals()).garbage, 0)
        self.collect_everything()
        self.assertEqual(self.held(), b"one")

    def test_an_upload_that_was_under_way_is_no_garbage_if_it_was_committed(self) -> None:
        upload = self.start(5)
        self.successResultOf(upload.write(0, b"fo"))
        key = self.checkpoint()
        self.successResultOf(upload.write(2, b"und"))
        self.successResultOf(upload.close())
        self.restore(key)
        self.collect_everything()
        self.assertEqual(self.held(), b"found")

    def test_what_was_expunged_since_stays_expunged(self) -> None:
        self.store(b"one")
        self.change(s0=put((0, b"slot")))
        key = self.checkpoint()
        expunger = Expunger(self.remote, self.index, self.clock)
        self.successResultOf(expunger.expunge(INDEX_A, "a letter"))
        report = self.restore(key)
        self.assertEqual((report.shares, report.slots), (0, 0))
        self.assertEqual((self.held(), self.contents()), (None, {}))
        self.store(b"one", 0)
        newer = self.visible()
        self.restore(key)
        self.assertEqual(self.visible(), newer)
        self.settle()
        self.assertEqual(self.visible(), newer)

    def test_a_share_that_was_uploaded_again_since_is_there(self) -> None:
        self.store(b"first")
        (old,) = self.objects(SHARES)
        key = self.checkpoint()
        self.successResultOf(self.index.forget([old]))
        self.replace(old, None)
        # Whichever of the two comes first in a listing.
        for _ in range(4):
            self.store(b"again")
            self.restore(key)
            self.assertEqual(self.held(), b"again")
            (new,) = self.objects(SHARES)
            self.successResultOf(self.index.forget([new]))
            self.replace(new, None)

    def test_a_known_object_that_was_cut_short_is_told(self) -> None:
        self.store(b"share")
        (object_key,) = self.objects(SHARES)
        key = self.checkpoint()
        self.replace(object_key, self.bytes_of(object_key)[:-1])
        report = self.restore(key)
        self.assertEqual((report.shares, report.problem_count), (0, 1))
        self.assertIn("bytes", report.problems[0])
        unknown = self.index.unknown_keys([object_key])
        self.assertEqual(self.successResultOf(unknown), frozenset())

    def test_a_slot_never_goes_back_before_a_version_that_was_acknowledged(self) -> None:
        self.change(s0=put((0, b"old")))
        (old,) = self.objects(SLOTS)
        kept = self.bytes_of(old)
        self.change(s0=put((0, b"new")))
        key = self.checkpoint()
        (new,) = set(self.objects(SLOTS)) - {old}
        self.replace(new, None)
        report = self.restore(key)
        self.assertEqual((report.slots, report.unresolved_count), (0, 1))
        self.assertEqual(self.contents(), {})
        self.failureResultOf(self.ask({0: put((0, b"x"))}), StorageUnusable)
        self.assertEqual(self.bytes_of(old), kept)
        self.collect_everything()
        self.assertEqual(set(self.objects(SLOTS)), {old})

    def test_a_slot_that_lost_a_chunk_is_told(self) -> None:
        self.change(s0=put((0, noise(3 * MIB))))
        key = self.checkpoint()
        self.replace(next(iter(self.objects(CHUNKS))), None)
        report = self.restore(key)
        self.assertEqual((report.slots, report.problem_count), (0, 1))
        self.assertIn("chunks are not there", report.problems[0])

    def test_what_nothing_refers_to_is_found_without_another_listing(self) -> None:
        self.store(b"share")
        self.change(s0=put((0, noise(2 * MIB))))
        key = self.checkpoint()
        used = set(self.objects(SHARES))
        (object_key,) = used
        twin = object_key.replace("/0.", "/0." + "a" * 26 + ".")
        twin = twin.replace(twin.split(".")[2] + ".", "")
        self.successResultOf(self.remote.put_object(twin, self.bytes_of(object_key)))
        self.change(s0=put((0, noise(2 * MIB, 2))))
        self.restore(key)
        searching = find_orphans_after(self.remote, self.index, self.clock, self.unclear)
        self.assertEqual(self.successResultOf(searching).orphans, 4)
        self.collect_everything()
        self.assertEqual(set(self.objects(SHARES)), used)
        self.assertEqual(
            set(self.objects(SLOTS)) | set(self.objects(CHUNKS)), self.version().keys()
        )
        self.assertEqual(self.held(), b"share")

    def test_history_comes_back(self) -> None:
        self.store(b"share")
        expunger = Expunger(self.remote, self.index, self.clock)
        self.successResultOf(expunger.expunge(INDEX_A, "a letter"))
        key = self.checkpoint()
        self.restore(key)
        (noted,) = self.successResultOf(self.index.get_expunged(10))
        self.assertEqual(noted.reason, "a letter")

    def test_what_is_written_from_then_on_is_newer(self) -> None:
        self.change(s0=put((0, b"1")))
        key = self.checkpoint()
        self.change(s0=put((0, b"2")))
        old = self.version().version
        self.restore(key)
        self.change(s0=put((0, b"3")))
        self.assertGreater(self.version().version, old)

    def settle(self) -> None:
        """Days pass, and what nobody knows goes."""
        for _ in range(3):
            self.successResultOf(find_orphans(self.remote, self.index, self.clock))
            self.clock.advance(2 * UNKNOWN_SECONDS)
            self.collect_everything()


class Unresolved(CheckpointTestCase):
    """Objects of which too little can be reached just now."""

    def setUp(self) -> None:
        super().setUp()
        self.change(s0=put((0, b"old")))
        self.store(b"share", 1, INDEX_B)
        self.key = self.checkpoint()
        self.change(s0=put((0, b"new")))
        self.store(b"another", 2, INDEX_B)
        self.before = self.visible(), self.visible(INDEX_B)

    def let_reads(self, fails: Callable[[str], bool]) -> None:
        real = self.remote.get_object

        def read(key: str, offset: int, length: int) -> Deferred[bytes]:
            if fails(key):
                return fail(ProviderUnreachable("attic", "get_object", "two members are away"))
            return real(key, offset, length)

        self.patch(self.remote, "get_object", read)

    def test_they_are_readable_at_no_version_and_refuse_writes_until_they_are_resolved(
        self,
    ) -> None:
        new = [key for key in self.objects() if key.startswith((SLOTS, SHARES))]
        self.let_reads(lambda key: key in new)
        report = self.restore(self.key, may_lack=True)
        self.assertEqual(report.unresolved_count, 2)
        self.assertIn("two members are away", report.unresolved[0])
        self.assertEqual(report.problems, ())
        self.assertEqual(self.contents(), {})
        self.failureResultOf(self.ask({0: put((0, b"x"))}), StorageUnusable)
        self.successResultOf(find_orphans(self.remote, self.index, self.clock))
        self.collect_everything()
        again = self.checkpoint()
        self.let_reads(lambda _: False)
        self.patch(self.remote, "get_object", type(self.remote).get_object.__get__(self.remote))
        report = self.restore(again)
        self.assertEqual((report.unresolved_count, report.shares, report.slots), (0, 2, 1))
        self.assertEqual((self.visible(), self.visible(INDEX_B)), self.before)
        self.change(s0=put((0, b"newer")))

    def test_a_single_provider_that_is_away_fails_the_whole(self) -> None:
        self.let_reads(lambda key: key.startswith(SLOTS))
        self.assertRaises(AssertionError, self.restore, self.key)


class Parts(CheckpointTestCase):
    """What an array lists of which it has only a part."""

    def list_partly(self, partial_keys: Collection[str]) -> None:
        real = self.remote.list_objects

        def marked(page: ObjectPage) -> ObjectPage:
            objects = tuple(
                ListedObject(one.key, one.size, one.key in partial_keys) for one in page.objects
            )
            return ObjectPage(objects, page.next_token)

        def listing(prefix: str, token: str | None) -> Deferred[ObjectPage]:
            return real(prefix, token).addCallback(marked)

        self.patch(self.remote, "list_objects", listing)

    def test_a_newer_version_of_which_only_a_part_is_there_was_never_acknowledged(self) -> None:
        self.change(s0=put((0, b"old")))
        key = self.checkpoint()
        known = set(self.objects(SLOTS))
        self.change(s0=put((0, b"new")))
        self.list_partly(set(self.objects(SLOTS)) - known)
        report = self.restore(key)
        self.assertEqual((report.slots, report.unresolved_count), (1, 0))
        self.assertEqual(self.contents(), {0: b"old"})

    def test_what_the_copy_knows_was_acknowledged(self) -> None:
        self.change(s0=put((0, b"old")))
        old = set(self.objects(SLOTS))
        self.change(s0=put((0, b"new")))
        self.store(b"share", 0, INDEX_B)
        key = self.checkpoint()
        self.list_partly({*self.objects(SHARES), *(set(self.objects(SLOTS)) - old)})
        report = self.restore(key)
        self.assertEqual((report.shares, report.slots, report.unresolved_count), (0, 0, 2))
        self.assertEqual(self.contents(), {})
        self.failureResultOf(self.ask({0: put((0, b"x"))}), StorageUnusable)


class Scenario(CheckpointTestCase, test_rebuild_scenario.ScenarioTests):
    """Many operations, copies in between, then the index is lost."""

    def test_nothing_visible_changes(self) -> None:
        for seed in SEEDS:
            self.setUp()
            random = Random(seed)
            places = [bytes([number]) * 16 for number in range(8)]
            keys = []
            for _ in range(4):
                self.play(random, 40)
                self.clock.advance(1)
                keys.append(self.checkpoint())
            self.play(random, random.choice([0, 5, 40]))
            before = {place: self.visible(place) for place in places}
            there = [key for key in keys if key in self.checkpoints()]
            # An older copy does as well: the newer may be damaged.
            report = self.restore(random.choice(there))
            self.assertEqual((report.problems, report.unresolved), ((), ()))
            self.assert_same(before)
            searching = find_orphans_after(self.remote, self.index, self.clock, self.unclear)
            self.successResultOf(searching)
            # All that nothing refers to is garbage by then, but for what must outlive others.
            again = self.successResultOf(find_orphans(self.remote, self.index, self.clock))
            self.assertEqual(again.orphans, 0)
            self.collect_everything()
            self.assert_same(before)
            self.play(random, 30)
            before = {place: self.visible(place) for place in places}
            self.restore(self.checkpoint())
            self.assert_same(before)

    def test_totals_are_those_of_what_is_there(self) -> None:
        self.play(Random(99), 60)
        key = self.checkpoint()
        self.play(Random(98), 60)
        self.restore(key)
        with closing(sqlite3.connect(self.path())) as database:
            ask: Callable[[str], Any] = partial(_one, database)
            self.assertEqual(ask("SELECT shares FROM totals"), ask("SELECT count(*) FROM shares"))
            self.assertEqual(ask("SELECT leases FROM totals"), ask("SELECT count(*) FROM leases"))
            self.assertEqual(
                ask("SELECT slot_bytes FROM totals"),
                ask("SELECT coalesce(sum(size + chunk_bytes), 0) FROM slots"),
            )
            self.assertEqual(
                ask("SELECT chunks FROM totals"),
                ask("SELECT coalesce(sum(chunk_count), 0) FROM slots"),
            )


def _one(database: sqlite3.Connection, query: str) -> Any:
    return database.execute(query).fetchone()[0]
