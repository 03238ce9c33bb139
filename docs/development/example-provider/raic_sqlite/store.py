"""The calls, all made in a worker thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from secrets import token_hex

from raic.backends.blockingstore import UNLIMITED, Body
from raic.errors import KeyTaken, NoSpace, ObjectNotFound, ProviderError, StorageUnusable
from raic.values import ListedObject, ObjectPage, Space

PAGE = 100

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, upload TEXT, size INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS parts (upload TEXT, number INTEGER, begin INTEGER, data BLOB,
                                  PRIMARY KEY (upload, number)) STRICT;
"""


class Upload:
    """An object on its way: its parts are stored, but no row of ``objects`` refers to them."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.id = token_hex(16)


class SqliteStore:
    """See :class:`raic.backends.blockingstore.BlockingStore`, which says what each must do."""

    def __init__(self, name: str, path: str) -> None:
        self._name = name
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._running: set[str] = set()

    @property
    def _database(self) -> sqlite3.Connection:
        assert self._connection is not None
        return self._connection

    def open(self) -> None:
        """Connect, and prove that the database can be written."""
        # Closed by another thread than the one that opens it, when no other call is under way.
        self._connection = sqlite3.connect(self._path, check_same_thread=False)
        self._connection.executescript(SCHEMA)
        with self._database as database:  # proves that it can be written
            database.execute("INSERT INTO parts VALUES ('probe', 0, 0, x'')")
            database.execute("DELETE FROM parts WHERE upload = 'probe'")

    def close(self) -> None:
        """Let go of it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def put(self, operation: str, key: str, data: bytes | bytearray) -> None:
        """Store a whole object."""
        upload = self.begin_parts(key, len(data))
        self.complete_parts(upload, [self.put_part(upload, 0, data)], again=False)

    def begin_parts(self, key: str, size: int) -> Upload:
        """Begin to store an object in parts."""
        upload = Upload(key)
        self._running.add(upload.id)
        return upload

    def put_part(self, upload: Upload, number: int, data: bytes | bytearray) -> int:
        """Store a part; again, perhaps, and in any order."""
        with self._database as database:
            row = (upload.id, number, bytes(data))
            database.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, NULL, ?)", row)
        return len(data)

    def complete_parts(self, upload: Upload, receipts: Sequence[int], *, again: bool) -> None:
        """Make the object visible."""
        with self._database as database:
            row = (upload.key, upload.id, sum(receipts))
            try:
                database.execute("INSERT INTO objects VALUES (?, ?, ?)", row)
            except sqlite3.IntegrityError:
                same = self._whole(upload.key) == self._of(upload.id)
                self.discard_parts(upload)
                if not same:
                    raise KeyTaken(self._name, "finish", f"{upload.key} is taken") from None
            # Only now: parts may have come in any order.
            database.execute(
                "UPDATE parts SET begin = (SELECT coalesce(sum(length(earlier.data)), 0)"
                " FROM parts AS earlier WHERE earlier.upload = parts.upload"
                " AND earlier.number < parts.number) WHERE upload = ?",
                (upload.id,),
            )
        self._running.discard(upload.id)

    def discard_parts(self, upload: Upload) -> None:
        """Forget the parts."""
        with self._database as database:
            database.execute("DELETE FROM parts WHERE upload = ?", (upload.id,))
        self._running.discard(upload.id)

    def open_body(self, operation: str, key: str, offset: int, length: int) -> Body:
        """Begin to read."""
        found = self._database.execute(
            "SELECT upload, size FROM objects WHERE key = ?", (key,)
        ).fetchone()
        if found is None:
            raise ObjectNotFound(self._name, operation, f"no object {key}")
        upload, size = found
        return _Rows(self._database, upload, offset, max(0, min(length, size - offset)))

    def list_page(self, prefix: str, token: str | None) -> ObjectPage:
        """A page of the listing."""
        # The least text that does not begin with the prefix: no key has a tilde.
        rows = self._database.execute(
            "SELECT key, size FROM objects WHERE key > ? AND key >= ? AND key < ?"
            " ORDER BY key LIMIT ?",
            (token or "", prefix, prefix + "~", PAGE),
        ).fetchall()
        objects = tuple(ListedObject(key, size) for key, size in rows)
        return ObjectPage(objects, objects[-1].key if len(objects) == PAGE else None)

    def delete(self, keys: Sequence[str]) -> frozenset[str]:
        """Delete; a missing object counts as deleted."""
        with self._database as database:
            for key in keys:
                database.execute(
                    "DELETE FROM parts WHERE upload = (SELECT upload FROM objects WHERE key = ?)",
                    (key,),
                )
                database.execute("DELETE FROM objects WHERE key = ?", (key,))
        return frozenset()

    def clear_interrupted(self, prefix: str) -> int:
        """Parts do not say which object they were for, so the prefix does not matter here."""
        found = self._database.execute(
            "SELECT DISTINCT upload FROM parts WHERE upload NOT IN (SELECT upload FROM objects)"
        ).fetchall()
        left = [upload for (upload,) in found if upload not in self._running]
        with self._database as database:
            for upload in left:
                database.execute("DELETE FROM parts WHERE upload = ?", (upload,))
        return len(left)

    def space(self) -> Space:
        """What is used."""
        (used,) = self._database.execute("SELECT coalesce(sum(size), 0) FROM objects").fetchone()
        return Space(used, UNLIMITED)

    def translated(self, operation: str, error: Exception) -> ProviderError | None:
        """What an error of SQLite means."""
        if not isinstance(error, sqlite3.Error):
            return None
        if "full" in str(error):
            return NoSpace(self._name, operation, str(error))
        remedy = f"check that {self._path} can be written, and is a database of this provider"
        return StorageUnusable(self._name, operation, str(error), remedy)

    def _whole(self, key: str) -> bytes:
        (upload,) = self._database.execute(
            "SELECT upload FROM objects WHERE key = ?", (key,)
        ).fetchone()
        return self._of(upload)

    def _of(self, upload: str) -> bytes:
        rows = self._database.execute(
            "SELECT data FROM parts WHERE upload = ? ORDER BY number", (upload,)
        )
        return b"".join(data for (data,) in rows)


class _Rows:
    """See :class:`raic.backends.blockingstore.Body`."""

    def __init__(self, database: sqlite3.Connection, upload: str, offset: int, length: int) -> None:
        self.length = length
        self._database = database
        self._upload = upload
        self._position = offset

    def read(self, size: int) -> bytes:
        """The next bytes."""
        row = self._database.execute(
            "SELECT substr(data, ? - begin + 1, ?) FROM parts"
            " WHERE upload = ? AND begin <= ? ORDER BY number DESC LIMIT 1",
            (self._position, size, self._upload, self._position),
        ).fetchone()
        data: bytes = row[0] if row else b""
        self._position += len(data)
        return data

    def close(self) -> None:
        """Nothing is held."""
