"""A provider that is a folder of this machine; no file of it is made, not even for a moment."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from attrs import frozen

from raic.assembly.checks.deadline import TookTooLong
from raic.assembly.checks.findings import Finding, error, good
from raic.assembly.checks.space import check_quota, judge_space
from raic.assembly.checks.view import ProviderView
from raic.assembly.folderlock import LOCK_NAME
from raic.assembly.leavings import LEAVINGS
from raic.backends.disk import translated
from raic.backends.incoming import INCOMING
from raic.backends.places import OTHERS
from raic.errors import ProviderError

_PROBE = b"can this be written?"
_NO_OBJECTS = {INCOMING, *(name.rstrip("/") for name in LEAVINGS)}
_LEFT = tuple(name.replace("/", ",") for name in LEAVINGS)
_NO_NAMELESS_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)


@frozen
class _Seen:
    """:ivar free: bytes that this user may still fill."""

    """:ivar proved: whether a file was written and read back."""

    exists: bool
    proved: bool
    free: int
    objects: bool


async def check_folder(view: ProviderView, path: Path) -> list[Finding]:
    """Whether a folder can be listed, read, written and deleted from, and what room it has.

    A file without a name is written: it is seen by no one, and gone when it is closed.
    """
    subject = "rights"
    try:
        seen = await view.surroundings.ask(lambda: _look(view.settings.name, path))
    except ProviderError as problem:
        return [error(subject, problem.detail, problem.remedy)]
    except TookTooLong as late:
        remedy = f"check the disk or the network file system under {path}"
        return [error(subject, f"{path}: {late}", remedy)]
    if not seen.exists:
        first = good(subject, f"{path}: the first start makes it")
    else:
        how = "" if seen.proved else ", say the permissions; the first start proves it"
        first = good(subject, f"{path}: list, read, write and delete are allowed{how}")
    findings = [first, judge_space(seen.free, view.node.config.storage.reserved_space)]
    findings += check_quota(view)
    if seen.objects and not view.node.index.exists:
        remedy = f"run 'raic restore --local {view.node.directory}'"
        findings.append(error("objects", f"{path} holds some, and there is no index", remedy))
    return findings


def _look(name: str, path: Path) -> _Seen:
    """:raises ProviderError: something is not allowed, or broken."""
    try:
        if not path.exists():
            if not path.parent.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            _must_allow(path.parent, os.R_OK | os.W_OK | os.X_OK)
            return _Seen(False, False, _free(path.parent), False)
        os.listdir(path)
        proved = _write(path)
        _must_allow(path, os.R_OK | os.W_OK | os.X_OK)
        return _Seen(True, proved, _free(path), _holds_objects(path))
    except OSError as problem:
        raise translated(name, "start", str(path), problem) from problem


def _must_allow(path: Path, mode: int) -> None:
    if not os.access(path, mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _write(path: Path) -> bool:
    """Write a file without a name; returns whether the file system knows such files."""
    try:
        descriptor = os.open(path, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        if problem.errno in _NO_NAMELESS_FILES:
            return False
        raise
    try:
        os.write(descriptor, _PROBE)
        os.fsync(descriptor)
        if os.pread(descriptor, len(_PROBE) + 1, 0) != _PROBE:
            raise OSError(errno.EIO, "what was written reads differently")
    finally:
        os.close(descriptor)
    return True


def _free(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def _holds_objects(path: Path) -> bool:
    for folder, folders, files in os.walk(path):
        if folder == str(path):
            folders[:] = [name for name in folders if name not in _NO_OBJECTS]
            files[:] = [name for name in files if name != LOCK_NAME]
        elif folder == str(path / OTHERS):
            files[:] = [name for name in files if not name.startswith(_LEFT)]
        if files:
            return True
    return False
