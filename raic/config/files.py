"""Files that are there whole or not at all, and stay there after a power cut."""

from __future__ import annotations

import os
from base64 import b32decode, b32encode
from pathlib import Path
from secrets import token_hex


def write_new_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file that must not exist yet, and bring it to the disk.

    :raises FileExistsError: it does.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put ``data`` where ``path`` is, atomically and durably."""
    aside = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        write_new_file(aside, data, mode)
        aside.rename(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Bring a directory's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def base32(data: bytes) -> str:
    """The lower-case unpadded base32 that Tahoe uses everywhere."""
    return b32encode(data).decode("ascii").rstrip("=").lower()


def unbase32(text: str) -> bytes:
    """What :func:`base32` encoded.

    :raises ValueError: ``text`` is not what it makes.
    """
    data = b32decode(text.upper() + "=" * (-len(text) % 8))
    if base32(data) != text:
        raise ValueError("not lower-case unpadded base32")
    return data
