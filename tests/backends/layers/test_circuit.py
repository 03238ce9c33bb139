from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent

from raic.backends.layers.circuit import CircuitBreaker, CircuitSettings, CircuitState
from raic.errors import (
    AccessDenied,
    CircuitOpen,
    KeyTaken,
    NoSpace,
    ObjectCorrupt,
    ObjectNotFound,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    ProviderUnreachable,
    QueueTooLong,
    StorageUnusable,
)
from raic.values import Space
from tests.backends.layers.worlds import LayerCase
from tests.contracts.consumer import Collector
from tests.contracts.provider import KEY, TEN

OPEN, HALF_OPEN, CLOSED = CircuitState.OPEN, CircuitState.HALF_OPEN, CircuitState.CLOSED


class CircuitTests(LayerCase):
    def setUp(self) -> None:
        super().setUp()
        self.put(KEY, TEN)
        self.layer = CircuitBreaker(self.leaf, self.clock)
        self.changes: list[CircuitState] = []
        self.layer.observe(lambda state, error: self.changes.append(state))

    def ask(self) -> Deferred[Space]:
        return self.layer.get_space()

    def fail_times(self, times: int, kind: type[ProviderError] = ProviderUnreachable) -> None:
        self.plan.fail("get_space", kind, times=times)
        for _ in range(times):
            self.failureResultOf(self.ask(), kind)

    def open(self) -> None:
        self.fail_times(5)
        self.assertIs(self.layer.state, OPEN)

    def test_every_kind_of_trouble_opens_it(self) -> None:
        for kind in (ProviderUnreachable, ProviderTimedOut, ProviderBusy, OutcomeUnknown):
            self.layer = CircuitBreaker(self.leaf, self.clock)
            self.fail_times(4, kind)
            self.assertIs(self.layer.state, CLOSED)
            self.fail_times(1, kind)
            self.assertIs(self.layer.state, OPEN)

    def test_an_answer_is_no_trouble(self) -> None:
        for kind in (
            *(ObjectNotFound, KeyTaken, NoSpace, ObjectCorrupt, AccessDenied, StorageUnusable),
            *(QueueTooLong, CircuitOpen),
        ):
            self.fail_times(50, kind)
        self.assertEqual(self.changes, [])
        self.assertIsNone(self.layer.last_error)

    def test_an_answer_ends_the_row(self) -> None:
        for kind in (ObjectNotFound, None):
            self.fail_times(4)
            if kind is None:
                self.successResultOf(self.ask())
            else:
                self.fail_times(1, kind)
        self.fail_times(4)
        self.assertIs(self.layer.state, CLOSED)

    def test_open_it_fails_every_call_at_once(self) -> None:
        self.open()
        before = sum(self.plan.calls.values())
        upload = self.layer.open_upload(KEY, 10)
        for call in (
            self.layer.put_object(KEY, TEN),
            self.layer.get_object(KEY, 0, 10),
            self.layer.stream_object(KEY, 0, 10, Collector()),
            self.layer.list_objects("", None),
            self.layer.delete_objects([KEY]),
            self.ask(),
            upload.write(TEN),
            upload.finish(),
        ):
            refused = self.failureResultOf(call, CircuitOpen).value
            self.assertTrue(refused.temporary)
            self.assertIn("get_space: as the fault plan says", str(refused))
            self.assertEqual(refused.remedy, ProviderUnreachable.remedy)
        self.successResultOf(upload.abort())
        self.assertEqual(sum(self.plan.calls.values()), before)

    def test_after_a_pause_one_call_finds_out(self) -> None:
        self.open()
        self.pass_time(5)
        gate = self.plan.hang("get_space")
        probe = self.ask()
        self.assertIs(self.layer.state, HALF_OPEN)
        self.failureResultOf(self.ask(), CircuitOpen)
        gate.release()
        self.successResultOf(probe)
        self.assertIs(self.layer.state, CLOSED)
        self.successResultOf(self.ask())
        self.assertEqual(self.changes, [OPEN, HALF_OPEN, CLOSED])

    def test_the_pause_doubles_up_to_a_limit_while_the_provider_stays_down(self) -> None:
        self.open()
        for pause in (5, 10, 20, 20, 20):
            self.pass_time(pause - 0.1)
            self.failureResultOf(self.ask(), CircuitOpen)
            self.pass_time(0.2)
            self.fail_times(1)
            self.assertIs(self.layer.state, OPEN)
        self.pass_time(21)
        self.successResultOf(self.ask())
        self.open()
        self.pass_time(5.1)
        self.successResultOf(self.ask())

    def test_an_answer_that_is_an_error_closes_it(self) -> None:
        self.open()
        self.pass_time(5)
        self.fail_times(1, AccessDenied)
        self.assertIs(self.layer.state, CLOSED)

    def test_a_probe_that_found_out_nothing_is_followed_by_another(self) -> None:
        self.open()
        self.pass_time(5)
        self.fail_times(1, QueueTooLong)
        self.assertRaises(ValueError, self.layer.get_object, KEY, -1, 1)
        self.successResultOf(self.ask())
        self.assertIs(self.layer.state, CLOSED)

    def test_a_probe_that_is_never_answered_is_followed_by_another(self) -> None:
        self.open()
        self.pass_time(5)
        gate = self.plan.hang("get_space")
        hanging = self.ask()
        self.pass_time(19, 1)
        self.failureResultOf(self.ask(), CircuitOpen)
        self.pass_time(2, 1)
        self.successResultOf(self.ask())
        gate.release()
        self.successResultOf(hanging)

    def test_what_began_before_says_nothing_about_now(self) -> None:
        gates = [self.plan.hang("get_object"), self.plan.hang("get_object")]
        late = [self.layer.get_object(key, 0, 10) for key in (KEY, KEY)]
        self.open()
        gates[0].release()
        self.successResultOf(late[0])
        self.assertIs(self.layer.state, OPEN)
        self.pass_time(5)
        self.successResultOf(self.ask())
        gates[1].release()
        self.assertIs(self.layer.state, CLOSED)

    def test_too_large_a_share_of_failures_opens_it(self) -> None:
        for _ in range(9):
            self.fail_times(1)
            self.successResultOf(self.ask())
        self.successResultOf(self.ask())
        self.assertIs(self.layer.state, CLOSED)
        self.fail_times(1)
        self.assertIs(self.layer.state, OPEN)

    def test_failures_of_long_ago_do_not_count(self) -> None:
        settings = CircuitSettings(failures=1_000, window=30)
        for wait, opens in ((31, True), (61, False)):
            self.layer = CircuitBreaker(self.leaf, self.clock, settings)
            self.fail_times(19)
            self.pass_time(wait, 1)
            self.fail_times(1)
            self.assertIs(self.layer.state, OPEN if opens else CLOSED)

    def test_says_so_in_the_log(self) -> None:
        with capturedLogs() as events:
            self.open()
            self.pass_time(5)
            self.successResultOf(self.ask())
        said = [formatEvent(each) for each in events if each["log_level"] >= LogLevel.info]
        self.assertEqual(
            said,
            [
                "ProviderUnreachable: cloud: get_space: as the fault plan says;"
                " check the network and the provider's own status page",
            ],
        )
