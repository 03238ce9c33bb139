"""Recently used small slots in memory, so that updating one needs no reading."""

from __future__ import annotations

from collections import OrderedDict


class AreaCache:
    """The share bytes of recent version objects, by key: write-once, so never out of date.

    :param limit: in bytes, not counting the keys.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._areas: OrderedDict[str, bytes] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        """The bytes, from now on the most recently used; None when they are not here."""
        area = self._areas.get(key)
        if area is not None:
            self._areas.move_to_end(key)
        return area

    def put(self, key: str, area: bytes) -> None:
        """Keep the bytes; the least recently used give way."""
        self.drop(key)
        self._areas[key] = area
        self._held += len(area)
        while self._held > self._limit:
            _, oldest = self._areas.popitem(last=False)
            self._held -= len(oldest)

    def drop(self, key: str) -> None:
        """Forget the bytes, if they are here."""
        self._held -= len(self._areas.pop(key, b""))
