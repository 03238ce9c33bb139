"""Which objects are being read, and hence must not be deleted yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection


class Pins:
    """Counts the readers of each object, in memory: a pin does not outlive the process."""

    def __init__(self) -> None:
        self._readers: Counter[str] = Counter()

    def pin(self, keys: Collection[str]) -> None:
        """Keep these objects until as many calls of :meth:`unpin`."""
        self._readers.update(keys)

    def unpin(self, keys: Collection[str]) -> None:
        """End one :meth:`pin` of these objects."""
        for key in keys:
            left = self._readers[key] - 1
            if left > 0:
                self._readers[key] = left
            else:
                del self._readers[key]

    def is_pinned(self, key: str) -> bool:
        """Whether the object is being read."""
        return key in self._readers
