"""Where a running node takes commands: a Unix socket in its directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET_NAME = "control.sock"

LONGEST_LINE = 64 * 1024
"""How many bytes a command may have, without the end of the line."""

_LONGEST_PATH = 107
"""What fits into ``sun_path`` with its final zero."""


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """What the kernel takes as the address of a socket, however long its path is.

    A path that is too long is reached through the folder that it is in, which stays open while
    the address is in use.

    :raises OSError: the path is too long, and its folder cannot be opened.
    """
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield os.fspath(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
