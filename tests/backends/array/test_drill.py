"""Pretending that a provider is lost."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from raic.backends.array.code import Code
from raic.backends.array.drill import GONE, LYING, SLOW, SLOW_SECONDS, WAYS, DrillLayer
from raic.backends.array.drilling import REPAIR_SECONDS, USUAL_SECONDS, Drill, DrillReport
from raic.backends.array.drillmeter import SAMPLES, DrillMeter, Tally
from raic.backends.array.maintenance import ArrayStatus, MemberStatus, Progress, RepairStatus
from raic.backends.array.members import Member
from raic.backends.array.memoryledger import MemoryLedger
from raic.backends.array.provider import ArrayProvider
from raic.backends.memory import MemoryProvider
from raic.errors import (
    ConfigurationError,
    ObjectNotFound,
    OperationRefused,
    ProviderUnreachable,
    ServiceStopping,
)
from raic.interfaces import IImmediateReads, IStorageProvider
from tests.backends.array.arrays import ARRAY_KEY
from tests.backends.array.fake_maintenance import FakeMaintenance
from tests.contracts.consumer import Collector
from tests.contracts.maintenance import nothing

NAMES = ("aws", "ovh", "b2")
DATA = bytes(range(200))


class Layer(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.inner = MemoryProvider("aws")
        self.layer = DrillLayer(self.inner, self.clock)
        self.successResultOf(self.layer.start())
        self.successResultOf(self.layer.put_object("a", DATA))

    def get(self) -> Deferred[bytes]:
        return self.layer.get_object("a", 0, 500)

    def stream(self) -> bytes:
        consumer = Collector()
        self.successResultOf(self.layer.stream_object("a", 0, 500, consumer))
        return consumer.data

    def differing(self, data: bytes) -> int:
        self.assertEqual(len(data), len(DATA))
        return sum((one ^ other).bit_count() for one, other in zip(data, DATA, strict=True))

    def test_it_is_a_provider_with_the_abilities_of_the_inner_one(self) -> None:
        self.assertTrue(verifyObject(IStorageProvider, self.layer))
        self.assertTrue(IImmediateReads.providedBy(self.layer))

    def test_one_that_is_gone_fails_at_once_and_does_nothing(self) -> None:
        upload = self.layer.open_upload("b", 4)
        self.successResultOf(upload.write(b"ab"))
        self.layer.begin(GONE)
        for call in (
            self.get(),
            self.layer.put_object("c", b"c"),
            self.layer.stream_object("a", 0, 5, Collector()),
            self.layer.list_objects("", None),
            self.layer.delete_objects(["a"]),
            self.layer.get_space(),
            upload.write(b"cd"),
            upload.finish(),
        ):
            self.failureResultOf(call, ProviderUnreachable)
        self.assertIsNone(IImmediateReads(self.layer).read_now("a", 0, 5))
        self.successResultOf(upload.abort())
        self.layer.end()
        page = self.successResultOf(self.layer.list_objects("", None))
        self.assertEqual([listed.key for listed in page.objects], ["a"])
        self.assertEqual(self.successResultOf(self.get()), DATA)

    def test_one_that_is_slow_answers_two_seconds_later(self) -> None:
        self.layer.begin(SLOW)
        reading = self.get()
        self.assertIsNone(IImmediateReads(self.layer).read_now("a", 0, 5))
        self.clock.advance(SLOW_SECONDS - 0.1)
        self.assertNoResult(reading)
        self.clock.advance(0.1)
        self.assertEqual(self.successResultOf(reading), DATA)

    def test_the_pieces_of_an_upload_to_a_slow_one_are_not_held_up(self) -> None:
        self.layer.begin(SLOW)
        upload = self.layer.open_upload("b", 2)
        self.successResultOf(upload.write(b"ab"))
        finishing = upload.finish()
        self.assertNoResult(finishing)
        self.clock.advance(SLOW_SECONDS)
        self.assertEqual(self.successResultOf(finishing).size, 2)

    def test_one_that_lies_alters_a_bit_of_all_that_is_read(self) -> None:
        self.layer.begin(LYING)
        now = IImmediateReads(self.layer).read_now("a", 0, 500)
        assert now is not None
        for data in (self.successResultOf(self.get()), self.stream(), now):
            self.assertEqual(self.differing(data), 1)
        self.successResultOf(self.layer.put_object("empty", b""))
        self.assertEqual(self.successResultOf(self.layer.get_object("empty", 0, 9)), b"")
        self.layer.end()
        self.assertEqual(self.stream(), DATA)

    def test_what_was_not_there_is_not_altered(self) -> None:
        self.layer.begin(LYING)
        self.assertIsNone(IImmediateReads(self.layer).read_now("b", 0, 5))
        self.failureResultOf(self.layer.get_object("b", 0, 5), ObjectNotFound)

    def test_there_is_no_other_way(self) -> None:
        with self.assertRaises(ValueError):
            self.layer.begin("angry")


class Meter(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.slow = DrillLayer(MemoryProvider("aws"), self.clock)
        self.meter = DrillMeter(self.slow, self.clock)
        self.successResultOf(self.meter.start())

    def test_it_measures_reads_and_writes_from_its_beginning_to_its_end(self) -> None:
        self.successResultOf(self.meter.put_object("a", DATA))
        measured = self.meter.begin()
        self.successResultOf(self.meter.put_object("b", DATA))
        upload = self.meter.open_upload("c", 0)
        self.successResultOf(upload.finish())
        self.slow.begin(SLOW)
        reading = self.meter.get_object("a", 0, 5)
        streaming = self.meter.stream_object("a", 0, 5, Collector())
        self.meter.end()
        self.clock.advance(SLOW_SECONDS)
        self.successResultOf(reading)
        self.successResultOf(streaming)
        self.slow.end()
        self.successResultOf(self.meter.get_object("a", 0, 5))
        self.successResultOf(self.meter.stream_object("a", 0, 5, Collector()))
        reads, writes = measured.reads.summary(), measured.writes.summary()
        self.assertEqual((reads.served, reads.p50, reads.p99), (2, SLOW_SECONDS, SLOW_SECONDS))
        self.assertEqual((writes.served, writes.p50, writes.failed), (2, 0.0, 0))

    def test_failures_are_counted_by_their_kind(self) -> None:
        measured = self.meter.begin()
        self.slow.begin(GONE)
        self.failureResultOf(self.meter.get_object("a", 0, 5), ProviderUnreachable)
        self.failureResultOf(self.meter.stream_object("a", 0, 5, Collector()))
        summary = measured.reads.summary()
        self.assertEqual((summary.failed, summary.errors), (2, {"ProviderUnreachable": 2}))
        self.assertEqual((summary.served, summary.p50, summary.p99), (0, None, None))

    def test_what_does_not_exist_is_no_failure_nor_what_nobody_wants(self) -> None:
        measured = self.meter.begin()
        self.failureResultOf(self.meter.get_object("nothing", 0, 5), ObjectNotFound)
        self.slow.begin(SLOW)
        reading = self.meter.get_object("a", 0, 5)
        reading.cancel()
        self.failureResultOf(reading)
        self.assertEqual(measured.reads.summary().failed, 0)

    def test_very_many_are_sampled_evenly(self) -> None:
        tally = Tally()
        for number in range(5 * SAMPLES):
            tally.took(number)
        summary = tally.summary()
        self.assertEqual(summary.served, 5 * SAMPLES)
        assert summary.p50 is not None
        self.assertAlmostEqual(summary.p50 / (5 * SAMPLES), 0.5, places=1)


class Drills(SynchronousTestCase):
    """Of a real array, with an upkeep that is told what there is."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.maintenance = FakeMaintenance(NAMES)
        self.ledger = MemoryLedger()
        self.layers = {name: DrillLayer(MemoryProvider(name), self.clock) for name in NAMES}
        array = ArrayProvider(
            "clouds",
            [Member(name, layer) for name, layer in self.layers.items()],
            Code(2, 64),
            2,
            ARRAY_KEY,
            self.ledger,
            self.clock,
        )
        self.provider = DrillMeter(array, self.clock)
        starting = self.provider.start()
        self.clock.pump([0.1] * 10)
        self.successResultOf(starting)
        self.addCleanup(self.provider.stop)
        self.wait(self.provider.put_object("a", DATA))
        self.drill = Drill(self.layers, self.provider, self.maintenance, self.ledger, self.clock)
        self.told: list[Progress] = []

    def wait(self, asked: Deferred[Any]) -> Any:
        for _ in range(1000):
            if asked.called:
                break
            self.clock.advance(0.05)
        return self.successResultOf(asked)

    def lose(
        self, name: str = "aws", how: str = GONE, seconds: float = 60
    ) -> Deferred[DrillReport]:
        return self.drill.lose(name, how, seconds, self.told.append)

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([1] * int(seconds))

    def state(self, name: str, state: str) -> None:
        members = tuple(
            evolve(member, state=state) if member.name == name else member
            for member in self.maintenance.now.members
        )
        self.maintenance.now = evolve(self.maintenance.now, members=members)

    def refused(self, asked: Deferred[DrillReport]) -> str:
        failure = self.failureResultOf(asked, OperationRefused)
        self.assertEqual({layer.how for layer in self.layers.values()}, {""})
        return str(failure.value)

    def test_reads_go_on_while_a_provider_is_lost_in_any_way(self) -> None:
        for how in WAYS:
            drill = self.lose(how=how)
            self.pass_time(USUAL_SECONDS)
            self.assertEqual(self.layers["aws"].how, how)
            self.assertEqual(self.wait(self.provider.get_object("a", 0, 500)), DATA)
            self.pass_time(61)
            report = self.successResultOf(drill)
            self.assertEqual((report.name, report.how, report.cut_short), ("aws", how, ""))
            self.assertEqual((report.reads.served, report.reads.failed), (1, 0))
            self.assertGreaterEqual(report.seconds, 60)
            self.assertEqual(self.layers["aws"].how, "")

    def test_how_things_usually_are_is_measured_first(self) -> None:
        drill = self.lose()
        self.wait(self.provider.get_object("a", 0, 500))
        self.wait(self.provider.put_object("b", DATA))
        self.assertEqual(self.layers["aws"].how, "")
        self.assertIn("usually", self.told[0].text)
        self.pass_time(USUAL_SECONDS + 61)
        report = self.successResultOf(drill)
        self.assertEqual((report.usual_reads.served, report.usual_writes.served), (1, 1))
        self.assertEqual((report.reads.served, report.writes.served), (0, 0))
        self.assertIn("aws is gone; writes need 3 providers and may fail", self.told[-1].text)
        self.assertEqual([each.total for each in self.told[-2:]], [60, 60])
        self.assertTrue(report.stops_writes)
        self.assertIn("too few providers were left for writes", self.ledger.events[-1].detail)

    def test_it_waits_for_repairs_and_counts_them(self) -> None:
        drill = self.lose()
        self.pass_time(USUAL_SECONDS + 10)
        self.maintenance.now = evolve(self.maintenance.now, repair=RepairStatus(5))
        self.pass_time(55)
        self.assertNoResult(drill)
        self.assertEqual(self.layers["aws"].how, "")
        self.assertEqual(self.told[-1], Progress(0, 5, text="waiting for repairs"))
        self.maintenance.now = evolve(self.maintenance.now, repair=RepairStatus(1, done=4))
        self.pass_time(2)
        self.assertEqual(self.told[-1], Progress(4, 5, text="waiting for repairs"))
        self.maintenance.now = evolve(self.maintenance.now, repair=RepairStatus(0, done=5))
        self.pass_time(2)
        report = self.successResultOf(drill)
        self.assertEqual((report.lacking, report.repaired, report.left), (5, 5, 0))

    def test_it_does_not_wait_for_repairs_for_ever(self) -> None:
        drill = self.lose()
        self.pass_time(USUAL_SECONDS + 10)
        self.maintenance.now = evolve(self.maintenance.now, repair=RepairStatus(5))
        self.pass_time(60 + REPAIR_SECONDS)
        self.assertEqual(self.successResultOf(drill).left, 5)

    def test_who_asks_again_follows(self) -> None:
        first, again = self.lose(), self.lose()
        other = self.lose("ovh")
        self.assertIn("aws is gone", str(self.failureResultOf(other, OperationRefused).value))
        self.pass_time(USUAL_SECONDS + 61)
        self.assertEqual(self.successResultOf(first), self.successResultOf(again))

    def test_it_is_in_the_history(self) -> None:
        self.lose()
        self.pass_time(USUAL_SECONDS + 61)
        begun, ended = (event.detail for event in self.ledger.events)
        self.assertEqual(begun, "aws is gone for 60 s")
        self.assertIn("aws was gone for 60 s: 0 reads and 0 writes failed", ended)

    def test_it_can_be_ended_early(self) -> None:
        self.assertFalse(self.drill.end())
        drill = self.lose()
        self.pass_time(USUAL_SECONDS + 10)
        self.assertTrue(self.drill.end())
        self.pass_time(1)
        report = self.successResultOf(drill)
        self.assertEqual(report.cut_short, "it was ended by the operator")
        self.assertLess(report.seconds, 15)

    def test_one_that_is_ended_before_it_began_loses_nothing(self) -> None:
        drill = self.lose()
        self.drill.end()
        self.pass_time(1)
        self.assertIn("did not begin", self.refused(drill))

    def test_it_is_refused_where_reading_needs_the_provider(self) -> None:
        self.state("ovh", "away")
        self.assertIn(
            "without aws and ovh 1 of the 2 fragments are left", self.refused(self.lose())
        )
        self.state("ovh", "slow")
        self.assertNoResult(self.lose())

    def test_it_is_refused_where_others_know_that_reading_needs_it(self) -> None:
        def seen(status: ArrayStatus) -> ArrayStatus:
            lost = (evolve(each, state="failing") for each in status.members if each.name == "ovh")
            rest = (each for each in status.members if each.name != "ovh")
            return evolve(status, members=(*rest, *lost))

        self.drill.seen = seen
        self.assertIn(
            "without aws and ovh 1 of the 2 fragments are left", self.refused(self.lose())
        )

    def test_it_is_refused_to_who_has_lost_that_one_already_only_where_more_are_needed(
        self,
    ) -> None:
        self.state("aws", "failing")
        self.assertNoResult(self.lose())

    def test_it_is_refused_while_objects_have_nothing_to_spare(self) -> None:
        self.maintenance.now = evolve(self.maintenance.now, at_risk=3)
        self.assertIn("3 objects have no fragment to spare", self.refused(self.lose()))

    def test_it_is_ended_when_another_provider_is_really_lost(self) -> None:
        drill = self.lose()
        self.pass_time(USUAL_SECONDS + 10)
        self.state("b2", "failing")
        self.pass_time(2)
        report = self.successResultOf(drill)
        self.assertIn("without aws and b2", report.cut_short)
        self.assertLess(report.seconds, 15)
        self.assertEqual(self.layers["aws"].how, "")

    def test_one_that_was_lost_while_things_were_measured_is_noticed(self) -> None:
        drill = self.lose()
        self.pass_time(5)
        self.state("b2", "failing")
        self.pass_time(USUAL_SECONDS)
        self.assertIn("without aws and b2", self.refused(drill))

    def test_mistakes_are_told(self) -> None:
        for asked in (self.lose("gcs"), self.lose(how="angry"), self.lose(seconds=0)):
            self.failureResultOf(asked, ConfigurationError)
        del self.layers["b2"]
        self.failureResultOf(self.lose("b2"), ConfigurationError)

    def test_nothing_is_pretended_once_the_node_stops(self) -> None:
        drill = self.lose()
        self.pass_time(USUAL_SECONDS + 10)
        self.drill.stop()
        self.failureResultOf(drill, ServiceStopping)
        self.assertEqual(self.layers["aws"].how, "")
        self.drill.stop()

    def test_a_provider_without_fragments_is_not_missed(self) -> None:
        spare = MemberStatus("hz", ())
        self.maintenance.now = evolve(
            self.maintenance.now, members=(*self.maintenance.now.members, spare)
        )
        self.state("ovh", "away")
        self.assertIn("1 of the 2 fragments are left", self.refused(self.lose()))

    def test_a_follower_may_look_away(self) -> None:
        drill = self.drill.lose("aws", GONE, 60, nothing)
        self.pass_time(USUAL_SECONDS + 61)
        self.successResultOf(drill)
