"""The note that a take-over has begun, which outlives the process.

The claim of a take-over is written first, and then the node waits until the former owner has surely
stopped.  If the process ends in between, the index can be made anew at once, and would follow on
the claim as if it had waited.  So nothing but another take-over starts while the note is there.
"""

from __future__ import annotations

from pathlib import Path

from raic.config.files import replace_file, sync_directory
from raic.config.model import Config
from raic.errors import PrefixOwned

NOTE_NAME = "taking-over"

_TEXT = b"""A take-over of the prefix has begun, and its wait is not over.
'raic run --take-over' takes this file away when it is.
"""


class TakeOverNote:
    """The note of one node directory."""

    def __init__(self, config: Config) -> None:
        self._path: Path = config.node_directory / NOTE_NAME
        self._config = config

    def write(self) -> None:
        """Have it on the disk."""
        replace_file(self._path, _TEXT)

    def remove(self) -> None:
        """The wait is over."""
        self._path.unlink(missing_ok=True)
        sync_directory(self._path.parent)

    def is_there(self) -> bool:
        """Whether a take-over has begun whose wait is not over."""
        return self._path.exists()

    def raise_if_there(self) -> None:
        """Do nothing if no take-over was cut short.

        :raises PrefixOwned: one was.
        """
        if not self.is_there():
            return
        raise PrefixOwned(
            self._config.backend.name,
            "start",
            "a take-over was cut short: the other may not have stopped writing yet",
            f"run 'raic run --take-over {self._config.node_directory}' and let it wait",
        )
