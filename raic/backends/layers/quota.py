"""A layer that leaves no more room than the operator allows."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve
from twisted.internet.defer import Deferred

from raic.backends.layers.forwarding import ForwardingProvider
from raic.deferreds import async_to_deferred
from raic.interfaces import IStorageProvider
from raic.values import Space


class QuotaLayer(ForwardingProvider):
    """Announces at most what a quota leaves; refuses nothing, for what is under way was promised.

    :param quota: in bytes; None for none.
    :param used: fires with how many bytes are stored already.
    """

    def __init__(
        self, inner: IStorageProvider, quota: int | None, used: Callable[[], Deferred[int]]
    ) -> None:
        super().__init__(inner)
        self._quota = quota
        self._used = used

    def adjust(self, quota: int | None) -> None:
        """Have another quota from now on."""
        self._quota = quota

    @async_to_deferred
    async def get_space(self) -> Space:
        """See :class:`raic.interfaces.IStorageProvider`."""
        space = await self._inner.get_space()
        if self._quota is None:
            return space
        left = max(0, self._quota - await self._used())
        return evolve(space, available=min(space.available, left))
