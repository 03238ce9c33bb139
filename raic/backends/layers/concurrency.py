"""A limit on the calls under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from raic.backends.layers.forwarding import CallLayer, is_over
from raic.errors import ProviderError, QueueTooLong, StorageUnusable
from raic.interfaces import IStorageProvider

T = TypeVar("T")


class ConcurrencyLayer(CallLayer):
    """Lets at most ``limit`` calls be under way; the others wait in the order they came in.

    A stream is one call until it ends; an upload is none, but each of its writes and its end are:
    so uploads whose clients write to them in turns cannot wait for each other for ever.

    :param patience: after how many seconds in the queue a call fails with ``QueueTooLong``.
    :ivar under_way: the calls that the inner provider has not answered yet.
    """

    def __init__(
        self, inner: IStorageProvider, clock: IReactorTime, limit: int, patience: float = 20.0
    ) -> None:
        if limit < 1:
            raise ValueError("at least one call must be let through")
        super().__init__(inner)
        self._clock = clock
        self._limit = limit
        self._patience = patience
        self._queue: deque[_Waiting] = deque()
        self.under_way = 0

    @property
    def waiting(self) -> int:
        """How many calls are in the queue."""
        return len(self._queue)

    def adjust(self, limit: int) -> None:
        """Let another number of calls be under way from now on; more than that may still be."""
        if limit < 1:
            raise ValueError("at least one call must be let through")
        self._limit = limit
        self._let_through()

    def stop(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`.  What waits for its turn fails."""
        while self._queue:
            self._queue[0].fail(StorageUnusable, "the provider was stopped meanwhile")
        return super().stop()

    def call(
        self, operation: str, size: int, function: Callable[..., Deferred[T]], *args: Any
    ) -> Deferred[T]:
        """Make a call, or let it wait for its turn."""
        if self.under_way < self._limit and not self._queue:
            return self._make(function, args)
        waiting = _Waiting(self, operation)
        waiting.timer = self._clock.callLater(
            self._patience, waiting.fail, QueueTooLong, f"no turn within {self._patience:g} seconds"
        )
        self._queue.append(waiting)
        return waiting.turn.addCallback(lambda _: self._make(function, args))

    def leave(self, waiting: _Waiting) -> None:
        """Take a call out of the queue."""
        self._queue.remove(waiting)

    def _make(self, function: Callable[..., Deferred[T]], args: tuple[Any, ...]) -> Deferred[T]:
        self.under_way += 1
        try:
            made = function(*args)
        except BaseException:
            self.under_way -= 1
            raise
        # A call that is over already leaves the queue to the loop that made it: a long queue of
        # such calls would be as deep a recursion.
        if is_over(made):
            self.under_way -= 1
            return made
        return made.addBoth(self._free)

    def _free(self, result: T) -> T:
        self.under_way -= 1
        self._let_through()
        return result

    def _let_through(self) -> None:
        while self._queue and self.under_way < self._limit:
            waiting = self._queue.popleft()
            waiting.timer.cancel()
            waiting.turn.callback(None)


class _Waiting:
    """A call in the queue.

    :ivar turn: fires when it may be made.
    """

    def __init__(self, layer: ConcurrencyLayer, operation: str) -> None:
        self._layer = layer
        self._operation = operation
        self.timer: Any = None
        self.turn: Deferred[None] = Deferred(lambda _: self.fail(QueueTooLong, "not waited for"))

    def fail(self, kind: type[ProviderError], why: str) -> None:
        """Do not wait any longer."""
        self._layer.leave(self)
        if self.timer.active():
            self.timer.cancel()
        self.turn.errback(kind(self._layer.name, self._operation, why))
