"""Noticing providers that are away, and forgetting nothing that matters, on a test clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, LogPublisher, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer_only

from raic.assembly.members import MemberStack
from raic.assembly.status.history import History
from raic.assembly.status.probing import GONE_SECONDS, INTERVAL_SECONDS, SILENT_SECONDS, Probe
from raic.assembly.status.warnings import KEPT, WarningBook
from raic.backends.layers.circuit import CircuitState
from raic.backends.layers.stack import LayerSettings, wrap_in_layers
from raic.backends.memory import MemoryProvider
from raic.config.model import ProviderSettings
from raic.errors import ProviderUnreachable
from raic.interfaces import IStorageProvider
from raic.server.operations import HTTP, OperationMeter
from raic.tally import percentile


@implementer_only(IStorageProvider)
class Cloud(MemoryProvider):
    """A cloud that can be stopped.

    :ivar how: what becomes of a read: empty for as usual.
    :ivar asked: how many reads there were.
    """

    how = ""
    asked = 0

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        self.asked += 1
        if self.how == "hangs":
            return Deferred()
        if self.how == "refuses":
            return fail(ProviderUnreachable(self.name, "get_object", "connection refused"))
        return super().get_object(key, offset, length)


class Probing(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.cloud = Cloud("cloud")
        layers = wrap_in_layers(self.cloud, LayerSettings(), self.clock, Random(1))
        cloud_settings: object = object()
        settings = ProviderSettings("cloud", "s3", Path("."), cloud=cloud_settings)  # type: ignore[arg-type]
        self.member = MemberStack(settings, layers, layers.provider, self.cloud)
        self.successResultOf(layers.provider.start())
        self.away = False
        self.probe = Probe(self.member, self.clock, lambda: self.away)
        self.probe.start()
        self.addCleanup(self.probe.stop)

    def after(self, condition: Callable[[], bool]) -> float:
        """How many seconds it takes until a condition holds."""
        began = self.clock.seconds()
        while not condition():
            self.clock.advance(0.5)
            self.member.provider.get_space()  # as a node does, whose space is to be known
            self.assertLess(self.clock.seconds() - began, 300)
        return self.clock.seconds() - began

    def forget(self) -> None:
        """Let so much time pass that its last answer says nothing of it now."""
        answered = self.probe.answered
        self.after(lambda: self.probe.answered != answered)
        self.clock.pump([0.25] * 16)

    def test_within_thirty_seconds_whatever_it_does(self) -> None:
        for how in ("hangs", "refuses"):
            with capturedLogs() as logs:
                self.cloud.how = how
                self.assertLess(self.after(lambda: self.probe.problem is not None), 24)
                self.cloud.how = ""
                self.assertLess(self.after(lambda: self.probe.problem is None), 100)
                self.clock.pump([1.0] * 30)
            told = [formatEvent(event) for event in logs if event["log_level"] >= LogLevel.info]
            self.assertEqual(len(told), 2, told)
            self.assertIn("cloud: ", told[0])
            self.assertIn("cloud answers again: ", told[1])

    def test_a_cloud_that_stays_away_has_an_open_circuit_which_closes_again(self) -> None:
        circuit = self.member.layers.circuit
        assert circuit is not None
        self.cloud.how = "refuses"
        self.after(lambda: circuit.state is CircuitState.OPEN)
        self.cloud.how = ""
        self.after(lambda: circuit.state is CircuitState.CLOSED)
        self.after(lambda: self.probe.problem is None)

    def test_one_failure_says_nothing(self) -> None:
        self.cloud.how = "refuses"
        asked = self.cloud.asked
        self.after(lambda: self.cloud.asked > asked)
        self.cloud.how = ""
        self.clock.pump([0.5] * 60)
        self.assertIsNone(self.probe.problem)

    def test_a_cloud_that_is_used_is_not_asked(self) -> None:
        asked = self.cloud.asked
        for number in range(20):
            self.successResultOf(self.member.provider.put_object(f"key/{number}", b"x"))
            self.clock.pump([1.0] * 8)
        self.assertEqual(self.cloud.asked, asked)
        self.assertGreater(self.probe.answered or 0, self.clock.seconds() - INTERVAL_SECONDS)

    def test_one_that_was_used_until_it_hung_is_noticed_as_soon(self) -> None:
        self.clock.pump([0.5] * 25)
        self.successResultOf(self.member.provider.put_object("key/0", b"x"))
        self.cloud.how = "hangs"
        self.assertLess(self.after(lambda: self.probe.problem is not None), 24)

    def test_idle_for_a_month_it_costs_what_the_docs_say(self) -> None:
        asked = self.cloud.asked
        self.clock.pump([1.0] * 1000)
        self.assertLessEqual((self.cloud.asked - asked) / 1000 * 86400 * 30, 260_000)

    def test_one_that_is_not_started_yet_is_not_asked(self) -> None:
        self.away = True
        asked = self.cloud.asked
        self.clock.pump([1.0] * 50)
        self.assertEqual((self.cloud.asked, self.probe.problem), (asked, None))

    def test_who_asks_is_told_at_once_what_is_known(self) -> None:
        self.assertTrue(self.successResultOf(self.probe.ask()))
        self.clock.advance(5)
        self.successResultOf(self.member.provider.put_object("key/0", b"x"))
        asked = self.cloud.asked
        self.assertTrue(self.successResultOf(self.probe.ask()))
        self.assertEqual(self.cloud.asked, asked)

    def test_who_asks_later_makes_it_be_asked(self) -> None:
        self.forget()
        asked = self.cloud.asked
        self.assertTrue(self.successResultOf(self.probe.ask()))
        self.assertEqual(self.cloud.asked, asked + 1)

    def test_one_that_does_not_answer_is_silent_after_some_seconds(self) -> None:
        for how in ("hangs", "refuses"):
            self.forget()
            self.cloud.how = how
            asking = [self.probe.ask(), self.probe.ask()]
            self.clock.pump([0.25] * int(4 * SILENT_SECONDS - 1))
            self.assertNoResult(asking[0])
            self.assertFalse(self.probe.is_silent())
            self.clock.advance(0.25)
            self.assertEqual([self.successResultOf(each) for each in asking], [False] * 2)
            self.assertTrue(self.probe.is_silent())
            self.assertIsNotNone(self.probe.trouble())
            self.assertFalse(self.probe.is_silent(GONE_SECONDS))
            self.assertFalse(self.successResultOf(self.probe.ask()))
            self.cloud.how = ""
            self.assertLess(self.after(lambda: not self.probe.is_silent()), 30)
            self.assertTrue(self.successResultOf(self.probe.ask()))

    def test_a_trouble_of_three_seconds_is_waited_for(self) -> None:
        self.forget()
        self.cloud.how = "refuses"
        asking = self.probe.ask()
        self.clock.pump([0.25] * 12)
        self.assertNoResult(asking)
        self.cloud.how = ""
        self.clock.pump([0.25] * 3)
        self.assertTrue(self.successResultOf(asking))

    def test_what_was_only_buffered_says_nothing(self) -> None:
        self.forget()
        self.cloud.how = "hangs"
        asking = self.probe.ask()
        upload = self.member.provider.open_upload("key/0", 100)
        for _ in range(20):
            self.successResultOf(upload.write(b"12345"))
            self.clock.advance(0.5)
        self.assertFalse(self.successResultOf(asking))

    def test_who_waits_when_it_is_stopped_or_goes_away_is_told(self) -> None:
        self.forget()
        self.cloud.how = "refuses"
        asking = self.probe.ask()
        self.away = True
        self.clock.pump([0.5] * 4)
        self.assertFalse(self.successResultOf(asking))
        self.away = False
        self.cloud.how = "hangs"
        asking = self.probe.ask()
        self.probe.stop()
        self.assertFalse(self.successResultOf(asking))

    def test_it_is_asked_beside_the_limits(self) -> None:
        self.forget()
        self.cloud.how = "hangs"
        reads = [self.member.provider.get_object("key/0", 0, 1) for _ in range(20)]
        self.cloud.how = ""
        self.assertTrue(self.successResultOf(self.probe.ask()))
        self.clock.pump([1.0] * 50)
        for each in reads:
            self.failureResultOf(each)


class RecentPast(SynchronousTestCase):
    def test_rates_latencies_and_series(self) -> None:
        clock = Clock()
        meter = OperationMeter(clock)
        history = History(meter.figures, clock)  # type: ignore[arg-type]
        history.start()
        self.addCleanup(history.stop)
        key = (HTTP, "read")
        for second in range(900):
            tally = meter.tally(*key)
            tally.begun += 1
            tally.took(0.001 if second % 2 else 0.1)
            clock.advance(1)
        rates, recent = history.rates([key]), history.recent([key])
        self.assertAlmostEqual(rates.calls, 1.0, delta=0.05)
        self.assertEqual(len(recent.calls), 60)
        self.assertEqual(set(recent.calls), {10})
        assert rates.latency.p95 is not None
        self.assertTrue(0.06 < rates.latency.p95 < 0.13, rates.latency)
        clock.pump([10] * 70)
        self.assertIsNone(history.rates([key]).latency.p50)
        self.assertEqual(history.rates([key]).calls, 0)

    def test_percentiles_are_within_their_bucket(self) -> None:
        self.assertIsNone(percentile([0] * 21, 0.5))
        counts = [0] * 21
        counts[3] = 1000  # 0.5 to 1 ms
        for part in (0.01, 0.5, 0.99, 1.0):
            value = percentile(counts, part)
            assert value is not None
            self.assertTrue(0.0005 <= value <= 0.001, value)


class Warnings(SynchronousTestCase):
    def setUp(self) -> None:
        publisher = LogPublisher()
        self.book = WarningBook()
        self.book.listen(publisher)
        self.log = Logger("raic.test", observer=publisher)
        self.other = Logger("botocore", observer=publisher)

    def test_those_that_are_alike_are_counted(self) -> None:
        for number in range(3):
            self.log.warn("{name} is down: {number}; {remedy}", name="a", number=number, remedy="x")
        self.log.info("all is well")
        self.other.warn("something a client sent")
        (warned,) = self.book.newest()
        self.assertEqual((warned.text, warned.remedy, warned.times), ("a is down: 2", "x", 3))

    def test_they_are_bounded_and_name_no_storage_index(self) -> None:
        for number in range(3 * KEPT):
            self.log.error(f"{number}: shares/on/onzxg43tonzxg43tonzxg43tom/0.x is gone")
        self.assertEqual(len(self.book.newest()), KEPT)
        self.assertEqual(self.book.newest()[0].text, f"{3 * KEPT - 1}: shares/on/.../0.x is gone")

    def test_they_show_no_more_of_an_address_than_its_machine(self) -> None:
        self.log.warn('no way to "https://s3.example:1/c/shares/on/x", nor http://a/b')
        (warned,) = self.book.newest()
        self.assertEqual(warned.text, 'no way to "https://s3.example:1/...", nor http://a/...')
