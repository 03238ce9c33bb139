"""Intents, on disk or in memory, and what is known of objects while they are intended."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from twisted.internet.defer import Deferred, fail, succeed

from raic.shares.index import garbage as due
from raic.shares.index.database import Database
from raic.shares.index.fragments import fragment_key
from raic.values import Garbage

T = TypeVar("T")


class Intents:
    """The intents for objects.

    :param in_memory: whether they need not be on disk.
    :ivar kept: those in memory.
    """

    def __init__(self, database: Database, in_memory: bool) -> None:
        self._database = database
        self._in_memory = in_memory
        self.kept: set[str] = set()
        self._settled: dict[str, set[str]] = {}

    def reserve(self, keys: Collection[str]) -> Deferred[None]:
        """See :meth:`raic.interfaces.IIndex.reserve`."""
        if not self._in_memory:
            return self._database.submit(due.reserve, tuple(keys))
        if self._database.stopped is not None:
            return fail(self._database.stopped)
        self.kept.update(keys)
        return succeed(None)

    def release(self, garbage: Collection[Garbage]) -> Deferred[None]:
        """See :meth:`raic.interfaces.IIndex.release`."""
        done = self._database.submit(due.release, tuple(garbage))
        return self.ending(done, [one.key for one in garbage])

    def on_disk(self, keys: Collection[str]) -> Collection[str]:
        """Those of ``keys`` whose intents, if there are any, are on disk."""
        return () if self._in_memory else keys

    def ending(self, done: Deferred[T], keys: Collection[str]) -> Deferred[T]:
        """Forget what is kept of intents once the operation that ends them is durable."""
        if self._in_memory or self._settled:
            done.addCallback(self._forget, keys)
        return done

    def _forget(self, result: T, keys: Collection[str]) -> T:
        self.kept.difference_update(keys)
        for key in keys:
            self._settled.pop(key, None)
        return result

    # Fragments that became durable before their object was committed

    def settle(self, fragment: str) -> bool:
        """Note that a fragment is durable; whether that is news."""
        settled = self._settled.setdefault(fragment_key(fragment).object_key, set())
        news = fragment not in settled
        settled.add(fragment)
        return news

    def unsettle(self, fragment: str) -> None:
        """Forget it: its object was committed, or never will be."""
        key = fragment_key(fragment).object_key
        settled = self._settled.get(key)
        if settled is not None:
            settled.discard(fragment)
            if not settled:
                del self._settled[key]

    def is_settled(self, fragment: str) -> bool:
        """Whether a fragment is known to be durable although its object is not committed."""
        settled = self._settled.get(fragment_key(fragment).object_key)
        return settled is not None and fragment in settled
