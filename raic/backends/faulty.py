"""A layer that misbehaves as planned, for tests and drills."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IProducer
from zope.interface import implementer

from raic.backends.abilities import take_abilities
from raic.backends.faults import Alteration, Call, FaultPlan
from raic.errors import OutcomeUnknown
from raic.interfaces import (
    IImmediateReads,
    IInterruptedUploads,
    IObjectUpload,
    IStorageProvider,
)
from raic.values import ObjectPage, Space, Stored


@implementer(IStorageProvider)
class FaultyProvider:
    """Passes calls on to another provider, apart from what the plan says.

    It has the optional interfaces that the other provider has.
    """

    def __init__(self, inner: IStorageProvider, plan: FaultPlan) -> None:
        self.name = inner.name
        self._inner = inner
        self._plan = plan
        take_abilities(self, inner)

    def start(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self.call("start", "", self._inner.start)

    def stop(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._inner.stop()

    def buffer_size(self, size: int) -> int:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._inner.buffer_size(size)

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return FaultyUpload(self, self._inner.open_upload(key, size), key)

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self.call("put_object", key, partial(self._inner.put_object, key, data))

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self.call("get_object", key, partial(self._inner.get_object, key, offset, length))

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        fault = self._plan.next_fault("stream_object")
        stream = partial(self._inner.stream_object, key, offset, length)
        if fault is None:
            return stream(consumer)
        if isinstance(fault, Alteration):
            altered = AlteredConsumer(consumer, fault)
            return stream(altered).addCallback(lambda _: altered.delivered)
        return fault(self._call("stream_object", key, lambda: stream(consumer)))

    def list_objects(self, prefix: str, token: str | None) -> Deferred[ObjectPage]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self.call("list_objects", "", partial(self._inner.list_objects, prefix, token))

    def delete_objects(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self.call("delete_objects", "", partial(self._inner.delete_objects, keys))

    def get_space(self) -> Deferred[Space]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self.call("get_space", "", self._inner.get_space)

    def read_now(self, key: str, offset: int, length: int) -> bytes | None:
        """See :class:`raic.interfaces.IImmediateReads`; provided if the inner one provides it.

        Any fault but an altered answer makes it None.
        """
        fault = self._plan.next_fault("read_now")
        if fault is not None and not isinstance(fault, Alteration):
            return None
        data = IImmediateReads(self._inner).read_now(key, offset, length)
        return data if fault is None or data is None else fault.alter(0, data)

    def clear_interrupted_uploads(self, prefix: str) -> Deferred[int]:
        """See :class:`raic.interfaces.IInterruptedUploads`; provided if the inner one does."""
        return IInterruptedUploads(self._inner).clear_interrupted_uploads(prefix)

    def call(self, operation: str, key: str, forward: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        """Make a call as the plan says."""
        fault = self._plan.next_fault(operation)
        return forward() if fault is None else fault(self._call(operation, key, forward))

    def _call(self, operation: str, key: str, forward: Callable[[], Deferred[Any]]) -> Call:
        return Call(self.name, operation, forward, lambda: self._inner.delete_objects([key]))


@implementer(IObjectUpload)
class FaultyUpload:
    """An upload through a :class:`FaultyProvider`."""

    def __init__(self, provider: FaultyProvider, inner: IObjectUpload, key: str) -> None:
        self._provider = provider
        self._inner = inner
        self._key = key
        self._sent = False

    def write(self, data: bytes) -> Deferred[None]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        return self._provider.call("write", self._key, partial(self._inner.write, data))

    def finish(self) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        finishing = self._provider.call("finish", self._key, self._inner.finish)
        return finishing.addErrback(self._note_sent)

    def abort(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        # A request that is under way cannot be called back: it may land whatever is done now.
        return succeed(None) if self._sent else self._inner.abort()

    def _note_sent(self, failure: Any) -> Any:
        self._sent = failure.check(OutcomeUnknown) is not None
        return failure


@implementer(IConsumer)
class AlteredConsumer:
    """Passes on what it is given, altered."""

    def __init__(self, consumer: IConsumer, alteration: Alteration) -> None:
        self._consumer = consumer
        self._alteration = alteration
        self._received = 0
        self.delivered = 0

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """See ``IConsumer``."""
        self._consumer.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """See ``IConsumer``."""
        self._consumer.unregisterProducer()

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""
        altered = self._alteration.alter(self._received, data)
        self._received += len(data)
        if altered:
            self.delivered += len(altered)
            self._consumer.write(altered)
