"""Where blocking calls run: a bounded pool of threads, or, in tests, right here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from raic.interfaces import IWorkers

T = TypeVar("T")


@implementer(IWorkers)
class ThreadWorkers:
    """A pool of at most ``size`` threads, started by its first call.

    :param reactor: delivers the results (an ``IReactorFromThreads``).
    """

    def __init__(self, reactor: Any, size: int, name: str) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=size, name=name)
        self._pool.start()
        self._stopped = False

    def run(self, function: Callable[[], T]) -> Deferred[T]:
        """See :class:`raic.interfaces.IWorkers`."""
        return deferToThreadPool(self._reactor, self._pool, function)

    def stop(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IWorkers`."""
        if not self._stopped:
            self._stopped = True
            self._pool.stop()
        return succeed(None)


@implementer(IWorkers)
class InlineWorkers:
    """Runs everything at once, in the caller: for tests without threads."""

    def run(self, function: Callable[[], T]) -> Deferred[T]:
        """See :class:`raic.interfaces.IWorkers`."""
        return execute(function)

    def stop(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IWorkers`."""
        return succeed(None)
