"""How objects are named in libcloud's containers.

A small object has the name of its key.  A large one consists of parts, named
``~parts/<key>~<upload>/<number>``, and of a mark, named ``<key>~<size>.<part size>.<upload>``,
which makes it visible.  No key has a tilde.
"""

from __future__ import annotations

import re

from attrs import frozen

TILDE = "~"
PARTS = TILDE + "parts/"

_MARK = re.compile(r"([^~]+)~(\d+)\.(\d+)\.([0-9a-f]+)")
_COMPONENT = 200


@frozen
class Located:
    """An object that is there.

    :ivar upload: None for a small object.
    """

    key: str
    size: int
    part_size: int = 0
    upload: str | None = None

    @property
    def name(self) -> str:
        """The name of what makes it visible."""
        if self.upload is None:
            return self.key
        return f"{self.key}~{self.size}.{self.part_size}.{self.upload}"

    @property
    def parts(self) -> list[str]:
        """The names of its parts."""
        if self.upload is None:
            return []
        count = -(-self.size // self.part_size)
        return [self.part(number) for number in range(count)]

    def part(self, number: int) -> str:
        """The name of a part."""
        return f"{PARTS}{self.key}~{self.upload}/{number:05}"


def located(name: str, size: int) -> Located | None:
    """What a line of a listing shows; None for a part."""
    if TILDE not in name:
        return Located(name, size)
    found = _MARK.fullmatch(name)
    if found is None:
        return None
    return Located(found[1], int(found[2]), int(found[3]), found[4])


def of_part(name: str) -> tuple[str, str] | None:
    """The key and the upload of a part; None for another name."""
    key, _, rest = name.removeprefix(PARTS).partition(TILDE)
    upload, slash, _ = rest.partition("/")
    return (key, upload) if name.startswith(PARTS) and slash else None


def to_file(name: str) -> str:
    """A name as the path of a file.

    No folder has the name of a file, and nothing is longer than file systems allow.
    """
    *folders, last = name.split("/")
    components = [piece for folder in folders for piece in _cut(folder, "+")]
    return "/".join([*components, *_cut(last, "=")])


def from_file(path: str) -> str:
    """The name whose path this is; an empty one for any other file."""
    ends = {",": "", "+": "/", "=": ""}
    if not path.endswith("="):
        return ""
    return "".join(part[:-1] + ends.get(part[-1:], "") for part in path.split("/"))


def _cut(component: str, end: str) -> list[str]:
    cuts = range(0, max(1, len(component)), _COMPONENT)
    pieces = [component[at : at + _COMPONENT] for at in cuts]
    return [piece + "," for piece in pieces[:-1]] + [pieces[-1] + end]
