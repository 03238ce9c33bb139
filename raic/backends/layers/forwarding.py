"""What layers have in common: passing on everything that they do not change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.backends.abilities import take_abilities
from raic.interfaces import (
    IImmediateReads,
    IInterruptedUploads,
    IMadeUpload,
    IObjectUpload,
    IStorageProvider,
)
from raic.values import ObjectPage, Space, Stored

T = TypeVar("T")

Piece: TypeAlias = "bytes | bytearray | memoryview"


def has_succeeded(deferred: Deferred[Any]) -> bool:
    """Whether a Deferred has a result already, which is no failure."""
    return deferred.called and not isinstance(deferred.result, (Failure, Deferred))


def is_over(deferred: Deferred[Any]) -> bool:
    """Whether a Deferred has a result already, or a failure."""
    return deferred.called and not isinstance(deferred.result, Deferred)


@implementer(IStorageProvider)
class ForwardingProvider:
    """Passes everything on.  It has the optional interfaces that the inner provider has."""

    def __init__(self, inner: IStorageProvider) -> None:
        self.name = inner.name
        self._inner = inner
        take_abilities(self, inner)

    def start(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._inner.start()

    def stop(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._inner.stop()

    def buffer_size(self, size: int) -> int:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._inner.buffer_size(size)

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._inner.open_upload(key, size)

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._inner.put_object(key, data)

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._inner.get_object(key, offset, length)

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._inner.stream_object(key, offset, length, consumer)

    def list_objects(self, prefix: str, token: str | None) -> Deferred[ObjectPage]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._inner.list_objects(prefix, token)

    def delete_objects(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._inner.delete_objects(keys)

    def get_space(self) -> Deferred[Space]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._inner.get_space()

    def read_now(self, key: str, offset: int, length: int) -> bytes | None:
        """See :class:`raic.interfaces.IImmediateReads`; provided if the inner one provides it."""
        return IImmediateReads(self._inner).read_now(key, offset, length)

    def clear_interrupted_uploads(self, prefix: str) -> Deferred[int]:
        """See :class:`raic.interfaces.IInterruptedUploads`; provided if the inner one does."""
        return IInterruptedUploads(self._inner).clear_interrupted_uploads(prefix)


class CallLayer(ForwardingProvider):
    """Does the same with every call to the inner provider: :meth:`call`.

    Starting and stopping, immediate reads and the abort of an upload are passed on as they are.
    """

    def call(
        self, operation: str, size: int, function: Callable[..., Deferred[T]], *args: Any
    ) -> Deferred[T]:
        """Make a call.

        :param operation: the method's name; of an upload ``write`` or ``finish``.
        :param size: how many bytes of objects go either way, at most.
        :param function: the inner provider's method.
        """
        raise NotImplementedError

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        """See :class:`raic.interfaces.IStorageProvider`."""
        inner = self._inner.open_upload(key, size)
        making: IMadeUpload | None = IMadeUpload(inner, None)
        if making is None:
            return CalledUpload(self, inner)
        return CalledMadeUpload(self, inner, making)

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self.call("put_object", len(data), self._inner.put_object, key, data)

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self.call("get_object", length, self._inner.get_object, key, offset, length)

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        stream = self._inner.stream_object
        return self.call("stream_object", length, stream, key, offset, length, consumer)

    def list_objects(self, prefix: str, token: str | None) -> Deferred[ObjectPage]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self.call("list_objects", 0, self._inner.list_objects, prefix, token)

    def delete_objects(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self.call("delete_objects", 0, self._inner.delete_objects, keys)

    def get_space(self) -> Deferred[Space]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self.call("get_space", 0, self._inner.get_space)


@implementer(IObjectUpload)
class CalledUpload:
    """An upload whose writes and end are calls of a layer."""

    def __init__(self, layer: CallLayer, inner: IObjectUpload) -> None:
        self._layer = layer
        self._inner = inner

    def write(self, data: bytes) -> Deferred[None]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        return self._layer.call("write", len(data), self._inner.write, data)

    def finish(self) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        return self._layer.call("finish", 0, self._inner.finish)

    def abort(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        return self._inner.abort()


@implementer(IMadeUpload)
class CalledMadeUpload(CalledUpload):
    """The same, of an upload whose bytes can be made where they are written.

    For layers that make their calls at once, or in their order.

    :param making: the inner upload.
    """

    def __init__(self, layer: CallLayer, inner: IObjectUpload, making: IMadeUpload) -> None:
        super().__init__(layer, inner)
        self._making = making

    def write_made(self, size: int, make: Callable[[], Sequence[Piece]]) -> Deferred[None]:
        """See :class:`raic.interfaces.IMadeUpload`."""
        return self._layer.call("write", size, self._making.write_made, size, make)
