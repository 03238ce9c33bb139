"""Small objects on all members of an array."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from raic.backends.array.members import Member
from raic.backends.array.quorum import QuorumObjects
from raic.backends.faults import FaultPlan
from raic.backends.faulty import FaultyProvider
from raic.backends.memory import MemoryProvider
from raic.errors import ObjectNotFound, OutcomeUnknown, OwnershipUnknown, ProviderUnreachable
from raic.interfaces import ISmallObjects

KEY = "claims/1.abc.3"


class Claims(SynchronousTestCase):
    """Four members of which three must have a write."""

    def setUp(self) -> None:
        self.members = [MemoryProvider(name) for name in "abcd"]
        for member in self.members:
            self.successResultOf(member.start())
        self.present = [Member(m.name, m) for m in self.members]
        self.quorum = QuorumObjects("x", lambda: self.present, 3)

    def lose(self, *names: str) -> None:
        for member in self.members:
            if member.name in names:
                self.successResultOf(member.stop())

    def holders(self) -> str:
        return "".join(
            each.name
            for each in self.members
            if self.successResultOf(each.list_objects("", None)).objects
        )

    def listed(self) -> list[str]:
        return [
            found.key
            for found in self.successResultOf(self.quorum.list_objects("claims/", None)).objects
        ]

    def test_it_is_what_claims_need(self) -> None:
        verifyObject(ISmallObjects, self.quorum)

    def test_an_object_is_whole_on_every_member(self) -> None:
        self.successResultOf(self.quorum.put_object(KEY, b"abc"))
        self.assertEqual(self.holders(), "abcd")
        self.assertEqual(self.listed(), [KEY])
        self.assertEqual(self.successResultOf(self.quorum.get_object(KEY, 0, 9)), b"abc")

    def test_what_two_members_have_meets_every_three(self) -> None:
        self.lose("c", "d")
        self.successResultOf(self.quorum.put_object(KEY, b"abc"))
        for member in self.members:
            self.successResultOf(member.start())
        for away in "abcd":
            self.lose(away)
            self.assertEqual(self.listed(), [KEY])
            for member in self.members:
                self.successResultOf(member.start())

    def test_a_member_that_hangs_does_not_hold_up_a_listing(self) -> None:
        self.successResultOf(self.quorum.put_object(KEY, b"abc"))
        plan = FaultPlan()
        gate = plan.hang("list_objects")
        hung = FaultyProvider(self.members[0], plan)
        self.present[0] = Member("a", hung)
        quorum = self.quorum
        listed = self.successResultOf(quorum.list_objects("claims/", None))
        self.assertEqual([found.key for found in listed.objects], [KEY])
        self.assertEqual(gate.waiting, 1)
        gate.release()

    def test_a_member_that_takes_the_place_of_another_is_given_what_there_is(self) -> None:
        self.successResultOf(self.quorum.put_object(KEY, b"abc"))
        self.lose("d")
        spare = MemoryProvider("spare")
        self.successResultOf(spare.start())
        self.present[3] = Member("spare", spare)
        self.assertEqual(self.listed(), [KEY])
        self.lose("a")
        self.assertEqual(self.listed(), [KEY])
        self.assertEqual(self.successResultOf(spare.get_object(KEY, 0, 9)), b"abc")

    def test_a_member_that_cannot_be_given_anything_keeps_it_from_nobody(self) -> None:
        self.successResultOf(self.quorum.put_object(KEY, b"abc"))
        full, spare = MemoryProvider("full", capacity=0), MemoryProvider("spare")
        for each in (full, spare):
            self.successResultOf(each.start())
        self.present[2:] = [Member("full", full), Member("spare", spare)]
        self.quorum = QuorumObjects("x", lambda: self.present, 4)
        self.assertEqual(self.listed(), [KEY])
        self.assertEqual(self.successResultOf(spare.get_object(KEY, 0, 9)), b"abc")

    def test_what_one_member_has_alone_counts_for_nothing(self) -> None:
        self.lose("b", "c", "d")
        failure = self.failureResultOf(self.quorum.put_object(KEY, b"abc"), OutcomeUnknown)
        self.assertIn("only 1 of 4 providers answered: b: put_object", str(failure.value))

    def test_nobody_can_tell_with_two_members_away(self) -> None:
        self.lose("a", "b")
        self.failureResultOf(self.quorum.list_objects("claims/", None), OwnershipUnknown)
        self.failureResultOf(self.quorum.get_object(KEY, 0, 9), OwnershipUnknown)

    def test_what_no_member_has_is_not_there(self) -> None:
        self.lose("a")
        self.failureResultOf(self.quorum.get_object(KEY, 0, 9), ObjectNotFound)

    def test_a_member_that_has_not_started_is_not_asked(self) -> None:
        plan = FaultPlan()
        gates = [plan.hang(each) for each in ("put_object", "list_objects", "get_object")]
        self.present[0] = Member("a", FaultyProvider(self.members[0], plan))
        away = ProviderUnreachable("a", "start", "it has not been started yet")
        quorum = QuorumObjects(
            "x", lambda: self.present, 3, lambda name: away if name == "a" else None
        )
        self.successResultOf(quorum.put_object(KEY, b"abc"))
        self.successResultOf(quorum.list_objects("claims/", None))
        self.assertEqual(self.successResultOf(quorum.get_object(KEY, 0, 9)), b"abc")
        self.assertEqual([gate.waiting for gate in gates], [0, 0, 0])
        self.lose("b")
        failure = self.failureResultOf(quorum.list_objects("claims/", None), OwnershipUnknown)
        self.assertIn("a: start: it has not been started yet", str(failure.value))

    def test_a_programming_error_is_not_hidden(self) -> None:
        self.failureResultOf(self.quorum.put_object("A KEY", b"abc"), ValueError)
