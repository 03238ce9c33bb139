"""Tahoe's storage protocol without a transport: what both dialects call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from attrs import frozen
from twisted.internet.defer import Deferred, fail, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from raic.deferreds import async_to_deferred
from raic.errors import (
    NoSpace,
    NoSuchShare,
    OwnershipUnknown,
    ProviderUnreachable,
    ServiceBusy,
    ServiceStopping,
    UploadFinished,
)
from raic.interfaces import (
    IAllocation,
    IBucketUpload,
    IIndex,
    IReach,
    IShareReader,
    IStorageService,
)
from raic.server.draining import Draining
from raic.server.space import SpaceGauge
from raic.server.uploads import Uploads
from raic.shares.buckets import Buckets
from raic.shares.secrets import new_lease
from raic.shares.slots import Slots
from raic.values import (
    MAX_SHARES,
    Advisory,
    LeaseSecrets,
    ReadTestWriteResult,
    ReadVector,
    ServiceSizes,
    TestWriteVectors,
)

BUSY_WAITS = (0.1, 0.2, 0.4, 0.8)
"""How long an allocation waits, in seconds, each time it finds no memory, before it declines.

All shares of one request share these waits.
"""


@frozen
class Permissions:
    """What the operator allows.

    :ivar readonly: no new immutable shares: Tahoe's ``readonly``.
    :ivar readonly_mutable: no writes to slots either.
    """

    readonly: bool = False
    readonly_mutable: bool = False


@implementer(IAllocation)
@frozen
class Allocation:
    """See :class:`raic.interfaces.IAllocation`."""

    already_have: frozenset[int]
    allocated: Mapping[int, IBucketUpload]


@implementer(IStorageService)
class StorageService:
    """Joins buckets, slots and the index into the protocol.

    :param maximum_mutable: the largest mutable share, in bytes.
    :param may_write: whether the prefix is this node's as of this moment; while it is not, there is
        no space, and nothing is written.
    """

    def __init__(
        self,
        index: IIndex,
        buckets: Buckets,
        slots: Slots,
        space: SpaceGauge,
        clock: IReactorTime,
        *,
        maximum_mutable: int,
        permissions: Permissions = Permissions(),
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._index = index
        self._buckets = buckets
        self._slots = slots
        self._space = space
        self._clock = clock
        self._maximum_mutable = maximum_mutable
        self._permissions = permissions
        self._may_write = may_write
        self._stopping = False
        self._declining = False
        self._reach: IReach | None = None
        self.uploads = Uploads()

    def heed(self, reach: IReach) -> None:
        """Take shares only while what keeps them answers."""
        self._reach = reach

    def finish_uploads(self, seconds: float) -> Deferred[None]:
        """Begin no more uploads, and let those under way end; everything else goes on.

        :param seconds: how long to wait for them at most.
        :return: fires when there are none any more, or the time is over.  May be cancelled.
        """
        self._declining = True
        return Draining(self.uploads, self._clock).wait(seconds)

    def permit(self, permissions: Permissions) -> None:
        """Allow from now on what these allow; uploads under way may end."""
        self._permissions = permissions

    @async_to_deferred
    async def stop(self) -> None:
        """Refuse new uploads and abort those in progress; fires when they are gone."""
        self._stopping = self._declining = True
        await gatherResults([upload.abort() for upload in self.uploads])

    def get_sizes(self) -> ServiceSizes:
        """See :class:`raic.interfaces.IStorageService`."""
        available = self._available()
        return ServiceSizes(available, self._maximum_mutable, available)

    # Immutable shares

    @async_to_deferred
    async def allocate_buckets(
        self,
        storage_index: bytes,
        shnums: Collection[int],
        size: int,
        secrets: LeaseSecrets,
        upload_secret: bytes | None,
    ) -> IAllocation:
        """See :class:`raic.interfaces.IStorageService`."""
        if self._stopping:
            raise ServiceStopping("the node is shutting down")
        held = await self._held_when_there(storage_index, shnums, secrets)
        allocated: dict[int, IBucketUpload] = {}
        waits = iter(BUSY_WAITS)
        for shnum in sorted(shnum for shnum in shnums if 0 <= shnum < MAX_SHARES):
            if shnum in held:
                continue
            upload = self.uploads.find(storage_index, shnum, upload_secret)
            if upload is None:
                upload = await self._begin(
                    storage_index, shnum, size, secrets, upload_secret, waits
                )
            if upload is not None:
                allocated[shnum] = upload
        return Allocation(held, allocated)

    async def _held_when_there(
        self, storage_index: bytes, shnums: Collection[int], secrets: LeaseSecrets
    ) -> frozenset[int]:
        """The shares held already, once it is known whether others could be stored."""
        held = await self._held(storage_index, secrets)
        if self._reach is None or held.issuperset(shnums):
            return held
        asked = self._reach.ask()
        if asked.called:
            return held
        await asked
        return await self._held(storage_index, secrets)

    async def _held(self, storage_index: bytes, secrets: LeaseSecrets) -> frozenset[int]:
        """The shares held already, the caller's lease on them renewed.

        What is there is asked once more after the renewal: only then nothing of it can expire.
        """
        if not await self._index.get_bucket(storage_index):
            return frozenset()
        await self.add_lease(storage_index, secrets)
        return frozenset(await self._index.get_bucket(storage_index))

    async def _begin(
        self,
        storage_index: bytes,
        shnum: int,
        size: int,
        secrets: LeaseSecrets,
        upload_secret: bytes | None,
        waits: Iterator[float],
    ) -> IBucketUpload | None:
        """The upload, or None where it may not or cannot begin."""
        while self._may_begin(storage_index, shnum, size):
            try:
                return self._start(storage_index, shnum, size, secrets, upload_secret)
            except ServiceBusy:
                wait = next(waits, None)
            if wait is None:
                return None
            await deferLater(self._clock, wait)
            if shnum in await self._index.get_bucket(storage_index):
                return None
        return None

    def _may_begin(self, storage_index: bytes, shnum: int, size: int) -> bool:
        if self._declining or self.uploads.holds(storage_index, shnum):
            return False
        return size <= self._available()

    def _start(
        self,
        storage_index: bytes,
        shnum: int,
        size: int,
        secrets: LeaseSecrets,
        upload_secret: bytes | None,
    ) -> IBucketUpload:
        def ended(upload: IBucketUpload) -> None:
            self.uploads.remove(storage_index, shnum)
            if upload.is_complete():
                self._space.note_stored(upload.size)

        fills_gaps = upload_secret is None
        upload = self._buckets.start_upload(storage_index, shnum, size, secrets, ended, fills_gaps)
        self.uploads.add(storage_index, shnum, upload, upload_secret)
        return upload

    def _available(self) -> int:
        if self._permissions.readonly or self._declining or not self._may_write():
            return 0
        if self._reach is not None and not self._reach.answers():
            return 0
        return max(0, self._space.available() - self.uploads.reserved)

    def get_upload(self, storage_index: bytes, shnum: int, upload_secret: bytes) -> IBucketUpload:
        """See :class:`raic.interfaces.IStorageService`."""
        return self.uploads.get(storage_index, shnum, upload_secret)

    @async_to_deferred
    async def abort_upload(self, storage_index: bytes, shnum: int, upload_secret: bytes) -> None:
        """See :class:`raic.interfaces.IStorageService`."""
        try:
            upload = self.uploads.get(storage_index, shnum, upload_secret)
        except NoSuchShare:
            if shnum in await self._index.get_bucket(storage_index):
                raise UploadFinished("the share is complete") from None
            raise
        await upload.abort()

    @async_to_deferred
    async def list_shares(self, storage_index: bytes) -> frozenset[int]:
        """See :class:`raic.interfaces.IStorageService`."""
        return frozenset(await self._index.get_bucket(storage_index))

    @async_to_deferred
    async def open_share(self, storage_index: bytes, shnum: int) -> IShareReader:
        """See :class:`raic.interfaces.IStorageService`."""
        share = (await self._index.get_bucket(storage_index)).get(shnum)
        if share is None:
            raise NoSuchShare("no such share")
        return self._buckets.open(share)

    # Slots

    def list_slot_shares(self, storage_index: bytes) -> Deferred[frozenset[int]]:
        """See :class:`raic.interfaces.IStorageService`."""
        return self._slots.shnums(storage_index)

    def open_slot_share(self, storage_index: bytes, shnum: int) -> Deferred[IShareReader]:
        """See :class:`raic.interfaces.IStorageService`."""
        return self._slots.open(storage_index, shnum)

    def read_slot(
        self, storage_index: bytes, shnums: Collection[int], vectors: Sequence[ReadVector]
    ) -> Deferred[Mapping[int, tuple[bytes, ...]]]:
        """See :class:`raic.interfaces.IStorageService`."""
        return self._slots.read(storage_index, shnums, vectors)

    def read_test_write(
        self,
        storage_index: bytes,
        write_enabler: bytes,
        secrets: LeaseSecrets,
        vectors: Mapping[int, TestWriteVectors],
        reads: Sequence[ReadVector],
    ) -> Deferred[ReadTestWriteResult]:
        """See :class:`raic.interfaces.IStorageService`."""
        refusal = self._refusal(bool(vectors))
        if refusal is not None:
            return fail(refusal)
        return self._slots.read_test_write(storage_index, write_enabler, secrets, vectors, reads)

    def _refusal(self, changes: bool) -> Exception | None:
        """Why a message to a slot is not taken; None when it is."""
        if self._stopping:
            return ServiceStopping("the node is shutting down")
        if changes and self._permissions.readonly_mutable:
            text = "readonly_mutable = true: slots are read-only"
            return NoSpace("node", "read_test_write", text)
        if changes and not self._may_write():
            return OwnershipUnknown("node", "read_test_write", "the prefix is not this node's now")
        if changes and self._reach is not None and self._reach.is_gone():
            return ProviderUnreachable("node", "read_test_write", "nothing has answered for long")
        return None

    # Both

    def add_lease(self, storage_index: bytes, secrets: LeaseSecrets) -> Deferred[bool]:
        """See :class:`raic.interfaces.IStorageService`."""
        return self._index.renew_lease(storage_index, new_lease(secrets, self._clock.seconds()))

    @async_to_deferred
    async def advise_corrupt_share(
        self, kind: str, storage_index: bytes, shnum: int, reason: str
    ) -> bool:
        """See :class:`raic.interfaces.IStorageService`."""
        if kind == "immutable":
            known = frozenset(await self._index.get_bucket(storage_index))
        else:
            known = await self._slots.shnums(storage_index)
        if shnum not in known:
            return False
        received = int(self._clock.seconds())
        await self._index.advise(Advisory(kind, storage_index, shnum, reason, received))
        return True
