"""A provider that need not be there yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail

from raic.backends.layers.forwarding import CallLayer
from raic.deferreds import async_to_deferred
from raic.errors import ProviderUnreachable, RaicError
from raic.interfaces import IStorageProvider

T = TypeVar("T")


class AwaitedProvider(CallLayer):
    """Fails every call while the provider is being started, and after that failed, with the reason.

    It is a temporary ``ProviderUnreachable``, unlike what providers say themselves of calls before
    they are started: a node that listens already tells its clients to come again.

    :ivar is_awaited: whether that is so now.
    """

    def __init__(self, inner: IStorageProvider) -> None:
        super().__init__(inner)
        self.is_awaited = False
        self._problem: BaseException | None = None

    @async_to_deferred
    async def start(self) -> None:
        """See :class:`raic.interfaces.IStorageProvider`; may be called again when it failed."""
        if self.is_awaited:
            # An attempt that was given up may still be under way, and would be taken for a start.
            await self._inner.stop()
        self.is_awaited = True
        try:
            await self._inner.start()
        except BaseException as error:
            self._problem = error
            raise
        self.is_awaited = False

    def stop(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        self.is_awaited = False
        return super().stop()

    def call(
        self, operation: str, size: int, function: Callable[..., Deferred[T]], *args: Any
    ) -> Deferred[T]:
        """Make a call, or fail it."""
        return fail(self._not_yet(operation)) if self.is_awaited else function(*args)

    def why_awaited(self) -> BaseException | None:
        """Why it cannot be used yet; None when it can."""
        return self._not_yet("start") if self.is_awaited else None

    def _not_yet(self, operation: str) -> ProviderUnreachable:
        problem = self._problem
        why = "" if problem is None else f": {problem}"
        remedy = problem.remedy if isinstance(problem, RaicError) else ""
        return ProviderUnreachable(self.name, operation, f"it is not started yet{why}", remedy)
