"""Calling again where that can help."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IReactorTime

from raic.backends.layers.forwarding import CalledUpload, CallLayer, has_succeeded
from raic.backends.layers.repeating import RepeatedCall, ResumedStream
from raic.backends.layers.retries import Retries, RetryPolicy
from raic.errors import StorageUnusable
from raic.interfaces import IObjectUpload, IStorageProvider

T = TypeVar("T")

_DEFAULT = RetryPolicy()


class RetryLayer(CallLayer):
    """Repeats calls whose error says that repeating can help.

    Only whole calls whose repetition is harmless are repeated; of uploads nothing is, but their
    calls have no more time than others.  A stream goes on where it broke off, as a new ranged
    request.  Errors of layers that did not ask the provider (``CircuitOpen``, ``QueueTooLong``)
    are no attempts, and hide no error of the provider's own.  Every call, those of uploads too,
    waits for a circuit that says when it lets calls through again.

    When one attempt ends with an unknown outcome and none after it succeeds, the outcome is
    unknown, whatever the last error was.
    """

    def __init__(
        self,
        inner: IStorageProvider,
        clock: IReactorTime,
        random: Random,
        policy: RetryPolicy = _DEFAULT,
    ) -> None:
        super().__init__(inner)
        self._retries = Retries(inner.name, clock, random, policy)

    @property
    def retries(self) -> int:
        """How many retries there were."""
        return self._retries.made

    def adjust(self, policy: RetryPolicy) -> None:
        """Repeat calls by another policy, from the next attempt on; its budget of time stays."""
        self._retries.adjust(policy)

    def stop(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`.  What waits for its turn fails."""
        stopped = StorageUnusable(self.name, "stop", "the provider was stopped meanwhile")
        self._retries.stop(stopped)
        return super().stop()

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        """See :class:`raic.interfaces.IStorageProvider`.

        It is never one whose bytes are made where they are written: a call that waits for a circuit
        would be overtaken by the next one.
        """
        return CalledUpload(self, self._inner.open_upload(key, size))

    def call(
        self, operation: str, size: int, function: Callable[..., Deferred[T]], *args: Any
    ) -> Deferred[T]:
        """Make a call, as often as it takes."""
        self._retries.earn()
        first = function(*args)
        if has_succeeded(first):
            return first
        return RepeatedCall(self._retries, operation, partial(function, *args)).begin(first)

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        self._retries.earn()
        return ResumedStream(self._retries, self._inner, key, offset, length, consumer).begin()
