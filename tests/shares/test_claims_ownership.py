"""One owner per prefix: what servers that meet on one do."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent

from raic.errors import (
    OutcomeUnknown,
    OwnershipUnknown,
    PrefixOwned,
    ProviderTimedOut,
    ProviderUnreachable,
)
from raic.shares.ages import UNKNOWN_SECONDS
from raic.shares.claims import Claimant
from raic.shares.collector import Collector
from raic.shares.keys import ClaimKey
from raic.shares.pins import Pins
from raic.shares.sealing import Sealer
from tests.shares.claims_world import NOW, WAIT, OwnershipTestCase, T


def errors_in(events: Iterable[LogEvent]) -> list[str]:
    """The texts of what was logged as an error."""
    return [formatEvent(one) for one in events if one["log_level"] is LogLevel.error]


class StartTests(OwnershipTestCase):
    def test_before_the_claim_nothing_may_be_written(self) -> None:
        server = self.server()
        self.assertFalse(server.ownership.may_write())
        error = self.assertRaises(OwnershipUnknown, server.ownership.raise_unless_owner)
        self.assertIn("not claimed yet", str(error))
        self.assertTrue(error.temporary)

    def test_a_fresh_prefix_is_claimed(self) -> None:
        server = self.server()
        self.claims(server)
        server.ownership.raise_unless_owner()
        self.assertEqual(self.epochs(), [2])
        self.assertEqual(server.index.next_version().epoch, 2)
        self.assertEqual(server.changes, [None])

    def test_a_restart_follows_on_with_a_new_epoch(self) -> None:
        server = self.owner()
        for epoch, kill in ((3, False), (4, True), (5, True)):
            self.restart(server, kill)
            self.claims(server)
            self.assertEqual(server.index.epoch(), epoch)

    def test_a_start_costs_a_handful_of_requests(self) -> None:
        server = self.owner()
        self.restart(server)
        server.plan.calls.clear()
        self.claims(server)
        self.assertEqual(
            dict(server.plan.calls), {"list_objects": 2, "get_object": 2, "put_object": 1}
        )

    def test_a_second_server_is_refused_and_touches_nothing(self) -> None:
        self.owner()
        before = self.objects()
        second = self.server("v0-cellar")
        error = self.refused(second)
        self.assertIn("server v0-attic on host attic at 2023-11-14 22:13:20 UTC", str(error))
        self.assertIn("--take-over", error.remedy)
        self.assertIn("a prefix of its own", error.remedy)
        self.assertEqual(self.objects(), before)
        self.assertEqual(second.index.epoch(), 1)
        self.assertEqual(set(second.plan.calls), {"list_objects", "get_object"})

    def test_a_second_server_with_an_old_index_is_refused_too(self) -> None:
        self.owner()
        self.refused(self.server("v0-cellar", epoch=1000))

    def test_a_claim_forged_in_our_name_keeps_us_out(self) -> None:
        server = self.owner()
        forger = Claimant(Sealer(b"f" * 32), "v0-attic")
        key, data = forger.new_claim(server.index.epoch(), NOW)
        self.memory.put_object(str(ClaimKey(key.epoch + 1, key.txn, key.size)), data)
        self.restart(server)
        self.assertIn("belongs to server v0-attic", str(self.refused(server)))

    def test_a_claim_that_no_node_can_have_made_is_disregarded(self) -> None:
        self.memory.put_object(f"claims/{2**32 + 1}.{'a' * 26}.1", b"x")
        self.claims(self.server())

    def test_the_highest_epoch_there_is_cannot_be_passed(self) -> None:
        self.memory.put_object(f"claims/{2**32}.{'a' * 26}.1", b"x")
        server = self.server()
        self.refused(server)
        failure = self.failureResultOf(server.ownership.take_over(), PrefixOwned)
        self.assertIn("delete claims/4294967296.", failure.value.remedy)
        self.assertEqual(self.epochs(), [2**32])

    def test_a_restored_index_is_ahead_of_the_claims_and_follows_on(self) -> None:
        self.owner(place="here").stop()
        self.claims(self.server(place="there", epoch=3))

    def test_an_index_that_was_raised_without_a_claim_follows_on(self) -> None:
        server = self.owner()
        server.plan.fail("put_object")
        self.restart(server)
        self.failureResultOf(server.ownership.claim(), ProviderUnreachable)
        self.assertEqual((server.index.epoch(), self.epochs()), (3, [2]))
        self.restart(server)
        self.claims(server)
        self.assertEqual(self.epochs(), [2, 4])

    def test_a_claim_that_lands_late_does_no_harm(self) -> None:
        server = self.server()
        landing = server.plan.land_later("put_object")
        self.failureResultOf(server.ownership.claim(), OutcomeUnknown)
        server.ownership.watch()
        self.clock.advance(T / 4)
        self.assertTrue(server.ownership.may_write())
        landing.release()
        self.clock.advance(T)
        self.assertTrue(server.ownership.may_write())
        self.assertEqual(self.epochs(), [2, 3])

    def test_old_claims_of_ours_are_deleted_after_a_day_those_of_others_are_not(self) -> None:
        theirs, data = Claimant(Sealer(b"o" * 32), "v0-cellar").new_claim(0, NOW)
        self.memory.put_object(str(theirs), data)
        server = self.server()
        taking = server.ownership.take_over(fresh=True)
        self.clock.pump([1] * int(WAIT))
        self.successResultOf(taking)
        for _ in range(3):
            self.restart(server)
            self.claims(server)
        collector = Collector(self.memory, server.index, Pins(), self.clock)
        self.clock.advance(UNKNOWN_SECONDS - 1)
        self.successResultOf(collector.collect_once())
        self.assertEqual(self.epochs(), [0, 2, 3, 4, 5])
        self.clock.advance(1)
        self.successResultOf(collector.collect_once())
        self.assertEqual(self.epochs(), [0, 5])

    def test_a_claim_stands_though_the_old_ones_cannot_be_looked_at(self) -> None:
        server = self.owner()
        self.restart(server)
        server.plan.fail("get_object", ProviderTimedOut, nth=2)
        self.claims(server)


class CopyTests(OwnershipTestCase):
    def test_a_copy_of_a_running_node_is_refused_where_places_can_be_told(self) -> None:
        first = self.owner(place="here")
        copy = self.copy_of(first, "there")
        error = self.refused(copy)
        self.assertIn("a copy of the node directory", str(error))
        self.assertIn("run only one copy", error.remedy)
        # Nor the second time, after a clean stop.
        self.restart(copy)
        self.refused(copy)
        self.clock.advance(T)
        self.assertTrue(first.ownership.may_write())

    def test_else_the_copy_that_starts_last_goes_on_and_the_other_stops(self) -> None:
        first = self.owner()
        copy = self.copy_of(first)
        self.claims(copy)
        self.clock.advance(T)
        self.assertFalse(first.ownership.may_write())
        error = self.assertRaises(PrefixOwned, first.ownership.raise_unless_owner)
        self.assertIn("on host cellar", str(error))
        self.assertIn("run only one copy", error.remedy)
        copy.ownership.watch()
        self.clock.advance(T)
        self.assertTrue(copy.ownership.may_write())

    def test_the_copy_that_lost_is_refused_at_its_next_start(self) -> None:
        first = self.owner()
        self.claims(self.copy_of(first))
        self.restart(first)
        self.assertIn("the index is older than the claim", str(self.refused(first)))

    def test_a_node_directory_put_back_from_a_backup_is_refused(self) -> None:
        server = self.owner(place="here")
        backup = self.copy_of(server, "here")
        self.restart(server)
        self.claims(server)
        server.ownership.stop()
        self.refused(backup)


class RaceTests(OwnershipTestCase):
    def test_of_two_first_starts_at_once_one_remains(self) -> None:
        first, second = self.server("v0-one"), self.server("v0-two")
        gates = [server.plan.hang("put_object") for server in (first, second)]
        claiming = [server.ownership.claim() for server in (first, second)]
        for gate in gates:
            gate.release()
        self.assertEqual(self.epochs(), [2, 2])
        # The first stood before the second wrote; whether the second stands as well is up to
        # their transaction ids.
        self.successResultOf(claiming[0])
        first.ownership.watch()
        claiming[1].addErrback(lambda failure: failure.trap(PrefixOwned))
        self.clock.advance(T)
        writers = [one.ownership.may_write() for one in (first, second)]
        self.assertEqual(sorted(writers), [False, True])

    def test_late_listings_let_two_first_starts_in_until_they_show(self) -> None:
        self.store.lag = 90
        first = self.owner("v0-one")
        second = self.owner("v0-two")
        self.assertTrue(first.ownership.may_write() and second.ownership.may_write())
        self.clock.advance(60)
        self.clock.advance(60)
        writers = [one.ownership.may_write() for one in (first, second)]
        self.assertEqual(sorted(writers), [False, True])

    def test_late_listings_do_not_disturb_restarts(self) -> None:
        self.store.lag = 90
        server = self.owner()
        for _ in range(3):
            self.restart(server)
            self.claims(server)
            server.ownership.watch()
            self.clock.pump([15] * 4)
            self.assertTrue(server.ownership.may_write())
        self.clock.pump([15] * 40)
        self.assertTrue(server.ownership.may_write())


class WatchTests(OwnershipTestCase):
    def test_an_owner_goes_on_while_nothing_newer_is_there(self) -> None:
        server = self.owner()
        self.clock.pump([15] * 100)
        self.assertTrue(server.ownership.may_write())
        self.assertEqual(server.changes, [None])
        self.assertEqual(server.plan.calls["list_objects"], 2 + 25)

    def test_an_owner_stops_within_an_interval_of_a_newer_claim_and_for_good(self) -> None:
        server = self.owner()
        self.clock.advance(20)
        key, data = Claimant(Sealer(b"o" * 32), "v0-cellar", "cellar").new_claim(9, NOW)
        self.memory.put_object(str(key), data)
        with capturedLogs() as events:
            self.wait_until(lambda: not server.ownership.may_write(), T)
        (told,) = server.changes[1:]
        assert isinstance(told, PrefixOwned)
        self.assertIn("claimed by server v0-cellar on host cellar", str(told))
        (text,) = errors_in(events)
        self.assertIn("nothing is written any more; give this node a prefix", text)
        self.memory.delete_objects([str(key)])
        self.clock.pump([15] * 20)
        self.assertFalse(server.ownership.may_write())
        self.assertEqual(len(server.changes), 2)

    def test_an_owner_stops_though_the_newer_claim_cannot_be_read(self) -> None:
        server = self.owner()
        server.plan.fail("get_object", ProviderTimedOut)
        self.memory.put_object(f"claims/9.{'a' * 26}.10", b"x")
        self.clock.advance(T)
        self.assertFalse(server.ownership.may_write())
        error = self.assertRaises(PrefixOwned, server.ownership.raise_unless_owner)
        self.assertIn("a newer claim, claims/9.aaa", str(error))

    def test_a_newer_claim_that_is_gone_again_ends_it_all_the_same(self) -> None:
        server = self.owner()
        key = f"claims/9.{'a' * 26}.10"
        self.memory.put_object(key, b"x")
        gate = server.plan.hang("get_object")
        self.clock.advance(T)
        self.assertFalse(server.ownership.may_write())
        self.memory.delete_objects([key])
        gate.release()
        self.clock.advance(T)
        self.assertRaises(PrefixOwned, server.ownership.raise_unless_owner)

    def test_an_owner_that_cannot_read_the_claims_stops_after_two_intervals(self) -> None:
        server = self.owner()
        server.plan.fail("list_objects", times=None)
        with capturedLogs() as events:
            self.clock.pump([15] * 7 + [14.9])
            self.assertTrue(server.ownership.may_write())
            self.clock.advance(0.1)
            self.assertFalse(server.ownership.may_write())
            error = self.assertRaises(OwnershipUnknown, server.ownership.raise_unless_owner)
            self.clock.pump([15] * 10)
        self.assertIn("could not be read for 120 s: cloud: list_objects", str(error))
        self.assertEqual(error.remedy, ProviderUnreachable.remedy)
        self.assertEqual(errors_in(events), [])  # of its troubles the provider tells itself
        self.assertIsInstance(server.changes[-1], OwnershipUnknown)

    def test_it_goes_on_by_itself_when_they_can_be_read_again(self) -> None:
        server = self.owner()
        server.plan.fail("list_objects", times=None)
        self.clock.pump([15] * 20)
        server.plan.heal()
        self.clock.advance(15)
        self.assertTrue(server.ownership.may_write())
        self.assertEqual([type(one) for one in server.changes[1:]], [OwnershipUnknown, type(None)])

    def test_one_failed_reading_is_repeated_soon_and_stops_nothing(self) -> None:
        server = self.owner()
        server.plan.fail("list_objects", times=3)
        self.clock.pump([15] * 40)
        self.assertEqual(server.changes, [None])

    def test_a_reading_that_hangs_is_not_repeated_and_counts_from_its_beginning(self) -> None:
        server = self.owner()
        gate = server.plan.hang("list_objects")
        self.clock.pump([15] * 20)
        self.assertEqual(gate.waiting, 1)
        self.assertFalse(server.ownership.may_write())
        gate.release()
        self.assertFalse(server.ownership.may_write())
        self.clock.advance(15)
        self.assertTrue(server.ownership.may_write())

    def test_a_process_that_was_frozen_does_not_write_before_it_has_read(self) -> None:
        server = self.owner()
        gate = server.plan.hang("list_objects")
        self.clock.rightNow += 3600
        self.assertFalse(server.ownership.may_write())
        self.clock.advance(0)
        self.assertEqual(gate.waiting, 1)
        self.assertFalse(server.ownership.may_write())

    def test_a_clock_that_was_set_back_makes_it_read_at_once(self) -> None:
        server = self.owner()
        self.clock.rightNow -= 3600
        self.assertRaises(OwnershipUnknown, server.ownership.raise_unless_owner)
        self.clock.advance(0)
        self.assertTrue(server.ownership.may_write())
        self.clock.pump([15] * 20)
        self.assertTrue(server.ownership.may_write())

    def test_a_claim_of_ours_that_somebody_deleted_is_put_back(self) -> None:
        self.owner()
        (key,) = self.objects()
        self.memory.delete_objects([key])
        self.clock.advance(T)
        self.assertEqual(self.objects(), [key])
        self.refused(self.server("v0-cellar"))

    def test_a_start_while_the_provider_is_away_claims_when_it_is_back(self) -> None:
        server = self.server()
        server.plan.fail("list_objects", times=None)
        self.failureResultOf(server.ownership.claim(), ProviderUnreachable)
        server.ownership.watch()
        self.clock.pump([15] * 3)
        error = self.assertRaises(OwnershipUnknown, server.ownership.raise_unless_owner)
        self.assertIn("not claimed yet: cloud: list_objects", str(error))
        server.plan.heal()
        self.clock.advance(15)
        self.assertTrue(server.ownership.may_write())
        self.assertEqual(server.changes, [None])

    def test_a_start_that_finds_later_that_it_is_refused_says_so(self) -> None:
        self.owner()
        second = self.server("v0-cellar")
        second.plan.fail("list_objects")
        self.failureResultOf(second.ownership.claim(), ProviderUnreachable)
        second.ownership.watch()
        self.clock.advance(15)
        self.assertIsInstance(second.changes[-1], PrefixOwned)

    def test_a_stopped_watch_does_nothing_more(self) -> None:
        server = self.owner()
        gate = server.plan.hang("list_objects")
        self.clock.advance(T)
        server.ownership.stop()
        server.ownership.stop()
        gate.release()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.server().ownership.stop()
