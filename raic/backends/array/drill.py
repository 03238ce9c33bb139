"""A layer that pretends that a provider is lost, for drills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.internet.task import deferLater

from raic.backends.faults import Alteration
from raic.backends.faulty import AlteredConsumer
from raic.backends.layers.forwarding import CallLayer
from raic.errors import ProviderUnreachable
from raic.interfaces import IImmediateReads, IStorageProvider

T = TypeVar("T")

GONE, SLOW, LYING = "gone", "slow", "lying"
WAYS = (GONE, SLOW, LYING)
"""How a provider can be lost: it does not answer, answers late, or answers what is wrong."""

SLOW_SECONDS = 2.0


def flip(_: int, piece: bytes) -> bytes:
    """A piece of what was read, with one bit of it altered."""
    altered = bytearray(piece)
    if altered:
        altered[len(altered) // 2] ^= 1
    return bytes(altered)


class DrillLayer(CallLayer):
    """Passes everything on, until it is told to pretend.

    Starting and stopping, and the abort of uploads, are passed on always: what a drill leaves
    behind must go.

    :ivar how: one of ``WAYS``; empty when nothing is pretended.
    """

    def __init__(self, inner: IStorageProvider, clock: IReactorTime) -> None:
        super().__init__(inner)
        self._clock = clock
        self._altered = Alteration(flip)
        self.how = ""

    def begin(self, how: str) -> None:
        """Pretend, from the next call on, also for uploads that are under way.

        - ``gone``: every call fails at once with ``ProviderUnreachable``, and does nothing;
        - ``slow``: every request but the pieces of an upload is made two seconds late;
        - ``lying``: a bit is altered in every piece of an object that is read.

        :raises ValueError: it is none of these.
        """
        if how not in WAYS:
            raise ValueError(f"{how!r} is none of {', '.join(WAYS)}")
        self.how = how

    def end(self) -> None:
        """Pretend no more."""
        self.how = ""

    def call(
        self, operation: str, size: int, function: Callable[..., Deferred[T]], *args: Any
    ) -> Deferred[T]:
        """Make a call, or pretend."""
        if not self.how:
            return function(*args)
        if self.how == GONE:
            detail = "a drill pretends that it is gone"
            return fail(ProviderUnreachable(self.name, operation, detail, "wait for its end"))
        if self.how == SLOW and operation != "write":
            return self._late(function, *args)
        return function(*args)

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        reading = super().get_object(key, offset, length)
        return reading.addCallback(lambda data: flip(0, data)) if self.how == LYING else reading

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        if self.how == LYING:
            consumer = AlteredConsumer(consumer, self._altered)
        return super().stream_object(key, offset, length, consumer)

    def read_now(self, key: str, offset: int, length: int) -> bytes | None:
        """See :class:`raic.interfaces.IImmediateReads`; provided if the inner one provides it."""
        if self.how in {GONE, SLOW}:
            return None
        data = IImmediateReads(self._inner).read_now(key, offset, length)
        return flip(0, data) if data is not None and self.how == LYING else data

    def _late(self, function: Callable[..., Deferred[T]], *args: Any) -> Deferred[T]:
        waiting: Deferred[Any] = deferLater(self._clock, SLOW_SECONDS)
        return waiting.addCallback(lambda _: function(*args))
