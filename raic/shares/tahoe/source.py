"""A share file that is being read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from raic.interfaces import IWorkers
from raic.shares.tahoe.checked import Digesting
from raic.shares.tahoe.containers import Container, NotAContainer, read_container
from raic.shares.tahoe.folder import FoundFile

PIECE_BYTES = 1024 * 1024
"""How much of a share is in memory at once."""


class IShareSource(Protocol):
    """A share that is to be copied, read from its beginning to its end.

    :ivar path: what it is called in reports.
    :ivar modified: about when it was stored.
    """

    path: Path
    shnum: int
    container: Container
    modified: int

    async def next_piece(self) -> bytes:
        """The next bytes, ``PIECE_BYTES`` of them but at the end; none at its end.

        :raises NotAContainer: they cannot be had.
        """

    async def digest(self) -> bytes:
        """Of the whole share."""

    def close(self) -> None:
        """Let go of it."""


class Source:
    """An open share file; made by :func:`open_source`."""

    def __init__(
        self, file: FoundFile, descriptor: int, container: Container, workers: IWorkers
    ) -> None:
        self.path: Path = file.path
        self.shnum = file.shnum
        self.container = container
        self.modified = int(os.fstat(descriptor).st_mtime)
        self._descriptor = descriptor
        self._workers = workers
        self._position = 0

    async def next_piece(self) -> bytes:
        """The next bytes of the share; none at its end.

        :raises NotAContainer: the file became shorter, or the disk fails.
        """
        length = min(PIECE_BYTES, self.container.length - self._position)
        if not length:
            return b""
        offset = self.container.offset + self._position
        self._position += length
        descriptor = self._descriptor

        def read() -> bytes:
            try:
                data = os.pread(descriptor, length, offset)
            except OSError as error:
                raise NotAContainer(f"it cannot be read: {error.strerror}") from error
            if len(data) != length:
                raise NotAContainer("it was cut short while it was read")
            return data

        return await self._workers.run(read)

    def rewind(self) -> None:
        """Begin again with the first byte."""
        self._position = 0

    async def digest(self) -> bytes:
        """Of the whole share."""
        self.rewind()
        digesting = Digesting()
        while piece := await self.next_piece():
            digesting.write(piece)
        return digesting.digest()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


async def open_source(file: FoundFile, workers: IWorkers) -> Source:
    """Open a share file.

    :raises NotAContainer: it cannot be used.
    """

    def opened() -> tuple[int, Container]:
        try:
            descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise NotAContainer(f"it cannot be read: {error.strerror}") from error
        try:
            return descriptor, read_container(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise NotAContainer(f"it cannot be read: {error.strerror}") from error
        except BaseException:
            os.close(descriptor)
            raise

    descriptor, container = await workers.run(opened)
    return Source(file, descriptor, container, workers)
