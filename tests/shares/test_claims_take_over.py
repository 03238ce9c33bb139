"""Taking a prefix over: nobody writes beside the new owner."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from raic.errors import PrefixOwned, ProviderUnreachable
from raic.values import Version
from tests.shares.claims_world import WAIT, OwnershipTestCase, Server, T


class TakeOverTests(OwnershipTestCase):
    def test_it_waits_until_the_old_owner_has_stopped_and_his_requests_have_ended(self) -> None:
        old, new = self.owner("v0-old"), self.server("v0-new")
        self.clock.advance(30)
        taking = new.ownership.take_over(fresh=True)
        stopped = self.wait_until(lambda: not old.ownership.may_write(), T)
        self.assertEqual(stopped, 30)
        self.clock.pump([1] * int(WAIT - stopped - 1))
        self.assertNoResult(taking)
        self.assertFalse(new.ownership.may_write())
        self.clock.advance(1)
        self.assertTrue(self.successResultOf(taking))
        self.assertTrue(new.ownership.may_write())
        self.assertEqual(new.index.next_version().epoch, 3)
        new.ownership.watch()
        self.clock.pump([15] * 20)
        self.assertTrue(new.ownership.may_write())
        self.refused_at_restart(old)

    def test_an_index_that_others_wrote_beside_has_to_be_made_anew_first(self) -> None:
        self.owner("v0-old").ownership.stop()
        new = self.server("v0-new")
        for _ in range(2):
            taking = self.taking_over(new)
            self.clock.pump([5] * 84)
            self.assertFalse(self.successResultOf(taking))
            self.assertFalse(new.ownership.may_write())
            error = self.assertRaises(PrefixOwned, new.ownership.raise_unless_owner)
            self.assertIn("raic restore", error.remedy)
            self.refused_at_restart(new)
        self.assertEqual(self.epochs(), [2, 3, 4])
        # The index made anew has an epoch above all that is there.
        self.claims(self.server("v0-new", epoch=5))

    def test_the_moved_directory_of_a_stopped_node_can_be_used_as_it_is(self) -> None:
        old = self.owner(place="here")
        self.restart(old)
        moved = self.copy_of(old, "there")
        self.refused(moved)
        taking = self.taking_over(moved)
        self.clock.pump([5] * 84)
        self.assertTrue(self.successResultOf(taking))
        self.assertTrue(moved.ownership.may_write())

    def refused_at_restart(self, server: Server) -> None:
        self.restart(server)
        self.refused(server)

    def test_an_old_owner_that_cannot_read_has_stopped_before_the_wait_is_over(self) -> None:
        old, new = self.owner("v0-old"), self.server("v0-new")
        old.plan.fail("list_objects", times=None)
        self.taking_over(new)
        self.assertEqual(self.wait_until(lambda: not old.ownership.may_write(), WAIT), 2 * T)

    def test_it_can_follow_a_refusal(self) -> None:
        self.owner("v0-old").ownership.stop()
        new = self.server("v0-new")
        self.refused(new)
        taking = new.ownership.take_over(fresh=True)
        self.clock.pump([5] * 84)
        self.assertTrue(self.successResultOf(taking))
        new.ownership.raise_unless_owner()

    def test_it_tells_how_long_it_waits(self) -> None:
        self.owner("v0-old")
        told: list[float] = []
        new = self.server("v0-new")
        new.ownership.take_over(told.append)
        self.clock.pump([5] * 84)
        self.assertEqual(told[:2] + told[-1:], [WAIT, WAIT - 5, 5])

    def test_an_empty_prefix_is_taken_at_once(self) -> None:
        server = self.server()
        self.assertTrue(self.successResultOf(server.ownership.take_over()))
        self.assertTrue(server.ownership.may_write())

    def test_an_index_that_nobody_else_wrote_beside_need_not_be_made_anew(self) -> None:
        server = self.owner()
        self.restart(server)
        taking = self.taking_over(server)
        self.clock.pump([5] * 84)
        self.assertTrue(self.successResultOf(taking))

    def test_one_that_is_cancelled_leaves_both_refused_until_another(self) -> None:
        old, new = self.owner("v0-old"), self.server("v0-new")
        taking = self.taking_over(new)
        self.clock.advance(10)
        taking.cancel()
        self.failureResultOf(taking, CancelledError)
        self.assertFalse(new.ownership.may_write())
        self.clock.advance(T)
        self.assertFalse(old.ownership.may_write())
        for server in (old, new):
            self.refused_at_restart(server)
        again = self.taking_over(new)
        self.clock.pump([5] * 84)
        self.assertFalse(self.successResultOf(again))

    def test_setting_the_clock_forward_does_not_end_the_wait(self) -> None:
        self.owner("v0-old")
        taking = self.taking_over(self.server("v0-new"))
        self.clock.advance(3600)
        self.assertNoResult(taking)

    def test_of_two_the_later_wins(self) -> None:
        self.owner("v0-old")
        first, second = self.server("v0-one"), self.server("v0-two")
        losing = self.taking_over(first)
        self.clock.advance(10)
        winning = second.ownership.take_over(fresh=True)
        self.clock.pump([5] * 84)
        self.failureResultOf(losing, PrefixOwned)
        self.assertTrue(self.successResultOf(winning))
        self.assertEqual(first.index.epoch(), 1)

    def test_a_failed_one_may_be_repeated(self) -> None:
        self.owner("v0-old")
        new = self.server("v0-new")
        new.plan.fail("put_object")
        self.failureResultOf(new.ownership.take_over(), ProviderUnreachable)
        taking = new.ownership.take_over(fresh=True)
        self.clock.pump([5] * 84)
        self.assertTrue(self.successResultOf(taking))
        self.assertGreater(new.index.next_version(), Version(3, 0))
