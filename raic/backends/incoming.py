"""Files that have no key yet: nameless where the file system knows such, in a folder elsewhere."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Final

from attrs import define

from raic.backends.disk import Disk
from raic.backends.places import NAME_CHARACTERS, OTHERS

INCOMING = ",,incoming"
"""The folder of what is no object yet: names are "<process>.<number> <begin of the key>"."""

_NAMELESS = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
_NAMED = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
# What says so: the file system, an old kernel, or a system where /proc is not mounted.
_NO_NAMELESS_FILES: Final = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)


@define(eq=False)
class Incoming:
    """A file that has no key yet.

    :ivar folder: where its object will be.
    :ivar path: where that is, below the root.
    :ivar temporary: where the file is now; None when it has no name at all, so that nothing
        remains of it once closed.
    """

    folder: str
    path: str
    fd: int
    temporary: str | None


class IncomingFiles:
    """Makes, names and removes them.  May be used by several threads.

    :param root: the descriptor of the directory.
    :ivar nameless: whether they have no names.
    """

    def __init__(self, disk: Disk, root: int) -> None:
        self.nameless = True
        self._disk = disk
        self._root = root
        self._process = os.urandom(8).hex()
        self._numbers = count()

    def prove(self, try_one: Callable[[Incoming], None]) -> None:
        """Find out whether they can be nameless.

        :param try_one: is given a file, and raises ``OSError`` if that cannot be used.
        """
        try:
            self._prove(try_one)
        except OSError as error:
            if not self.nameless or error.errno not in _NO_NAMELESS_FILES:
                raise
            self.nameless = False
            self._prove(try_one)

    def create(self, folder: str, name: str) -> Incoming:
        """An empty file, to be discarded in the end.

        :param folder: of the object that it will be.
        :param name: in that folder.
        """
        path = f"{folder}/{name}"
        if self.nameless:
            # Not in its own folder: file systems put a file near the folder it is made in, and
            # writing in a thousand places at once takes several times as long.
            fd = self._disk.open(INCOMING, _NAMELESS, 0o600, dir_fd=self._root)
            return Incoming(folder, path, fd, None)
        begin = path.removeprefix(OTHERS + "/").replace("/", ",")[:NAME_CHARACTERS]
        temporary = f"{INCOMING}/{self._process}.{next(self._numbers)} {begin}"
        fd = self._disk.open(temporary, _NAMED, 0o600, dir_fd=self._root)
        return Incoming(folder, path, fd, temporary)

    def link(self, incoming: Incoming) -> None:
        """Give a file its name, unless there is one of that name."""
        if incoming.temporary is None:
            # The documented way to name a nameless file without privileges: open(2), O_TMPFILE.
            self._disk.link(
                f"/proc/self/fd/{incoming.fd}",
                incoming.path,
                dst_dir_fd=self._root,
                follow_symlinks=True,
            )
        else:
            self._disk.link(
                incoming.temporary,
                incoming.path,
                src_dir_fd=self._root,
                dst_dir_fd=self._root,
                follow_symlinks=False,
            )

    def discard(self, incoming: Incoming) -> None:
        """Close a file, and remove it unless it was named; never raises."""
        if incoming.temporary is not None:
            # Where it fails the file is cleared at the next start.
            with suppress(OSError):
                self._disk.unlink(incoming.temporary, dir_fd=self._root)
        # What was published was synced before; the rest is thrown away.
        with suppress(OSError):
            self._disk.close(incoming.fd)

    def remove(self, name: str, prefix: str) -> bool:
        """Remove a file of another process that would have got a key with this prefix.

        :param name: of a file in ``INCOMING``.
        :return: whether it was one.
        """
        process, _, key = name.partition(" ")
        wanted = prefix.replace("/", ",")[:NAME_CHARACTERS]
        # A comma begins the name of what was written to try the disk.
        if process.split(".")[0] == self._process or not key.startswith((wanted, ",")):
            return False
        self._disk.unlink(f"{INCOMING}/{name}", dir_fd=self._root)
        return True

    def _prove(self, try_one: Callable[[Incoming], None]) -> None:
        probe = self.create(INCOMING, f"{self._process}.{next(self._numbers)} ,probe")
        try:
            try_one(probe)
        finally:
            self.discard(probe)
