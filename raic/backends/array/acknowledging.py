"""When a write that went to several members counts as done."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from raic.errors import ProviderError


@frozen
class Waiting:
    """How long is waited, in seconds.

    :ivar least: for the others when enough are done, at least.
    :ivar most: and at most; in between, as long again as it took.
    :ivar limit: altogether.
    """

    least: float
    most: float
    limit: float


class Acknowledgement:
    """Waits until enough of several things are done, and a little for the others.

    :param numbers: what to wait for.
    :param enough: how many must be done.
    :param hopeless: called once, as soon as there can no longer be enough: those that have not
        ended are then waited for a little as well.
    :param late: called with each that ends after this has fired, and whether it was done.
    :ivar done: what is done.
    :ivar errors: why others never will be.
    """

    def __init__(
        self,
        numbers: Collection[int],
        enough: int,
        clock: IReactorTime,
        waiting: Waiting,
        hopeless: Callable[[], None] = lambda: None,
        late: Callable[[int, bool], None] = lambda number, done: None,
    ) -> None:
        self.done: set[int] = set()
        self.errors: dict[int, ProviderError] = {}
        self._pending = set(numbers)
        self._enough = enough
        self._clock = clock
        self._waiting = waiting
        self._hopeless = hopeless
        self._is_hopeless = False
        self._late = late
        self._began = clock.seconds()
        self._timer: Any = None
        self._grace = False
        self._fired: Deferred[bool] | None = None

    @property
    def pending(self) -> frozenset[int]:
        """What has not ended."""
        return frozenset(self._pending)

    @property
    def hopeless(self) -> bool:
        """Whether there can no longer be enough."""
        return len(self.done) + len(self._pending) < self._enough

    def wait(self) -> Deferred[bool]:
        """To be called once, after everything was begun.

        :return: fires with whether enough are done: when all have ended, or a grace after enough
            are, or after the time limit; never fails.
        """
        outcome: Deferred[bool] = Deferred()
        self._fired = outcome
        if self._pending:
            self._timer = self._clock.callLater(self._waiting.limit, self._fire)
        self._check()
        return outcome

    def succeed(self, number: int) -> None:
        """One is done."""
        if number in self._pending:
            self._pending.discard(number)
            self.done.add(number)
            self._ended(number, True)

    def fail(self, number: int, error: ProviderError) -> None:
        """One never will be."""
        if number in self._pending:
            self._pending.discard(number)
            self.errors[number] = error
            self._ended(number, False)

    def _ended(self, number: int, done: bool) -> None:
        if self._fired is None:
            return
        if self._fired.called:
            self._late(number, done)
        else:
            self._check()

    def _check(self) -> None:
        if self.hopeless and not self._is_hopeless:
            self._is_hopeless = True
            self._hopeless()
        if self._fired is None or self._fired.called:
            return  # what was called has ended the rest
        if not self._pending:
            self._fire()
        elif not self._grace and (self._is_hopeless or len(self.done) >= self._enough):
            self._grace = True
            took = self._clock.seconds() - self._began
            grace = min(self._waiting.most, max(self._waiting.least, took))
            left = self._began + self._waiting.limit - self._clock.seconds()
            self._timer.reset(max(0.0, min(grace, left)))

    def _fire(self) -> None:
        assert self._fired is not None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._fired.callback(len(self.done) >= self._enough)
