"""Starting, listing, deleting and the rest of what an array does besides reading and writing."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from raic.backends.array.code import Code
from raic.backends.array.codes import Codes
from raic.backends.array.lengths import Lengths, Shape
from raic.backends.array.members import Member, Placement
from raic.backends.memory import MemoryProvider
from raic.errors import (
    AccessDenied,
    ObjectCorrupt,
    ObjectNotFound,
    ProviderBusy,
    ProviderUnreachable,
    StorageUnusable,
)
from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey, new_attempt
from raic.interfaces import IInterruptedUploads, ILocalListing
from raic.values import Placed
from tests.backends.array.arrays import Rig

KEY = "shares/aa/one"


class ProviderCase(SynchronousTestCase):
    def begin(self, *numbers: int, **options: Any) -> Rig:
        rig = Rig(*numbers, **options)
        self.successResultOf(rig.array.start())
        return rig

    def keys(self, rig: Rig, prefix: str = "") -> list[str]:
        """All that is listed."""
        found: list[str] = []
        token = None
        while True:
            page = self.successResultOf(rig.array.list_objects(prefix, token))
            found += [listed.key for listed in page.objects]
            token = page.next_token
            if token is None:
                return found

    def put(self, rig: Rig, *keys: str) -> None:
        for key in keys:
            self.successResultOf(rig.array.put_object(key, key.encode()))


class TestStarting(ProviderCase):
    def test_a_member_that_does_not_start_is_started_again_until_it_does(self) -> None:
        rig = Rig(2, 2, 3)
        rig.plans["ovh"].fail("start", times=2)
        self.successResultOf(rig.array.start())
        self.assertEqual(list(rig.array.membership.missing()), ["ovh"])
        stored = self.successResultOf(rig.array.put_object(KEY, b"data"))
        self.assertEqual(len(stored.missing), 1)
        rig.clock.advance(1)
        self.assertEqual(list(rig.array.membership.missing()), ["ovh"])
        rig.clock.advance(2)
        self.assertEqual(rig.array.membership.missing(), {})
        stored = self.successResultOf(rig.array.put_object(KEY + "2", b"data"))
        self.assertEqual(stored.missing, ())
        self.assertEqual(rig.clock.getDelayedCalls(), [])

    def test_a_member_that_hangs_is_waited_for_a_little(self) -> None:
        rig = Rig(2, 2, 3)
        gate = rig.plans["ovh"].hang("start")
        starting = rig.array.start()
        rig.clock.advance(0.9)
        self.assertNoResult(starting)
        rig.clock.advance(0.1)
        self.successResultOf(starting)
        gate.release()
        self.assertEqual(self.successResultOf(rig.array.put_object(KEY, b"data")).missing, ())

    def test_one_that_takes_a_moment_longer_than_the_others_is_there_from_the_first(self) -> None:
        rig = Rig(2, 2, 3)
        gate = rig.plans["ovh"].hang("start")
        starting = rig.array.start()
        rig.clock.advance(0.3)
        gate.release()
        self.successResultOf(starting)
        self.assertEqual(self.successResultOf(rig.array.put_object(KEY, b"data")).missing, ())
        self.assertEqual(rig.clock.getDelayedCalls(), [])

    def test_who_cannot_do_without_waits_for_as_many_as_a_write_needs(self) -> None:
        rig = Rig(2, 3, 3)
        gate = rig.plans["ovh"].hang("start")
        starting = rig.array.start()
        rig.clock.advance(1)
        self.successResultOf(starting)
        waiting = rig.array.membership.wait(20)
        rig.clock.pump([0.5] * 10)
        self.assertNoResult(waiting)
        gate.release()
        rig.clock.advance(0.1)
        self.successResultOf(waiting)
        self.successResultOf(rig.array.put_object(KEY, b"data"))

    def test_but_not_for_one_that_refuses_nor_for_ever(self) -> None:
        for times in (1, 0):
            rig = Rig(2, 3, 3)
            if times:
                rig.plans["ovh"].fail("start", AccessDenied, times=None)
            else:
                rig.plans["ovh"].hang("start")
            starting = rig.array.start()
            rig.clock.advance(1)
            self.successResultOf(starting)
            waiting = rig.array.membership.wait(20)
            rig.clock.pump([1.0] * (0 if times else 21))
            self.successResultOf(waiting)
            self.successResultOf(rig.array.stop())

    def test_too_few_members_make_one_error_that_names_each(self) -> None:
        rig = Rig(2, 2, 3)
        rig.plans["aws"].fail("start")
        rig.plans["b2"].fail("start", AccessDenied)
        error = self.failureResultOf(rig.array.start(), ProviderUnreachable).value
        self.assertIn("aws: ProviderUnreachable", str(error))
        self.assertIn("b2: AccessDenied", str(error))
        self.assertEqual(rig.clock.getDelayedCalls(), [])
        self.failureResultOf(rig.array.get_object(KEY, 0, 1), StorageUnusable)
        self.failureResultOf(rig.inner["ovh"].get_space(), StorageUnusable)

    def test_members_that_hang_for_ever_are_named(self) -> None:
        rig = Rig(2, 2, 2)
        rig.plans["ovh"].hang("start")
        starting = rig.array.start()
        rig.clock.advance(41)
        error = self.failureResultOf(starting).value
        self.assertIn("ovh: ProviderTimedOut: no answer in time", str(error))

    def test_one_that_starts_after_the_stop_is_stopped(self) -> None:
        rig = Rig(1, 1, 2)
        gate = rig.plans["ovh"].hang("start")
        starting = rig.array.start()
        rig.clock.advance(1)
        self.successResultOf(starting)
        self.successResultOf(rig.array.stop())
        gate.release()
        self.failureResultOf(rig.inner["ovh"].get_space(), StorageUnusable)

    def test_stopping_ends_what_goes_on_in_the_background(self) -> None:
        rig = Rig(1, 1, 2)
        rig.plans["ovh"].fail("start", times=None)
        self.successResultOf(rig.array.start())
        self.successResultOf(rig.array.stop())
        self.assertEqual(rig.clock.getDelayedCalls(), [])

    def test_the_order_of_members_counts_only_the_first_time(self) -> None:
        rig = self.begin(2, 2, 3)
        self.put(rig, KEY)
        self.successResultOf(rig.array.stop())
        rig.members.reverse()
        again = rig.make()
        self.successResultOf(again.start())
        self.assertEqual(again.placement().home(0).name, "aws")
        self.assertEqual(self.successResultOf(again.get_object(KEY, 0, 99)), KEY.encode())

    def test_a_provider_that_has_fragments_must_be_a_member(self) -> None:
        rig = self.begin(2, 2, 3)
        self.successResultOf(rig.array.stop())
        rig.members.pop()
        error = self.failureResultOf(rig.make().start(), StorageUnusable).value
        self.assertIn("b2", str(error))
        self.assertIn("raic array", error.remedy)

    def test_a_new_placement_is_kept(self) -> None:
        rig = self.begin(1, 1, 2)
        aws, ovh = rig.members
        self.successResultOf(rig.array.place(Placement({0: (ovh, aws)})))
        self.put(rig, KEY)
        self.assertEqual(rig.fragments("aws"), {})
        self.assertEqual(len(rig.fragments("ovh")), 1)
        self.successResultOf(rig.array.stop())
        again = rig.make()
        self.successResultOf(again.start())
        self.assertEqual(again.placement().rows(), (Placed(0, "ovh", "aws"),))

    def test_what_is_no_array_is_refused(self) -> None:
        member = Member("aws", MemoryProvider("aws"))
        for members, happy in (([member, member], 2), ([member], 2), ([member], 0), ([], 1)):
            with self.assertRaises(ValueError):
                rig = Rig()
                rig.members, rig.code, rig.happy = members, Code(1), happy
                rig.make()

    def test_abilities_are_those_of_the_members(self) -> None:
        rig = Rig(1, 1, 2)
        self.assertTrue(ILocalListing.providedBy(rig.array))
        self.assertFalse(IInterruptedUploads.providedBy(rig.array))


class TestKeys(ProviderCase):
    def test_the_key_of_a_fragment_is_no_objects_key(self) -> None:
        rig = self.begin()
        for key in ("a--2.16.5.0.0", "a" * 451, "-" * 226):
            with self.assertRaises(ValueError):
                rig.array.put_object(key, b"")


class TestListing(ProviderCase):
    def test_shows_all_objects_although_members_lack_some(self) -> None:
        rig = self.begin(1, 2, 3)
        expected = [f"a/{number:04}" for number in range(2100)]
        for number, key in enumerate(expected):
            rig.plans[rig.names[number % 3]].fail("put_object")
            self.put(rig, key)
        self.assertEqual(self.keys(rig), expected)
        self.assertEqual(self.keys(rig, "a/00"), expected[:100])

    def test_is_complete_with_a_member_away(self) -> None:
        rig = self.begin(1, 2, 3)
        rig.plans["aws"].fail("put_object")
        self.put(rig, "a", "b")
        rig.plans["ovh"].fail("list_objects", times=None)
        self.assertEqual(self.keys(rig), ["a", "b"])

    def test_fails_when_so_many_are_away_that_objects_could_be_lacking(self) -> None:
        rig = self.begin(1, 2, 3)
        for name in ("aws", "ovh"):
            rig.plans[name].fail("list_objects", ProviderBusy)
        listing = rig.array.list_objects("", None)
        error = self.failureResultOf(listing, ProviderBusy).value
        self.assertIn("aws: ProviderBusy", str(error))

    def test_goes_on_without_a_member_that_went_away_and_returned(self) -> None:
        rig = self.begin(1, 2, 3)
        expected = [f"a/{number:04}" for number in range(1500)]
        self.put(rig, *expected)
        rig.plans["ovh"].fail("list_objects")
        self.assertEqual(self.keys(rig), expected)

    def test_a_listing_outlasts_no_change_of_the_members(self) -> None:
        rig = self.begin(1, 1, 2)
        self.put(rig, *(f"a/{number:04}" for number in range(1001)))
        token = self.successResultOf(rig.array.list_objects("", None)).next_token
        shed = Member("shed", MemoryProvider("shed"))
        self.successResultOf(rig.array.place(rig.array.placement().added(2, shed)))
        self.failureResultOf(rig.array.list_objects("", token), ProviderBusy)

    def test_what_only_a_member_with_more_pages_has_comes_in_its_place(self) -> None:
        rig = self.begin(1, 1, 2)
        for number in range(1000):
            self.successResultOf(rig.inner["aws"].put_object(f"a/{number:04}", b""))
        rig.plans["ovh"].fail("put_object")
        self.put(rig, "b")
        rig.plans["aws"].fail("put_object")
        self.put(rig, "c")
        rig.plans["ovh"].fail("put_object")
        self.put(rig, "d")
        self.assertEqual(self.keys(rig), ["b", "c", "d"])

    def test_what_is_no_fragment_is_not_shown(self) -> None:
        rig = self.begin()
        self.put(rig, KEY)
        self.successResultOf(rig.inner["aws"].put_object("claims/x", b""))
        self.assertEqual(self.keys(rig), [KEY])


class TestDeleting(ProviderCase):
    def delete(self, rig: Rig, *keys: str) -> frozenset[str]:
        return self.successResultOf(rig.array.delete_objects(keys))

    def test_a_key_is_not_deleted_before_all_members_have_done_so(self) -> None:
        rig = self.begin(length_of=len)
        self.put(rig, KEY, "b")
        rig.plans["ovh"].fail("delete_objects")
        self.assertEqual(self.delete(rig, KEY, "b"), {KEY, "b"})
        self.assertEqual(self.delete(rig, KEY), frozenset())
        self.assertEqual(self.keys(rig), ["b"])

    def test_one_request_to_each_member_deletes_all(self) -> None:
        rig = self.begin(length_of=len)
        self.put(rig, KEY, "b")
        before = rig.plans["aws"].calls["delete_objects"]
        self.assertEqual(self.delete(rig, KEY, "b"), frozenset())
        self.assertEqual(rig.plans["aws"].calls["delete_objects"], before + 1)
        self.assertEqual(rig.plans["aws"].calls["list_objects"], 0)

    def test_fails_when_nobody_answers(self) -> None:
        rig = self.begin(length_of=len)
        for plan in rig.plans.values():
            plan.fail("delete_objects")
        self.failureResultOf(rig.array.delete_objects([KEY]), ProviderUnreachable)

    def test_what_cannot_be_listed_is_not_deleted(self) -> None:
        rig = self.begin()
        self.put(rig, KEY)
        rig.plans["ovh"].fail("list_objects")
        self.assertEqual(self.delete(rig, KEY), {KEY})
        self.assertEqual(self.delete(rig, KEY), frozenset())
        self.assertEqual(rig.fragments("ovh"), {})

    def test_what_nobody_else_has_is_not_deleted_either_while_one_cannot_be_listed(self) -> None:
        rig = self.begin()
        rig.plans["ovh"].fail("list_objects", ProviderUnreachable)
        self.assertEqual(self.delete(rig, KEY), {KEY})
        for plan in rig.plans.values():
            plan.fail("list_objects", ProviderUnreachable)
        self.failureResultOf(rig.array.delete_objects([KEY]), ProviderUnreachable)
        self.assertEqual(self.delete(rig, KEY), frozenset())

    def test_what_every_member_has_whole_is_deleted_whole(self) -> None:
        rig = self.begin(2, 2, 3, is_whole=lambda key: key.startswith("claims/"))
        for inner in rig.inner.values():
            self.successResultOf(inner.put_object("claims/1.abc.3", b"abc"))
        self.put(rig, KEY)
        deleting = rig.array.delete_objects(["claims/1.abc.3"])
        self.assertEqual(self.successResultOf(deleting), frozenset())
        self.assertEqual([len(rig.fragments(name)) for name in rig.names], [1, 1, 1])

    def test_a_fragments_key_deletes_just_the_fragment(self) -> None:
        rig = self.begin()
        self.put(rig, KEY)
        fragment = str(FragmentKey(KEY, 2, 64, len(KEY), 1))
        self.assertEqual(self.delete(rig, fragment), frozenset())
        self.assertEqual([len(rig.fragments(name)) for name in rig.names], [1, 0, 1])

    def test_later_attempts_and_former_codes_and_homes_are_deleted_too(self) -> None:
        rig = self.begin(length_of=len, former_codes=[Code(3, 128)])
        self.put(rig, KEY)
        attempt = new_attempt()
        rig.ledger.attempts[KEY, 1] = attempt
        later = FragmentKey(KEY, 2, 64, len(KEY), 1, attempt)
        former = FragmentKey(KEY, 3, 128, len(KEY), 1)
        for key in (later, former):
            self.successResultOf(rig.inner["ovh"].put_object(str(key), b"x"))
        moved = rig.array.placement().moving(1, rig.members[0])
        self.successResultOf(rig.array.place(moved))
        self.assertEqual(self.delete(rig, KEY), frozenset())
        self.assertEqual([rig.fragments(name) for name in rig.names], [{}, {}, {}])


class TestSpace(ProviderCase):
    def test_an_object_fits_when_happy_members_have_room(self) -> None:
        rig = self.begin(2, 3, 4, capacities=[200, 1000, 5000, 300])
        space = self.successResultOf(rig.array.get_space())
        # Of a fragment of 300 bytes, 96 are its header, and 16 go behind each 64 of the rest.
        self.assertEqual((space.used, space.available), (0, 2 * (300 - 96 - 3 * 16)))
        rig.plans["b2"].fail("get_space", times=None)
        self.assertEqual(
            self.successResultOf(rig.array.get_space()).available, 2 * (200 - 96 - 2 * 16)
        )
        rig.plans["ovh"].fail("get_space", times=None)
        self.assertEqual(self.successResultOf(rig.array.get_space()).available, 0)

    def test_fails_when_nobody_answers(self) -> None:
        rig = self.begin()
        for plan in rig.plans.values():
            plan.fail("get_space")
        self.failureResultOf(rig.array.get_space(), ProviderUnreachable)


class Leaving(MemoryProvider):
    """Has something to clear."""

    def clear_interrupted_uploads(self, prefix: str) -> Deferred[int]:
        self.cleared = prefix
        return self.get_space().addCallback(lambda _: 2)


class TestClearing(ProviderCase):
    def rig_leaving(self) -> Rig:
        def make(name: str) -> MemoryProvider:
            if name == "b2":
                return MemoryProvider(name)
            provider = Leaving(name)
            alsoProvides(provider, IInterruptedUploads)
            return provider

        return Rig(make=make)

    def begin_leaving(self) -> Rig:
        rig = self.rig_leaving()
        self.successResultOf(rig.array.start())
        return rig

    def test_members_that_can_are_cleared(self) -> None:
        rig = self.begin_leaving()
        self.assertTrue(IInterruptedUploads.providedBy(rig.array))
        clearing = rig.array.clear_interrupted_uploads("a-b/")
        self.assertEqual(self.successResultOf(clearing), 4)
        self.assertEqual(rig.inner["aws"].cleared, "a-.b/")

    def test_one_that_is_away_is_passed_by(self) -> None:
        rig = self.begin_leaving()
        self.successResultOf(rig.inner["aws"].stop())
        self.assertEqual(self.successResultOf(rig.array.clear_interrupted_uploads("")), 2)
        self.successResultOf(rig.inner["ovh"].stop())
        self.failureResultOf(rig.array.clear_interrupted_uploads(""), StorageUnusable)

    def begin_late(self) -> Rig:
        """Without ``ovh``, which starts after a second; the others are cleared."""
        rig = self.rig_leaving()
        rig.plans["ovh"].fail("start", times=1)
        self.successResultOf(rig.array.start())
        with capturedLogs() as events:
            self.assertEqual(self.successResultOf(rig.array.clear_interrupted_uploads("")), 2)
        self.assertEqual(events, [])
        self.assertFalse(hasattr(rig.inner["ovh"], "cleared"))
        return rig

    def test_one_that_has_not_started_is_cleared_when_it_has(self) -> None:
        rig = self.begin_late()
        with capturedLogs() as events:
            rig.clock.advance(1)
        self.assertEqual(rig.inner["ovh"].cleared, "")
        said = [formatEvent(event) for event in events]
        self.assertIn("clouds: 2 interrupted uploads on ovh were discarded", said)

    def test_what_cannot_be_cleared_after_a_late_start_is_told(self) -> None:
        rig = self.begin_late()
        rig.inner["ovh"].clear_interrupted_uploads = lambda _: fail(RuntimeError("broken"))
        with capturedLogs() as events:
            rig.clock.advance(1)
        said = " ".join(formatEvent(event) for event in events)
        self.assertIn("clouds: interrupted uploads on ovh were not cleared", said)

    def test_one_that_never_started_is_not_cleared_after_the_stop(self) -> None:
        rig = self.rig_leaving()
        gate = rig.plans["ovh"].hang("start")
        starting = rig.array.start()
        rig.clock.advance(1)
        self.successResultOf(starting)
        self.successResultOf(rig.array.clear_interrupted_uploads(""))
        self.successResultOf(rig.array.stop())
        gate.release()
        self.assertFalse(hasattr(rig.inner["ovh"], "cleared"))
        self.failureResultOf(rig.array.clear_interrupted_uploads(""), StorageUnusable)


class TestLengths(ProviderCase):
    def test_a_length_that_no_key_tells_is_listed_once(self) -> None:
        rig = self.begin()
        self.put(rig, KEY)
        again = rig.make()
        self.successResultOf(again.start())
        for _ in range(2):
            self.assertEqual(self.successResultOf(again.get_object(KEY, 0, 99)), KEY.encode())
        self.assertEqual(rig.plans["aws"].calls["list_objects"], 1)

    def test_an_object_written_with_a_former_code_is_found(self) -> None:
        rig = self.begin(length_of=len)
        self.put(rig, KEY)
        rig.code = Code(1, 128)
        again = rig.make()
        self.successResultOf(again.start())
        self.assertEqual(self.successResultOf(again.get_object(KEY, 0, 99)), KEY.encode())

    def test_too_few_fragments_are_no_object(self) -> None:
        rig = self.begin()
        self.put(rig, KEY)
        for name in ("aws", "ovh"):
            rig.inner[name].delete_objects(list(rig.fragments(name)))
        again = rig.make()
        self.successResultOf(again.start())
        self.failureResultOf(again.get_object(KEY, 0, 9), ObjectCorrupt)
        self.failureResultOf(again.get_object("none", 0, 9), ObjectNotFound)
        rig.plans["aws"].fail("list_objects")
        self.failureResultOf(again.get_object(KEY, 0, 9), ProviderUnreachable)

    def test_one_member_cannot_make_up_a_length(self) -> None:
        for code in (Code(2, 64), Code(1, 64)):
            rig = self.begin()
            self.put(rig, KEY)
            for number in range(3):
                forged = FragmentKey(KEY, code.needed, code.block_size, 5, number, FIRST_ATTEMPT)
                rig.inner["aws"].put_object(str(forged), b"forged")
            again = rig.make()
            self.successResultOf(again.start())
            self.assertEqual(self.successResultOf(again.get_object(KEY, 0, 99)), KEY.encode())
            self.assertEqual(again.lengths.known(KEY), Shape(rig.code, len(KEY)))

    def test_only_so_many_shapes_are_remembered(self) -> None:
        placement = Placement.initial([])
        lengths = Lengths("clouds", Codes(Code(2)), lambda: placement, capacity=2)
        shape = Shape(Code(2), 5)
        for key in ("a", "b", "c"):
            lengths.note(key, shape)
        self.assertEqual([lengths.known(key) for key in "abc"], [None, shape, shape])
        lengths.forget("b")
        self.assertIsNone(lengths.known("b"))
