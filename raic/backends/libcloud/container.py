"""One container, through one of libcloud's drivers at a time."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import md5
from io import BytesIO
from typing import Any, TypeVar

from libcloud.common.types import InvalidCredsError
from libcloud.storage.base import Container as LibcloudContainer
from libcloud.storage.base import Object as LibcloudObject
from libcloud.storage.types import ObjectDoesNotExistError

from raic.backends.libcloud.drivers import Drivers
from raic.backends.libcloud.errors import Refused
from raic.backends.libcloud.names import from_file, to_file
from raic.backends.libcloud.settings import LOCAL, LibcloudSettings

T = TypeVar("T")

_EXTRA = {"content_type": "application/octet-stream"}


class Container:
    """Whole objects by name, without the prefix of all names; what libcloud raises is raised."""

    def __init__(self, settings: LibcloudSettings, drivers: Drivers) -> None:
        self._settings = settings
        self._drivers = drivers
        self._in_files = settings.driver == LOCAL

    def check(self) -> None:
        """Raise ``ContainerDoesNotExistError`` if it does not."""
        self._call(lambda driver: driver.get_container(self._settings.container))

    def date(self) -> str | None:
        """The ``Date`` of an answer; None where there is no service, or it tells none."""

        def date(driver: Any) -> str | None:
            driver.get_container(self._settings.container)
            answer = driver.connection.connection.response
            found: str | None = answer.headers.get("date")
            return found

        return None if self._in_files else self._call(date)

    def put(self, name: str, data: bytes) -> None:
        """Store an object, over another one if there is one."""

        def put(driver: Any) -> None:
            # Seekable, because libcloud reads it twice: once to hash it.
            where = BytesIO(data), self._here(driver), self._outer(name)
            if 0 < len(data) <= self._drivers.abilities.whole:
                _put_whole(driver, *where, data)
            else:
                driver.upload_object_via_stream(*where, extra=_EXTRA)

        self._call(put)

    def size(self, name: str) -> int | None:
        """The size of an object; None if there is none."""

        def size(driver: Any) -> int | None:
            try:
                found = driver.get_object(self._settings.container, self._outer(name))
            except ObjectDoesNotExistError:
                return None
            return int(found.size)

        return self._call(size)

    def read(self, name: str, size: int, offset: int, length: int) -> bytes:
        """A range, which lies within the object.

        :param size: of the object.
        """

        def read(driver: Any) -> bytes:
            there = self._object(driver, name, size)
            if self._drivers.abilities.ranges:
                return _joined(
                    driver.download_object_range_as_stream(there, offset, offset + length), length
                )
            stream = driver.download_object_as_stream(there)
            return _joined(stream, offset + length)[offset:]

        return self._call(read)

    def delete(self, name: str) -> bool:
        """Delete an object, if there is one; returns whether it is gone."""

        def delete(driver: Any) -> bool:
            try:
                return bool(driver.delete_object(self._object(driver, name, 0)))
            except ObjectDoesNotExistError:
                return True

        return self._call(delete)

    def lines(self, prefix: str) -> list[tuple[str, int]]:
        """Names that begin so, and the sizes of their objects, in any order."""
        return self._call(lambda driver: list(self._lines(driver, prefix)))

    def _lines(self, driver: Any, prefix: str) -> Iterator[tuple[str, int]]:
        begin = self._settings.prefix
        wanted = None if self._in_files else begin + prefix or None
        for line in driver.iterate_container_objects(self._here(driver), prefix=wanted):
            name = from_file(line.name) if self._in_files else line.name
            if name.startswith(begin + prefix):
                yield name[len(begin) :], int(line.size)

    def _here(self, driver: Any) -> LibcloudContainer:
        return LibcloudContainer(self._settings.container, {}, driver)

    def _object(self, driver: Any, name: str, size: int) -> LibcloudObject:
        here = self._here(driver)
        return LibcloudObject(self._outer(name), size, "", {}, {}, here, driver)

    def _outer(self, name: str) -> str:
        whole = self._settings.prefix + name
        return to_file(whole) if self._in_files else whole

    def _call(self, function: Callable[[Any], T]) -> T:
        """Make a call; once more if it was refused and there are other credentials by now."""
        try:
            with self._drivers.one() as driver:
                return function(driver)
        except (Refused, InvalidCredsError) as error:
            if getattr(error, "status", 401) not in {401, 403} or not self._drivers.renewed():
                raise
        with self._drivers.one() as driver:
            return function(driver)


def _put_whole(
    driver: Any, stream: BytesIO, here: LibcloudContainer, name: str, data: bytes
) -> None:
    """Have Azure's driver store an object in one request, as it does with small files.

    It has no method of its own for bytes whose number is known.
    """
    digest = md5(data, usedforsecurity=False).digest()
    headers = {"Content-MD5": b64encode(digest).decode()}
    driver._put_object(here, name, stream, extra=_EXTRA, headers=headers, blob_size=len(data))


def _joined(stream: Iterator[bytes], enough: int) -> bytes:
    """The first bytes of a stream; no more of it is read than is needed."""
    pieces, found = [], 0
    for piece in stream:
        pieces.append(piece)
        found += len(piece)
        if found >= enough:
            break
    return b"".join(pieces)[:enough]
