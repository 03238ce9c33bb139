"""Processes that are killed: what they asked for is done or not, and they learn nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from raic.interfaces import IObjectUpload, IStorageProvider
from raic.values import ObjectPage, Space, Stored


class Process:
    """Passes calls on until it dies.

    :param last: the call at which it dies; None for never.
    :param done: whether that call has an effect.
    :ivar calls: how many were made.
    """

    def __init__(self, last: int | None = None, *, done: bool = False) -> None:
        self._last = last
        self._done = done
        self.calls = 0
        self.is_dead = False

    def call(self, forward: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        """Make a call, if it lives."""
        if self.is_dead:
            return Deferred()
        self.calls += 1
        if self.calls != self._last:
            return forward().addBoth(self._answer)
        self.is_dead = True
        if self._done:
            forward().addErrback(lambda _: None)
        return Deferred()

    def kill(self) -> None:
        """It does nothing more."""
        self.is_dead = True

    def _answer(self, result: Any) -> Any:
        return Deferred() if self.is_dead else result

    def ledger(self, ledger: Any) -> Any:
        """A ledger as it has it."""
        return _Mortal(self, ledger)


class _Mortal:
    def __init__(self, process: Process, ledger: Any) -> None:
        self._process = process
        self._ledger = ledger

    def __getattr__(self, name: str) -> Callable[..., Deferred[Any]]:
        method = getattr(self._ledger, name)
        return lambda *given: self._process.call(lambda: method(*given))


@implementer(IStorageProvider)
class MortalProvider:
    """A provider as a process has it."""

    def __init__(self, process: Process, inner: IStorageProvider) -> None:
        self.name = inner.name
        self._call = process.call
        self._inner = inner

    def start(self) -> Deferred[None]:
        return self._call(self._inner.start)

    def stop(self) -> Deferred[None]:
        return self._call(self._inner.stop)

    def buffer_size(self, size: int) -> int:
        return self._inner.buffer_size(size)

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        return self._inner.open_upload(key, size)

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        return self._call(lambda: self._inner.put_object(key, data))

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        return self._call(lambda: self._inner.get_object(key, offset, length))

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        return self._call(lambda: self._inner.stream_object(key, offset, length, consumer))

    def list_objects(self, prefix: str, token: str | None) -> Deferred[ObjectPage]:
        return self._call(lambda: self._inner.list_objects(prefix, token))

    def delete_objects(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        return self._call(lambda: self._inner.delete_objects(keys))

    def get_space(self) -> Deferred[Space]:
        return self._call(self._inner.get_space)
