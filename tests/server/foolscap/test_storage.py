"""RIStorageServer's methods, over the real storage service."""

from __future__ import annotations

from typing import Any, TypeVar

from foolscap.remoteinterface import getRemoteInterface
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.python.reflect import qual

from raic.backends.memory import MemoryProvider
from raic.budget import MemoryBudget
from raic.errors import MessageMalformed, NoSuchShare, ProviderUnreachable, ServiceBusy
from raic.interfaces import IShareReader
from raic.server.foolscap.buckets import MAX_READ, FoolscapBucketReader, FoolscapBucketWriter
from raic.server.foolscap.failures import StorageUnavailable
from raic.server.foolscap.schemas import RIBucketReader, RIBucketWriter, RIStorageServer
from raic.server.foolscap.storage import PROTOCOL, FoolscapStorageServer
from raic.server.operations import OperationMeter
from raic.values import MAX_SHARES
from tests.server.foolscap.canary import Canary
from tests.server.services import MAX_MUTABLE, NODEID, ServiceTestCase
from tests.shares.stores import INDEX_A, INDEX_B, pattern

T = TypeVar("T")
RENEW, CANCEL, ENABLER = b"r" * 32, b"c" * 32, b"w" * 32
SECRETS = (ENABLER, RENEW, CANCEL)
UNCHANGED: tuple[list[tuple[int, int, bytes, bytes]], list[tuple[int, bytes]], None] = (
    [],
    [],
    None,
)


class FoolscapTestCase(ServiceTestCase):
    """Has a :class:`FoolscapStorageServer`."""

    def setUp(self) -> None:
        super().setUp()
        self.answers = MemoryBudget(2 * MAX_READ)
        self.server = FoolscapStorageServer(self.service, self.answers, OperationMeter(self.clock))
        self.canary = Canary()

    def allocate_over_foolscap(
        self, shnums: set[int], size: int
    ) -> tuple[set[int], dict[int, FoolscapBucketWriter]]:
        return self.successResultOf(
            self.server.remote_allocate_buckets(INDEX_A, RENEW, CANCEL, shnums, size, self.canary)
        )

    def reader(self, data: bytes) -> FoolscapBucketReader:
        self.store_share(INDEX_A, 3, data)
        return self.successResultOf(self.server.remote_get_buckets(INDEX_A))[3]

    def wire_name(self, deferred: Deferred[T]) -> str:
        """The name under which a failure reaches the client."""
        return qual(self.failureResultOf(deferred).type)


class MeteringTests(FoolscapTestCase):
    def test_calls_are_counted_and_refusals_are_no_errors(self) -> None:
        meter = self.server.meter
        self.server.doRemoteCall("get_version", (), {})
        self.server.doRemoteCall("add_lease", (INDEX_A, RENEW, CANCEL), {})
        refused = self.server.doRemoteCall(
            "advise_corrupt_share", (b"neither", INDEX_A, 0, b"claim"), {}
        )
        self.failureResultOf(refused)
        figures = meter.figures()
        self.assertEqual({dialect for dialect, _ in figures}, {"foolscap"})
        self.assertEqual({name for _, name in figures}, {"version", "add_lease", "advise"})
        for each in figures.values():
            self.assertEqual((each.calls, each.in_flight, each.errors), (1, 0, {}))
        with self.assertRaises(TypeError):
            self.server.doRemoteCall("get_version", (1, 2), {})
        self.assertEqual(meter.figures()["foolscap", "version"].errors, {"TypeError": 1})


class VersionTests(FoolscapTestCase):
    capacity = 5_000

    def test_the_version_has_every_flag_of_a_tahoe_server(self) -> None:
        version = self.server.remote_get_version()
        self.assertEqual(
            version[PROTOCOL],
            {
                b"maximum-immutable-share-size": 5_000,
                b"maximum-mutable-share-size": MAX_MUTABLE,
                b"available-space": 5_000,
                b"tolerates-immutable-read-overrun": True,
                b"delete-mutable-shares-with-zero-length-writev": True,
                b"fills-holes-with-zero-bytes": True,
                b"prevents-read-past-end-of-share-data": True,
            },
        )
        application = version[b"application-version"]
        assert isinstance(application, bytes)
        self.assertTrue(application.startswith(b"raic/"))

    def test_every_object_says_what_it_is(self) -> None:
        _, writers = self.allocate_over_foolscap({0}, 1)
        self.assertIs(getRemoteInterface(self.server), RIStorageServer)
        self.assertIs(getRemoteInterface(writers[0]), RIBucketWriter)
        self.assertIs(getRemoteInterface(self.reader(b"x")), RIBucketReader)

    def test_every_method_of_the_interfaces_can_be_called(self) -> None:
        _, writers = self.allocate_over_foolscap({0}, 1)
        for remote in (self.server, writers[0], self.reader(b"x")):
            for name in getRemoteInterface(remote).names():
                self.assertTrue(callable(getattr(remote, f"remote_{name}")))


class UploadTests(FoolscapTestCase):
    def test_a_share_is_written_in_pieces_and_closed(self) -> None:
        data = pattern(2_500)
        already, writers = self.allocate_over_foolscap({0, 1}, 2_500)
        self.assertEqual((already, set(writers)), (set(), {0, 1}))
        for offset in (0, 1000, 2000):
            self.successResultOf(writers[1].remote_write(offset, data[offset : offset + 1000]))
        self.successResultOf(writers[1].remote_close())
        self.assertEqual(self.held(1), data)

    def test_a_share_closed_early_is_kept_and_the_gap_is_zeros(self) -> None:
        _, writers = self.allocate_over_foolscap({0}, 10)
        self.successResultOf(writers[0].remote_write(4, b"xy"))
        self.successResultOf(writers[0].remote_close())
        self.assertEqual(self.held(), b"\0\0\0\0xy\0\0\0\0")

    def test_what_is_held_already_is_named(self) -> None:
        self.store_share(INDEX_A, 5, b"x")
        already, writers = self.allocate_over_foolscap({5, 6}, 1)
        self.assertEqual((already, set(writers)), ({5}, {6}))

    def test_a_share_in_progress_is_offered_to_nobody_else(self) -> None:
        self.allocate_over_foolscap({0}, 1)
        self.assertEqual(self.allocate_over_foolscap({0, 1}, 1)[1].keys(), {1})

    def test_share_numbers_beyond_the_protocol_are_left_out(self) -> None:
        _, writers = self.allocate_over_foolscap({-1, 255, MAX_SHARES, 2**64}, 1)
        self.assertEqual(writers.keys(), {255})

    def test_a_negative_size_or_offset_is_refused(self) -> None:
        _, writers = self.allocate_over_foolscap({0}, 10)
        asked = self.server.remote_allocate_buckets(INDEX_B, RENEW, CANCEL, {0}, -1, self.canary)
        self.failureResultOf(asked, MessageMalformed)
        self.failureResultOf(writers[0].remote_write(-1, b"x"), MessageMalformed)

    def test_writing_past_the_end_fails_as_with_tahoe(self) -> None:
        _, writers = self.allocate_over_foolscap({0}, 10)
        name = self.wire_name(writers[0].remote_write(9, b"xx"))
        self.assertEqual(name, "allmydata.interfaces.DataTooLargeError")

    def test_writing_other_bytes_fails_as_with_tahoe(self) -> None:
        _, writers = self.allocate_over_foolscap({0}, 10)
        self.successResultOf(writers[0].remote_write(0, b"abc"))
        self.successResultOf(writers[0].remote_write(0, b"abc"))
        name = self.wire_name(writers[0].remote_write(0, b"abx"))
        self.assertEqual(name, "allmydata.interfaces.ConflictingWriteError")

    def test_an_aborted_upload_leaves_nothing_and_takes_no_more(self) -> None:
        _, writers = self.allocate_over_foolscap({0}, 10)
        self.successResultOf(writers[0].remote_write(0, b"abc"))
        self.successResultOf(writers[0].remote_abort())
        self.failureResultOf(writers[0].remote_write(3, b"x"), NoSuchShare)
        self.assertIsNone(self.held())
        self.assertEqual(self.allocate_over_foolscap({0}, 10)[1].keys(), {0})

    def test_losing_the_connection_aborts_what_is_unfinished(self) -> None:
        _, writers = self.allocate_over_foolscap({0, 1, 2}, 3)
        for writer in writers.values():
            self.successResultOf(writer.remote_write(0, b"abc"))
        self.successResultOf(writers[0].remote_close())
        self.canary.lose_connection()
        self.assertEqual([self.held(0), self.held(1), self.held(2)], [b"abc", None, None])
        self.assertEqual(len(self.service.uploads), 0)

    def test_nobody_waits_for_a_connection_without_uploads(self) -> None:
        _, writers = self.allocate_over_foolscap({0, 1}, 1)
        self.assertEqual(len(self.canary.watchers), 1)
        self.successResultOf(writers[0].remote_close())
        self.successResultOf(writers[1].remote_abort())
        self.successResultOf(writers[1].remote_abort())
        self.assertEqual(self.canary.watchers, [])
        self.allocate_over_foolscap({0}, 1)
        self.assertEqual(self.canary.watchers, [])


class DownloadTests(FoolscapTestCase):
    def test_ranges_are_read(self) -> None:
        data = pattern(3_000)
        reader = self.reader(data)
        for offset, length in ((0, 3_000), (1_000, 7), (2_990, 10)):
            read = self.successResultOf(reader.remote_read(offset, length))
            self.assertEqual(read, data[offset : offset + length])

    def test_reads_are_short_at_the_end_and_empty_beyond(self) -> None:
        reader = self.reader(b"0123456789")
        self.assertEqual(self.successResultOf(reader.remote_read(8, 100)), b"89")
        self.assertEqual(self.successResultOf(reader.remote_read(10, 5)), b"")
        self.assertEqual(self.successResultOf(reader.remote_read(2**63, 2**63)), b"")
        self.assertEqual(self.successResultOf(reader.remote_read(0, 0)), b"")

    def test_negative_ranges_are_refused(self) -> None:
        reader = self.reader(b"0123456789")
        self.failureResultOf(reader.remote_read(-1, 5), MessageMalformed)
        self.failureResultOf(reader.remote_read(0, -5), MessageMalformed)

    def test_a_share_is_pinned_only_while_it_is_read(self) -> None:
        reader = self.reader(b"0123456789")
        self.successResultOf(reader.remote_read(0, 5))
        self.assertFalse(any(self.pins.is_pinned(key) for key in self.objects("shares/")))

    def test_the_same_share_is_the_same_object_as_long_as_somebody_has_it(self) -> None:
        reader = self.reader(b"x")
        again = self.successResultOf(self.server.remote_get_buckets(INDEX_A))[3]
        self.assertIs(reader, again)

    def test_nothing_is_held_under_an_unknown_index(self) -> None:
        self.assertEqual(self.successResultOf(self.server.remote_get_buckets(INDEX_B)), {})

    def test_a_read_without_memory_fails_and_gives_back_what_it_took(self) -> None:
        reader = self.reader(bytes(5_000))
        self.answers.take(self.answers.limit - 4_999)
        self.failureResultOf(reader.remote_read(0, 5_000), ServiceBusy)
        self.assertEqual(len(self.successResultOf(reader.remote_read(0, 4_999))), 4_999)
        self.assertEqual(self.answers.taken, self.answers.limit - 4_999)

    def test_a_corruption_advisory_is_kept(self) -> None:
        reader = self.reader(b"x")
        self.successResultOf(reader.remote_advise_corrupt_share(b"bad \xff hash"))
        (advisory,) = self.successResultOf(self.index.get_advisories(5))
        self.assertEqual((advisory.kind, advisory.shnum), ("immutable", 3))
        self.assertEqual(advisory.reason, "bad � hash")


class SlotTests(FoolscapTestCase):
    def change(
        self,
        shnum: int,
        tests: list[tuple[int, int, bytes, bytes]],
        writes: list[tuple[int, bytes]],
        new_length: int | None = None,
        reads: list[tuple[int, int]] | None = None,
    ) -> tuple[bool, dict[int, list[bytes]]]:
        return self.successResultOf(
            self.server.remote_slot_testv_and_readv_and_writev(
                INDEX_A, SECRETS, {shnum: (tests, writes, new_length)}, reads or []
            )
        )

    def read(self, shnums: list[int], *reads: tuple[int, int]) -> dict[int, list[bytes]]:
        return self.successResultOf(self.server.remote_slot_readv(INDEX_A, shnums, list(reads)))

    def test_a_share_is_created_compared_read_and_changed(self) -> None:
        absent = [(0, 1, b"eq", b"")]
        self.assertEqual(self.change(0, absent, [(0, b"abc")], reads=[(0, 9)]), (True, {}))
        self.assertEqual(self.change(0, absent, [(0, b"zzz")]), (False, {0: []}))
        changed = self.change(0, [(0, 2, b"eq", b"ab")], [(1, b"X")], reads=[(0, 2), (2, 9)])
        self.assertEqual(changed, (True, {0: [b"ab", b"c"]}))
        self.assertEqual(self.read([0], (0, 9)), {0: [b"aXc"]})

    def test_holes_are_zeros_and_new_length_truncates_but_never_lengthens(self) -> None:
        self.change(0, [], [(4, b"e")])
        self.assertEqual(self.read([], (0, 9)), {0: [b"\0\0\0\0e"]})
        self.change(0, [], [], 2)
        self.assertEqual(self.read([], (0, 9)), {0: [b"\0\0"]})
        self.change(0, [], [], 100)
        self.assertEqual(self.read([], (0, 9), (7, 3)), {0: [b"\0\0", b""]})

    def test_new_length_zero_deletes_the_share(self) -> None:
        self.change(0, [], [(0, b"a")])
        self.change(1, [], [(0, b"b")])
        self.assertEqual(self.change(0, [], [], 0)[0], True)
        self.assertEqual(self.read([], (0, 9)), {1: [b"b"]})

    def test_an_empty_list_of_shares_means_all(self) -> None:
        for shnum in (0, 3, 5):
            self.change(shnum, [], [(0, b"%d" % shnum)])
        self.assertEqual(self.read([], (0, 1)), {0: [b"0"], 3: [b"3"], 5: [b"5"]})
        self.assertEqual(self.read([3, 4], (0, 1)), {3: [b"3"]})

    def test_a_list_of_impossible_shares_does_not_mean_all(self) -> None:
        self.change(0, [], [(0, b"a")])
        self.assertEqual(self.read([MAX_SHARES, -1, 2**64], (0, 1)), {})

    def test_a_wrong_write_enabler_fails_as_with_tahoe(self) -> None:
        self.change(0, [], [(0, b"a")])
        refused = self.server.remote_slot_testv_and_readv_and_writev(
            INDEX_A, (b"W" * 32, RENEW, CANCEL), {0: ([], [(0, b"b")], None)}, []
        )
        failure = self.failureResultOf(refused)
        self.assertEqual(qual(failure.type), "allmydata.interfaces.BadWriteEnablerError")
        self.assertEqual(NODEID, b"n" * 20)
        self.assertEqual(
            failure.getErrorMessage(),
            "The write enabler was recorded by nodeid 'nzxg43tonzxg43tonzxg43tonzxg43to'.",
        )
        self.assertEqual(self.read([], (0, 9)), {0: [b"a"]})

    def test_a_share_over_the_limit_is_refused(self) -> None:
        name = self.wire_name(
            self.server.remote_slot_testv_and_readv_and_writev(
                INDEX_A, SECRETS, {0: ([], [(MAX_MUTABLE, b"x")], None)}, []
            )
        )
        self.assertEqual(name, "allmydata.interfaces.DataTooLargeError")

    def test_malformed_vectors_are_refused_and_nothing_is_written(self) -> None:
        malformed: tuple[Any, ...] = (
            {MAX_SHARES: UNCHANGED},
            {-1: UNCHANGED},
            {0: ([(0, 1, b"le", b"")], [(0, b"x")], None)},
            {0: ([(-1, 1, b"eq", b"")], [], None)},
            {0: ([(0, -1, b"eq", b"")], [], None)},
            {0: ([], [(0, b"x"), (-1, b"x")], None)},
            {0: ([], [(0, b"x")], -1)},
        )
        for vectors in malformed:
            asked = self.server.remote_slot_testv_and_readv_and_writev(
                INDEX_A, SECRETS, vectors, []
            )
            self.failureResultOf(asked, MessageMalformed)
        self.failureResultOf(
            self.server.remote_slot_readv(INDEX_A, [], [(0, -1)]), MessageMalformed
        )
        self.assertEqual(self.read([], (0, 9)), {})

    def test_an_advisory_names_a_kind_of_share(self) -> None:
        self.change(0, [], [(0, b"a")])
        advise = self.server.remote_advise_corrupt_share
        self.successResultOf(advise(b"mutable", INDEX_A, 0, b"r" * 40_000))
        self.successResultOf(advise(b"immutable", INDEX_A, 0, b"not held"))
        self.failureResultOf(advise(b"strange", INDEX_A, 0, b"why"), MessageMalformed)
        (advisory,) = self.successResultOf(self.index.get_advisories(5))
        self.assertEqual((advisory.kind, len(advisory.reason)), ("mutable", 32_765))


class LeaseTests(FoolscapTestCase):
    def test_a_lease_on_nothing_is_silently_none(self) -> None:
        self.assertIsNone(
            self.successResultOf(self.server.remote_add_lease(INDEX_A, RENEW, CANCEL))
        )
        self.assertEqual(self.successResultOf(self.index.get_leases(INDEX_A)), ())

    def test_a_lease_is_added_to_what_is_held(self) -> None:
        self.store_share(INDEX_A, 0, b"x")
        self.successResultOf(self.server.remote_add_lease(INDEX_A, b"R" * 32, b"C" * 32))
        self.assertEqual(len(self.successResultOf(self.index.get_leases(INDEX_A))), 2)


class Unreachable(MemoryProvider):
    """Holds shares, but cannot be reached when they are read."""

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        return fail(ProviderUnreachable("attic", "get_object", "no route to 203.0.113.7"))

    def read_now(self, key: str, offset: int, length: int) -> None:
        return None


class FailureTests(FoolscapTestCase):
    def test_a_failing_provider_is_told_by_name_alone(self) -> None:
        reader = self.reader(b"x")
        self.patch(self.buckets, "_provider", Unreachable("attic"))
        failure = self.failureResultOf(reader.remote_read(0, 1), StorageUnavailable)
        self.assertNotIn("203.0.113.7", failure.getErrorMessage())
        self.assertEqual(self.answers.taken, 0)

    def test_an_unforeseen_failure_is_logged_and_told_by_name_alone(self) -> None:
        reader = self.reader(b"x")

        def broken(share: object) -> IShareReader:
            raise RuntimeError("secret detail")

        self.patch(self.buckets, "open", broken)
        failure = self.failureResultOf(maybeDeferred(reader.remote_read, 0, 1), StorageUnavailable)
        self.assertNotIn("secret", failure.getErrorMessage())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
