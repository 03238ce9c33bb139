"""Where blocking calls run: a bounded pool of threads, or, in tests, right here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.errors import ServiceStopping
from raic.interfaces import IWorkers

T = TypeVar("T")

_Call = tuple[Callable[[], Any], "Deferred[Any]"]


@implementer(IWorkers)
class ThreadWorkers:
    """At most ``size`` threads, each started when the others are busy.

    Twisted's own pool does the same with several times the work for each call, which is most of
    the cost of a small write.  Results that are ready together cross to the reactor together.

    The threads are daemons: one that hangs in the kernel does not keep the process alive.

    :param reactor: in whose thread :meth:`run` and :meth:`stop` are called and results arrive.
    """

    def __init__(self, reactor: IReactorFromThreads, size: int, name: str) -> None:
        self._reactor = reactor
        self._size = size
        self._name = name
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._done: deque[tuple[Deferred[Any], Any]] = deque()
        self._delivering = False
        self._threads = 0
        self._under_way = 0
        self._stopped: Deferred[None] | None = None

    def run(self, function: Callable[[], T]) -> Deferred[T]:
        """See :class:`raic.interfaces.IWorkers`."""
        if self._stopped is not None:
            return fail(ServiceStopping("no more calls are taken"))
        deferred: Deferred[T] = Deferred()
        self._under_way += 1
        self._calls.put((function, deferred))
        if self._under_way > self._threads < self._size:
            self._threads += 1
            name = f"{self._name}-{self._threads}"
            Thread(target=self._work, name=name, daemon=True).start()
        return deferred

    def stop(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IWorkers`."""
        if self._stopped is None:
            self._stopped = Deferred()
            for _ in range(self._threads):
                self._calls.put(None)
            self._may_be_over()
        waiting: Deferred[None] = Deferred()
        self._stopped.addCallback(lambda _: waiting.callback(None))
        return waiting

    def _work(self) -> None:
        for function, deferred in iter(self._calls.get, None):
            try:
                result = function()
            except BaseException:  # noqa: BLE001 - it is the caller's
                result = Failure()
            self._done.append((deferred, result))
            # Set and cleared without a lock: at worst the reactor is woken once too often.
            if not self._delivering:
                self._delivering = True
                self._reactor.callFromThread(self._deliver)

    def _deliver(self) -> None:
        self._delivering = False
        while self._done:
            deferred, result = self._done.popleft()
            self._under_way -= 1
            deferred.callback(result)
        self._may_be_over()

    def _may_be_over(self) -> None:
        if self._stopped is not None and not self._under_way and not self._stopped.called:
            self._stopped.callback(None)


@implementer(IWorkers)
class InlineWorkers:
    """Runs everything at once, in the caller: for tests without threads."""

    def run(self, function: Callable[[], T]) -> Deferred[T]:
        """See :class:`raic.interfaces.IWorkers`."""
        return execute(function)

    def stop(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IWorkers`."""
        return succeed(None)
