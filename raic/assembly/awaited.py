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
    """Fails every call until the provider was started, with why it was not, as of now.

    That is a temporary ``ProviderUnreachable``, unlike what providers themselves say: a node that
    listens already answers its clients that they may come again.

    :ivar is_started: whether calls are passed on.
    """

    def __init__(self, inner: IStorageProvider) -> None:
        super().__init__(inner)
        self.is_started = False
        self._problem: BaseException | None = None
        self._tried = False

    @async_to_deferred
    async def start(self) -> None:
        """See :class:`raic.interfaces.IStorageProvider`; may be called again when it failed."""
        if self._tried:
            # An attempt that was given up may still be under way, and would be taken for a start.
            await self._inner.stop()
        self._tried = True
        try:
            await self._inner.start()
        except BaseException as error:
            self._problem = error
            raise
        self.is_started = True

    def stop(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        self.is_started = False
        return super().stop()

    def call(
        self, operation: str, size: int, function: Callable[..., Deferred[T]], *args: Any
    ) -> Deferred[T]:
        """Make a call, or fail it."""
        if self.is_started:
            return function(*args)
        return fail(self._not_yet(operation))

    def _not_yet(self, operation: str) -> ProviderUnreachable:
        problem = self._problem
        why = "" if problem is None else f": {problem}"
        remedy = problem.remedy if isinstance(problem, RaicError) else ""
        return ProviderUnreachable(self.name, operation, f"it is not started yet{why}", remedy)
