"""What every ledger promises: the text of ``IFragmentLedger`` as tests."""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from raic.interfaces import IFragmentLedger
from raic.values import ArrayEvent, ArrayTotals, FragmentState, Garbage, Placed
from tests.contracts.driving import Driven, driven
from tests.contracts.index_values import NOW, fragment

LATER = NOW + 300
NOTHING = FragmentState()
A, B, C = "abc"
"""Three objects, which have other keys in each ledger."""
DAY = 24 * 60 * 60


class LedgerContract(Driven):
    """Mix this into a ``SynchronousSuite`` or a ``ReactorSuite``."""

    ledger: IFragmentLedger

    def make_ledger(self) -> IFragmentLedger:
        """An empty ledger."""
        raise NotImplementedError

    def key(self, name: str) -> str:
        """The key of an object; the order of the keys is that of the names."""
        raise NotImplementedError

    def reserve(self, name: str) -> Deferred[None]:
        """Have an object be intended."""
        raise NotImplementedError

    def commit(self, name: str, missing: Collection[str] = ()) -> Deferred[None]:
        """Have an object be referred to."""
        raise NotImplementedError

    def drop(self, name: str) -> Deferred[None]:
        """Have an object that was referred to be garbage, not to be deleted before ``LATER``."""
        raise NotImplementedError

    def garbage(self) -> Deferred[tuple[Garbage, ...]]:
        """All garbage, whatever its time."""
        raise NotImplementedError

    def settle_garbage(self, garbage: Collection[Garbage]) -> Deferred[None]:
        """Note that garbage was deleted."""
        raise NotImplementedError

    def restart(self, clean: bool) -> Deferred[None]:
        """Go on with what the next process has."""
        raise NotImplementedError

    def setUp(self) -> None:
        self.ledger = self.make_ledger()

    def part(self, name: str, number: int = 0, attempt: int = 0) -> str:
        return fragment(self.key(name), number, attempt)

    async def state(self, name: str) -> FragmentState:
        return await self.ledger.lookup(self.key(name))

    async def missing(self, name: str) -> set[int]:
        return set((await self.state(name)).missing)

    async def garbage_passes(self) -> dict[str, int]:
        return {one.key: one.passes for one in await self.garbage()}

    async def repairs(self) -> tuple[str, ...]:
        return await self.ledger.next_repairs(100, "")

    async def repair(self, name: str, number: int, attempt: int, before: int = 0) -> bool:
        new, old = self.part(name, number, attempt), self.part(name, number, before)
        await self.ledger.begin_attempt(new)
        return await self.ledger.commit_attempt(new, old, LATER)

    def test_it_provides_the_interface(self) -> None:
        verifyObject(IFragmentLedger, self.ledger)

    @driven
    async def test_a_new_ledger_is_empty(self) -> None:
        self.assertEqual(await self.state(A), NOTHING)
        self.assertEqual(await self.repairs(), ())
        self.assertEqual(await self.ledger.next_objects("", 10), ())
        self.assertEqual(await self.ledger.get_placement(), ())
        self.assertEqual(await self.ledger.get_events(10), ())
        self.assertEqual(await self.ledger.get_verified([self.key(A)]), {})
        totals = await self.ledger.get_array_totals()
        self.assertEqual(totals, ArrayTotals(0, 0, 0, 0, None))

    @driven
    async def test_what_is_no_fragment_key_is_refused(self) -> None:
        await self.commit(A)
        key, good = self.key(A), self.part(A, 0, 1)
        for refused in (
            lambda: self.ledger.note_missing([good, key], "gone"),
            lambda: self.ledger.settle(key),
            lambda: self.ledger.begin_attempt(key),
            lambda: self.ledger.commit_attempt(key, None, LATER),
            lambda: self.ledger.commit_attempt(good, key, LATER),
        ):
            self.assertRaises(ValueError, refused)
        self.assertEqual(await self.repairs(), ())

    # Notes

    @driven
    async def test_notes_are_kept_replaced_and_forgotten(self) -> None:
        self.assertEqual(await self.ledger.get_notes(), {})
        for name, text in (("scrub", "5"), ("number", "4"), ("scrub", "6"), ("number", "")):
            await self.ledger.set_note(name, text)
        await self.restart(clean=False)
        self.assertEqual(await self.ledger.get_notes(), {"scrub": "6"})
        await self.ledger.set_note("unknown", "")

    # Repairs

    @driven
    async def test_fragments_missing_at_a_commit_are_noted(self) -> None:
        await self.commit(A, [self.part(A, 1), self.part(A, 3)])
        self.assertEqual(await self.state(A), FragmentState(frozenset({1, 3})))
        self.assertEqual(await self.state(B), NOTHING)
        self.assertEqual(await self.repairs(), (self.part(A, 1), self.part(A, 3)))
        await self.restart(clean=False)
        self.assertEqual(await self.missing(A), {1, 3})

    @driven
    async def test_only_fragments_of_what_is_committed_are_noted(self) -> None:
        await self.commit(A, [self.part(B)])
        self.assertEqual(await self.repairs(), ())

    @driven
    async def test_fragments_found_missing_are_noted(self) -> None:
        await self.commit(A)
        await self.ledger.note_missing([self.part(A, 2)], "gone")
        await self.ledger.note_missing([self.part(A, 2), self.part(A, 0)], "wrong")
        self.assertEqual(await self.missing(A), {0, 2})

    @driven
    async def test_what_is_found_of_other_objects_is_not_noted(self) -> None:
        await self.reserve(A)
        await self.commit(B)
        await self.drop(B)
        await self.ledger.note_missing([self.part(name) for name in (A, B, C)], "gone")
        await self.ledger.note_missing([fragment("claims/1.a.5")], "gone")
        self.assertEqual(await self.repairs(), ())

    @driven
    async def test_a_fragment_that_no_longer_counts_is_not_noted(self) -> None:
        await self.commit(A)
        self.assertTrue(await self.repair(A, 0, 1))
        await self.ledger.note_missing([self.part(A, 0), self.part(A, 0, 2)], "gone")
        self.assertEqual(await self.repairs(), ())
        await self.ledger.note_missing([self.part(A, 0, 1)], "gone")
        self.assertEqual(await self.state(A), FragmentState(frozenset({0}), {0: attempt(1)}))

    @driven
    async def test_repairs_come_in_order_and_no_more_than_asked(self) -> None:
        for name in (C, A, B):
            await self.commit(name, [self.part(name, 1), self.part(name, 0)])
        everything = tuple(self.part(name, number) for name in (A, B, C) for number in (0, 1))
        self.assertEqual(await self.repairs(), everything)
        self.assertEqual(await self.ledger.next_repairs(2, everything[0]), everything[1:3])
        self.assertEqual(await self.ledger.next_repairs(5, everything[-1]), ())

    @driven
    async def test_the_repairs_of_an_object_go_when_it_becomes_garbage(self) -> None:
        for name in (A, B):
            await self.commit(name, [self.part(name)])
        await self.drop(A)
        self.assertEqual(await self.repairs(), (self.part(B),))
        self.assertEqual(await self.state(A), NOTHING)

    # Fragments that are durable after all

    @driven
    async def test_a_settled_repair_goes(self) -> None:
        await self.commit(A, [self.part(A, 0), self.part(A, 1)])
        self.assertTrue(await self.ledger.settle(self.part(A, 0)))
        self.assertTrue(await self.ledger.settle(self.part(A, 0)))
        self.assertEqual(await self.missing(A), {1})

    @driven
    async def test_a_fragment_settled_before_its_object_is_committed_is_not_noted(self) -> None:
        await self.reserve(A)
        self.assertTrue(await self.ledger.settle(self.part(A, 0)))
        await self.commit(A, [self.part(A, 0), self.part(A, 1)])
        self.assertEqual(await self.missing(A), {1})
        await self.ledger.note_missing([self.part(A, 0)], "gone")
        self.assertEqual(await self.missing(A), {0, 1})

    @driven
    async def test_settling_while_the_object_is_being_committed(self) -> None:
        await self.reserve(A)
        settling = self.ledger.settle(self.part(A))
        await self.commit(A, [self.part(A)])
        self.assertTrue(await settling)
        await self.reserve(B)
        committing = self.commit(B, [self.part(B)])
        self.assertTrue(await self.ledger.settle(self.part(B)))
        await committing
        self.assertEqual(await self.repairs(), ())

    @driven
    async def test_a_fragment_of_what_nobody_wants_is_of_no_use(self) -> None:
        self.assertFalse(await self.ledger.settle(self.part(A)))
        await self.reserve(B)
        await self.ledger.release([Garbage(self.key(B), NOW)])
        self.assertFalse(await self.ledger.settle(self.part(B)))
        await self.commit(C, [self.part(C)])
        await self.drop(C)
        self.assertFalse(await self.ledger.settle(self.part(C)))

    @driven
    async def test_settling_in_vain_is_not_remembered(self) -> None:
        self.assertFalse(await self.ledger.settle(self.part(A)))
        await self.reserve(A)
        await self.commit(A, [self.part(A)])
        self.assertEqual(await self.missing(A), {0})

    @driven
    async def test_a_fragment_whose_place_was_taken_is_of_no_use(self) -> None:
        await self.commit(A, [self.part(A)])
        self.assertTrue(await self.repair(A, 0, 1))
        self.assertFalse(await self.ledger.settle(self.part(A)))
        self.assertTrue(await self.ledger.settle(self.part(A, 0, 1)))
        for passes in (2, 1):
            await self.settle_garbage([Garbage(self.part(A), LATER, passes)])
        self.assertEqual(await self.garbage(), ())
        self.assertFalse(await self.ledger.settle(self.part(A)))

    @driven
    async def test_a_fragment_that_is_to_be_deleted_is_of_no_use(self) -> None:
        await self.commit(A, [self.part(A)])
        await self.ledger.release([Garbage(self.part(A), NOW)])
        self.assertFalse(await self.ledger.settle(self.part(A)))
        self.assertEqual(await self.missing(A), {0})

    @driven
    async def test_a_fragment_of_a_claim_is_always_of_use(self) -> None:
        self.assertTrue(await self.ledger.settle(fragment("claims/1.aaaa.5")))

    # Attempts

    @driven
    async def test_a_committed_attempt_counts_and_the_repair_goes(self) -> None:
        await self.commit(A, [self.part(A, 0), self.part(A, 1)])
        self.assertTrue(await self.repair(A, 0, 1))
        self.assertEqual(await self.state(A), FragmentState(frozenset({1}), {0: attempt(1)}))
        self.assertEqual(await self.garbage(), (Garbage(self.part(A, 0), LATER, 2),))
        await self.restart(clean=False)
        self.assertEqual(await self.state(A), FragmentState(frozenset({1}), {0: attempt(1)}))
        self.assertEqual(len(await self.garbage()), 1)

    @driven
    async def test_an_attempt_takes_the_place_of_another(self) -> None:
        await self.commit(A)
        self.assertTrue(await self.repair(A, 2, 1))
        self.assertTrue(await self.repair(A, 2, 2, before=1))
        self.assertEqual((await self.state(A)).attempts, {2: attempt(2)})
        expected = {self.part(A, 2): 2, self.part(A, 2, 1): 2}
        self.assertEqual(await self.garbage_passes(), expected)

    @driven
    async def test_a_number_that_had_no_fragment_gets_one(self) -> None:
        await self.commit(A)
        for number, tried in ((3, 1), (4, 0)):
            new = self.part(A, number, tried)
            await self.ledger.begin_attempt(new)
            self.assertTrue(await self.ledger.commit_attempt(new, None, LATER))
        self.assertEqual((await self.state(A)).attempts, {3: attempt(1)})
        self.assertEqual(await self.garbage(), ())

    @driven
    async def test_of_two_attempts_at_once_only_one_counts(self) -> None:
        await self.commit(A)
        self.assertTrue(await self.repair(A, 0, 1))
        for replaced in (self.part(A), None):
            self.assertFalse(await self.ledger.commit_attempt(self.part(A, 0, 2), replaced, LATER))
        self.assertEqual((await self.state(A)).attempts, {0: attempt(1)})
        self.assertEqual(await self.garbage_passes(), {self.part(A): 2, self.part(A, 0, 2): 1})

    @driven
    async def test_a_commit_that_is_repeated_changes_nothing(self) -> None:
        await self.commit(A)
        for _ in range(2):
            self.assertTrue(await self.repair(A, 0, 1))
        self.assertEqual((await self.state(A)).attempts, {0: attempt(1)})
        self.assertEqual(await self.garbage_passes(), {self.part(A): 2})

    @driven
    async def test_an_attempt_for_an_object_that_died_is_garbage(self) -> None:
        for name in (A, B):
            await self.commit(name, [self.part(name)])
            await self.ledger.begin_attempt(self.part(name, 0, 1))
            await self.drop(name)
        await self.settle_garbage(await self.garbage())
        await self.settle_garbage(await self.garbage())
        for name in (A, B):
            new, old = self.part(name, 0, 1), self.part(name)
            self.assertFalse(await self.ledger.commit_attempt(new, old, LATER))
            self.assertEqual(await self.state(name), NOTHING)
        expected = {Garbage(self.part(name, 0, 1), LATER) for name in (A, B)}
        self.assertEqual(set(await self.garbage()), expected)

    @driven
    async def test_a_fragment_that_is_to_be_deleted_cannot_count(self) -> None:
        await self.commit(A, [self.part(A)])
        await self.ledger.release([Garbage(self.part(A, 0, 1), NOW, 2)])
        self.assertFalse(await self.repair(A, 0, 1))
        self.assertEqual(await self.state(A), FragmentState(frozenset({0})))
        self.assertEqual(await self.garbage_passes(), {self.part(A, 0, 1): 2})

    @driven
    async def test_an_attempt_for_an_object_that_is_intended_counts(self) -> None:
        await self.reserve(A)
        self.assertTrue(await self.repair(A, 0, 1))
        await self.commit(A)
        self.assertEqual((await self.state(A)).attempts, {0: attempt(1)})

    @driven
    async def test_fragments_that_cannot_replace_one_another_are_refused(self) -> None:
        await self.commit(A)
        new = self.part(A, 0, 1)
        for one, other in (
            (new, self.part(A, 1)),
            (new, self.part(B)),
            (new, new),
            (self.part(A), new),
        ):
            self.assertRaises(ValueError, self.ledger.commit_attempt, one, other, LATER)

    @driven
    async def test_attempts_left_by_a_killed_process_become_garbage(self) -> None:
        await self.commit(A, [self.part(A)])
        await self.ledger.begin_attempt(self.part(A, 0, 1))
        await self.restart(clean=False)
        self.assertEqual(await self.garbage_passes(), {self.part(A, 0, 1): 2})
        self.assertEqual(await self.repairs(), (self.part(A),))
        self.assertEqual(await self.state(A), FragmentState(frozenset({0})))

    @driven
    async def test_attempts_are_remembered_until_the_object_is_gone(self) -> None:
        await self.commit(A)
        self.assertTrue(await self.repair(A, 0, 1))
        await self.drop(A)
        await self.ledger.release([Garbage(self.key(A), LATER, 2)])
        await self.settle_garbage([Garbage(self.key(A), LATER)])
        for passes in (2, 1):
            self.assertEqual((await self.state(A)).attempts, {0: attempt(1)})
            await self.settle_garbage([Garbage(self.key(A), LATER, passes)])
        self.assertEqual(await self.state(A), NOTHING)
        self.assertEqual((await self.ledger.get_array_totals()).attempts, 0)

    @driven
    async def test_a_released_attempt_is_garbage_and_the_repair_stays(self) -> None:
        await self.commit(A, [self.part(A)])
        await self.ledger.begin_attempt(self.part(A, 0, 1))
        await self.ledger.release([Garbage(self.part(A, 0, 1), NOW, 2)])
        self.assertEqual(await self.garbage_passes(), {self.part(A, 0, 1): 2})
        self.assertEqual(await self.missing(A), {0})

    # Placement

    @driven
    async def test_placement_is_replaced_as_a_whole(self) -> None:
        rows = (Placed(0, "attic"), Placed(1, "ovh", "aws"), Placed(2, "b2"))
        await self.ledger.set_placement(rows[::-1])
        self.assertEqual(await self.ledger.get_placement(), rows)
        await self.ledger.set_placement(rows[1:])
        await self.restart(clean=False)
        self.assertEqual(await self.ledger.get_placement(), rows[1:])

    # Verification

    @driven
    async def test_objects_are_intended_until_they_are_committed_or_given_up(self) -> None:
        for name in (A, B, C):
            await self.reserve(name)
        await self.commit(A)
        await self.ledger.begin_attempt(self.part(A, 0, 1))
        self.assertEqual(await self.ledger.get_intended(), {self.key(B), self.key(C)})
        await self.ledger.release([Garbage(self.key(B), NOW)])
        self.assertEqual(await self.ledger.get_intended(), {self.key(C)})

    @driven
    async def test_objects_come_in_order_and_no_more_than_asked(self) -> None:
        for name in (C, A, B):
            await self.commit(name)
        keys = tuple(map(self.key, (A, B, C)))
        self.assertEqual(await self.ledger.next_objects("", 10), keys)
        self.assertEqual(await self.ledger.next_objects(keys[0], 1), keys[1:2])
        self.assertEqual(await self.ledger.next_objects(keys[1], 10), keys[2:])
        self.assertEqual(await self.ledger.next_objects(keys[2], 10), ())
        await self.drop(B)
        await self.reserve(B)
        self.assertEqual(await self.ledger.next_objects("", 10), (keys[0], keys[2]))

    @driven
    async def test_the_last_verification_of_each_object_is_known(self) -> None:
        keys = [self.key(name) for name in (A, B, C)]
        for name in (A, B):
            await self.commit(name)
        await self.ledger.note_verified(keys, NOW)
        await self.ledger.note_verified([keys[1]], NOW + 5)
        await self.ledger.note_verified([keys[0]], NOW - 5)
        await self.restart(clean=True)
        found = await self.ledger.get_verified(keys)
        self.assertEqual(found, {keys[0]: NOW, keys[1]: NOW + 5})
        await self.drop(B)
        self.assertEqual(await self.ledger.get_verified(keys), {keys[0]: NOW})

    # For the operator

    @driven
    async def test_totals_follow_everything(self) -> None:
        for name in (A, B, C):
            await self.commit(name, [self.part(name, 0), self.part(name, 1)])
        await self.repair(A, 0, 1)
        await self.ledger.note_verified([self.key(A)], 5 * DAY + 7)
        await self.ledger.note_verified([self.key(B)], 3 * DAY + 7)
        totals = await self.ledger.get_array_totals()
        self.assertEqual(totals, ArrayTotals(5, 1, 3, 2, 3 * DAY))
        await self.ledger.note_verified([self.key(B)], 6 * DAY)
        totals = await self.ledger.get_array_totals()
        self.assertEqual(totals, ArrayTotals(5, 1, 3, 2, 5 * DAY))
        await self.drop(A)
        totals = await self.ledger.get_array_totals()
        self.assertEqual(totals, ArrayTotals(4, 1, 2, 1, 6 * DAY))

    @driven
    async def test_events_come_the_newest_first(self) -> None:
        events = [ArrayEvent(NOW + n, "scrub", f"the {n}th \u00e9") for n in range(3)]
        for event in events:
            await self.ledger.add_event(event)
        self.assertEqual(await self.ledger.get_events(2), (events[2], events[1]))
        self.assertEqual(await self.ledger.get_events(9), tuple(reversed(events)))


def attempt(number: int) -> str:
    """The attempt of the fragments that ``fragment`` makes."""
    return fragment("x", 0, number).rpartition(".")[2]
