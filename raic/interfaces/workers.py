"""Where blocking calls run.  See :mod:`raic.interfaces`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred
from zope.interface import Interface

T = TypeVar("T")


class IWorkers(Interface):
    """Where blocking calls run."""

    def run(function: Callable[[], T]) -> Deferred[T]:
        """Call ``function``, as a rule in another thread, and deliver its result in this one.

        :return: fires with what it returns, fails with what it raises.
        """

    def stop() -> Deferred[None]:
        """Take no more calls; fires when those under way have ended."""
