"""A bounded number of objects kept open for reading."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

from raic.backends.filestore import FileStore, OpenFile


class OpenFiles:
    """The objects that were read last, by key.  Belongs to the reactor's thread.

    :param limit: how many are kept; those in use come on top.
    """

    def __init__(self, store: FileStore, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._files: OrderedDict[str, OpenFile] = OrderedDict()
        self._generation = 0
        self.get = self._files.get
        self.touch = self._files.move_to_end

    def generation(self) -> int:
        """What :meth:`keep` wants to know: taken before the file is opened."""
        return self._generation

    def use(self, key: str) -> OpenFile | None:
        """An open file, not closed before :meth:`release`."""
        file = self._files.get(key)
        if file is not None:
            self._files.move_to_end(key)
            file.users += 1
        return file

    def keep(self, key: str, file: OpenFile, generation: int) -> None:
        """Add a file that was just opened, and is in use until :meth:`release`.

        Not so if objects were deleted since: this may be one of them.
        """
        file.users += 1
        if generation != self._generation or key in self._files:
            file.dropped = True
            return
        self._files[key] = file
        if len(self._files) > self._limit:
            _, oldest = self._files.popitem(last=False)
            self._drop(oldest)

    def release(self, file: OpenFile) -> None:
        """End one use of a file."""
        file.users -= 1
        if file.dropped and not file.users:
            self._store.close_file(file)

    def forget(self, keys: Collection[str]) -> None:
        """Close objects that were deleted."""
        self._generation += 1
        for key in keys:
            file = self._files.pop(key, None)
            if file is not None:
                self._drop(file)

    def clear(self) -> None:
        """Close everything."""
        self.forget(list(self._files))

    def _drop(self, file: OpenFile) -> None:
        file.dropped = True
        if not file.users:
            self._store.close_file(file)
