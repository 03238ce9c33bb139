"""A cloud that is away when a node starts."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent

from raic.assembly.attaching import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    PATIENCE_SECONDS,
    REMINDER_SECONDS,
    Attachment,
)
from raic.assembly.awaited import AwaitedProvider
from raic.errors import (
    AccessDenied,
    OutcomeUnknown,
    PrefixOwned,
    ProviderUnreachable,
    StorageUnusable,
)
from tests.shares.claims_world import OwnershipTestCase


class Attaching(OwnershipTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.mine = self.server()
        self.plan = self.mine.plan
        self.measured = 0
        self.awaited = AwaitedProvider(self.mine.provider)
        self.attachment = Attachment(self.awaited, self.mine.ownership, self.clock, self.measure)
        self.addCleanup(self.attachment.stop)
        logs = capturedLogs()
        self.events = logs.__enter__()
        self.addCleanup(logs.__exit__, None, None, None)

    def measure(self) -> Deferred[None]:
        self.measured += 1
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def said(self, level: LogLevel = LogLevel.warn) -> list[str]:
        return [formatEvent(one) for one in self.events if one["log_level"] is level]

    def go_on_without(self) -> None:
        self.assertFalse(self.successResultOf(self.attachment.begin()))
        self.assertFalse(self.mine.ownership.may_write())

    def test_one_that_answers_is_claimed_at_once(self) -> None:
        self.assertTrue(self.successResultOf(self.attachment.begin()))
        self.assertTrue(self.mine.ownership.may_write())
        self.assertEqual((self.measured, self.said()), (1, []))
        self.clock.advance(PATIENCE_SECONDS)
        self.assertEqual(self.said(), [])

    def test_one_that_is_away_is_tried_again_until_it_answers(self) -> None:
        self.plan.fail("start", times=4)
        self.go_on_without()
        (warning,) = self.said()
        self.assertIn("the node takes no shares", warning)
        self.assertIn(ProviderUnreachable.remedy, warning)
        waited = self.wait_until(self.mine.ownership.may_write, 100)
        self.assertEqual(waited, FIRST_PAUSE_SECONDS * (1 + 2 + 4 + 8))
        self.assertEqual((self.measured, len(self.said())), (1, 1))
        self.assertEqual(
            self.said(LogLevel.info), ["cloud: the prefix is this node's; writes are served"]
        )

    def test_the_pauses_are_bounded_and_the_warning_comes_again(self) -> None:
        self.plan.fail("start", times=None)
        self.go_on_without()
        self.clock.pump([1] * 300)
        calls = self.plan.calls["start"]
        self.clock.pump([1] * int(2 * LONGEST_PAUSE_SECONDS))
        self.assertEqual(self.plan.calls["start"], calls + 2)
        self.assertEqual(len(self.said()), 1)
        self.clock.pump([1] * int(REMINDER_SECONDS))
        self.assertEqual(len(self.said()), 2)

    def test_one_that_does_not_answer_is_waited_for_a_few_seconds(self) -> None:
        gate = self.plan.hang("start")
        asked = self.attachment.begin()
        self.clock.advance(PATIENCE_SECONDS - 1)
        self.assertNoResult(asked)
        self.clock.advance(1)
        self.assertFalse(self.successResultOf(asked))
        self.assertIn("no answer within 5 s", self.said()[0])
        gate.release()
        self.assertTrue(self.mine.ownership.may_write())

    def test_so_is_a_claim_that_does_not_come_through(self) -> None:
        gate = self.plan.hang("list_objects")
        asked = self.attachment.begin()
        self.clock.advance(PATIENCE_SECONDS)
        self.assertFalse(self.successResultOf(asked))
        self.assertFalse(self.awaited.is_awaited)
        gate.release()
        self.assertTrue(self.mine.ownership.may_write())

    def test_what_will_not_pass_fails_the_start(self) -> None:
        for kind in (AccessDenied, StorageUnusable):
            self.plan.fail("start", kind)
            attachment = Attachment(self.awaited, self.mine.ownership, self.clock, self.measure)
            self.failureResultOf(attachment.begin(), kind)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_so_does_a_prefix_that_is_anothers(self) -> None:
        self.owner("v0-other").ownership.stop()
        self.failureResultOf(self.attachment.begin(), PrefixOwned)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_comes_to_light_later_is_said_and_tried_again(self) -> None:
        self.plan.fail("start")
        self.go_on_without()
        self.plan.fail("start", AccessDenied, times=2)
        self.clock.advance(FIRST_PAUSE_SECONDS)
        self.assertIn(AccessDenied.remedy, self.said()[-1])
        self.wait_until(self.mine.ownership.may_write, 100)

    def test_another_owner_who_shows_later_is_named_again_and_again(self) -> None:
        self.owner("v0-other").ownership.stop()
        self.plan.fail("start")
        self.go_on_without()
        self.clock.pump([1] * 60)
        (error,) = self.said(LogLevel.error)
        self.assertIn("server v0-other", error)
        self.assertIn("--take-over", error)
        self.clock.pump([1] * int(REMINDER_SECONDS))
        self.assertEqual(self.said(LogLevel.error), [error, error])
        self.assertFalse(self.mine.ownership.may_write())
        self.assertFalse(self.awaited.is_awaited)

    def test_a_claim_of_unknown_outcome_is_made_anew(self) -> None:
        self.plan.fail("put_object", OutcomeUnknown)
        self.go_on_without()
        self.assertFalse(self.awaited.is_awaited)
        self.wait_until(self.mine.ownership.may_write, 60)

    def test_it_can_be_told_to_try_now(self) -> None:
        self.attachment.hurry()
        self.plan.fail("start")
        self.go_on_without()
        self.attachment.hurry()
        self.assertTrue(self.mine.ownership.may_write())
        self.attachment.hurry()

    def test_one_that_is_stopped_tries_no_more(self) -> None:
        self.plan.fail("start")
        attachment = Attachment(self.awaited, self.mine.ownership, self.clock, self.measure)
        self.assertFalse(self.successResultOf(attachment.begin()))
        attachment.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        assert attachment._attaching is not None
        self.successResultOf(attachment._attaching)  # a failure would be logged as a bug

    def test_one_that_is_stopped_in_an_attempt_tries_no_more(self) -> None:
        gate = self.plan.hang("start")
        self.attachment.begin()
        self.attachment.stop()
        gate.release()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((self.said(), self.objects()), ([], []))
