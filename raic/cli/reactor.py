"""The global reactor's life, for commands that do one thing and end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import click
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ReactorNotRunning
from twisted.python.failure import Failure

T = TypeVar("T")


def run_until_done(main: Callable[[Any], Deferred[T]]) -> T:
    """Run the reactor until what ``main`` returns has fired.

    :param main: called with the reactor, once it runs.
    :return: what the Deferred fired with; raises what it failed with, or ``main`` raised.
    :raises click.Abort: a signal came first.
    """
    # Importing it installs it, which only a process that needs it should do.
    from twisted.internet import reactor  # noqa: PLC0415

    chosen: Any = reactor
    results: list[T | Failure] = []

    def done(result: T | Failure) -> None:
        results.append(result)
        chosen.callLater(0, stop)

    def stop() -> None:
        with suppress(ReactorNotRunning):  # a signal was first
            chosen.stop()

    chosen.callWhenRunning(lambda: maybeDeferred(main, chosen).addBoth(done))
    chosen.run()
    if not results:
        raise click.Abort
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]
