"""The objects of a Swift container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from json import dumps, loads
from typing import Any
from uuid import uuid4

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from raic.backends.blockingstore import UNLIMITED, Body
from raic.backends.bodies import NoBody, read_fully
from raic.backends.keys import is_key
from raic.backends.network import Refused
from raic.backends.patience import Patience
from raic.backends.registry import Credentials
from raic.backends.swift.account import Account
from raic.backends.swift.body import checked_body
from raic.backends.swift.container import Container
from raic.backends.swift.errors import missing_container, translated
from raic.backends.swift.segments import FOLDER, MARK, LargeKeys, LargeUpload, parsed
from raic.backends.swift.settings import SwiftSettings
from raic.errors import (
    KeyTaken,
    ObjectNotFound,
    ProviderError,
    ProviderTimedOut,
    StorageUnusable,
)
from raic.values import ListedObject, ObjectPage, Space

PAGE_OBJECTS = 1000

_ONLY_NEW = {"If-None-Match": "*"}
_QUOTAS = ("x-container-meta-quota-bytes", "x-container-bytes-used")


@frozen
class Segment:
    """The receipt of a part."""

    name: str
    etag: str
    size: int


class SwiftStore:
    """See :class:`raic.backends.blockingstore.BlockingStore`.

    :param page: how many objects are listed at once.
    """

    def __init__(
        self,
        name: str,
        settings: SwiftSettings,
        credentials: Credentials,
        clock: IReactorTime,
        patience: Patience,
        page: int = PAGE_OBJECTS,
    ) -> None:
        self._name = name
        self._settings = settings
        self.account = Account(name, settings, credentials, clock, patience)
        self._container = Container(self.account, settings.container, page)
        self._running: set[str] = set()
        self._large = LargeKeys()
        self._makes_large = False  # not known yet

    def open(self) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        self.list_page("", None)
        key, data = f"probe/{uuid4().hex}", uuid4().bytes
        self.put("start", key, data)
        whole = self._has("start", key, data)
        if self.delete([key]) or not whole:
            what = "deleted" if whole else "read back"
            raise StorageUnusable(self._name, "start", f"a new object could not be {what}")

    def close(self) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        self.account.close()

    # Writing

    def put(self, operation: str, key: str, data: bytes | bytearray) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        status = self._create(operation, key, data=data)
        if status == 412 and not self._has(operation, key, data):
            raise KeyTaken(self._name, operation, f"{key} names another object")

    def begin_parts(self, key: str, size: int) -> LargeUpload:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        upload = LargeUpload(key, size)
        self._running.add(upload.id)
        return upload

    def put_part(self, upload: LargeUpload, number: int, data: bytes | bytearray) -> Segment:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        name = upload.segment(number)
        upload.sent.add(number)
        try:
            answer = self.account.ask("PUT", self._path(name), (201,), data=data)
        except Refused as error:
            raise self._unless_container_is_missing("write", error) from None
        answer.close()
        return Segment(name, answer.headers.get("etag", "").strip('"'), len(data))

    def complete_parts(
        self, upload: LargeUpload, receipts: Sequence[Segment], *, again: bool
    ) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        manifest = [
            {
                "path": f"/{self._settings.container}/{self._settings.prefix}{segment.name}",
                "etag": segment.etag,
                "size_bytes": segment.size,
            }
            for segment in receipts
        ]
        params = {"multipart-manifest": "put"}
        self._large.add(upload.key)
        status = self._create("finish", upload.key, data=dumps(manifest).encode(), params=params)
        if status == 412 and not self._is_same(upload, receipts):
            raise KeyTaken(self._name, "finish", f"{upload.key} names another object")
        if status == 201:
            self._must_be_large(upload.key)
        self._running.discard(upload.id)

    def _must_be_large(self, key: str) -> None:
        """A service without large objects takes the list of segments for the object itself."""
        if self._makes_large:
            return
        path = self._path(key)
        with closing(self.account.ask("HEAD", path, (200, 204))) as answer:
            self._makes_large = "x-static-large-object" in answer.headers
        if not self._makes_large:
            self.account.ask("DELETE", path, (204, 404)).close()
            detail = "the service has no static large objects"
            remedy = "ask its operator for them, or raise part_size above the largest share"
            raise StorageUnusable(self._name, "finish", detail, remedy)

    def discard_parts(self, upload: LargeUpload) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        self._running.discard(upload.id)
        prefix = self._settings.prefix
        self._container.delete([prefix + upload.segment(n) for n in sorted(upload.sent)])

    def _create(self, operation: str, key: str, **request: Any) -> int:
        """Make the request that creates an object.

        :return: 412 when there was one already, and nothing was stored.
        """
        try:
            answer = self.account.ask(
                "PUT", self._path(key), (201, 412), headers=_ONLY_NEW, **request
            )
        except Refused as error:
            raise self._unless_container_is_missing(operation, error) from None
        answer.close()
        if answer.status_code == 201 and "etag" not in answer.headers:
            detail = "the answer to a write was not Swift's"
            raise StorageUnusable(self._name, operation, detail, "check auth_url and storage_url")
        return answer.status_code

    def _has(self, operation: str, key: str, data: bytes | bytearray) -> bool:
        """Whether the object of that key has exactly these bytes."""
        body = self.open_body(operation, key, 0, len(data) + 1)
        return read_fully(body, self._name, operation) == data

    def _is_same(self, upload: LargeUpload, receipts: Sequence[Segment]) -> bool:
        """Whether the object there is of the same segments, or of others with the same bytes."""
        found = self._manifest(upload.key)
        if [line["name"] for line in found] == [self._segment_path(each) for each in receipts]:
            return True
        if [line["hash"] for line in found] != [each.etag for each in receipts]:
            return False
        self.discard_parts(upload)
        return True

    def _segment_path(self, segment: Segment) -> str:
        return f"/{self._settings.container}/{self._settings.prefix}{segment.name}"

    def _manifest(self, key: str) -> list[dict[str, Any]]:
        """The segments of a large object; none for another one, or if there is none."""
        params = {"multipart-manifest": "get"}
        path = self._path(key)
        with closing(self.account.ask("HEAD", path, (200, 204, 404), params=params)) as answer:
            if "x-static-large-object" not in answer.headers:
                return []
        answer = self.account.ask("GET", path, (200, 404), params=params)
        found: list[dict[str, Any]] = loads(answer.content) if answer.status_code == 200 else []
        return found

    # Reading

    def open_body(self, operation: str, key: str, offset: int, length: int) -> Body:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        path = self._path(key)
        try:
            if not length:
                self.account.ask("HEAD", path, (200, 204)).close()
                return NoBody()
            asked = {"Range": f"bytes={offset}-{offset + length - 1}"}
            answer = self.account.ask("GET", path, (200, 206, 416), headers=asked)
        except Refused as error:
            raise self._unless_container_is_missing(operation, error, key) from None
        if answer.status_code != 416:
            return checked_body(self._name, operation, answer, offset, length)
        answer.close()
        return NoBody()

    def list_page(self, prefix: str, token: str | None, limit: int | None = None) -> ObjectPage:
        """See :class:`raic.backends.telling.TellingStore`."""
        begin = self._settings.prefix
        try:
            lines = self._container.page(
                begin + prefix, begin + (token or ""), begin + MARK, limit=limit
            )
        except Refused as error:
            raise self._unless_container_is_missing("list_objects", error) from None
        found = [ListedObject(line["name"][len(begin) :], line["bytes"]) for line in lines]
        return ObjectPage(
            tuple(line for line in found if is_key(line.key)), found[-1].key if found else None
        )

    def service_date(self) -> str | None:
        """See :class:`raic.backends.telling.TellingStore`."""
        return self._head("service_time").get("date")

    def space(self) -> Space:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        headers = self._head("get_space")
        quota, used = (_number(headers.get(name)) for name in _QUOTAS)
        available = UNLIMITED if quota is None else max(0, quota - (used or 0))
        return Space(None if self._settings.prefix else used, available)

    def _head(self, operation: str) -> Mapping[str, str]:
        """What the service says of the container."""
        headers = self._container.head()
        if headers is None:
            raise missing_container(self._name, self._settings, operation)
        return headers

    # Deleting

    def delete(self, keys: Sequence[str]) -> frozenset[str]:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        large = self._large_among(keys)
        begin = self._settings.prefix
        small = [begin + key for key in keys if key not in large]
        failed: set[str] = set()
        failure: Exception | None = None
        try:
            failed |= {name[len(begin) :] for name in self._container.delete(small)}
        except (Refused, ProviderTimedOut) as error:
            failure = error
            failed.update(name[len(begin) :] for name in small)
        for key in large:
            try:
                self._container.delete_large(begin + key)
                self._large.discard(key)
            except (Refused, ProviderTimedOut) as error:
                failure = error
                failed.add(key)
        if failure is not None and len(failed) == len(keys):
            raise failure
        return frozenset(failed)

    def _large_among(self, keys: Sequence[str]) -> set[str]:
        """The keys for which there are segments.

        One request as a rule; never more than there are keys: each asks for the first segments at
        or after the first key that is still open, and closes all that come before the last of them.
        """
        folder = self._settings.prefix + FOLDER
        large = {key for key in keys if key in self._large}
        names = sorted(folder + key + MARK for key in keys)
        at = 0
        while at < len(names):
            marker = names[at][: -len(MARK)]
            lines = self._container.page(folder, marker, delimiter=MARK)
            if not lines:
                break
            listed = {line.get("subdir") for line in lines}
            last = lines[-1].get("subdir") or lines[-1]["name"]
            while at < len(names) and names[at] <= last:
                if names[at] in listed:
                    large.add(names[at][len(folder) : -len(MARK)])
                at += 1
        return large

    def clear_interrupted(self, prefix: str) -> int:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        begin = self._settings.prefix
        by_key: dict[str, dict[str, list[str]]] = {}
        for name in self._container.names(begin + FOLDER + prefix):
            found = parsed(name[len(begin) :])
            if found is not None and found.upload not in self._running:
                by_key.setdefault(found.key, {}).setdefault(found.upload, []).append(name)
        cleared = 0
        for key, uploads in by_key.items():
            kept = {line["name"] for line in self._manifest(key)}
            for names in uploads.values():
                if f"/{self._settings.container}/{names[0]}" not in kept:
                    self._container.delete(names)
                    cleared += 1
        return cleared

    # Errors

    def translated(self, operation: str, error: Exception) -> ProviderError | None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        return translated(self._name, self._settings, operation, error)

    def _path(self, name: str) -> str:
        return self._container.path(self._settings.prefix + name)

    def _unless_container_is_missing(
        self, operation: str, error: Refused, key: str | None = None
    ) -> Exception:
        """What a refusal is: of a status 404 the service does not say what is missing."""
        if error.status != 404:
            return error
        if key is not None and self._container.exists():
            return ObjectNotFound(self._name, operation, f"no object {key}")
        return missing_container(self._name, self._settings, operation)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
