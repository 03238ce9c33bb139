"""Where in a directory an object lies, and listing what lies there.

The object ``one/two/three/four`` is the file ``three,four`` in the folder ``one/two``: folders
stay few, and a listing needs one of them in memory at a time.  Keys of fewer than three
components lie in a folder named ``,``.  A name of more than 200 characters is cut into pieces;
all but the last are folders whose names end in a comma.  Keys never have commas, so none of this
can be mistaken for anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import merge

from attrs import frozen

from raic.backends.keys import is_key

NAME_CHARACTERS = 200
OTHERS = ","


def place(key: str) -> tuple[str, str]:
    """The folder and the name in it of an object."""
    parts = key.split("/", 2)
    if len(parts) == 3 and len(parts[0]) <= NAME_CHARACTERS and len(parts[1]) <= NAME_CHARACTERS:
        folder, name = f"{parts[0]}/{parts[1]}", parts[2]
    else:
        folder, name = OTHERS, key
    name = name.replace("/", ",")
    while len(name) > NAME_CHARACTERS:
        folder = f"{folder}/{name[:NAME_CHARACTERS]},"
        name = name[NAME_CHARACTERS:]
    return folder, name


@frozen
class Listing:
    """Walks through the keys that begin with ``prefix`` and come after ``after``.

    :ivar names: the names in a folder, in any order; none when there is no such folder.
    """

    names: Callable[[str], list[str]]
    prefix: str
    after: str

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Keys and the paths of their files, in ascending order of keys."""
        return merge(self._regular(), self._within(OTHERS, ""))

    def _regular(self) -> Iterator[tuple[str, str]]:
        for first in self._folders(".", ""):
            for second in self._folders(first, f"{first}/"):
                folder = f"{first}/{second}"
                yield from self._within(folder, f"{folder}/")

    def _folders(self, path: str, base: str) -> list[str]:
        """Folders that may hold some of the keys, in the order of what they hold."""
        # "a-b/" comes before "a/", because "-" comes before "/".
        found = sorted(name + "/" for name in self.names(path) if is_key(name))
        return [name[:-1] for name in found if self._may_begin(base + name)]

    def _within(self, folder: str, base: str) -> Iterator[tuple[str, str]]:
        for text, name in sorted(map(_decoded, self.names(folder))):
            if name.endswith(","):
                if self._may_begin(base + text):
                    yield from self._within(f"{folder}/{name}", base + text)
            elif (key := base + text) > self.after and key.startswith(self.prefix):
                yield key, f"{folder}/{name}"

    def _may_begin(self, base: str) -> bool:
        """Whether a key that begins with ``base`` may belong to the listing."""
        if not (base.startswith(self.prefix) or self.prefix.startswith(base)):
            return False
        return self.after < base or self.after.startswith(base)


def _decoded(name: str) -> tuple[str, str]:
    # A file sorts before the folder that continues its name: "x" before "x,".
    return name.removesuffix(",").replace(",", "/"), name
