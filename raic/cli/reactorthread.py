"""The global reactor beside a conversation with the operator."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread

T = TypeVar("T")

END_SECONDS = 5.0


class ReactorThread:
    """Runs the reactor in a thread, so that this one can ask and be interrupted."""

    def __enter__(self) -> ReactorThread:
        # Importing it installs it, which only a process that needs it should do.
        from twisted.internet import reactor  # noqa: PLC0415

        self._reactor: Any = reactor
        started = Event()
        self._reactor.callWhenRunning(started.set)
        run = {"installSignalHandlers": False}
        self._thread = Thread(target=self._reactor.run, kwargs=run, daemon=True)
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._reactor.callFromThread(self._reactor.stop)
        self._thread.join(END_SECONDS)

    def ask(self, function: Callable[[Any], Deferred[T]]) -> T:
        """What a Deferred fires with; raises what it fails with.

        :param function: called with the reactor, in its thread.
        """
        called: Any = blockingCallFromThread  # its own annotations forget what a Deferred fires
        answer: T = called(self._reactor, function, self._reactor)
        return answer
