"""The folders in which Tahoe's storage server keeps share files and advisories."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from raic.shares.keys import decode_index, encode_index
from raic.values import MAX_SHARES, Advisory

INCOMING = "incoming"
"""Where uploads are until they are complete."""

_NUMBER = re.compile(r"0|[1-9][0-9]{0,2}")
_REPORT = re.compile(
    r"report: Share Corruption\n"
    r"type: (?P<kind>immutable|mutable)\n"
    r"storage_index: (?P<index>[a-z2-7]{26})\n"
    r"share_number: (?P<shnum>[0-9]{1,3})\n"
    r"\n(?P<reason>.*)",
    re.DOTALL,
)
_LONGEST_REASON = 32_765


@frozen
class LeftAlone:
    """A file that is not moved in, and why."""

    path: Path
    why: str


@frozen
class FoundFile:
    """A file that has the name of a share.

    :ivar size: of the file.
    """

    path: Path
    shnum: int
    size: int


@frozen
class FoundSet:
    """The files of one storage index, in the order of their share numbers; at least one."""

    storage_index: bytes
    files: tuple[FoundFile, ...]

    @property
    def size(self) -> int:
        """Of all files together."""
        return sum(file.size for file in self.files)


def share_path(storage: Path, storage_index: bytes, shnum: int) -> Path:
    """Where Tahoe looks for a share.

    :param storage: the node's storage folder.
    """
    text = encode_index(storage_index)
    return storage / "shares" / text[:2] / text / str(shnum)


def incoming_path(storage: Path, storage_index: bytes, shnum: int) -> Path:
    """Where Tahoe keeps a share until it is complete; what is there it removes as it starts."""
    text = encode_index(storage_index)
    return storage / "shares" / INCOMING / text[:2] / text / str(shnum)


def find_shares(storage: Path) -> Iterator[FoundSet | LeftAlone]:
    """Everything below ``shares``, folder by folder.

    :raises OSError: a folder cannot be read.
    """
    for prefix in _entries(storage / "shares"):
        if prefix.name == INCOMING:
            yield from _find_incoming(Path(prefix.path))
        elif not prefix.is_dir():
            yield LeftAlone(Path(prefix.path), "it is not the folder of a storage index")
        else:
            for folder in _entries(Path(prefix.path)):
                yield from _find_set(Path(folder.path), prefix.name)


def find_advisories(storage: Path) -> Iterator[Advisory | LeftAlone]:
    """What clients told Tahoe's server of corrupt shares.

    :raises OSError: the folder cannot be read.
    """
    for entry in _entries(storage / "corruption-advisories"):
        found = None
        if entry.is_file():
            text = Path(entry.path).read_text("utf-8", "replace")
            found = _REPORT.fullmatch(text)
        if found is None or int(found["shnum"]) >= MAX_SHARES:
            yield LeftAlone(Path(entry.path), "it is not an advisory of Tahoe's")
            continue
        yield Advisory(
            found["kind"],
            decode_index(found["index"]),
            int(found["shnum"]),
            found["reason"].strip()[:_LONGEST_REASON],
            int(entry.stat().st_mtime),
        )


def _find_incoming(incoming: Path) -> Iterator[LeftAlone]:
    for folder, _, names in os.walk(incoming):
        for name in sorted(names):
            yield LeftAlone(Path(folder, name), "its upload was never completed")


def _find_set(folder: Path, prefix: str) -> Iterator[FoundSet | LeftAlone]:
    try:
        storage_index = decode_index(folder.name)
    except ValueError:
        storage_index = b""
    if not storage_index or not folder.name.startswith(prefix) or not folder.is_dir():
        yield LeftAlone(folder, "it is not the folder of a storage index")
        return
    files = []
    for entry in _entries(folder):
        known = _NUMBER.fullmatch(entry.name) and int(entry.name) < MAX_SHARES
        if known and entry.is_file():
            files.append(FoundFile(Path(entry.path), int(entry.name), entry.stat().st_size))
        else:
            yield LeftAlone(Path(entry.path), "it has not the name of a share")
    if files:
        yield FoundSet(storage_index, tuple(sorted(files, key=lambda file: file.shnum)))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
