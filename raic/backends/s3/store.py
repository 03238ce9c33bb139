"""The requests to S3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import md5
from itertools import pairwise
from ssl import create_default_context
from threading import Lock
from typing import Any
from uuid import uuid4

from attrs import frozen
from botocore.exceptions import BotoCoreError, ClientError

from raic.backends.blockingstore import UNLIMITED, Body
from raic.backends.bodies import NoBody
from raic.backends.keys import is_key
from raic.backends.patience import Patience
from raic.backends.s3.body import checked_body
from raic.backends.s3.client import ambient_credentials, make_client
from raic.backends.s3.errors import code_of, is_refusal, refused, status_of, translated
from raic.backends.s3.settings import S3Credentials, S3Settings
from raic.backends.telling import seconds_of
from raic.errors import KeyTaken, ProviderError, ProviderTimedOut, StorageUnusable
from raic.values import ListedObject, ObjectPage, Space

PROBES = "probe/"
PROBE_SECONDS = 600.0
"""What another start tries the service with just now is younger."""

PAGE_OBJECTS = 1000
DELETED_AT_ONCE = 1000
COMPARED_AT_ONCE = 1024 * 1024


@frozen
class Parts:
    """An upload in parts that was begun."""

    key: str
    upload_id: str
    size: int


class S3Store:
    """See :class:`raic.backends.blockingstore.BlockingStore`."""

    def __init__(
        self,
        name: str,
        settings: S3Settings,
        credentials: Callable[[], S3Credentials | None],
        patience: Patience,
    ) -> None:
        self._name = name
        self._settings = settings
        self._credentials = credentials
        self._patience = patience
        self._used: S3Credentials | None = None
        self._client: Any = None
        self._renewing = Lock()
        self._conditional = settings.conditional is not False
        self._batches = True
        self._beginning: set[str] = set()
        self._running: set[str] = set()

    def open(self) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        self._check_ca_bundle()
        credentials = self._credentials()
        self._client = make_client(self._settings, credentials)
        self._used = credentials or ambient_credentials()
        # What a start that broke off left goes with this one's.
        left = self._old_probes()
        key, data = f"{PROBES}{uuid4().hex}", uuid4().bytes
        self.put("start", key, data)
        try:
            whole = self._has(key, data)
        except ClientError as error:
            if code_of(error) != "NoSuchKey":
                raise
            whole = False
        for code in self._delete_batch([key, *left[: DELETED_AT_ONCE - 1]]).values():
            raise refused(self._name, self._settings, "start", "DeleteObjects", code)
        if not whole:
            raise StorageUnusable(self._name, "start", "a new object could not be read back")

    def _old_probes(self) -> list[str]:
        answer = self._list(PROBES, None, PAGE_OBJECTS)
        now = seconds_of(_date_of(answer))
        latest = (self._patience.now() if now is None else now) - PROBE_SECONDS
        skip = len(self._settings.prefix)
        return [
            line["Key"][skip:]
            for line in answer.get("Contents", ())
            if "LastModified" in line and line["LastModified"].timestamp() < latest
        ]

    def close(self) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def renew_credentials(self) -> bool:
        """Ask for the credentials again; returns whether they are others."""
        return self._renewed(self._client)

    def _check_ca_bundle(self) -> None:
        path = self._settings.ca_bundle
        try:
            if path is not None:
                create_default_context(cafile=path)
        except OSError as error:
            detail = f"{path} cannot be used as a file of certificates: {error}"
            raise StorageUnusable(self._name, "start", detail, "correct ca_bundle") from error

    # Writing

    def put(self, operation: str, key: str, data: bytes | bytearray) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        taken = self._create("put_object", key, Body=data, **self._settings.of_new_objects)
        if taken and not self._has(key, data):
            raise KeyTaken(self._name, operation, f"{key} names another object")

    def begin_parts(self, key: str, size: int) -> Parts:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        full = self._full(key)
        # Others see the upload before its number has arrived here.
        self._beginning.add(full)
        try:
            answer = self._call(
                "create_multipart_upload", Key=full, **self._settings.of_new_objects
            )
            upload_id: str = answer["UploadId"]
            self._running.add(upload_id)
        finally:
            self._beginning.discard(full)
        return Parts(key, upload_id, size)

    def put_part(self, upload: Parts, number: int, data: bytes | bytearray) -> str:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        answer = self._call(
            "upload_part",
            Key=self._full(upload.key),
            UploadId=upload.upload_id,
            PartNumber=number + 1,
            Body=data,
        )
        etag: str = answer["ETag"]
        return etag

    def complete_parts(self, upload: Parts, receipts: Sequence[str], *, again: bool) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        parts = [{"PartNumber": n + 1, "ETag": etag} for n, etag in enumerate(receipts)]
        try:
            taken = self._create(
                "complete_multipart_upload",
                upload.key,
                UploadId=upload.upload_id,
                MultipartUpload={"Parts": parts},
            )
        except ClientError as error:
            if not (again and code_of(error) == "NoSuchUpload"):
                raise
            taken = True
        if taken:
            if not self._is_ours(upload, receipts, again):
                raise KeyTaken(self._name, "finish", f"{upload.key} names another object")
            self._abort(self._full(upload.key), upload.upload_id)
        self._running.discard(upload.upload_id)

    def discard_parts(self, upload: Parts) -> None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        self._running.discard(upload.upload_id)
        self._abort(self._full(upload.key), upload.upload_id)

    def _create(self, request: str, key: str, **params: Any) -> bool:
        """Make the request that creates an object, if nothing has its key where that can be said.

        :return: whether something has.
        """
        condition = {"IfNoneMatch": "*"} if self._conditional else {}
        try:
            answer = self._call(request, Key=self._full(key), **params, **condition)
        except ClientError as error:
            if code_of(error) in {"PreconditionFailed", "412"}:
                return True
            if not (condition and status_of(error) == 501 and self._settings.conditional is None):
                raise
            self._conditional = False
            answer = self._call(request, Key=self._full(key), **params)
        if "ETag" not in answer:
            raise self._not_s3("put_object")
        return False

    def _has(self, key: str, data: bytes | bytearray) -> bool:
        """Whether the object of that key has exactly these bytes."""
        body = self.open_body("put_object", key, 0, len(data) + 1)
        try:
            if body.length != len(data):
                return False
            rest = memoryview(data)
            while rest:
                piece = body.read(min(len(rest), COMPARED_AT_ONCE))
                if not piece or piece != rest[: len(piece)]:
                    return False
                rest = rest[len(piece) :]
            return True
        finally:
            body.close()

    def _is_ours(self, upload: Parts, receipts: Sequence[str], again: bool) -> bool:
        """Whether the object is the one whose parts were sent.

        Our own earlier request is known by the size: keys are unique.  Without one, the object's
        ETag tells, which S3 makes of those of the parts.
        """
        found = self._call("head_object", Key=self._full(upload.key))
        if found["ContentLength"] != upload.size:
            return False
        return again or found["ETag"].strip('"') == _combined(receipts)

    # Reading

    def open_body(self, operation: str, key: str, offset: int, length: int) -> Body:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        if not length:
            self._call("head_object", Key=self._full(key))
            return NoBody()
        asked = f"bytes={offset}-{offset + length - 1}"
        try:
            answer = self._call("get_object", Key=self._full(key), Range=asked)
        except ClientError as error:
            if code_of(error) in {"InvalidRange", "416"}:
                return NoBody()
            raise
        return checked_body(self._name, operation, answer, offset, length)

    def list_page(self, prefix: str, token: str | None, limit: int | None = None) -> ObjectPage:
        """See :class:`raic.backends.telling.TellingStore`."""
        answer = self._list(prefix, token, limit or PAGE_OBJECTS)
        skip = len(self._settings.prefix)
        found = [
            ListedObject(line["Key"][skip:], line["Size"]) for line in answer.get("Contents", ())
        ]
        keys = [line.key for line in found]
        if token is not None:
            keys.insert(0, token)
        if any(earlier >= later for earlier, later in pairwise(keys)):
            detail = "the listing is not in the order of keys, or begins anew on every page"
            remedy = "use another service or container: this kind is not supported"
            raise StorageUnusable(self._name, "list_objects", detail, remedy)
        next_token = keys[-1] if answer.get("IsTruncated") and found else None
        return ObjectPage(tuple(line for line in found if is_key(line.key)), next_token)

    def _list(self, prefix: str, token: str | None, limit: int) -> dict[str, Any]:
        after = {} if token is None else {"StartAfter": self._full(token)}
        answer = self._call("list_objects_v2", Prefix=self._full(prefix), MaxKeys=limit, **after)
        if "Name" not in answer:
            raise self._not_s3("list_objects")
        return answer

    def space(self) -> Space:
        """See :class:`raic.backends.blockingstore.BlockingStore`.

        S3 has no such question; what is stored is counted by the index.
        """
        return Space(None, UNLIMITED)

    # Deleting

    def delete(self, keys: Sequence[str]) -> frozenset[str]:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        failed: set[str] = set()
        failure: Exception | None = None
        for at in range(0, len(keys), DELETED_AT_ONCE):
            batch = keys[at : at + DELETED_AT_ONCE]
            try:
                failed.update(self._delete_batch(batch))
            except (ClientError, BotoCoreError, ProviderTimedOut) as error:
                failure = error
                failed.update(batch)
        if failure is not None and len(failed) == len(keys):
            raise failure
        return frozenset(failed)

    def _delete_batch(self, keys: Sequence[str]) -> dict[str, str]:
        """Delete some; returns those that could not be, each with S3's reason."""
        if self._batches:
            wanted = {"Objects": [{"Key": self._full(key)} for key in keys], "Quiet": True}
            try:
                answer = self._call("delete_objects", Delete=wanted)
            except ClientError as error:
                if status_of(error) not in {405, 501}:
                    raise
                self._batches = False
            else:
                skip = len(self._settings.prefix)
                codes = {e["Key"][skip:]: e.get("Code", "") for e in answer.get("Errors", ())}
                return {key: code for key, code in codes.items() if code != "NoSuchKey"}
        return self._delete_singly(keys)

    def _delete_singly(self, keys: Sequence[str]) -> dict[str, str]:
        failed: dict[str, str] = {}
        for key in keys:
            try:
                self._call("delete_object", Key=self._full(key))
            except (ClientError, ProviderTimedOut) as error:
                failed[key] = code_of(error) if isinstance(error, ClientError) else ""
                if len(failed) == len(keys):
                    raise
        return failed

    def clear_interrupted(self, prefix: str) -> int:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        cleared = 0
        markers: dict[str, str] = {}
        while True:
            answer = self._call("list_multipart_uploads", Prefix=self._full(prefix), **markers)
            for upload in answer.get("Uploads", ()):
                # In this order: what is no longer beginning is running.
                ours = upload["Key"] in self._beginning or upload["UploadId"] in self._running
                if not ours:
                    self._abort(upload["Key"], upload["UploadId"])
                    cleared += 1
            if not answer.get("IsTruncated"):
                return cleared
            markers = {
                "KeyMarker": answer["NextKeyMarker"],
                "UploadIdMarker": answer["NextUploadIdMarker"],
            }

    def _abort(self, full_key: str, upload_id: str) -> None:
        try:
            self._call("abort_multipart_upload", Key=full_key, UploadId=upload_id)
        except ClientError as error:
            if code_of(error) != "NoSuchUpload":
                raise

    # Asking

    def service_date(self) -> str | None:
        """See :class:`raic.backends.telling.TellingStore`."""
        return _date_of(self._call("list_objects_v2", Prefix=self._full(PROBES), MaxKeys=1))

    def translated(self, operation: str, error: Exception) -> ProviderError | None:
        """See :class:`raic.backends.blockingstore.BlockingStore`."""
        return translated(self._name, self._settings, operation, error)

    def _not_s3(self, operation: str) -> ProviderError:
        detail = "something that is not S3 answered"
        remedy = "check endpoint_url, and whether the network wants a log-in first"
        return StorageUnusable(self._name, operation, detail, remedy)

    def _full(self, key: str) -> str:
        return self._settings.prefix + key

    def _call(self, request: str, **params: Any) -> dict[str, Any]:
        """Make a request; once more if it was refused and there are other credentials by now."""
        client = self._client
        try:
            return self._ask(client, request, params)
        except ClientError as error:
            if not is_refusal(error) or not self._renewed(client):
                raise
        return self._ask(self._client, request, params)

    def _ask(self, client: Any, request: str, params: dict[str, Any]) -> dict[str, Any]:
        self._patience.check()
        answer: dict[str, Any] = getattr(client, request)(Bucket=self._settings.container, **params)
        return answer

    def _renewed(self, client: Any) -> bool:
        """Whether there is by now another client than this one."""
        with self._renewing:
            if self._client is client:
                credentials = self._credentials()
                used = credentials or ambient_credentials()
                if used == self._used:
                    return False
                self._client = make_client(self._settings, credentials)
                self._used = used
            return True


def _date_of(answer: dict[str, Any]) -> str | None:
    date: str | None = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return date


def _combined(receipts: Sequence[str]) -> str:
    """The ETag of an object of parts with these ETags."""
    try:
        digests = b"".join(bytes.fromhex(etag.strip('"')) for etag in receipts)
    except ValueError:
        return ""
    return f"{md5(digests, usedforsecurity=False).hexdigest()}-{len(receipts)}"
