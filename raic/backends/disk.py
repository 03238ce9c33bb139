"""The system calls that the filesystem provider makes, and what their failures mean."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Mapping
from types import MappingProxyType

from raic.errors import (
    AccessDenied,
    NoSpace,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    StorageUnusable,
)

_START_WRITING = 2  # SYNC_FILE_RANGE_WRITE: only that flag leaves errors for fsync to tell


def _linux_sync_file_range() -> Callable[[int, int, int, int], int] | None:
    function = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
    if function is None:
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    called: Callable[[int, int, int, int], int] = function
    return called


_sync_file_range = _linux_sync_file_range()


class Disk:
    """The real system calls.  A subclass may record them, refuse them, or simulate a fault."""

    open = staticmethod(os.open)
    close = staticmethod(os.close)
    read = staticmethod(os.pread)
    read_into = staticmethod(os.preadv)
    write = staticmethod(os.pwrite)
    write_pieces = staticmethod(os.pwritev)
    fsync = staticmethod(os.fsync)
    fstat = staticmethod(os.fstat)
    link = staticmethod(os.link)
    unlink = staticmethod(os.unlink)
    mkdir = staticmethod(os.mkdir)
    stat = staticmethod(os.stat)
    statvfs = staticmethod(os.statvfs)

    @staticmethod
    def names(fd: int) -> list[str]:
        """The names in an open folder."""
        return os.listdir(fd)

    @staticmethod
    def start_writing(fd: int, offset: int, length: int) -> None:
        """Have the system begin to write a range of a file to the disk, without waiting for it.

        Does nothing where the system has no call for that.
        """
        if _sync_file_range is not None and _sync_file_range(fd, offset, length, _START_WRITING):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))


_CAUSES: Mapping[int, tuple[type[ProviderError], str]] = MappingProxyType(
    {
        errno.ENOSPC: (NoSpace, "free some space on {path}, or set readonly = true"),
        errno.EDQUOT: (NoSpace, "raise the disk quota of the node's user on {path}"),
        errno.EFBIG: (NoSpace, "raise the limit on file sizes (ulimit -f, or the file system's)"),
        errno.EACCES: (AccessDenied, "let the node's user read and write {path} and all below it"),
        errno.EPERM: (AccessDenied, "let the node's user read and write {path} and all below it"),
        errno.EROFS: (StorageUnusable, "mount the file system of {path} for reading and writing"),
        errno.ENOENT: (StorageUnusable, "mount {path} or put it back, then start the node again"),
        errno.ENOTDIR: (StorageUnusable, "make {path}, and what leads to it, a directory"),
        errno.EIO: (StorageUnusable, "check the disk under {path}: the kernel's log says more"),
        errno.EMFILE: (ProviderBusy, "raise the limit on open files (ulimit -n)"),
        errno.ENFILE: (ProviderBusy, "raise the system's limit on open files (fs.file-max)"),
        errno.ENOMEM: (ProviderBusy, "give the machine more memory"),
        errno.ETIMEDOUT: (ProviderTimedOut, "check the network file system under {path}"),
    }
)


def translated(name: str, operation: str, path: str, error: OSError) -> ProviderError:
    """The error of ours that says what an ``OSError`` means.

    :param name: the provider's.
    :param path: the provider's root, for the remedy.
    """
    unknown = (StorageUnusable, "check the disk under {path}: the kernel's log says more")
    kind, remedy = _CAUSES.get(error.errno or 0, unknown)
    return kind(name, operation, f"{path}: {error.strerror}", remedy.format(path=path))
