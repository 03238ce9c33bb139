"""Members that are slow or failing cost readers little."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from raic.interfaces import ILocalListing
from tests.backends.array.reads import KEY, Rig, Trouble, content

SIZE = 1000
READS = 500


class HedgingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = self.make_rig()

    def make_rig(self, needed: int = 2, total: int = 3, usual: float = 0.02) -> Rig:
        rig = Rig(needed, total)
        rig.store(content(SIZE))
        rig.lengths.note(KEY, rig.shape(SIZE))
        random = Random(7)
        for link in rig.links:
            link.delay = lambda: random.uniform(0.9, 1.1) * usual
        return rig

    def read(self, rig: Rig | None = None) -> float:
        """How long a read takes; its bytes are right."""
        rig = rig or self.rig
        reading = rig.reader.get_object(KEY, 0, SIZE)
        seconds = rig.wait(reading)
        self.assertEqual(self.successResultOf(reading), content(SIZE))
        return seconds

    def counts(self) -> list[int]:
        return [len(link.asked) for link in self.rig.links]

    def warm(self) -> None:
        for _ in range(30):
            self.read()
        self.assertEqual(self.rig.leaks(), [])

    def test_while_all_are_well_nobody_is_asked_for_nothing(self) -> None:
        self.warm()
        self.assertEqual(self.counts()[:2], [30, 30])
        self.assertLess(self.counts()[2], 6)

    def test_one_that_takes_longer_than_usual_is_overtaken_and_called_back(self) -> None:
        self.warm()
        self.rig.links[0].delay = lambda: 2.0
        seconds = self.read()
        self.assertLess(seconds, 0.06)
        self.assertGreater(self.rig.links[0].cancelled, 0)
        self.assertEqual(self.rig.leaks(), [])

    def test_so_is_one_on_a_local_disk(self) -> None:
        alsoProvides(self.rig.links[0], ILocalListing)
        self.test_one_that_takes_longer_than_usual_is_overtaken_and_called_back()

    def test_before_anything_is_known_it_is_after_a_default(self) -> None:
        self.rig.links[0].delay = lambda: 2.0
        self.assertApproximates(self.read(), 0.52, 0.01)

    def test_one_that_was_overtaken_twice_is_asked_no_more_but_probed(self) -> None:
        self.warm()
        self.rig.links[0].delay = lambda: 2.0
        for _ in range(3):
            self.read()
        before = len(self.rig.links[0].asked)
        for _ in range(40):
            self.read()  # together less than a second
        self.assertEqual(len(self.rig.links[0].asked), before)
        self.rig.advance(0.5)
        self.assertLess(self.read(), 0.03)
        self.assertEqual(len(self.rig.links[0].asked), before + 1)
        self.assertEqual(self.rig.links[0].under_way, 1)

    def test_it_is_asked_again_when_a_probe_came_in_time(self) -> None:
        self.warm()
        self.rig.links[0].delay = lambda: 2.0
        for _ in range(3):
            self.read()
        self.rig.links[0].delay = lambda: 0.02
        self.rig.advance(1.1)
        self.read()
        self.rig.advance(0.1)
        before = len(self.rig.links[0].asked)
        for _ in range(20):  # until its average is as it was
            self.read()
            self.rig.advance(0.1)
        self.assertEqual(self.rig.reader.health.of("m0").figures().state, "well")
        self.read()
        self.assertEqual(self.rig.leaks(), [])
        self.assertGreaterEqual(len(self.rig.links[0].asked), before)

    def test_so_it_is_with_one_that_was_away(self) -> None:
        self.rig.links[0].trouble = Trouble(away=True)
        self.read()
        self.assertEqual(self.counts(), [1, 1, 1])
        self.read()
        self.assertEqual(self.counts(), [1, 2, 2])
        self.rig.links[0].trouble = Trouble()
        self.rig.advance(1.0)
        self.read()
        self.rig.advance(0.1)
        self.read()
        self.assertEqual(self.counts(), [3, 4, 3])
        self.assertEqual(self.rig.leaks(), [])

    def test_a_probe_that_hangs_is_given_up(self) -> None:
        self.rig.links[0].trouble = Trouble(away=True)
        self.read()
        self.rig.links[0].trouble = Trouble(hangs_at=0)
        self.rig.advance(1.0)
        self.read()
        self.assertEqual(self.rig.links[0].under_way, 1)
        self.rig.advance(self.rig.settings.probe_seconds + 0.1, 0.1)
        self.assertEqual(self.rig.leaks(), [])
        self.assertEqual(self.rig.reader.health.of("m0").figures().state, "failing")

    def test_a_stopped_reader_lets_go_of_probes(self) -> None:
        self.rig.links[0].trouble = Trouble(away=True)
        self.read()
        self.rig.links[0].trouble = Trouble(hangs_at=0)
        self.rig.advance(1.0)
        self.read()
        self.rig.reader.stop()
        self.assertEqual(self.rig.leaks(), [])

    def test_when_all_get_slower_none_is_called_slow(self) -> None:
        self.warm()
        for link in self.rig.links:
            link.delay = lambda: 1.0
        for _ in range(20):
            self.read()
        states = {self.rig.reader.health.of(link.name).figures().state for link in self.rig.links}
        self.assertEqual(states, {"well"})

    def test_the_next_one_is_asked_at_once_when_one_fails(self) -> None:
        self.rig.links[0].trouble = Trouble(away=True)
        self.assertApproximates(self.read(), 0.04, 0.01)

    def latencies(self, rig: Rig) -> float:
        """The p99."""
        return sorted(self.read(rig) for _ in range(READS))[READS * 99 // 100 - 1]

    def test_with_a_member_two_seconds_slower_reads_are_about_as_fast(self) -> None:
        for needed, total in ((2, 3), (3, 5), (1, 2)):
            for slow in range(total):
                for usual in (0.02, 0.1):
                    rig = self.make_rig(needed, total, usual)
                    healthy = self.latencies(rig)
                    rig.links[slow].delay = lambda: 2.0
                    bound = 1.3 * healthy + 0.05
                    found = self.latencies(rig)
                    self.assertLessEqual(found, bound, (needed, total, slow, usual))
