from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.faults import FaultPlan
from raic.backends.faulty import FaultyProvider
from raic.backends.memory import MemoryProvider
from raic.errors import (
    NoSpace,
    ObjectNotFound,
    OutcomeUnknown,
    ProviderBusy,
    ProviderTimedOut,
    ProviderUnreachable,
)
from raic.interfaces import IStorageProvider
from raic.values import Stored
from tests.contracts.consumer import Collector
from tests.contracts.driving import SynchronousSuite
from tests.contracts.provider import KEY, TEN, ProviderContract
from tests.contracts.provider_model import ModelContract


class FaultyProviderTests(ProviderContract, ModelContract, SynchronousSuite):
    """With an empty plan nothing goes wrong."""

    inspects = True

    def make_provider(self) -> IStorageProvider:
        return FaultyProvider(MemoryProvider("memory"), FaultPlan())


class FaultPlanTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.plan = FaultPlan(seed=1)
        self.inner = MemoryProvider("memory")
        self.provider = FaultyProvider(self.inner, self.plan)
        self.successResultOf(self.provider.start())

    def put(self, key: str = KEY) -> Deferred[Stored]:
        return self.provider.put_object(key, TEN)

    def assert_stored(self, is_stored: bool) -> None:
        reading = self.inner.get_object(KEY, 0, 10)
        if is_stored:
            self.assertEqual(self.successResultOf(reading), TEN)
        else:
            self.failureResultOf(reading, ObjectNotFound)

    def test_the_nth_call_fails(self) -> None:
        self.plan.fail("put_object", ProviderBusy, nth=2)
        self.successResultOf(self.put(KEY + "1"))
        refused = self.failureResultOf(self.put(), ProviderBusy)
        self.assertEqual(refused.value.operation, "put_object")
        self.assert_stored(False)
        self.successResultOf(self.put())
        self.assertEqual(self.plan.calls["put_object"], 3)

    def test_calls_fail_until_healed(self) -> None:
        self.plan.fail("get_space", times=None)
        for _ in range(3):
            self.failureResultOf(self.provider.get_space(), ProviderUnreachable)
        self.plan.heal()
        self.successResultOf(self.provider.get_space())

    def test_each_operation_can_fail(self) -> None:
        upload = self.provider.open_upload(KEY, 10)
        for operation, call in (
            ("start", self.provider.start),
            ("put_object", self.put),
            ("get_object", lambda: self.provider.get_object(KEY, 0, 1)),
            ("stream_object", lambda: self.provider.stream_object(KEY, 0, 1, Collector())),
            ("list_objects", lambda: self.provider.list_objects("", None)),
            ("delete_objects", lambda: self.provider.delete_objects([KEY])),
            ("get_space", self.provider.get_space),
            ("write", lambda: upload.write(TEN)),
            ("finish", upload.finish),
        ):
            self.plan.fail(operation, NoSpace)
            self.failureResultOf(call(), NoSpace)

    def test_some_calls_fail_and_the_seed_says_which(self) -> None:
        def failures(seed: int) -> list[bool]:
            plan = FaultPlan(seed)
            plan.sometimes("get_space", 0.5, ProviderTimedOut)
            provider = FaultyProvider(self.inner, plan)
            answers: list[bool] = []
            for _ in range(50):
                provider.get_space().addCallbacks(
                    lambda _: answers.append(True), lambda _: answers.append(False)
                )
            return answers

        self.assertEqual(failures(1), failures(1))
        self.assertNotEqual(failures(1), failures(2))
        self.assertEqual(set(failures(1)), {True, False})

    def test_a_call_hangs_until_it_is_released(self) -> None:
        gate = self.plan.hang("put_object", times=None)
        putting = self.put()
        self.assertNoResult(putting)
        self.assertEqual(gate.waiting, 1)
        self.assert_stored(False)
        gate.release()
        self.successResultOf(putting)
        self.successResultOf(self.put())

    def test_a_write_whose_answer_is_lost_is_done(self) -> None:
        self.plan.lose_answer("put_object")
        self.failureResultOf(self.put(), OutcomeUnknown)
        self.assert_stored(True)

    def test_an_upload_whose_answer_is_lost_is_done(self) -> None:
        self.plan.lose_answer("finish")
        upload = self.provider.open_upload(KEY, 10)
        self.successResultOf(upload.write(TEN))
        self.failureResultOf(upload.finish(), OutcomeUnknown)
        self.successResultOf(upload.abort())
        self.assert_stored(True)

    def test_a_write_lands_later(self) -> None:
        gate = self.plan.land_later("put_object")
        self.failureResultOf(self.put(), OutcomeUnknown)
        self.assert_stored(False)
        gate.release()
        self.assert_stored(True)

    def test_an_upload_lands_though_it_was_aborted(self) -> None:
        gate = self.plan.land_later("finish")
        upload = self.provider.open_upload(KEY, 10)
        self.successResultOf(upload.write(TEN))
        self.failureResultOf(upload.finish(), OutcomeUnknown)
        self.successResultOf(upload.abort())
        self.assert_stored(False)
        gate.release()
        self.assert_stored(True)

    def test_an_object_is_forgotten(self) -> None:
        self.plan.forget("put_object")
        self.assertEqual(self.successResultOf(self.put()), Stored(KEY, 10))
        self.assert_stored(False)

    def test_what_is_read_is_altered(self) -> None:
        self.successResultOf(self.put())
        for altered, plan in (
            (b"012", lambda operation: self.plan.truncate(operation, 3)),
            (b"0123456689", lambda operation: self.plan.corrupt(operation, 7)),
        ):
            plan("get_object")
            reading = self.provider.get_object(KEY, 0, 10)
            self.assertEqual(self.successResultOf(reading), altered)
            plan("read_now")
            self.assertEqual(self.provider.read_now(KEY, 0, 10), altered)
            plan("stream_object")
            collector = Collector()
            streaming = self.provider.stream_object(KEY, 0, 10, collector)
            self.assertEqual(self.successResultOf(streaming), len(altered))
            self.assertEqual(collector.data, altered)
            self.assertEqual(self.successResultOf(self.provider.get_object(KEY, 0, 10)), TEN)

    def test_a_later_piece_of_a_stream_is_altered(self) -> None:
        data = bytes(2_000_000)
        self.successResultOf(self.provider.put_object(KEY, data))
        self.plan.corrupt("stream_object", 1_500_000)
        collector = Collector()
        streaming = self.provider.stream_object(KEY, 0, len(data), collector)
        self.assertEqual(self.successResultOf(streaming), len(data))
        self.assertEqual(collector.data.index(b"\x01"), 1_500_000)

    def test_an_immediate_read_fails_by_having_nothing_to_say(self) -> None:
        self.successResultOf(self.put())
        self.plan.fail("read_now")
        self.assertIsNone(self.provider.read_now(KEY, 0, 10))
        self.assertEqual(self.provider.read_now(KEY, 0, 10), TEN)

    def test_a_plan_that_makes_no_sense_is_refused(self) -> None:
        self.assertRaises(ValueError, self.plan.fail, "rename")
        self.assertRaises(ValueError, self.plan.fail, "write", nth=0)
        self.assertRaises(ValueError, self.plan.corrupt, "put_object", 1)
        self.assertRaises(ValueError, self.plan.lose_answer, "get_object")
