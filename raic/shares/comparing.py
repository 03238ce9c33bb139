"""What a provider lists beside what an index knows, one storage index after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from itertools import groupby

from attrs import frozen

from raic.interfaces import IIndex, IStorageProvider
from raic.shares.keys import parse_key
from raic.shares.listing import pages
from raic.values import ListedObject

KNOWN_AT_ONCE = 10_000


@frozen
class Compared:
    """The objects of one kind and storage index.

    :ivar known: the keys that the index refers to, in ascending order.
    :ivar listed: what the provider has, likewise.
    """

    known: Sequence[str]
    listed: Sequence[ListedObject]

    @property
    def is_same(self) -> bool:
        """Whether that is the same, as far as a listing tells."""
        if len(self.known) != len(self.listed):
            return False
        return all(
            one.key == key and is_whole(one)
            for one, key in zip(self.listed, self.known, strict=True)
        )


def is_whole(listed: ListedObject) -> bool:
    """Whether all of an object is there: its key ends in its length."""
    return not listed.partial and listed.key.endswith(f".{listed.size}")


async def compare(
    provider: IStorageProvider, index: IIndex, prefix: str, foreign: Callable[[str], None]
) -> AsyncIterator[list[Compared]]:
    """Everything under a prefix, some storage indexes at a time, in the order of their texts.

    :param prefix: of one kind of objects.
    :param foreign: called with each key that no node has made.
    """
    known = _Known(index, prefix)
    waiting: list[ListedObject] = []
    async for page in pages(provider, prefix):
        for listed in page:
            if parse_key(listed.key) is None:
                foreign(listed.key)
            else:
                waiting.append(listed)
        if not waiting:
            continue
        # Of the last storage index there may be more on the next page.
        last = _folder(waiting[-1].key)
        cut = len(waiting)
        while cut and _folder(waiting[cut - 1].key) == last:
            cut -= 1
        yield _together(await known.before(last), waiting[:cut])
        waiting = waiting[cut:]
    yield _together(await known.before(prefix[:-1] + chr(ord(prefix[-1]) + 1)), waiting)


class _Known:
    """The keys that an index refers to, in ascending order."""

    def __init__(self, index: IIndex, prefix: str) -> None:
        self._index = index
        self._after = prefix
        self._read: list[str] = []
        self._ended = False

    async def before(self, end: str) -> list[str]:
        """The next ones, as far as they are before a text."""
        found: list[str] = []
        while True:
            if self._read and self._read[-1] >= end:
                cut = next(place for place, key in enumerate(self._read) if key >= end)
                found += self._read[:cut]
                del self._read[:cut]
                return found
            found += self._read
            self._read = []
            if self._ended:
                return found
            await self._read_on()

    async def _read_on(self) -> None:
        page = await self._index.next_objects(self._after, KNOWN_AT_ONCE)
        self._ended = len(page) < KNOWN_AT_ONCE
        self._read = list(page)
        if page:
            self._after = page[-1]


def _together(known: list[str], listed: list[ListedObject]) -> list[Compared]:
    """Both, by storage index."""
    ours = {folder: list(some) for folder, some in groupby(known, _folder)}
    compared = []
    for folder, some in groupby(listed, lambda one: _folder(one.key)):
        compared.append(Compared(ours.pop(folder, ()), list(some)))
    compared += [Compared(keys, ()) for keys in ours.values()]
    return compared


def _folder(key: str) -> str:
    return key[: key.rfind("/") + 1]
