"""Listings as a whole, and many objects at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

from twisted.internet.defer import Deferred, gatherResults

from raic.interfaces import ISmallObjects
from raic.shares.keys import encode_index
from raic.values import ListedObject

A = TypeVar("A")
B = TypeVar("B")

WIDTH = 16
"""How many objects are read at once."""


def folder(prefix: str, storage_index: bytes) -> str:
    """How the keys of a storage index begin, below ``shares/``, ``slots/`` or ``chunks/``."""
    text = encode_index(storage_index)
    return f"{prefix}{text[:2]}/{text}/"


async def pages(provider: ISmallObjects, prefix: str) -> AsyncIterator[tuple[ListedObject, ...]]:
    """The pages of a listing that hold anything, in ascending order of keys.

    Raises what :meth:`IStorageProvider.list_objects` fails with.
    """
    token = None
    while True:
        page = await provider.list_objects(prefix, token)
        if page.objects:
            yield page.objects
        token = page.next_token
        if token is None:
            return


async def in_parallel(function: Callable[[A], Awaitable[B]], items: Iterable[A]) -> list[B]:
    """The results for all items, in their order, a few under way at once.

    :raises Exception: the first that ``function`` raised; what was under way has then ended, and
        nothing more was begun.
    """
    results: dict[int, B] = {}
    failures: list[Exception] = []
    waiting = iter(enumerate(items))

    async def work() -> None:
        for place, item in waiting:
            try:
                results[place] = await function(item)
            except Exception as error:  # noqa: BLE001 (raised below, when all have ended)
                failures.append(error)
            if failures:
                return

    await gatherResults([Deferred.fromCoroutine(work()) for _ in range(WIDTH)])
    if failures:
        raise failures[0]
    return [results[place] for place in sorted(results)]
