"""A provider's troubles are told once each, and once when they are over."""

from __future__ import annotations

from typing import cast

from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.layers.troubles import CALM_SECONDS, REMINDER_SECONDS, Troubles
from raic.errors import (
    AccessDenied,
    NoSpace,
    ObjectNotFound,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    ProviderUnreachable,
)


class TroublesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.troubles = Troubles("cloud", self.clock)
        capturing = capturedLogs()
        self.events = cast("list[LogEvent]", capturing.__enter__())
        self.addCleanup(capturing.__exit__, None, None, None)

    def said(self, level: LogLevel = LogLevel.info) -> list[str]:
        """What was said since the last time."""
        said = [formatEvent(event) for event in self.events if event["log_level"] >= level]
        self.events.clear()
        return said

    def fail_by(self, kind: type[ProviderError], operation: str = "get_object") -> None:
        self.troubles.failed(operation, kind("cloud", operation, "as it happens"))

    def calm(self, operation: str, seconds: float = CALM_SECONDS) -> list[str]:
        self.clock.advance(seconds)
        self.troubles.succeeded(operation)
        return self.said()

    def test_however_it_shows_to_be_away_is_one_trouble(self) -> None:
        for operation in ("put_object", "get_object"):
            for kind in (ProviderUnreachable, ProviderTimedOut, ProviderBusy, OutcomeUnknown):
                self.fail_by(kind, operation)
        self.assertEqual(
            self.said(),
            [
                "ProviderUnreachable: cloud: put_object: as it happens;"
                " check the network and the provider's own status page"
            ],
        )
        (over,) = self.calm("list_objects")
        self.assertEqual(
            over, "cloud answers again: list_objects succeeded (failures: 8 in 5 seconds)"
        )
        self.assertEqual(self.calm("list_objects"), [])

    def test_where_only_writes_fail_a_write_has_to_succeed(self) -> None:
        self.fail_by(OutcomeUnknown, "put_object")
        self.said()
        self.assertEqual(self.calm("get_object"), [])
        self.assertEqual(len(self.calm("finish")), 1)
        self.fail_by(ProviderBusy, "get_object")
        self.said()
        self.assertEqual(self.calm("put_object", 100), [])
        self.assertEqual(len(self.calm("probe", 100)), 1)

    def test_what_need_not_be_asked_for_ends_nothing(self) -> None:
        self.fail_by(ProviderUnreachable)
        self.said()
        for operation in ("get_space", "write"):
            self.assertEqual(self.calm(operation), [])
        self.assertEqual(len(self.calm("probe")), 1)

    def test_every_other_kind_is_over_when_what_failed_succeeds(self) -> None:
        self.fail_by(AccessDenied, "put_object")
        self.fail_by(NoSpace, "finish")
        self.fail_by(AccessDenied, "put_object")
        self.assertEqual(
            [line.partition(":")[0] for line in self.said()], ["AccessDenied", "NoSpace"]
        )
        self.assertEqual(self.calm("get_object"), [])
        self.assertEqual(len(self.calm("put_object")), 1)
        self.assertEqual(len(self.calm("finish")), 1)

    def test_a_success_among_failures_means_nothing(self) -> None:
        for _ in range(20):
            self.fail_by(ProviderBusy)
            self.clock.advance(1)
            self.troubles.succeeded("get_object")
        self.assertEqual(len(self.said()), 1)

    def test_one_that_comes_and_goes_becomes_one_trouble(self) -> None:
        for _ in range(300):
            self.fail_by(ProviderBusy)
            self.calm_quietly(30)
        said = self.said()
        self.assertEqual(sum("answers again" in line for line in said), 3)
        self.assertLess(len(said), 25)  # reminders

    def calm_quietly(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.troubles.succeeded("get_object")

    def test_one_that_lasts_is_told_again_now_and_then(self) -> None:
        for _ in range(int(2.5 * REMINDER_SECONDS / 10)):
            self.fail_by(ProviderBusy)
            self.clock.advance(10)
        first, *later = self.said()
        self.assertNotIn("minutes", first)
        self.assertEqual(len(later), 2)
        self.assertIn("(61 times in 10 minutes)", later[0])

    def test_what_is_wrong_with_objects_is_never_over(self) -> None:
        for _ in range(4):
            self.fail_by(ObjectNotFound)
        self.assertEqual(len(self.said()), 1)
        self.assertEqual(self.calm("get_object", 61), [])
        self.fail_by(ObjectNotFound)
        (line,) = self.said()
        self.assertIn("(3 more like it before)", line)

    def test_all_is_told_to_who_looks_closely(self) -> None:
        for _ in range(4):
            self.fail_by(ProviderBusy)
            self.fail_by(ObjectNotFound)
        self.assertEqual(len(self.said(LogLevel.debug)), 8)
