"""The gauge of free space."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.memory import MemoryProvider
from raic.server.space import REFRESH_SECONDS, STALE_SECONDS, SpaceGauge
from raic.values import Space

KEY = "a/b/c.1"


class SlowProvider(MemoryProvider):
    """Answers ``get_space`` when told to."""

    def __init__(self) -> None:
        super().__init__("slow", capacity=1000)
        self.asked: list[Deferred[Space]] = []

    def get_space(self) -> Deferred[Space]:
        self.asked.append(Deferred())
        return self.asked[-1]


class SpaceGaugeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.provider = MemoryProvider("memory", capacity=1000)
        self.successResultOf(self.provider.start())
        self.gauge = SpaceGauge(self.provider, self.clock)
        self.addCleanup(self.gauge.stop)

    def test_nothing_is_available_before_the_first_answer(self) -> None:
        self.assertEqual(self.gauge.available(), 0)

    def test_start_fires_once_the_space_is_known(self) -> None:
        self.successResultOf(self.gauge.start())
        self.assertEqual(self.gauge.available(), 1000)

    def test_space_is_measured_again_and_again(self) -> None:
        self.successResultOf(self.gauge.start())
        self.successResultOf(self.provider.put_object(KEY, bytes(300)))
        self.assertEqual(self.gauge.available(), 1000)
        self.clock.advance(REFRESH_SECONDS)
        self.assertEqual(self.gauge.available(), 700)
        self.successResultOf(self.provider.delete_objects([KEY]))
        self.clock.advance(REFRESH_SECONDS)
        self.assertEqual(self.gauge.available(), 1000)

    def test_bytes_stored_since_the_last_answer_are_subtracted_once(self) -> None:
        self.successResultOf(self.gauge.start())
        self.successResultOf(self.provider.put_object(KEY, bytes(300)))
        self.gauge.note_stored(300)
        self.assertEqual(self.gauge.available(), 700)
        self.clock.advance(REFRESH_SECONDS)
        self.assertEqual(self.gauge.available(), 700)

    def test_more_stored_than_was_available_leaves_nothing(self) -> None:
        self.successResultOf(self.gauge.start())
        self.gauge.note_stored(2000)
        self.assertEqual(self.gauge.available(), 0)

    def test_bytes_stored_while_an_answer_is_awaited_stay_subtracted(self) -> None:
        provider = SlowProvider()
        gauge = SpaceGauge(provider, self.clock)
        self.addCleanup(gauge.stop)
        gauge.note_stored(10)
        gauge.start()
        gauge.note_stored(5)
        provider.asked[0].callback(Space(0, 1000))
        self.assertEqual(gauge.available(), 995)

    def test_a_failing_provider_has_no_space_until_it_recovers(self) -> None:
        self.successResultOf(self.gauge.start())
        self.successResultOf(self.provider.stop())
        self.clock.pump([REFRESH_SECONDS] * 3)
        self.assertEqual(self.gauge.available(), 0)
        self.successResultOf(self.provider.start())
        self.clock.advance(REFRESH_SECONDS)
        self.assertEqual(self.gauge.available(), 1000)

    def test_a_hanging_provider_has_no_space_after_a_while(self) -> None:
        provider = SlowProvider()
        gauge = SpaceGauge(provider, self.clock)
        self.addCleanup(gauge.stop)
        gauge.start()
        provider.asked[0].callback(Space(0, 1000))
        self.clock.advance(REFRESH_SECONDS)
        self.assertEqual((len(provider.asked), gauge.available()), (2, 1000))
        self.clock.advance(STALE_SECONDS)
        self.assertEqual((len(provider.asked), gauge.available()), (2, 0))

    def test_nothing_is_measured_after_stop(self) -> None:
        self.successResultOf(self.gauge.start())
        self.gauge.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_nodes_own_quota_counts_too(self) -> None:
        room = 400
        gauge = SpaceGauge(self.provider, self.clock, lambda: succeed(room))
        self.addCleanup(gauge.stop)
        self.successResultOf(gauge.start())
        self.assertEqual(gauge.available(), 400)
        room = 5000
        self.clock.advance(REFRESH_SECONDS)
        self.assertEqual(gauge.available(), 1000)
