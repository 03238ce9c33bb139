"""The protocol without a transport."""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer
from zope.interface.verify import verifyObject

from raic.budget import MemoryBudget
from raic.errors import (
    BadUploadSecret,
    BadWriteEnabler,
    IndexFull,
    NoSpace,
    NoSuchShare,
    OwnershipUnknown,
    ProviderUnreachable,
    ServiceStopping,
    UploadFinished,
)
from raic.interfaces import IAllocation, IReach, IStorageService
from raic.server.service import BUSY_WAITS, Permissions
from raic.server.space import REFRESH_SECONDS
from raic.shares.buckets import Buckets
from raic.values import (
    LEASE_SECONDS,
    ExpiryBatch,
    ExpiryRule,
    Lease,
    LeaseSecrets,
    ReadTestWriteResult,
    TestWriteVectors,
    WriteVector,
)
from tests.server.services import MAX_MUTABLE, NODEID, ServiceTestCase
from tests.shares.stores import INDEX_A, INDEX_B, NOW, SECRETS

ENABLER = b"w" * 32
OTHERS = LeaseSecrets(b"R" * 32, b"C" * 32)


class AllocationTests(ServiceTestCase):
    capacity = 10_000

    def test_the_service_provides_its_interface(self) -> None:
        verifyObject(IStorageService, self.service)

    def test_new_shares_are_allocated(self) -> None:
        already_have, allocated = self.allocate(INDEX_A, {1, 7}, 100)
        self.assertEqual((already_have, set(allocated)), (set(), {1, 7}))
        self.assertEqual(allocated[7].required_ranges(), [(0, 100)])

    def test_every_share_held_is_named_not_only_those_asked_for(self) -> None:
        self.store_share(INDEX_A, 3, b"x")
        already_have, allocated = self.allocate(INDEX_A, {4}, 100)
        self.assertEqual((already_have, set(allocated)), ({3}, {4}))

    def test_asking_again_with_the_same_secret_answers_the_same_upload(self) -> None:
        first = self.allocate(INDEX_A, {1}, 100)[1]
        again = self.allocate(INDEX_A, {1, 2}, 100)[1]
        self.assertIs(first[1], again[1])
        self.assertEqual(set(again), {1, 2})

    def test_a_share_that_somebody_else_uploads_is_left_out(self) -> None:
        self.allocate(INDEX_A, {1}, 100)
        self.assertEqual(self.allocate(INDEX_A, {1, 2}, 100, b"other")[1].keys(), {2})
        self.assertEqual(self.allocate(INDEX_A, {1}, 100, None)[1], {})

    def test_an_unnamed_upload_is_nobody_elses(self) -> None:
        self.allocate(INDEX_A, {1}, 100, None)
        self.assertEqual(self.allocate(INDEX_A, {1}, 100, None)[1], {})
        self.assertRaises(BadUploadSecret, self.service.get_upload, INDEX_A, 1, b"")

    def test_share_numbers_beyond_the_protocol_are_left_out(self) -> None:
        self.assertEqual(self.allocate(INDEX_A, {0, 255, 256, 2**64}, 1)[1].keys(), {0, 255})

    def test_shares_that_do_not_fit_are_left_out(self) -> None:
        self.assertEqual(self.allocate(INDEX_A, {0, 1, 2}, 4_000)[1].keys(), {0, 1})
        self.assertEqual(self.service.get_sizes().available_space, 2_000)

    def test_space_comes_back_when_an_upload_is_aborted(self) -> None:
        upload = self.allocate(INDEX_A, {0}, 8_000)[1][0]
        self.assertEqual(self.service.get_sizes().maximum_immutable_share_size, 2_000)
        self.successResultOf(upload.abort())
        self.assertEqual(self.service.get_sizes().maximum_immutable_share_size, 10_000)

    def test_a_stored_share_takes_space_before_the_next_measurement(self) -> None:
        self.store_share(INDEX_A, 0, bytes(3_000))
        self.assertEqual(self.service.get_sizes().available_space, 7_000)
        self.clock.advance(REFRESH_SECONDS)
        self.assertLess(self.service.get_sizes().available_space, 7_000)

    def test_allocating_renews_the_callers_lease_on_shares_held(self) -> None:
        self.store_share(INDEX_A, 0, b"x")
        self.clock.advance(1000)
        self.allocate(INDEX_A, {0}, 1)
        self.allocate(INDEX_A, {0}, 1, secrets=OTHERS)
        leases = self.successResultOf(self.index.get_leases(INDEX_A))
        self.assertEqual([lease.expires for lease in leases], [NOW + 1000 + LEASE_SECONDS] * 2)

    def test_a_lease_that_cannot_be_renewed_ends_the_uploads_begun(self) -> None:
        self.store_share(INDEX_A, 0, b"x")
        self.service._index = FullIndex(self.index)  # type: ignore[assignment]  # one method matters
        asked = self.service.allocate_buckets(INDEX_A, {1}, 10, SECRETS, b"upload")
        self.failureResultOf(asked, IndexFull)
        self.assertEqual(len(self.service.uploads), 0)

    def test_shares_that_expire_before_their_lease_is_renewed_are_not_held(self) -> None:
        self.store_share(INDEX_A, 0, b"x")
        self.clock.advance(LEASE_SECONDS + 1)
        real = self.index.renew_lease

        def expired_before(storage_index: bytes, lease: Lease) -> Deferred[bool]:
            now = int(self.clock.seconds())
            self.successResultOf(self.index.expire(ExpiryRule(now), ExpiryBatch(1, now, now, 9)))
            return real(storage_index, lease)

        self.patch(self.index, "renew_lease", expired_before)
        held, allocated = self.allocate(INDEX_A, {0}, 1)
        self.assertEqual((held, allocated.keys()), (frozenset(), {0}))

    def test_without_memory_an_allocation_waits_briefly_and_then_declines(self) -> None:
        self.service._buckets = self.tight_buckets(1_500)
        self.assertEqual(self.allocate(INDEX_A, {0}, 900)[1].keys(), {0})
        asked = self.service.allocate_buckets(INDEX_B, {0, 1}, 900, SECRETS, b"other")
        self.assertNoResult(asked)
        self.clock.pump(BUSY_WAITS)
        self.assertEqual(self.successResultOf(asked).allocated, {})

    def test_memory_that_comes_free_while_an_allocation_waits_is_used(self) -> None:
        self.service._buckets = self.tight_buckets(1_500)
        first = self.allocate(INDEX_A, {0}, 900)[1][0]
        asked = self.service.allocate_buckets(INDEX_B, {0}, 900, SECRETS, b"other")
        self.successResultOf(first.abort())
        self.clock.pump(BUSY_WAITS)
        self.assertEqual(self.successResultOf(asked).allocated.keys(), {0})

    def test_a_share_completed_by_another_while_an_allocation_waits_is_left_out(self) -> None:
        self.service._buckets = self.tight_buckets(1_500)
        first = self.allocate(INDEX_A, {0}, 900)[1][0]
        asked = self.service.allocate_buckets(INDEX_B, {0}, 900, SECRETS, b"other")
        self.successResultOf(first.abort())
        self.store_share(INDEX_B, 0, b"x")
        self.clock.pump(BUSY_WAITS)
        self.assertEqual(self.successResultOf(asked).allocated, {})

    def tight_buckets(self, memory: int) -> Buckets:
        budget = MemoryBudget(memory)
        return Buckets(self.memory, self.index, self.sealer, self.pins, self.clock, budget)


class FullIndex:
    """An index whose disk is full: look-ups work, renewals fail."""

    def __init__(self, inner: object) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def renew_lease(self, storage_index: bytes, lease: Lease) -> Deferred[bool]:
        return fail(IndexFull("the disk is full"))


class UploadTests(ServiceTestCase):
    def test_a_completed_share_can_be_read_and_listed(self) -> None:
        self.store_share(INDEX_A, 5, b"hello world")
        self.assertEqual(self.successResultOf(self.service.list_shares(INDEX_A)), {5})
        reader = self.successResultOf(self.service.open_share(INDEX_A, 5))
        self.assertEqual(self.successResultOf(reader.read(6, 100)), b"world")
        reader.close()

    def test_an_unfinished_share_is_invisible(self) -> None:
        upload = self.allocate(INDEX_A, {5}, 10)[1][5]
        self.successResultOf(upload.write(0, b"hello"))
        self.assertEqual(self.successResultOf(self.service.list_shares(INDEX_A)), set())
        self.failureResultOf(self.service.open_share(INDEX_A, 5), NoSuchShare)

    def test_an_upload_is_reached_with_its_secret_alone(self) -> None:
        upload = self.allocate(INDEX_A, {5}, 10)[1][5]
        self.assertIs(self.service.get_upload(INDEX_A, 5, b"upload"), upload)
        self.assertRaises(BadUploadSecret, self.service.get_upload, INDEX_A, 5, b"x")
        self.assertRaises(NoSuchShare, self.service.get_upload, INDEX_A, 6, b"upload")

    def test_an_aborted_share_can_be_allocated_again(self) -> None:
        self.allocate(INDEX_A, {5}, 10)
        wrong = self.service.abort_upload(INDEX_A, 5, b"x")
        self.failureResultOf(wrong, BadUploadSecret)
        self.successResultOf(self.service.abort_upload(INDEX_A, 5, b"upload"))
        self.failureResultOf(self.service.abort_upload(INDEX_A, 5, b"upload"), NoSuchShare)
        self.assertEqual(self.allocate(INDEX_A, {5}, 10, b"other")[1].keys(), {5})

    def test_a_completed_share_cannot_be_aborted(self) -> None:
        self.store_share(INDEX_A, 5, b"x")
        self.failureResultOf(self.service.abort_upload(INDEX_A, 5, b"upload"), UploadFinished)
        self.assertEqual(self.successResultOf(self.service.list_shares(INDEX_A)), {5})


class SlotTests(ServiceTestCase):
    def write(self, data: bytes, enabler: bytes = ENABLER) -> Deferred[ReadTestWriteResult]:
        vectors = {1: TestWriteVectors((), (WriteVector(0, data),), None)}
        return self.service.read_test_write(INDEX_A, enabler, SECRETS, vectors, ())

    def test_a_slot_is_written_listed_and_read(self) -> None:
        self.successResultOf(self.write(b"hello"))
        self.assertEqual(self.successResultOf(self.service.list_slot_shares(INDEX_A)), {1})
        reader = self.successResultOf(self.service.open_slot_share(INDEX_A, 1))
        self.assertEqual(self.successResultOf(reader.read(0, 5)), b"hello")
        reader.close()
        self.assertEqual(self.successResultOf(self.service.read_slot(INDEX_A, (), ())), {1: ()})

    def test_another_write_enabler_is_refused_with_the_node_that_recorded_it(self) -> None:
        self.successResultOf(self.write(b"hello"))
        failure = self.failureResultOf(self.write(b"HELLO", b"x" * 32), BadWriteEnabler)
        self.assertEqual(failure.value.nodeid, NODEID)

    def test_sizes_name_the_largest_mutable_share(self) -> None:
        self.assertEqual(self.service.get_sizes().maximum_mutable_share_size, MAX_MUTABLE)


class LeaseAndAdvisoryTests(ServiceTestCase):
    def test_a_lease_needs_something_to_be_on(self) -> None:
        self.assertFalse(self.successResultOf(self.service.add_lease(INDEX_A, SECRETS)))
        self.store_share(INDEX_A, 0, b"x")
        self.assertTrue(self.successResultOf(self.service.add_lease(INDEX_A, OTHERS)))
        self.assertEqual(len(self.successResultOf(self.index.get_leases(INDEX_A))), 2)

    def test_an_advisory_on_a_share_held_is_kept(self) -> None:
        self.store_share(INDEX_A, 0, b"x")
        advise = self.service.advise_corrupt_share
        self.assertTrue(self.successResultOf(advise("immutable", INDEX_A, 0, "bad hash")))
        self.assertFalse(self.successResultOf(advise("immutable", INDEX_A, 1, "bad hash")))
        self.assertFalse(self.successResultOf(advise("mutable", INDEX_A, 0, "bad hash")))
        kept = self.successResultOf(self.index.get_advisories(10))
        self.assertEqual([(one.shnum, one.reason) for one in kept], [(0, "bad hash")])


class ReadOnlyTests(ServiceTestCase):
    permissions = Permissions(readonly=True, readonly_mutable=True)

    def test_a_readonly_node_announces_no_space_and_allocates_nothing(self) -> None:
        sizes = self.service.get_sizes()
        self.assertEqual((sizes.available_space, sizes.maximum_immutable_share_size), (0, 0))
        self.assertEqual(self.allocate(INDEX_A, {0}, 1), (set(), {}))

    def test_a_slot_can_be_read_but_not_written(self) -> None:
        vectors = {1: TestWriteVectors((), (WriteVector(0, b"x"),), None)}
        write = self.service.read_test_write(INDEX_A, ENABLER, SECRETS, vectors, ())
        self.failureResultOf(write, NoSpace)
        read = self.service.read_test_write(INDEX_A, ENABLER, SECRETS, {}, ())
        self.assertTrue(self.successResultOf(read).success)


class LostPrefixTests(ServiceTestCase):
    may_write = False

    def test_a_node_whose_prefix_is_anothers_announces_no_space_and_allocates_nothing(self) -> None:
        self.assertEqual(self.service.get_sizes().available_space, 0)
        self.assertEqual(self.allocate(INDEX_A, {0}, 1), (set(), {}))

    def test_its_slots_can_be_read_but_not_written(self) -> None:
        vectors = {1: TestWriteVectors((), (WriteVector(0, b"x"),), None)}
        write = self.service.read_test_write(INDEX_A, ENABLER, SECRETS, vectors, ())
        self.failureResultOf(write, OwnershipUnknown)
        read = self.service.read_test_write(INDEX_A, ENABLER, SECRETS, {}, ())
        self.assertTrue(self.successResultOf(read).success)

    def test_it_goes_on_once_the_prefix_is_its_own_again(self) -> None:
        self.may_write = True
        self.assertEqual(set(self.allocate(INDEX_A, {0}, 1)[1]), {0})


class StoppingTests(ServiceTestCase):
    def test_stopping_aborts_uploads_and_refuses_new_work(self) -> None:
        self.allocate(INDEX_A, {0, 1}, 10)
        self.successResultOf(self.service.stop())
        self.assertEqual(len(self.service.uploads), 0)
        asked = self.service.allocate_buckets(INDEX_A, {0}, 10, SECRETS, b"upload")
        self.failureResultOf(asked, ServiceStopping)
        write = self.service.read_test_write(INDEX_A, ENABLER, SECRETS, {}, ())
        self.failureResultOf(write, ServiceStopping)
        self.assertEqual(self.service.get_sizes().available_space, 0)


@implementer(IReach)
class Reach:
    """What keeps the shares, and answers when it is told to."""

    def __init__(self) -> None:
        self.there = True
        self.gone = False
        self.asked: list[Deferred[bool]] = []

    def answers(self) -> bool:
        return self.there

    def is_gone(self) -> bool:
        return self.gone

    def ask(self) -> Deferred[bool]:
        self.asked.append(Deferred())
        return self.asked[-1]


class ReachTests(ServiceTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.reach = Reach()
        self.service.heed(self.reach)

    def begin(self, *shnums: int) -> Deferred[IAllocation]:
        return self.service.allocate_buckets(INDEX_A, set(shnums), 10, SECRETS, b"upload")

    def test_it_is_an_implementation(self) -> None:
        verifyObject(IReach, self.reach)

    def test_an_allocation_waits_until_it_is_known_whether_anything_can_be_stored(self) -> None:
        allocating = self.begin(0)
        self.assertNoResult(allocating)
        self.reach.asked[0].callback(True)
        self.assertEqual(set(self.successResultOf(allocating).allocated), {0})

    def test_a_silent_cloud_is_a_full_one(self) -> None:
        allocating = self.begin(0)
        self.reach.there = False
        self.reach.asked[0].callback(False)
        self.assertEqual(self.successResultOf(allocating).allocated, {})
        self.assertEqual(self.service.get_sizes().maximum_immutable_share_size, 0)
        self.reach.there = True
        self.assertGreater(self.service.get_sizes().maximum_immutable_share_size, 0)

    def test_no_slot_is_written_to_one_that_is_gone(self) -> None:
        vectors = {0: TestWriteVectors((), (WriteVector(0, b"data"),), None)}
        write = partial(self.service.read_test_write, INDEX_B, ENABLER, SECRETS)
        self.reach.there = False
        self.assertTrue(self.successResultOf(write(vectors, ())).success)
        self.reach.gone = True
        self.failureResultOf(write(vectors, ()), ProviderUnreachable)
        self.assertTrue(self.successResultOf(write({}, ())).success)

    def test_nobody_is_asked_about_what_is_held(self) -> None:
        allocating = self.begin(0)
        self.reach.asked[0].callback(True)
        upload = self.successResultOf(allocating).allocated[0]
        other = self.begin(0, 1)  # meanwhile the first is completed
        self.successResultOf(upload.write(0, b"0123456789"))
        self.successResultOf(upload.close())
        self.reach.asked[1].callback(True)
        answer = self.successResultOf(other)
        self.assertEqual((answer.already_have, set(answer.allocated)), ({0}, {1}))
        self.assertEqual(self.successResultOf(self.begin(0)).already_have, {0})
        self.assertEqual(len(self.reach.asked), 2)
