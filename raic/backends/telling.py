"""Providers over blocking SDKs that can say more of their service: its time, and its ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from raic.backends.blocking import BlockingProvider
from raic.backends.blockingstore import BlockingStore, PartPlan
from raic.interfaces import IServiceClock, IServiceTraits, IShortPages, IWorkers
from raic.values import ObjectPage


class TellingStore(BlockingStore, Protocol):
    """A store that can say more.  Its methods are called as those of a ``BlockingStore`` are."""

    def list_page(self, prefix: str, token: str | None, limit: int | None = None) -> ObjectPage:
        """As in a ``BlockingStore``.

        :param limit: how many objects there are on a page at most; None for the usual number.
        """

    def service_date(self) -> str | None:
        """The ``Date`` of an answer of the service, as HTTP writes it; None if it had none."""


@implementer(IServiceClock, IShortPages, IServiceTraits)
class TellingProvider(BlockingProvider):
    """Keeps objects in a :class:`TellingStore`; nothing is emulated unless it says so.

    :param rest: what else a :class:`~raic.backends.blocking.BlockingProvider` takes.
    """

    def __init__(
        self,
        name: str,
        store: TellingStore,
        make_workers: Callable[[], IWorkers],
        clock: IReactorTime,
        plan: PartPlan,
        *rest: Any,
    ) -> None:
        super().__init__(name, store, make_workers, clock, plan, *rest)
        self._telling = store
        self.part_size = plan.part_size

    def service_time(self) -> Deferred[float | None]:
        """See :class:`raic.interfaces.IServiceClock`."""
        return self._run("service_time", self._telling.service_date).addCallback(seconds_of)

    def list_some(self, prefix: str, token: str | None, limit: int) -> Deferred[ObjectPage]:
        """See :class:`raic.interfaces.IShortPages`."""
        return self._run("list_objects", partial(self._telling.list_page, prefix, token, limit))

    def emulated(self) -> Mapping[str, str]:
        """See :class:`raic.interfaces.IServiceTraits`."""
        return {}


def seconds_of(date: str | None) -> float | None:
    """The time that a ``Date`` tells; None if it tells none."""
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
