"""The storage service as a remote object."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred
from zope.interface import implementer

import raic
from raic.budget import MemoryBudget
from raic.errors import MessageMalformed
from raic.interfaces import IBucketUpload, IStorageService
from raic.server.foolscap.buckets import FoolscapBucketReader, FoolscapBucketWriter, UploadWatch
from raic.server.foolscap.failures import raise_for_client
from raic.server.foolscap.full import FullClients
from raic.server.foolscap.metering import MeteredReferenceable
from raic.server.foolscap.schemas import RIStorageServer
from raic.server.foolscap.wire import (
    ReadData,
    Reads,
    Tests,
    Writes,
    check_not_negative,
    read_data,
    read_vectors,
    reason_text,
    test_write_vectors,
)
from raic.server.operations import OperationMeter
from raic.values import MAX_SHARES, LeaseSecrets

PROTOCOL = b"http://allmydata.org/tahoe/protocols/storage/v1"
_KINDS = {b"immutable": "immutable", b"mutable": "mutable"}


@implementer(RIStorageServer)  # type: ignore[misc]  # mypy-zope knows no remote interfaces
class FoolscapStorageServer(MeteredReferenceable):
    """Answers ``RIStorageServer`` out of a storage service.

    Every ``remote_`` method returns what goes over the wire, or a Deferred of it that fails as
    :mod:`raic.server.foolscap.failures` says.

    :param budget: the node's limit on the memory of answers that are being made.
    :param meter: counts the calls.
    :param full_clients: is told who learns that there is no room; None where nobody hangs up.
    """

    operations: ClassVar[Mapping[str, str]] = {
        "get_version": "version",
        "allocate_buckets": "allocate",
        "get_buckets": "list",
        "slot_readv": "read_slot",
        "slot_testv_and_readv_and_writev": "read_test_write",
        "advise_corrupt_share": "advise",
    }

    def __init__(
        self,
        service: IStorageService,
        budget: MemoryBudget,
        meter: OperationMeter,
        full_clients: FullClients | None = None,
    ) -> None:
        super().__init__(meter)
        self._service = service
        self._budget = budget
        self._full_clients = full_clients
        # One object for each share however often it is asked for: what a client makes a
        # connection remember is bounded by what is stored.
        self._readers: WeakValueDictionary[tuple[bytes, int], FoolscapBucketReader] = (
            WeakValueDictionary()
        )

    def remote_get_version(self) -> dict[bytes, object]:
        """What a Tahoe 1.20 server says of itself, with this node's sizes."""
        sizes = self._service.get_sizes()
        if self._full_clients is not None:
            self._full_clients.note(sizes.maximum_immutable_share_size == 0)
        return {
            PROTOCOL: {
                b"maximum-immutable-share-size": sizes.maximum_immutable_share_size,
                b"maximum-mutable-share-size": sizes.maximum_mutable_share_size,
                b"available-space": sizes.available_space,
                b"tolerates-immutable-read-overrun": True,
                b"delete-mutable-shares-with-zero-length-writev": True,
                b"fills-holes-with-zero-bytes": True,
                b"prevents-read-past-end-of-share-data": True,
            },
            b"application-version": f"raic/{raic.__version__}".encode(),
        }

    def remote_allocate_buckets(
        self,
        storage_index: bytes,
        renew_secret: bytes,
        cancel_secret: bytes,
        sharenums: Collection[int],
        allocated_size: int,
        canary: Any,
    ) -> Deferred[tuple[set[int], dict[int, FoolscapBucketWriter]]]:
        """Begin uploads that last no longer than the connection.

        :param canary: a reference to an object of the client, lost with the connection.
        """
        secrets = LeaseSecrets(renew_secret, cancel_secret)
        caller = None if self._full_clients is None else self._full_clients.callers.present

        async def allocate() -> tuple[set[int], dict[int, FoolscapBucketWriter]]:
            check_not_negative(allocated_size)
            answer = await self._service.allocate_buckets(
                storage_index, sharenums, allocated_size, secrets, None
            )
            uploads: Mapping[int, IBucketUpload] = answer.allocated
            watch = UploadWatch(canary, uploads, caller)
            writers = {
                shnum: FoolscapBucketWriter(upload, shnum, watch, self.meter)
                for shnum, upload in uploads.items()
            }
            return set(answer.already_have), writers

        return Deferred.fromCoroutine(allocate()).addErrback(raise_for_client)

    def remote_add_lease(
        self, storage_index: bytes, renew_secret: bytes, cancel_secret: bytes
    ) -> Deferred[None]:
        """Grant or renew a lease on what is stored there; silently nothing where nothing is."""
        secrets = LeaseSecrets(renew_secret, cancel_secret)
        added = self._service.add_lease(storage_index, secrets)
        return added.addCallbacks(lambda _: None, raise_for_client)

    def remote_get_buckets(self, storage_index: bytes) -> Deferred[dict[int, FoolscapBucketReader]]:
        """The complete immutable shares."""

        def readers(shnums: Collection[int]) -> dict[int, FoolscapBucketReader]:
            return {shnum: self._reader(storage_index, shnum) for shnum in shnums}

        return self._service.list_shares(storage_index).addCallbacks(readers, raise_for_client)

    def _reader(self, storage_index: bytes, shnum: int) -> FoolscapBucketReader:
        reader = self._readers.get((storage_index, shnum))
        if reader is None:
            reader = FoolscapBucketReader(
                self._service, self._budget, storage_index, shnum, self.meter
            )
            self._readers[storage_index, shnum] = reader
        return reader

    def remote_slot_readv(
        self, storage_index: bytes, shares: Collection[int], readv: Reads
    ) -> Deferred[ReadData]:
        """Read from several shares of a slot; an empty list of shares means all."""

        async def read() -> ReadData:
            wanted = [shnum for shnum in shares if 0 <= shnum < MAX_SHARES]
            if shares and not wanted:
                return {}
            vectors = read_vectors(readv)
            return read_data(await self._service.read_slot(storage_index, wanted, vectors))

        return Deferred.fromCoroutine(read()).addErrback(raise_for_client)

    def remote_slot_testv_and_readv_and_writev(
        self,
        storage_index: bytes,
        secrets: tuple[bytes, bytes, bytes],
        tw_vectors: Mapping[int, tuple[Tests, Writes, int | None]],
        r_vector: Reads,
    ) -> Deferred[tuple[bool, ReadData]]:
        """Compare, read, and if every comparison holds, write."""
        write_enabler, renew, cancel = secrets

        async def change() -> tuple[bool, ReadData]:
            vectors = {
                shnum: test_write_vectors(shnum, *each) for shnum, each in tw_vectors.items()
            }
            result = await self._service.read_test_write(
                storage_index,
                write_enabler,
                LeaseSecrets(renew, cancel),
                vectors,
                read_vectors(r_vector),
            )
            return result.success, read_data(result.data)

        return Deferred.fromCoroutine(change()).addErrback(raise_for_client)

    def remote_advise_corrupt_share(
        self, share_type: bytes, storage_index: bytes, shnum: int, reason: bytes
    ) -> Deferred[None]:
        """Keep a client's claim of corruption, if the share is known."""

        async def advise() -> None:
            kind = _KINDS.get(share_type)
            if kind is None:
                raise MessageMalformed("a share is either immutable or mutable")
            await self._service.advise_corrupt_share(
                kind, storage_index, shnum, reason_text(reason)
            )

        return Deferred.fromCoroutine(advise()).addErrback(raise_for_client)
