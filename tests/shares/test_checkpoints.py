"""Copies of the index in the provider: when they are made, and what they hold."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail

from raic.backends.layers.owned import OwnedLayer
from raic.errors import (
    IndexFull,
    IndexTooNew,
    PrefixOwned,
    ProviderError,
    ProviderUnreachable,
)
from raic.shares.checkpoints import CheckpointSettings, fetch_checkpoint
from raic.shares.checkpoints.checkpointer import LAST_SECONDS, LOOK_SECONDS, RETRY_SECONDS
from raic.shares.checkpoints.sealed import BLOCK_BYTES, CheckpointDamaged, seal_file
from raic.shares.index import copies
from raic.shares.index.files import schema_scripts
from raic.shares.keys import (
    CHECKPOINTS,
    CheckpointKey,
    encode_index,
    new_checkpoint_name,
    parse_checkpoint_key,
)
from raic.shares.sealing import Sealer
from raic.values import LEASE_SECONDS
from tests.shares.checkpoint_world import HOUR, CheckpointTestCase
from tests.shares.slot_machine_world import put
from tests.shares.stores import INDEX_A, NOW

VERSION_1 = Path(__file__).with_name("index") / "version-1.db.gz"


class Making(CheckpointTestCase):
    def test_its_key_tells_when_it_was_made_and_how_long_it_is(self) -> None:
        self.store(b"share")
        key = self.checkpoint()
        self.assertEqual(key.created, NOW)
        self.assertTrue(key.name.startswith("index/20231114t221320z."))
        self.assertEqual(self.objects(CHECKPOINTS), {str(key): key.size})
        self.assertEqual(parse_checkpoint_key(str(key)), key)

    def test_no_provider_can_read_it(self) -> None:
        self.store(b"share")
        data = self.bytes_of(str(self.checkpoint()))
        with closing(sqlite3.connect(self.path())) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        plain = self.path().read_bytes()
        for secret in (INDEX_A, encode_index(INDEX_A).encode(), b"SQLite format 3"):
            self.assertNotIn(secret, data)
        self.assertIn(INDEX_A, plain)

    def test_nothing_is_left_beside_the_index(self) -> None:
        before = {path.name for path in self.path().parent.iterdir()}
        self.checkpoint()
        self.assertEqual({path.name for path in self.path().parent.iterdir()}, before)

    def test_the_oldest_go_when_there_are_too_many(self) -> None:
        made = []
        for _ in range(5):
            self.clock.advance(10)
            made.append(self.checkpoint())
        self.assertEqual(self.checkpoints(), made[:1:-1])

    def test_one_made_after_the_clock_was_set_back_stays(self) -> None:
        made = [self.checkpoint()]
        for _ in range(2):
            self.clock.advance(10)
            made.append(self.checkpoint())
        self.clock.rightNow -= 1000
        newest = self.checkpoint()
        self.assertEqual(set(self.checkpoints()), {newest, *made[1:]})

    def test_what_a_broken_off_one_left_goes(self) -> None:
        left = CheckpointKey("index/20231114t221320z." + "a" * 26, 1000)
        self.successResultOf(self.remote.put_object(str(left), b"only a part"))
        other = "index/a-note-of-the-operator"
        self.successResultOf(self.remote.put_object(other, b"x"))
        key = self.checkpoint()
        self.assertEqual(set(self.objects(CHECKPOINTS)), {str(key), other})

    def test_without_room_on_the_disk_none_is_made_and_the_index_has_its_room(self) -> None:
        self.patch(copies, "SPARE_BYTES", 2**62)
        self.failureResultOf(self.checkpointer().make(), IndexFull)
        self.assertEqual(self.checkpoints(), [])
        self.store(b"share")

    def test_an_upload_that_fails_leaves_nothing_visible(self) -> None:
        def refused(_: Callable[[], Deferred[Any]]) -> Deferred[Any]:
            return fail(ProviderUnreachable("attic", "finish", "no"))

        self.scripted.steps["finish"].append(refused)
        self.failureResultOf(self.checkpointer().make(), ProviderUnreachable)
        self.assertEqual(self.objects(CHECKPOINTS), {})

    def test_only_the_owner_of_the_prefix_makes_and_deletes_any(self) -> None:
        made = [self.checkpoint() for _ in range(3)]
        problem: list[ProviderError] = []

        def check() -> None:
            if problem:
                raise problem[0]

        owned = OwnedLayer(self.remote, check)
        settings = CheckpointSettings(HOUR, 1000, 1)
        checkpointer = self.checkpointer(settings, owned)
        problem.append(PrefixOwned("attic", "claim", "another claimed it"))
        self.failureResultOf(checkpointer.make(), PrefixOwned)
        self.assertEqual(set(self.checkpoints()), set(made))
        problem.clear()
        key = self.successResultOf(checkpointer.make())
        self.assertEqual(self.checkpoints(), [key])


class When(CheckpointTestCase):
    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / LOOK_SECONDS)):
            self.clock.advance(LOOK_SECONDS)

    def test_one_soon_after_a_first_start_then_one_an_hour_if_anything_has_changed(self) -> None:
        checkpointer = self.checkpointer()
        checkpointer.start()
        self.store(b"share")
        self.pass_time(3 * LOOK_SECONDS)
        self.assertEqual(len(self.checkpoints()), 1)
        self.pass_time(3 * HOUR)
        self.assertEqual(len(self.checkpoints()), 1)
        self.store(b"another", 1)
        self.pass_time(2 * LOOK_SECONDS)
        self.assertEqual(len(self.checkpoints()), 2)
        self.store(b"another", 2)
        self.pass_time(HOUR - 3 * LOOK_SECONDS)
        self.assertEqual(len(self.checkpoints()), 2)
        self.pass_time(4 * LOOK_SECONDS)
        self.assertEqual(len(self.checkpoints()), 3)
        self.successResultOf(checkpointer.stop())

    def test_a_start_soon_after_the_last_one_waits_for_the_rest_of_the_hour(self) -> None:
        self.checkpoint()
        checkpointer = self.checkpointer()
        checkpointer.start()
        self.pass_time(HOUR - 3 * LOOK_SECONDS)
        self.assertEqual(len(self.checkpoints()), 1)
        self.pass_time(4 * LOOK_SECONDS)
        self.assertEqual(len(self.checkpoints()), 2)
        self.successResultOf(checkpointer.stop())

    def test_many_changes_do_not_wait_for_the_hour(self) -> None:
        checkpointer = self.checkpointer(CheckpointSettings(HOUR, 20, 3))
        checkpointer.start()
        self.pass_time(3 * LOOK_SECONDS)
        for number in range(20):
            self.store(b"share", number)
        self.pass_time(LOOK_SECONDS)
        self.assertEqual(len(self.checkpoints()), 2)
        self.successResultOf(checkpointer.stop())

    def test_collecting_garbage_alone_is_no_change(self) -> None:
        self.change(s0=put((0, b"1")))
        self.change(s0=put((0, b"2")))
        checkpointer = self.checkpointer()
        checkpointer.start()
        self.pass_time(3 * LOOK_SECONDS)
        self.collect_everything()
        self.pass_time(2 * HOUR)
        self.assertEqual(len(self.checkpoints()), 1)
        self.successResultOf(checkpointer.stop())

    def test_a_last_one_is_made_at_a_stop_after_changes(self) -> None:
        for changes, expected in ((True, 1), (False, 1), (True, 2)):
            checkpointer = self.checkpointer()
            checkpointer.start()
            if changes:
                self.change(s0=put((0, b"%d" % expected)))
            self.clock.advance(1)
            self.successResultOf(checkpointer.stop())
            self.assertEqual(len(self.checkpoints()), expected)

    def test_a_stop_does_not_wait_for_ever(self) -> None:
        hanging: list[Deferred[Any]] = []

        def hang(_: Callable[[], Deferred[Any]]) -> Deferred[Any]:
            hanging.append(Deferred())
            return hanging[-1]

        checkpointer = self.checkpointer()
        checkpointer.start()
        self.store(b"share")
        self.scripted.steps["write"].append(hang)
        stopped = checkpointer.stop()
        self.assertNoResult(stopped)
        self.clock.advance(LAST_SECONDS)
        self.successResultOf(stopped)
        self.assertEqual(len(hanging), 1)
        self.assertEqual(self.objects(CHECKPOINTS), {})

    def test_after_a_failure_it_is_tried_again_later(self) -> None:
        def refused(_: Callable[[], Deferred[Any]]) -> Deferred[Any]:
            return fail(ProviderUnreachable("attic", "finish", "no"))

        checkpointer = self.checkpointer()
        checkpointer.start()
        self.store(b"share")
        self.scripted.steps["finish"].append(refused)
        self.pass_time(3 * LOOK_SECONDS)
        self.assertEqual(self.checkpoints(), [])
        self.pass_time(RETRY_SECONDS)
        self.assertEqual(len(self.checkpoints()), 1)
        self.successResultOf(checkpointer.stop())

    def test_none_are_made_where_none_are_wanted(self) -> None:
        checkpointer = self.checkpointer(CheckpointSettings(kept=0))
        checkpointer.start()
        self.store(b"share")
        self.pass_time(2 * HOUR)
        self.successResultOf(checkpointer.stop())
        self.assertEqual(self.checkpoints(), [])


class Damaged(CheckpointTestCase):
    """Copies that are not those that were written."""

    def setUp(self) -> None:
        super().setUp()
        for number in range(200):
            self.store(b"share %d" % number, number)
        self.key = self.checkpoint()
        self.data = self.bytes_of(str(self.key))

    def fetched(self, data: bytes, *, sealer: Sealer | None = None) -> Deferred[Any]:
        key = CheckpointKey(self.key.name, len(data))
        self.successResultOf(self.remote.delete_objects([str(key)]))
        self.successResultOf(self.remote.put_object(str(key), data))
        self.target = Path(self.mktemp())
        return fetch_checkpoint(
            self.remote, key, sealer or self.sealer, self.target, 0, lambda _: None
        )

    def assert_refused(self, data: bytes, text: str, *, sealer: Sealer | None = None) -> None:
        failure = self.failureResultOf(self.fetched(data, sealer=sealer), CheckpointDamaged)
        self.assertIn(text, str(failure.value))
        self.assertFalse(self.target.exists())

    def test_any_flipped_bit_is_noticed(self) -> None:
        for place in (20, 40, len(self.data) // 2, len(self.data) - 1):
            data = bytearray(self.data)
            data[place] ^= 4
            self.assert_refused(bytes(data), "cut short or altered")

    def test_one_that_was_cut_short_is_noticed(self) -> None:
        self.assert_refused(b"", "too short")
        self.assert_refused(self.data[:19], "too short")
        for length in (20, 30, len(self.data) - 1):
            self.assert_refused(self.data[:length], "cut short or altered")

    def test_one_that_ends_between_blocks_is_noticed(self) -> None:
        self.patch(copies, "_UNWANTED", ())
        from raic.shares.checkpoints import sealed  # noqa: PLC0415 - to have short blocks

        self.patch(sealed, "BLOCK_BYTES", 1000)
        self.key = self.checkpoint()
        data = self.bytes_of(str(self.key))
        self.assertGreater(len(data), 3000)
        self.assertLess(len(data), BLOCK_BYTES)
        self.successResultOf(self.fetched(data))
        self.assert_refused(data[: 20 + 2 * 1016], "cut short or altered")
        swapped = data[:20] + data[20 + 1016 : 20 + 2032] + data[20 : 20 + 1016] + data[2052:]
        self.assert_refused(swapped, "cut short or altered")

    def test_one_of_another_node_or_kind_is_told(self) -> None:
        self.assert_refused(self.data, "the key of another node", sealer=Sealer(b"o" * 32))
        self.assert_refused(b"x" * 100, "unknown to this RAIC")

    def test_one_that_was_renamed_does_not_open(self) -> None:
        self.key = CheckpointKey("index/20991231t000000z." + "a" * 26, len(self.data))
        self.assert_refused(self.data, "cut short or altered")

    def test_one_by_a_newer_raic_is_told(self) -> None:
        with closing(sqlite3.connect(self.path())) as database:
            database.execute(f"PRAGMA user_version = {len(schema_scripts()) + 1}")
        self.key = self.checkpoint()
        self.failureResultOf(self.fetched(self.bytes_of(str(self.key))), IndexTooNew)

    def test_all_leases_get_their_full_time(self) -> None:
        revived = self.successResultOf(self.fetched(self.data))
        self.assertEqual((revived.shares, revived.slots, revived.leases), (200, 0, 0))
        self.clock.advance(1)
        expires = int(self.clock.seconds()) + LEASE_SECONDS
        fetching = fetch_checkpoint(
            self.remote, self.key, self.sealer, self.target, expires, lambda _: None
        )
        self.assertEqual(self.successResultOf(fetching).leases, 1)

    def test_one_of_an_older_schema_is_upgraded(self) -> None:
        old, packed = Path(self.mktemp()), Path(self.mktemp())
        old.write_bytes(gzip.decompress(VERSION_1.read_bytes()))
        name = new_checkpoint_name(NOW)
        seal_file(name, old, packed, self.sealer, lambda: True)
        self.key = CheckpointKey(name, packed.stat().st_size)
        revived = self.successResultOf(self.fetched(packed.read_bytes()))
        self.assertGreater(revived.shares, 0)
        index = self.open(self.target)
        totals = self.successResultOf(index.get_totals())
        self.assertEqual((totals.shares, totals.slots), (revived.shares, revived.slots))
        self.assertEqual((totals.garbage, totals.intents), (0, 0))
        ended = self.successResultOf(index.get_usage(0))
        self.assertGreater(ended.stored, 0)
