"""Where layers are tested: a clock, a provider that misbehaves as planned, and its contract."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from random import Random
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from raic.backends.faults import FaultPlan
from raic.backends.faulty import FaultyProvider
from raic.backends.layers.forwarding import ForwardingProvider
from raic.backends.layers.relay import Relay
from raic.backends.memory import MemoryProvider
from raic.errors import ProviderUnreachable
from raic.interfaces import IRequestCounts, IStorageProvider
from tests.contracts.driving import Driven

T = TypeVar("T")

STEPS_AT_MOST = 100_000
"""How long a test lets its clock run, in steps."""


@implementer(IRequestCounts)
class Remote(ForwardingProvider):
    """A provider without any optional interface, as a cloud is.

    :ivar reads: the ranges that were asked for.
    """

    def __init__(self, inner: IStorageProvider) -> None:
        self.name = inner.name
        self._inner = inner
        self.reads: list[tuple[int, int]] = []

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        self.reads.append((offset, length))
        return super().get_object(key, offset, length)

    def requests_made(self) -> Mapping[str, int]:
        return {"get_object": len(self.reads)}


class Clocked(Driven):
    """For what answers when its clock goes on."""

    clock: Clock
    step = 0.05

    def drive(self, coroutine: Coroutine[Deferred[Any], Any, None]) -> Deferred[None] | None:
        running = Deferred.fromCoroutine(coroutine)
        for _ in range(STEPS_AT_MOST):
            if running.called:
                break
            self.clock.advance(self.step)
        self.successResultOf(running)
        return None

    def turn(self) -> Deferred[None]:
        return deferLater(self.clock, self.step, lambda: None)


class ClockedSuite(Clocked, SynchronousTestCase):
    """What a suite for something that waits for its clock is mixed into."""

    def __init__(self, method: str = "runTest") -> None:
        super().__init__(method)
        self.clock = Clock()


class LayerCase(SynchronousTestCase):
    """A test of one layer.

    :ivar plan: what goes wrong with :attr:`leaf`.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.plan = FaultPlan(seed=1)
        self.memory = MemoryProvider("cloud")
        self.leaf = Remote(FaultyProvider(self.memory, self.plan))
        self.random = Random(1)
        self.successResultOf(self.leaf.start())

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [], "something is left waiting")

    def put(self, key: str, data: bytes) -> None:
        """Store an object, whatever the plan says."""
        self.successResultOf(self.memory.put_object(key, data))

    def pass_time(self, seconds: float, step: float = 0.05) -> None:
        """Let the clock go on in small steps."""
        self.clock.pump([step] * round(seconds / step))


class ByHand(Remote):
    """A provider whose streams deliver what a test says.

    :ivar ranges: what was asked for.
    """

    def __init__(self, inner: IStorageProvider) -> None:
        super().__init__(inner)
        self.ranges: list[tuple[int, int]] = []

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        self.ranges.append((offset, length))
        self.consumer = consumer
        self.ending: Deferred[int] = Deferred()
        consumer.registerProducer(Idle(), True)
        return self.ending

    def write(self, data: bytes) -> None:
        self.consumer.write(data)

    def end(self, outcome: int | Exception) -> None:
        self.consumer.unregisterProducer()
        if isinstance(outcome, int):
            self.ending.callback(outcome)
        else:
            self.ending.errback(outcome)


@implementer(IPushProducer)
class Idle:
    """A producer that does nothing of its own accord."""

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class StreamsThatBreak(ForwardingProvider):
    """A provider whose streams break off.

    :ivar after: after how many pieces the next streams do.
    :ivar offsets: where the streams began.
    """

    def __init__(self, inner: IStorageProvider) -> None:
        super().__init__(inner)
        self.after: list[int] = []
        self.offsets: list[int] = []

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        self.offsets.append(offset)
        stream = super().stream_object
        if not self.after:
            return stream(key, offset, length, consumer)
        pieces = self.after.pop(0)
        if not pieces:
            return fail(broken(self.name))
        breaking = _Breaking(self.name, consumer, pieces)
        return breaking.begin(partial(stream, key, offset, length))


class _Breaking(Relay):
    def __init__(self, name: str, consumer: IConsumer, pieces: int) -> None:
        super().__init__(consumer)
        self._name = name
        self._pieces = pieces

    def begin(self, stream: Callable[[IConsumer], Deferred[int]]) -> Deferred[int]:
        return self._follow(stream(self))

    def write(self, data: bytes) -> None:
        super().write(data)
        self._pieces -= 1
        if not self._pieces:
            self._finish(broken(self._name))


def broken(name: str) -> ProviderUnreachable:
    return ProviderUnreachable(name, "stream_object", "the connection broke")
