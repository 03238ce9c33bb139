"""What listings alone say of an array's objects."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array import census as taken
from raic.backends.array.census import record_attempts, take_census
from raic.backends.array.members import Member
from raic.backends.array.memoryledger import MemoryLedger
from raic.backends.array.placing import placement_found
from raic.errors import ObjectNotFound
from raic.fragmentkeys import FragmentKey, new_attempt
from tests.backends.array.arrays import Rig

KEY = "shares/aa/object.10"


class Census(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig(needed=2, happy=3, total=4)
        self.successResultOf(self.rig.array.start())
        self.members = [Member(name, self.rig.inner[name]) for name in self.rig.names]

    def census(self) -> taken.Census:
        return self.successResultOf(take_census(self.members))

    def keep(self, name: str, *numbers: int, attempt: str = "0") -> None:
        """Put fragments on one member."""
        for number in numbers:
            key = FragmentKey(KEY, 2, 64, 10, number, attempt)
            self.successResultOf(self.rig.inner[name].put_object(str(key), b"x"))

    def test_of_an_array_that_was_never_repaired_there_is_nothing_to_tell(self) -> None:
        self.successResultOf(self.rig.array.put_object(KEY, b"0123456789"))
        self.assertEqual(self.census().attempts, {})

    def test_a_later_attempt_is_preferred_wherever_it_lies(self) -> None:
        later = new_attempt()
        first, second, *_ = self.rig.names
        self.keep(first, 0, 1)
        self.keep(second, 1, attempt=later)
        found = self.census().attempts
        self.assertEqual({n: key.attempt for n, key in found[KEY].items()}, {1: later})

    def test_a_member_that_is_away_is_left_out(self) -> None:
        self.keep(self.rig.names[1], 1, attempt=new_attempt())
        self.successResultOf(self.rig.inner[self.rig.names[1]].stop())
        self.assertEqual(self.census().attempts, {})

    def test_what_was_found_counts_in_the_new_index_if_its_object_does(self) -> None:
        ledger, later = MemoryLedger(), new_attempt()
        self.keep(self.rig.names[1], 1, attempt=later)
        ledger.commit([KEY])
        found = self.census().attempts
        self.successResultOf(Deferred.fromCoroutine(record_attempts(ledger, found, 0)))
        state = self.successResultOf(ledger.lookup(KEY))
        self.assertEqual(dict(state.attempts), {1: later})

    def test_objects_are_read_in_whatever_order_members_are_named_to_a_new_index(self) -> None:
        self.successResultOf(self.rig.array.put_object(KEY, b"0123456789"))
        self.rig.members.reverse()
        self.rig.ledger = MemoryLedger()
        array = self.rig.make()
        self.successResultOf(array.start())
        self.failureResultOf(array.get_object(KEY, 0, 10), ObjectNotFound)
        placement = placement_found("clouds", self.rig.members, self.census().held)
        self.successResultOf(array.place(placement))
        self.assertEqual(self.successResultOf(array.get_object(KEY, 0, 10)), b"0123456789")


class Listings(SynchronousTestCase):
    """Four members of which three must have a write, and two suffice to read."""

    def setUp(self) -> None:
        self.rig = Rig(needed=2, happy=3, total=4)
        self.successResultOf(self.rig.array.start())
        self.successResultOf(self.rig.array.put_object(KEY, b"0123456789"))

    def forget(self, *places: int) -> None:
        for place in places:
            provider = self.rig.inner[self.rig.names[place]]
            page = self.successResultOf(provider.list_objects("", None))
            self.successResultOf(provider.delete_objects([one.key for one in page.objects]))

    def partial(self) -> bool:
        page = self.successResultOf(self.rig.array.list_objects("", None))
        (listed,) = page.objects
        self.assertEqual((listed.key, listed.size), (KEY, 10))
        return listed.partial

    def test_an_object_that_can_be_read_is_whole(self) -> None:
        self.assertFalse(self.partial())
        self.forget(0, 1)
        self.assertFalse(self.partial())

    def test_one_fragment_of_four_is_what_a_broken_off_write_left(self) -> None:
        self.forget(0, 1, 2)
        self.assertTrue(self.partial())

    def test_it_may_have_been_acknowledged_while_nobody_asks_those_who_could_tell(self) -> None:
        self.forget(0)
        for place in (1, 2):
            self.successResultOf(self.rig.inner[self.rig.names[place]].stop())
        self.assertFalse(self.partial())
