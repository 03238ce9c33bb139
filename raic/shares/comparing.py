"""What a provider lists beside what an index knows, one storage index after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from itertools import groupby

from attrs import frozen

from raic.interfaces import IIndex, IStorageProvider
from raic.shares.keys import parse_key
from raic.shares.listing import folder, pages
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
    # Keys with another one would not be in the order of their storage indexes.
    slash = len(folder(prefix, bytes(16))) - 1
    waiting: list[ListedObject] = []
    async for page in pages(provider, prefix):
        for listed in page:
            if listed.key.rfind("/") == slash:
                waiting.append(listed)
            else:
                foreign(listed.key)
        if not waiting:
            continue
        # Of the last storage index there may be more on the next page.
        last = _folder(waiting[-1].key)
        cut = len(waiting)
        while cut and _folder(waiting[cut - 1].key) == last:
            cut -= 1
        yield _together(await known.before(last), waiting[:cut], foreign)
        waiting = waiting[cut:]
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    yield _together(await known.before(end), waiting, foreign)


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


def _together(
    known: list[str], listed: list[ListedObject], foreign: Callable[[str], None]
) -> list[Compared]:
    """Both, by storage index."""
    ours = {place: list(some) for place, some in groupby(known, _folder)}
    compared = []
    for place, some in groupby(listed, lambda one: _folder(one.key)):
        together = Compared(ours.pop(place, ()), list(some))
        if not together.is_same:
            together = _without_foreign(together, foreign)
        if together.known or together.listed:
            compared.append(together)
    compared += [Compared(keys, ()) for keys in ours.values()]
    return compared


def _without_foreign(together: Compared, foreign: Callable[[str], None]) -> Compared:
    ours = []
    for one in together.listed:
        if parse_key(one.key) is None:
            foreign(one.key)
        else:
            ours.append(one)
    return Compared(together.known, ours)


def _folder(key: str) -> str:
    return key[: key.rfind("/") + 1]
