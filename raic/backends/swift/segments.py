"""The names of the segments of large objects.

A segment is ``<prefix>~segments/<key>~<upload>/<number>``, in the container of the object itself.
No key has a tilde, and all its characters come before it: a listing that ends at the tilde has
all objects and no segment.
"""

from __future__ import annotations

from secrets import token_hex
from threading import Lock

from attrs import define, field, frozen

MARK = "~"
FOLDER = MARK + "segments/"

RECENT = 10_000


@define
class LargeUpload:
    """A large object on its way.

    :ivar sent: the numbers of the segments that may have been stored.
    """

    key: str
    size: int
    id: str = field(factory=lambda: token_hex(8))
    sent: set[int] = field(factory=set)

    def segment(self, number: int) -> str:
        """The name of a segment, without the prefix of all names."""
        return f"{FOLDER}{self.key}{MARK}{self.id}/{number:05}"


@frozen
class SegmentName:
    """What a segment's name says."""

    key: str
    upload: str


def parsed(name: str) -> SegmentName | None:
    """What a name says, without the prefix of all names; None for one that is no segment's."""
    key, mark, rest = name.removeprefix(FOLDER).partition(MARK)
    upload, slash, _ = rest.partition("/")
    if not (name.startswith(FOLDER) and mark and slash):
        return None
    return SegmentName(key, upload)


class LargeKeys:
    """Large objects that were stored of late: listings may not know their segments yet."""

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}
        self._lock = Lock()

    def add(self, key: str) -> None:
        """Note one; forgets the oldest when there are too many."""
        with self._lock:
            self._keys[key] = None
            if len(self._keys) > RECENT:
                del self._keys[next(iter(self._keys))]

    def discard(self, key: str) -> None:
        """Forget one."""
        with self._lock:
            self._keys.pop(key, None)

    def __contains__(self, key: str) -> bool:
        return key in self._keys
