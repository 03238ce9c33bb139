"""Which process runs the node, found out without touching its lock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from raic.assembly.checks.findings import Finding, error, good
from raic.assembly.checks.view import ConfiguredNode, NodeView
from raic.assembly.taking_over import TakeOverNote
from raic.config.lock import LOCK_NAME
from raic.errors import PrefixOwned

LOCKS = Path("/proc/locks")


@frozen
class _Lock:
    process: int
    device: tuple[int, int]
    inode: int


def find_runner(directory: Path, locks: Path = LOCKS) -> int | None:
    """The process that runs the node.

    Even a shared lock, held for a moment, could keep a node from starting: so the kernel is asked
    who holds one.

    :param locks: the kernel's list of locks.
    :return: None for none; 0 for one that cannot be named.
    """
    path = directory / LOCK_NAME
    try:
        found = path.stat()
        noted = path.read_bytes().decode("ascii", "replace").strip()
    except OSError:
        return None
    try:
        listed = list(_listed(locks))
    except OSError:
        # Without the kernel's list there is what the process itself wrote.
        return int(noted) if noted.isdigit() and _lives(int(noted)) else None
    device = (os.major(found.st_dev), os.minor(found.st_dev))
    for lock in listed:
        # Some file systems show other devices to programs than the kernel's list has.
        if lock.inode == found.st_ino and (lock.device == device or noted == str(lock.process)):
            return max(lock.process, 0)
    return None


def _listed(locks: Path) -> Iterator[_Lock]:
    """``1: FLOCK  ADVISORY  WRITE 3021 08:01:131 0 EOF``."""
    for line in locks.read_text("ascii").splitlines():
        words = line.split()
        if len(words) == 8 and words[1] == "FLOCK":
            major, minor, inode = words[5].split(":")
            yield _Lock(int(words[4]), (int(major, 16), int(minor, 16)), int(inode))


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def check_process(node: NodeView) -> list[Finding]:
    """Say whether the node runs, which is fine either way."""
    if node.runner is None:
        return [good("process", "the node is not running")]
    which = f"process {node.runner}" if node.runner else "a process that cannot be named"
    return [good("process", f"the node is running: {which}")]


async def check_take_over(node: ConfiguredNode) -> list[Finding]:
    """Whether a take-over has begun whose wait is not over."""
    subject = "take-over"
    try:
        TakeOverNote(node.config).raise_if_there()
    except PrefixOwned as begun:
        if node.runner is not None:
            return [good(subject, "it is under way: the node waits for the other to stop writing")]
        return [error(subject, begun.detail, begun.remedy)]
    return []
