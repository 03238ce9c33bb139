"""A provider that need not be there yet."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from raic.assembly.awaited import AwaitedProvider
from raic.backends.faults import FaultPlan
from raic.backends.faulty import FaultyProvider
from raic.backends.memory import MemoryProvider
from raic.errors import AccessDenied, ProviderUnreachable, StorageUnusable
from raic.interfaces import IStorageProvider
from tests.backends.layers.test_contracts import LayerContract


class AwaitedContract(LayerContract):
    def wrap(self, inner: IStorageProvider) -> IStorageProvider:
        return AwaitedProvider(inner)


class HalfStarted(MemoryProvider):
    """Fires a second start at once, although the first is still under way."""

    starting: Deferred[None] | None = None
    stops = 0

    def start(self) -> Deferred[None]:
        if self.starting is not None:
            return super().start()
        self.starting = Deferred()
        return self.starting

    def stop(self) -> Deferred[None]:
        self.stops += 1
        return super().stop()


class Waiting(SynchronousTestCase):
    def setUp(self) -> None:
        self.plan = FaultPlan()
        self.provider = AwaitedProvider(FaultyProvider(MemoryProvider("cloud"), self.plan))

    def refused(self) -> ProviderUnreachable:
        error = self.failureResultOf(self.provider.put_object("a/b/c", b"x")).value
        assert isinstance(error, ProviderUnreachable)
        self.assertTrue(error.temporary)
        return error

    def test_a_start_that_failed_is_why_calls_fail(self) -> None:
        self.plan.fail("start", AccessDenied)
        self.failureResultOf(self.provider.start(), AccessDenied)
        error = self.refused()
        self.assertIn("as the fault plan says", str(error))
        self.assertEqual(error.remedy, AccessDenied.remedy)
        self.successResultOf(self.provider.start())
        self.successResultOf(self.provider.put_object("a/b/c", b"x"))

    def test_calls_fail_while_it_is_started(self) -> None:
        gate = self.plan.hang("start")
        starting = self.provider.start()
        self.assertIn("not started yet", str(self.refused()))
        gate.release()
        self.successResultOf(starting)
        self.successResultOf(self.provider.put_object("a/b/c", b"x"))

    def test_one_that_was_never_started_or_is_stopped_says_so_itself(self) -> None:
        self.plan.fail("start")
        self.failureResultOf(self.provider.get_space(), StorageUnusable)
        self.failureResultOf(self.provider.start(), ProviderUnreachable)
        self.successResultOf(self.provider.stop())
        self.failureResultOf(self.provider.get_space(), StorageUnusable)

    def test_an_attempt_that_was_given_up_is_ended_before_the_next(self) -> None:
        inner = HalfStarted("cloud")
        provider = AwaitedProvider(inner)
        starting = provider.start()
        self.successResultOf(provider.start())
        self.assertEqual(inner.stops, 1)
        self.assertFalse(provider.is_awaited)
        assert inner.starting is not None
        inner.starting.callback(None)
        self.successResultOf(starting)
