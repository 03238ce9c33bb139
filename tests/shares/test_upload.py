"""Uploading immutable shares when nothing goes wrong."""

from __future__ import annotations

from functools import partial

from zope.interface.verify import verifyObject

from raic.deferreds import after_answers
from raic.errors import (
    ConflictingWrite,
    NoSuchShare,
    ProviderBusy,
    ServiceBusy,
    VersionConflict,
    WriteOutOfBounds,
    WriteOutOfWindow,
)
from raic.interfaces import IBucketUpload
from raic.shares.keys import ShareKey, parse_key
from raic.shares.layout import SHARE_MAGIC, leases_in, read_header
from raic.shares.secrets import new_lease
from raic.shares.upload import GATHERED_BYTES, IDLE_SECONDS
from raic.values import Garbage, LeaseSecrets
from tests.shares.slot_machine_world import Held, Short, busy
from tests.shares.stores import INDEX_A, INDEX_B, NOW, SECRETS, pattern
from tests.shares.upload_world import UploadTestCase

MIB = 1024 * 1024


class DeferringTests(UploadTestCase):
    """What was written is passed on two turns of the reactor later."""

    def setUp(self) -> None:
        super().setUp()
        self.buckets = self.buckets_over(self.remote, partial(after_answers, self.clock))
        self.data = pattern(3 * MIB)
        self.upload = self.start(len(self.data))

    def turn(self) -> None:
        """Nothing was passed on; let the turns of the reactor pass."""
        self.assertEqual(self.calls(), [])
        self.clock.advance(0)

    def test_a_write_is_answered_before_its_bytes_are_passed_on(self) -> None:
        self.successResultOf(self.upload.write(0, self.data[:1_000_000]))
        self.turn()
        self.assertEqual(self.calls(), ["write"])

    def test_nothing_is_put_off_when_the_writer_must_wait(self) -> None:
        self.successResultOf(self.upload.write(0, self.data[:1_000_000]))
        self.successResultOf(self.upload.write(1_000_000, self.data[1_000_000:2_000_000]))
        self.assertEqual(self.calls(), ["write", "write"])

    def test_the_end_of_the_share_passes_on_all_at_once(self) -> None:
        self.upload.write(0, self.data[:1_000_000])
        self.upload.write(1_000_000, self.data[1_000_000:])
        self.successResultOf(self.upload.close())
        self.assertEqual(self.held(), self.data)
        self.calls()
        self.turn()
        self.assertEqual(self.calls(), [])

    def test_an_abort_meanwhile_leaves_nothing(self) -> None:
        self.upload.write(0, self.data[:1_000_000])
        self.successResultOf(self.upload.abort())
        self.turn()
        self.assertEqual(self.calls(), [])
        self.assertEqual(self.budget.taken, 0)
        self.assertEqual(self.intents(), 0)

    def test_what_went_wrong_is_told_with_the_next_write(self) -> None:
        self.remote.steps["write"] = [busy]
        self.successResultOf(self.upload.write(0, self.data[:1_000_000]))
        self.turn()
        self.failureResultOf(self.upload.write(1_000_000, b"more"), ProviderBusy)
        self.failureResultOf(self.upload.close(), ProviderBusy)
        self.assertEqual(self.objects(), {})


class StoringTests(UploadTestCase):
    def test_the_interface_is_provided(self) -> None:
        verifyObject(IBucketUpload, self.start(10))

    def test_a_share_can_be_read_once_it_is_closed(self) -> None:
        upload = self.start(5, 7)
        self.successResultOf(upload.write(0, b"share"))
        self.assertTrue(upload.is_complete())
        self.assertIsNone(self.held(7))
        self.assertEqual(self.objects(), {})
        self.successResultOf(upload.close())
        self.assertEqual(self.held(7), b"share")
        self.assertIsNone(self.held(6))
        self.assertIsNone(self.held(7, INDEX_B))

    def test_a_small_share_is_one_request(self) -> None:
        self.store(pattern(GATHERED_BYTES - 1000))
        self.assertEqual(self.calls(), ["put_object"])

    def test_a_large_share_is_sent_while_it_comes(self) -> None:
        data = pattern(5 * MIB + 3)
        upload = self.start(len(data))
        for begin in range(0, 4 * MIB, 64 * 1024):
            self.successResultOf(upload.write(begin, data[begin : begin + 64 * 1024]))
        self.assertEqual(self.calls(), ["write"] * 16)
        self.assertEqual(self.objects(), {})
        self.successResultOf(upload.write(4 * MIB, data[4 * MIB :]))
        self.successResultOf(upload.close())
        self.assertEqual(self.calls()[-1], "finish")
        self.assertEqual(self.held(), data)

    def test_a_share_without_bytes_is_complete_at_once(self) -> None:
        upload = self.start(0)
        self.assertTrue(upload.is_complete())
        self.assertEqual(upload.required_ranges(), [])
        self.successResultOf(upload.write(0, b""))
        self.successResultOf(upload.close())
        self.assertEqual(self.held(), b"")

    def test_what_was_not_written_reads_as_zeros(self) -> None:
        for shnum, size in enumerate((1000, 3 * MIB)):
            upload = self.start(size, shnum)
            self.successResultOf(upload.write(500, b"x" * 100))
            self.assertEqual(upload.required_ranges(), [(0, 500), (600, size)])
            self.assertFalse(upload.is_complete())
            self.successResultOf(upload.close())
            self.assertEqual(self.held(shnum), bytes(500) + b"x" * 100 + bytes(size - 600))

    def test_the_object_says_what_it_is(self) -> None:
        self.store(b"share", 7)
        ((name, size),) = self.objects().items()
        key = parse_key(name)
        assert isinstance(key, ShareKey)
        self.assertEqual((key.storage_index, key.shnum), (INDEX_A, 7))
        self.assertEqual((key.length, key.size), (5, size))
        data = self.successResultOf(self.remote.get_object(name, 0, size))
        header = read_header(name, SHARE_MAGIC, data, self.sealer)
        self.assertEqual(data[header.length :], b"share")
        self.assertEqual(header.open_part["created"], NOW)
        self.assertEqual(leases_in(header), (new_lease(SECRETS, NOW),))

    def test_the_lease_runs_from_the_end_of_the_upload(self) -> None:
        upload = self.start(5)
        self.clock.advance(1000)
        self.successResultOf(upload.close())
        leases = self.successResultOf(self.index.get_leases(INDEX_A))
        self.assertEqual(leases, (new_lease(SECRETS, NOW + 1000),))

    def test_the_intent_is_noted_first_and_ends_with_the_commit(self) -> None:
        upload = self.start(5)
        self.assertEqual(self.intents(), 1)
        self.successResultOf(upload.close())
        self.assertEqual(self.intents(), 0)
        self.assertEqual(self.garbage(), ())

    def test_fragments_that_lack_are_noted_for_repair(self) -> None:
        self.remote.fates = [Short(1)]
        self.store(b"share")
        self.assertEqual(self.successResultOf(self.index.get_totals()).repairs, 1)

    def test_a_share_that_somebody_else_committed_first_stays(self) -> None:
        late = self.start(5)
        self.store(b"first")
        first = set(self.objects())
        self.failureResultOf(late.close(), VersionConflict)
        self.assertEqual(self.held(), b"first")
        (left,) = set(self.objects()) - first
        self.assertEqual(self.garbage(), (Garbage(left, NOW),))
        self.assertFalse(late.is_complete())


class WritingTests(UploadTestCase):
    def test_a_write_past_the_end_takes_nothing(self) -> None:
        upload = self.start(10)
        self.failureResultOf(upload.write(5, b"too long"), WriteOutOfBounds)
        self.failureResultOf(upload.write(-1, b"x"), WriteOutOfBounds)
        self.failureResultOf(upload.write(11, b""), WriteOutOfBounds)
        self.assertEqual(upload.required_ranges(), [(0, 10)])

    def test_a_conflict_leaves_the_upload_as_it_was(self) -> None:
        upload = self.start(10)
        self.successResultOf(upload.write(0, b"12345"))
        self.failureResultOf(upload.write(3, b"xx789"), ConflictingWrite)
        self.assertEqual(upload.required_ranges(), [(5, 10)])
        self.successResultOf(upload.write(3, b"4567890"))
        self.successResultOf(upload.close())
        self.assertEqual(self.held(), b"1234567890")

    def test_too_far_ahead_is_refused_in_the_new_dialect(self) -> None:
        upload = self.start(20 * MIB)
        for place in range(10, 13):
            self.successResultOf(upload.write(place * MIB, bytes(MIB)))
        self.failureResultOf(upload.write(13 * MIB, bytes(MIB)), WriteOutOfWindow)

    def test_a_gap_is_filled_in_the_old_dialect(self) -> None:
        upload = self.start(20 * MIB, fills_gaps=True)
        self.successResultOf(upload.write(0, b"header"))
        for place in range(10, 16):
            self.successResultOf(upload.write(place * MIB, b"x" * MIB))
        self.failureResultOf(upload.write(5 * MIB, b"late"), ConflictingWrite)
        self.successResultOf(upload.close())
        self.assertEqual(
            self.held(), b"header" + bytes(10 * MIB - 6) + b"x" * (6 * MIB) + bytes(4 * MIB)
        )

    def test_writes_after_the_end_find_nothing(self) -> None:
        upload = self.start(5)
        self.successResultOf(upload.close())
        self.failureResultOf(upload.write(0, b"x"), NoSuchShare)
        self.assertEqual(upload.required_ranges(), ())


class EndingTests(UploadTestCase):
    def test_closing_again_says_the_same(self) -> None:
        held = Held()
        self.remote.fates = [held]
        upload = self.start(5)
        first, second = upload.close(), upload.close()
        self.assertNoResult(first)
        held.let_go()
        self.successResultOf(first)
        self.successResultOf(second)
        self.successResultOf(upload.close())
        self.assertEqual(self.calls(), ["put_object"])

    def test_a_retry_of_the_last_write_while_the_share_is_stored(self) -> None:
        held = Held()
        self.remote.fates = [held]
        upload = self.start(5)
        upload.write(0, b"share")
        first = upload.close()
        self.successResultOf(upload.write(0, b"share"))
        self.failureResultOf(upload.write(0, b"other"), ConflictingWrite)
        self.assertTrue(upload.is_complete())
        second = upload.close()
        held.let_go()
        self.successResultOf(first)
        self.successResultOf(second)

    def test_the_end_is_told_once(self) -> None:
        complete = []
        upload = self.buckets.start_upload(
            INDEX_A, 0, 5, SECRETS, lambda upload: complete.append(upload.is_complete()), False
        )
        self.successResultOf(upload.close())
        self.successResultOf(upload.abort())
        self.assertEqual(complete, [True])
        self.assertTrue(upload.ended)
        other = self.buckets.start_upload(
            INDEX_A, 1, 0, SECRETS, lambda upload: complete.append(upload.is_complete()), False
        )
        self.successResultOf(other.abort())
        self.successResultOf(other.abort())
        self.assertEqual(complete, [True, False])

    def test_the_share_is_visible_when_the_end_is_told(self) -> None:
        seen: list[bytes | None] = []
        upload = self.buckets.start_upload(
            INDEX_A, 0, 5, SECRETS, lambda _: seen.append(self.held()), False
        )
        upload.write(0, b"share")
        upload.close()
        self.assertEqual(seen, [b"share"])

    def test_an_idle_upload_is_aborted(self) -> None:
        upload = self.start(10)
        self.clock.advance(IDLE_SECONDS - 1)
        self.successResultOf(upload.write(0, b"x"))
        self.clock.advance(2)
        self.assertFalse(upload.ended)
        self.clock.advance(IDLE_SECONDS - 3)
        self.assertFalse(upload.ended)
        self.clock.advance(1)
        self.assertEqual(self.ended, [upload])
        self.failureResultOf(upload.write(1, b"x"), NoSuchShare)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_is_left_to_call_after_the_end(self) -> None:
        self.store(b"share")
        self.successResultOf(self.start(5, 1).abort())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class MemoryTests(UploadTestCase):
    def test_what_an_upload_may_hold_is_taken_until_it_ends(self) -> None:
        for size in (0, 1000, 3 * MIB):
            for finish in ("close", "abort"):
                upload = self.start(size)
                self.assertGreater(self.budget.taken, size)
                self.successResultOf(getattr(upload, finish)())
                self.assertEqual(self.budget.taken, 0)
                self.index = self.new_index(1)
                self.buckets = self.buckets_over(self.remote)

    def test_an_upload_does_not_begin_without_memory(self) -> None:
        self.budget.limit = 1000
        self.assertRaises(ServiceBusy, self.start, 1000)
        self.assertEqual(self.budget.taken, 0)
        self.assertEqual(self.intents(), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_secrets_are_not_printed(self) -> None:
        secrets = LeaseSecrets(b"renewing" * 4, b"cancelling" * 4)
        upload = self.start(5, secrets=secrets)
        self.assertNotIn("renewing", repr(vars(upload)))
