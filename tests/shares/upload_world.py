"""Uploads to a provider whose every request can be held up or made to fail."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer, implementer_only

from raic.interfaces import IObjectUpload, IStorageProvider
from raic.shares.ages import UNKNOWN_SECONDS
from raic.shares.collector import Collector
from raic.values import Garbage, Stored
from tests.shares.slot_machine_world import Fate, RemoteProvider, SlotTestCase
from tests.shares.stores import StoreTestCase

FAR_FUTURE = 2**40


@implementer(IObjectUpload)
class ScriptedUpload:
    """An upload whose steps meet with the fates of its provider."""

    def __init__(self, provider: UploadProvider, inner: IObjectUpload, key: str) -> None:
        self._provider = provider
        self._inner = inner
        self._key = key

    def write(self, data: bytes) -> Deferred[None]:
        self._provider.calls.append(("write", self._key))
        return self._provider.meet("write", partial(self._inner.write, data))

    def finish(self) -> Deferred[Stored]:
        self._provider.calls.append(("finish", self._key))
        return self._provider.meet("finish", self._inner.finish)

    def abort(self) -> Deferred[None]:
        self._provider.calls.append(("abort", self._key))
        return self._inner.abort()


@implementer_only(IStorageProvider)
class UploadProvider(RemoteProvider):
    """Also scripts the steps of uploads, and deletions.

    :ivar steps: the fates of the next calls, by method.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps: dict[str, list[Fate | None]] = {"write": [], "finish": [], "delete": []}

    def meet(self, method: str, send: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        fates = self.steps[method]
        fate = fates.pop(0) if fates else None
        return send() if fate is None else fate(send)

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        return ScriptedUpload(self, super().open_upload(key, size), key)

    def delete_objects(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        self.calls += [("delete", key) for key in keys]
        return self.meet("delete", partial(super().delete_objects, keys))


class UploadTestCase(StoreTestCase):
    """Has buckets over an :class:`UploadProvider`."""

    def setUp(self) -> None:
        super().setUp()
        self.remote = UploadProvider()
        self.successResultOf(self.remote.start())
        self.memory = self.remote
        self.buckets = self.buckets_over(self.remote)

    def calls(self) -> list[str]:
        """The methods called since the last time."""
        calls, self.remote.calls = self.remote.calls, []
        return [method for method, _ in calls]

    def let_index(self, method: str, fate: Fate) -> None:
        """Let all later calls of one of the index's methods meet with a fate."""
        real = getattr(self.index, method)
        self.patch(self.index, method, lambda *arguments: fate(partial(real, *arguments)))

    def garbage(self) -> tuple[Garbage, ...]:
        """All of it, whatever its time."""
        return self.successResultOf(self.index.next_garbage(FAR_FUTURE, 1000))

    def intents(self) -> int:
        return self.successResultOf(self.index.get_totals()).intents


class BothTestCase(SlotTestCase):
    """Has buckets and slots over one provider."""

    def setUp(self) -> None:
        super().setUp()
        self.buckets = self.buckets_over(self.remote)

    def collect_everything(self) -> None:
        """Let a day pass and all garbage go."""
        collector = Collector(self.remote, self.index, self.pins, self.clock)
        self.clock.advance(UNKNOWN_SECONDS)
        while self.successResultOf(collector.collect_once()):
            pass
