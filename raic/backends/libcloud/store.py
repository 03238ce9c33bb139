"""Objects in any of libcloud's containers; what its drivers cannot do is done here."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest
from secrets import token_hex
from threading import Lock
from uuid import uuid4

from attrs import frozen

from raic.backends.blockingstore import UNLIMITED, Body
from raic.backends.keys import is_key
from raic.backends.libcloud.container import Container
from raic.backends.libcloud.drivers import Drivers
from raic.backends.libcloud.errors import translated
from raic.backends.libcloud.names import PARTS, TILDE, Located, located, of_part
from raic.backends.libcloud.settings import Abilities, LibcloudSettings
from raic.backends.patience import Patience
from raic.backends.registry import Credentials
from raic.errors import ObjectCorrupt, ObjectNotFound, ProviderError, StorageUnusable
from raic.values import ListedObject, ObjectPage, Space

WINDOW = 4 * 1024 * 1024
"""How much is asked for at once: libcloud holds all of an answer in memory."""

LISTED_AHEAD = 100_000
"""How many lines of a listing are kept for its next pages."""

REMEMBERED = 10_000


@frozen
class LargeUpload:
    """A large object on its way."""

    there: Located
    sent: set[int]


class LibcloudStore:
    """See :class:`raic.backends.blockingstore.BlockingStore`.

    :param page: how many objects there are on a page of a listing.
    """

    def __init__(
        self,
        name: str,
        settings: LibcloudSettings,
        credentials: Credentials,
        patience: Patience,
        page: int,
    ) -> None:
        self._name = name
        self._settings = settings
        self._credentials = credentials
        self._page = page
        self._drivers = Drivers(settings, credentials, patience)
        self._container = Container(settings, self._drivers)
        self._running: set[str] = set()
        self._known: dict[str, Located] = {}
        self._ahead: tuple[str, str, list[ListedObject]] = ("", "", [])
        self._lock = Lock()

    @property
    def abilities(self) -> Abilities:
        """What the driver can do by itself."""
        return self._drivers.abilities

    def open(self) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        self._container.check()
        self._container.lines("probe/")
        key, data = f"probe/{uuid4().hex}", uuid4().bytes
        self._container.put(key, data)
        whole = self._container.read(key, len(data), 0, len(data)) == data
        if not self._container.delete(key) or not whole:
            what = "deleted" if whole else "read back"
            raise StorageUnusable(self._name, "start", f"a new object could not be {what}")

    def close(self) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        self._drivers.close()

    def renew_credentials(self) -> bool:
        """Ask for the credentials again; returns whether they are others."""
        return self._drivers.renewed()

    # Writing

    def put(self, operation: str, key: str, data: bytes | bytearray) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        self._container.put(key, bytes(data))
        self._remember(Located(key, len(data)))

    def begin_parts(self, key: str, size: int) -> LargeUpload:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        part_size = self._settings.plan.part_size_of(size)
        there = Located(key, size, part_size, token_hex(8))
        assert there.upload is not None
        self._running.add(there.upload)
        return LargeUpload(there, set())

    def put_part(self, upload: LargeUpload, number: int, data: bytes | bytearray) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        upload.sent.add(number)
        self._container.put(upload.there.part(number), bytes(data))

    def complete_parts(self, upload: LargeUpload, receipts: Sequence[None], *, again: bool) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        # Not empty: some services do not like empty objects.
        self._container.put(upload.there.name, TILDE.encode())
        self._running.discard(upload.there.upload or "")
        self._remember(upload.there)

    def discard_parts(self, upload: LargeUpload) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        self._known.pop(upload.there.key, None)
        self._container.delete(upload.there.name)
        for number in upload.sent:
            self._container.delete(upload.there.part(number))
        self._running.discard(upload.there.upload or "")

    # Reading

    def open_body(self, operation: str, key: str, offset: int, length: int) -> Body:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        there = self._located(operation, key)
        return _WindowedBody(self, operation, there, offset, length)

    def read(self, operation: str, there: Located, offset: int, length: int) -> bytes:
        """Some of the bytes of a range, at least one."""
        name, size = there.name, there.size
        if there.upload is not None:
            number, offset = divmod(offset, there.part_size)
            name = there.part(number)
            size = min(there.part_size, there.size - number * there.part_size)
        length = min(length, size - offset, WINDOW)
        try:
            data = self._container.read(name, size, offset, length)
        except Exception as error:
            meant = translated(self._name, self._settings, operation, error)
            if isinstance(meant, ObjectNotFound):
                self._known.pop(there.key, None)
                raise self._missing(operation, there) from None
            raise
        if len(data) != length:
            detail = f"{len(data)} bytes of {name} came instead of {length}"
            raise ObjectCorrupt(self._name, operation, detail)
        return data

    def _missing(self, operation: str, there: Located) -> ProviderError:
        if there.upload is not None and self._container.size(there.name) is not None:
            return ObjectCorrupt(self._name, operation, f"a part of {there.key} is gone")
        self._container.check()
        return ObjectNotFound(self._name, operation, f"no object {there.key}")

    def _located(self, operation: str, key: str) -> Located:
        """Where an object is.

        :raises ObjectNotFound: nowhere.
        :raises StorageUnusable: the container is gone.
        """
        known = self._known.get(key)
        if known is None:
            known = self._found(key)
            if known is None:
                self._container.check()
                raise ObjectNotFound(self._name, operation, f"no object {key}")
            self._remember(known)
        return known

    def _remember(self, there: Located) -> None:
        with self._lock:
            self._known[there.key] = there
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]

    def _found(self, key: str) -> Located | None:
        size = self._container.size(key)
        if size is not None:
            return Located(key, size)
        marks = (located(*line) for line in self._container.lines(key + TILDE))
        return next((mark for mark in marks if mark is not None and mark.key == key), None)

    def list_page(self, prefix: str, token: str | None, limit: int | None = None) -> ObjectPage:
        """See :class:`raic.backends.telling.TellingStore`.

        libcloud cannot begin a listing in its midst: what was listed in vain is kept for a while.
        """
        with self._lock:
            of, begin, lines = self._ahead
            self._ahead = ("", "", [])
        if token is None or (of, begin) != (prefix, token) or not lines:
            lines = self._listed(prefix, token or "")
        size = limit or self._page
        page, rest = lines[:size], lines[size:]
        last = page[-1].key if page else ""
        with self._lock:
            self._ahead = (prefix, last, rest)
        complete = len(lines) < LISTED_AHEAD and not rest
        return ObjectPage(tuple(page), None if complete else last)

    def _listed(self, prefix: str, after: str) -> list[ListedObject]:
        found = (located(*line) for line in self._container.lines(prefix))
        sizes = {
            there.key: there.size
            for there in found
            if there is not None and there.key > after and is_key(there.key)
        }
        return [ListedObject(key, sizes[key]) for key in nsmallest(LISTED_AHEAD, sizes)]

    def service_date(self) -> str | None:
        """See :class:`raic.backends.telling.TellingStore`."""
        return self._container.date()

    def space(self) -> Space:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        return Space(None, UNLIMITED)

    # Deleting

    def delete(self, keys: Sequence[str]) -> frozenset[str]:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        failed: set[str] = set()
        failure: Exception | None = None
        for key in keys:
            try:
                gone = self._delete(key)
            except Exception as error:
                if self.translated("delete_objects", error) is None:
                    raise
                gone, failure = False, error
            if not gone:
                failed.add(key)
        if failure is not None and len(failed) == len(keys):
            raise failure
        return frozenset(failed)

    def _delete(self, key: str) -> bool:
        there = self._known.pop(key, None) or self._found(key)
        if there is None:
            return True
        # What makes it visible goes first; parts that stay are found by clear_interrupted.
        gone = self._container.delete(there.name)
        return all([gone, *(self._container.delete(part) for part in there.parts)])

    def clear_interrupted(self, prefix: str) -> int:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        uploads: dict[str, list[str]] = {}
        for name, _ in self._container.lines(PARTS + prefix):
            part = of_part(name)
            if part is not None and part[1] not in self._running:
                uploads.setdefault(part[1], []).append(name)
        if not uploads:
            return 0
        marks = (located(*line) for line in self._container.lines(prefix))
        complete = {mark.upload for mark in marks if mark is not None}
        left = uploads.keys() - complete
        for upload in left:
            for name in uploads[upload]:
                self._container.delete(name)
        return len(left)

    def translated(self, operation: str, error: Exception) -> ProviderError | None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        if isinstance(error, ProviderError):
            return error
        return translated(self._name, self._settings, operation, error)


class _WindowedBody:
    """See :class:`raic.backends.blockingstore.Body`: many requests, each answered in memory."""

    def __init__(
        self, store: LibcloudStore, operation: str, there: Located, offset: int, length: int
    ) -> None:
        self.length = max(0, min(length, there.size - offset))
        self._store = store
        self._operation = operation
        self._there = there
        self._position = offset
        self._end = offset + self.length
        self._window = b""

    def read(self, size: int) -> bytes:
        """See :class:`raic.backends.blockingstore.Body`."""
        left = self._end - self._position
        if left and not self._window:
            self._window = self._store.read(self._operation, self._there, self._position, left)
        piece, self._window = self._window[:size], self._window[size:]
        self._position += len(piece)
        return piece

    def close(self) -> None:
        """See :class:`raic.backends.blockingstore.Body`."""
