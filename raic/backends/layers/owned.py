"""Nothing is written by who does not own the prefix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail

from raic.backends.layers.forwarding import CallLayer
from raic.errors import ProviderError
from raic.interfaces import IInterruptedUploads, IStorageProvider

T = TypeVar("T")

_CHANGES = frozenset({"put_object", "write", "finish", "delete_objects"})


class OwnedLayer(CallLayer):
    """Fails whatever would change something while the prefix is not this node's.

    It is the outermost layer: so what was begun before fails too, and so does the collector.

    :param raise_unless_owner: raises a ``ProviderError`` while it is not.
    """

    def __init__(self, inner: IStorageProvider, raise_unless_owner: Callable[[], None]) -> None:
        super().__init__(inner)
        self._raise_unless_owner = raise_unless_owner

    def call(
        self, operation: str, size: int, function: Callable[..., Deferred[T]], *args: Any
    ) -> Deferred[T]:
        """Make a call, unless it would change something and may not."""
        if operation in _CHANGES:
            try:
                self._raise_unless_owner()
            except ProviderError as error:
                return fail(error)
        return function(*args)

    def clear_interrupted_uploads(self, prefix: str) -> Deferred[int]:
        """See :class:`raic.interfaces.IInterruptedUploads`; provided if the inner one does."""
        inner = IInterruptedUploads(self._inner)
        return self.call("delete_objects", 0, inner.clear_interrupted_uploads, prefix)
