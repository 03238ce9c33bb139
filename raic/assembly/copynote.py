"""The note that a node is being copied to another backend, which outlives the process."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
from attrs import frozen

from raic.config.files import replace_file, sync_directory
from raic.errors import OperationRefused

NOTE_NAME = "copying.json"

COPYING = "copying"
"""Shares are being copied: the node goes on with its backend, or the copy does."""
SWITCHING = "switching"
"""All is copied: ``raic.cfg`` and the index are being replaced, and nothing else may be done."""
DELETING = "deleting"
"""The node has its new backend; what the former one has is being deleted."""


@frozen
class CopyNote:
    """How far a copy is.

    :ivar backend: the new one.
    :ivar config_text: the ``raic.cfg`` of the copy.
    :ivar counter: the end of the block of version counters that the copy reserved as it opened
        the index last: another process that opened it since has reserved more.
    """

    backend: str
    config_text: str
    stage: str = COPYING
    counter: int = 0

    def write(self, directory: Path) -> None:
        """Have it on the disk."""
        text = json.dumps(attrs.asdict(self), indent=2)
        replace_file(directory / NOTE_NAME, text.encode("utf-8"))


def read_copy_note(directory: Path) -> CopyNote | None:
    """The note of a node directory; None when no copy is under way.

    :raises OperationRefused: it cannot be read.
    """
    path = directory / NOTE_NAME
    try:
        return CopyNote(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise OperationRefused(
            f"{path} cannot be read: {error}", "put it back from a backup"
        ) from error


def remove_copy_note(directory: Path) -> None:
    """The copy is over."""
    (directory / NOTE_NAME).unlink(missing_ok=True)
    sync_directory(directory)


def raise_if_switching(directory: Path) -> None:
    """Do nothing unless the node is between two backends.

    :raises OperationRefused: it is.
    """
    note = read_copy_note(directory)
    if note is not None and note.stage == SWITCHING:
        raise OperationRefused(
            f"the node is being copied to {note.backend}, and the last step is not done",
            f"finish it: raic copy {directory} --backend {note.backend}",
        )
