"""Objects as files below one directory: everything that blocks, to be called in workers."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TypeAlias

from attrs import define

from raic.backends.disk import Disk
from raic.backends.folders import DIRECTORY, Folders, sync_directory
from raic.backends.incoming import INCOMING, Incoming, IncomingFiles
from raic.backends.keys import is_key
from raic.backends.places import Listing, place
from raic.errors import KeyTaken, ObjectNotFound, OutcomeUnknown, StorageUnusable
from raic.values import ListedObject, ObjectPage, Pool, Space, Stored

Piece: TypeAlias = "bytes | bytearray | memoryview"

PAGE_OBJECTS = 1000
PIECES_AT_ONCE = 512  # half of what Linux takes
COMPARE_BYTES = 1024 * 1024
EARLY_BYTES = 2 * 1024 * 1024
"""How much of a file goes to the disk at a time while more of it is being received."""


@define(eq=False)
class OpenFile:
    """An object open for reading.

    :ivar users: how many reads are under way.
    :ivar dropped: whether the last of them closes it.
    """

    fd: int
    size: int
    users: int = 0
    dropped: bool = False


class FileStore:
    """Files below one directory, which is kept open: nothing is ever found by its path again.

    So a file system cannot be unmounted under a running node, and a directory that was removed
    or replaced is never made anew: what is asked of it fails.  Methods may be called by several
    threads; they raise ``OSError`` where they say nothing else.

    :param fsync: whether an object survives a power cut once it is stored.
    :param folders: which are going to hold objects: made when the directory is opened, so that no
        write has to wait for its folder.
    """

    def __init__(
        self, name: str, path: str, disk: Disk, fsync: bool, folders: Collection[str] = ()
    ) -> None:
        self._name = name
        self._path = path
        self._disk = disk
        self._fsync = fsync
        self._root = -1
        self._wanted = folders
        self._folders = Folders(disk, self._root, fsync)
        self._incoming = IncomingFiles(disk, self._root)

    def open(self) -> None:
        """Open the directory, made if only its parent exists, and prove that it can be used."""
        with suppress(FileExistsError):  # as always but at the first start
            self._disk.mkdir(self._path, 0o700)
            if self._fsync:
                sync_directory(self._disk, os.path.dirname(os.path.abspath(self._path)))
        self.adopt(self._disk.open(self._path, DIRECTORY))
        try:
            self._folders.make(INCOMING)
            self._names(".")
            self._incoming.prove(self._try)
            self._folders.make_all(self._wanted)
        except BaseException:
            self.close()
            raise

    def adopt(self, root: int) -> None:
        """Use a directory that was opened by another process, which has proved it."""
        self._root = root
        self._folders = Folders(self._disk, root, self._fsync)
        self._incoming = IncomingFiles(self._disk, root)

    def makes_nameless(self) -> bool:
        """Whether files that are not objects yet have no names."""
        return self._incoming.nameless

    def lend(self) -> int:
        """The descriptor of the directory, for another process."""
        return self._root

    def know(self, folders: Collection[str]) -> None:
        """Take folders for durable."""
        self._folders.know(folders)

    def known(self) -> Collection[str]:
        """The folders that are known to be durable."""
        return self._folders.known()

    def close(self) -> None:
        """Close the directory; nothing else may be under way."""
        if self._root >= 0:
            self._disk.close(self._root)
        self._root = -1

    def is_beside(self, path: str) -> bool:
        """Whether a file is on the same file system; False where there is none."""
        try:
            found = self._disk.stat(path)
        except OSError:
            return False
        return found.st_dev == self._disk.fstat(self._root).st_dev

    # Writing

    def put(self, key: str, data: bytes) -> Stored:
        """Store an object.

        :raises KeyTaken: the key names other bytes.
        :raises OutcomeUnknown: it was stored, but perhaps not durably.
        """
        incoming = self.create(key)
        try:
            self.write(incoming, 0, data)
            self.publish("put_object", incoming)
        finally:
            self.discard(incoming)
        return Stored(key, len(data))

    def create(self, key: str) -> Incoming:
        """An empty file, to be discarded in the end."""
        return self._incoming.create(*place(key))

    def write(self, incoming: Incoming, offset: int, *pieces: Piece) -> None:
        """Write some bytes, in a row."""
        left: Sequence[Piece] = pieces
        while left:
            some = left[:PIECES_AT_ONCE]
            if len(some) == 1:
                written = self._disk.write(incoming.fd, some[0], offset)
            else:
                written = self._disk.write_pieces(incoming.fd, some, offset)
            offset += written
            all_of_it = written == sum(map(len, some))
            left = left[len(some) :] if all_of_it else _beyond(left, written)

    def write_early(self, incoming: Incoming, offset: int, length: int) -> None:
        """Let what was written go to the disk, so that :meth:`publish` has less to wait for.

        Never raises: what is wrong, ``publish`` finds out.

        :param offset: of the last write.
        :param length: of the last write; begins something only every ``EARLY_BYTES``.
        """
        begin, end = (at - at % EARLY_BYTES for at in (offset, offset + length))
        if self._fsync and begin < end:
            with suppress(OSError):
                self._disk.start_writing(incoming.fd, begin, end - begin)

    def publish(self, operation: str, incoming: Incoming) -> bool:
        """Give a file its key, durably.

        :return: whether the object is new; False when the key names the same bytes already.
        :raises KeyTaken: the key names other bytes.
        :raises OutcomeUnknown: the key was given, but perhaps not durably.
        """
        if self._fsync:
            self._disk.fsync(incoming.fd)
        try:
            self._link_into_place(incoming)
        except FileExistsError:
            self._must_be_same(operation, incoming)
            return False
        try:
            self._folders.sync(incoming.folder)
        except OSError as error:
            self._unlink_if_possible(incoming.path)
            raise OutcomeUnknown(
                self._name,
                operation,
                f"{self._path}: {error.strerror}, after the object became visible",
                f"check the disk under {self._path}: the kernel's log says more",
            ) from error
        return True

    def discard(self, incoming: Incoming) -> None:
        """Close a file, and remove it unless it was published; never raises."""
        self._incoming.discard(incoming)

    def withdraw(self, key: str) -> None:
        """Remove an object that was published after all; never raises."""
        self._unlink_if_possible("/".join(place(key)))

    def clear_interrupted(self, prefix: str) -> int:
        """Remove the files of other processes that never got their keys.

        :return: how many there were.
        """
        return sum(self._incoming.remove(name, prefix) for name in self._names(INCOMING))

    # Reading

    def open_file(self, operation: str, key: str) -> OpenFile:
        """Open an object.

        :raises ObjectNotFound: there is none.
        """
        path = "/".join(place(key))
        try:
            fd = self._disk.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._root)
        except FileNotFoundError:
            self._must_be_there(operation)
            raise ObjectNotFound(self._name, operation, f"there is no {key}") from None
        return OpenFile(fd, self._disk.fstat(fd).st_size)

    def read(self, file: OpenFile, offset: int, length: int) -> bytes:
        """The bytes of a range that the file has."""
        length = max(0, min(length, file.size - offset))
        data = self._disk.read(file.fd, length, offset)
        while len(data) < length:
            more = self._disk.read(file.fd, length - len(data), offset + len(data))
            if not more:
                break  # somebody cut the file short
            data += more
        return data

    def close_file(self, file: OpenFile) -> None:
        """Close an object; never raises."""
        with suppress(OSError):  # nothing was written through it
            self._disk.close(file.fd)

    def list_page(self, prefix: str, token: str | None, limit: int = PAGE_OBJECTS) -> ObjectPage:
        """See :meth:`raic.interfaces.IShortPages.list_some`."""
        self._must_be_there("list_objects")
        objects: list[ListedObject] = []
        for key, path in Listing(self._names, prefix, token or ""):
            if len(objects) == limit:
                return ObjectPage(tuple(objects), objects[-1].key)
            size = self._size(path)
            if size is not None and is_key(key):
                objects.append(ListedObject(key, size))
        return ObjectPage(tuple(objects), None)

    def delete(self, keys: Collection[str]) -> frozenset[str]:
        """See :meth:`raic.interfaces.IStorageProvider.delete_objects`.

        :raises OSError: none of them could be deleted.
        """
        failed: set[str] = set()
        folders: set[str] = set()
        last: OSError | None = None
        for key in keys:
            folder, name = place(key)
            try:
                self._disk.unlink(f"{folder}/{name}", dir_fd=self._root)
                folders.add(folder)
            except FileNotFoundError:
                self._must_be_there("delete_objects")
            except OSError as error:
                failed.add(key)
                last = error
        if last is not None and len(failed) == len(keys):
            raise last
        for folder in folders:
            self._folders.sync(folder)
        return frozenset(failed)

    def space(self, reserved: int) -> Space:
        """What the file system has left, less ``reserved``."""
        self._must_be_there("get_space")
        found = self._disk.statvfs(self._root)
        available = max(0, found.f_bavail * found.f_frsize - reserved)
        pool = Pool(f"device {os.fstat(self._root).st_dev}", available)
        return Space(None, available, pool)

    # The directory itself

    def _must_be_there(self, operation: str) -> None:
        try:
            found = self._disk.stat(self._path)
        except FileNotFoundError:
            same = False
        else:
            same = os.path.samestat(found, self._disk.fstat(self._root))
        if not same:
            raise StorageUnusable(
                self._name,
                operation,
                f"{self._path} was removed or replaced",
                f"mount {self._path} or put it back, then start the node again",
            )

    def _try(self, probe: Incoming) -> None:
        """Use a file as one that will be an object."""
        self.write(probe, 0, b"can this be written?")
        if self._fsync:
            self._disk.fsync(probe.fd)
        self._incoming.link(probe)
        self._disk.unlink(probe.path, dir_fd=self._root)
        self._folders.sync(INCOMING)

    def _names(self, folder: str) -> list[str]:
        try:
            fd = self._disk.open(folder, DIRECTORY, dir_fd=self._root)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            return self._disk.names(fd)
        finally:
            self._disk.close(fd)

    def _size(self, path: str) -> int | None:
        """The size of a file; None when it is gone or something else."""
        try:
            found = self._disk.stat(path, dir_fd=self._root, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def _link_into_place(self, incoming: Incoming) -> None:
        try:
            self._folders.make(incoming.folder)
            self._incoming.link(incoming)
        except FileNotFoundError:
            # Somebody removed the folder; if it was the root, making it anew fails as well.
            self._folders.forget(incoming.folder)
            self._folders.make(incoming.folder)
            self._incoming.link(incoming)

    def _must_be_same(self, operation: str, incoming: Incoming) -> None:
        fd = self._disk.open(incoming.path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._root)
        try:
            offset = 0
            while ours := self._disk.read(incoming.fd, COMPARE_BYTES, offset):
                if ours != self._disk.read(fd, COMPARE_BYTES, offset):
                    break
                offset += len(ours)
            if ours or self._disk.read(fd, 1, offset):
                raise KeyTaken(self._name, operation, f"{incoming.path} holds another object")
            if self._fsync:
                self._disk.fsync(fd)
            self._folders.sync(incoming.folder)
        finally:
            self._disk.close(fd)

    def _unlink_if_possible(self, path: str) -> None:
        # Where it fails the caller is failing already, or the file is cleared at the next start.
        with suppress(OSError):
            self._disk.unlink(path, dir_fd=self._root)


def _beyond(pieces: Sequence[Piece], size: int) -> Sequence[Piece]:
    """Pieces without the first bytes."""
    gone = 0
    while size >= len(pieces[gone]):
        size -= len(pieces[gone])
        gone += 1
    return memoryview(pieces[gone])[size:], *pieces[gone + 1 :]
