"""Immutable shares as remote objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from raic.budget import MemoryBudget
from raic.errors import MessageMalformed, MessageTooLarge
from raic.interfaces import IBucketUpload, IShareReader, IStorageService
from raic.server.foolscap.callers import Caller
from raic.server.foolscap.failures import raise_for_client
from raic.server.foolscap.metering import MeteredReferenceable
from raic.server.foolscap.schemas import RIBucketReader, RIBucketWriter
from raic.server.foolscap.wire import check_not_negative, reason_text
from raic.server.operations import OperationMeter

MAX_READ = 64 * 1024 * 1024
"""The most bytes that one read is answered with: clients read a block of a segment at a time."""


class UploadWatch:
    """Aborts what one allocation began when the connection it came by is lost.

    :param canary: a Foolscap reference that is lost with the connection.
    :param uploads: by share number.
    :param caller: is told of them; None where no connection is.
    """

    def __init__(
        self, canary: Any, uploads: Mapping[int, IBucketUpload], caller: Caller | None = None
    ) -> None:
        self._canary = canary
        self._uploads = dict(uploads)
        self._caller = caller
        if caller is not None:
            caller.begin_uploads(len(uploads))
        if uploads:
            self._marker = canary.notifyOnDisconnect(self._lost)

    def ended(self, shnum: int) -> None:
        """Forget an upload that was completed or aborted."""
        if self._uploads.pop(shnum, None) is None:
            return
        if self._caller is not None:
            self._caller.end_upload()
        if not self._uploads:
            self._canary.dontNotifyOnDisconnect(self._marker)

    def _lost(self) -> None:
        uploads, self._uploads = self._uploads, {}
        for upload in uploads.values():
            upload.abort()


@implementer(RIBucketWriter)  # type: ignore[misc]  # mypy-zope knows no remote interfaces
class FoolscapBucketWriter(MeteredReferenceable):
    """An upload of one share."""

    def __init__(
        self, upload: IBucketUpload, shnum: int, watch: UploadWatch, meter: OperationMeter
    ) -> None:
        super().__init__(meter)
        self._upload = upload
        self._shnum = shnum
        self._watch = watch

    def remote_write(self, offset: int, data: bytes) -> Deferred[None]:
        """Write bytes; answered when more may be sent."""
        if offset < 0:
            return fail(MessageMalformed("offsets cannot be negative"))
        return self._upload.write(offset, data).addErrback(raise_for_client)

    def remote_close(self) -> Deferred[None]:
        """Complete the share; answered when it is durable."""
        self._watch.ended(self._shnum)
        return self._upload.close().addErrback(raise_for_client)

    def remote_abort(self) -> Deferred[None]:
        """Give up."""
        self._watch.ended(self._shnum)
        return self._upload.abort()


@implementer(RIBucketReader)  # type: ignore[misc]  # mypy-zope knows no remote interfaces
class FoolscapBucketReader(MeteredReferenceable):
    """A complete share.

    It is opened for each read: a client may keep its reference as long as the connection lasts,
    and an open share keeps its objects from being deleted.
    """

    operations: ClassVar[Mapping[str, str]] = {"advise_corrupt_share": "advise"}

    def __init__(
        self,
        service: IStorageService,
        budget: MemoryBudget,
        storage_index: bytes,
        shnum: int,
        meter: OperationMeter,
    ) -> None:
        super().__init__(meter)
        self._service = service
        self._budget = budget
        self._storage_index = storage_index
        self._shnum = shnum

    def remote_read(self, offset: int, length: int) -> Deferred[bytes]:
        """The bytes of the range that the share has."""
        return Deferred.fromCoroutine(self._read(offset, length)).addErrback(raise_for_client)

    async def _read(self, offset: int, length: int) -> bytes:
        check_not_negative(offset, length)
        share = await self._service.open_share(self._storage_index, self._shnum)
        try:
            return await self._read_open(share, offset, min(length, share.length - offset))
        finally:
            share.close()

    async def _read_open(self, share: IShareReader, offset: int, length: int) -> bytes:
        if length <= 0:
            return b""
        if length > MAX_READ:
            raise MessageTooLarge(f"at most {MAX_READ} bytes are read at once")
        self._budget.take(length)
        try:
            data = share.read_now(offset, length)
            return await share.read(offset, length) if data is None else data
        finally:
            self._budget.give_back(length)

    def remote_advise_corrupt_share(self, reason: bytes) -> Deferred[None]:
        """Keep the client's claim that the share is corrupt."""
        advised = self._service.advise_corrupt_share(
            "immutable", self._storage_index, self._shnum, reason_text(reason)
        )
        return advised.addCallbacks(lambda _: None, raise_for_client)
