"""Tahoe's storage protocol without a transport.  See :mod:`raic.interfaces`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import Attribute, Interface

from raic.values import (
    LeaseSecrets,
    ReadTestWriteResult,
    ReadVector,
    ServiceSizes,
    TestWriteVectors,
)


class IShareReader(Interface):
    """One share, open for reading at the version it had when it was opened.

    Its objects are not deleted before :meth:`close`, whatever happens to the share.
    """

    length = Attribute("The share's length. (int)")

    def read_now(offset: int, length: int) -> bytes | None:
        """What :meth:`read` would fire with, if it can be had without waiting; else None."""

    def read(offset: int, length: int) -> Deferred[bytes]:
        """Read a range.

        :return: fires with the bytes of it that the share has; fails with a ``ProviderError``.
        """

    def stream(offset: int, length: int, consumer: IConsumer) -> Deferred[int]:
        """As :meth:`IStorageProvider.stream_object`."""

    def close() -> None:
        """Let the objects go.  May be called more than once."""


class IBucketUpload(Interface):
    """An immutable share that is being uploaded.

    It is aborted by itself when nothing was written for 30 minutes.
    """

    size = Attribute("The allocated size, which is the share's length once complete. (int)")

    def required_ranges() -> Sequence[tuple[int, int]]:
        """The ranges (begin, end) not yet written, in ascending order."""

    def write(offset: int, data: bytes) -> Deferred[None]:
        """Write bytes, as a rule where the last write ended.

        Takes note of them at once: two calls in a row need not wait for one another, but a
        caller that does not wait for its Deferreds has no back-pressure.

        :return: fires when more may be written.  Fails with ``WriteOutOfBounds``,
            ``ConflictingWrite``, ``WriteOutOfWindow``, ``NoSuchShare`` (the upload has ended), or
            a ``ProviderError`` (the upload is then aborted).
        """

    def is_complete() -> bool:
        """Whether every byte has been written."""

    def close() -> Deferred[None]:
        """Complete the share: what was not written reads as zeros.

        May be called again, also while the first call is under way.

        :return: fires when the share is durable and visible.  Fails with ``NoSuchShare`` (the
            upload was aborted), a ``ProviderError`` or an ``IndexFailure``; the upload has then
            ended and nothing of it is visible.
        """

    def abort() -> Deferred[None]:
        """Give up; nothing of it was or becomes visible.  May be called in any state.

        :return: fires when done; never fails.  Does nothing to a completed share.
        """


class IAllocation(Interface):
    """The answer to an allocation."""

    already_have = Attribute("Every share number held under the storage index. (frozenset of int)")
    allocated = Attribute("The uploads that the caller may write to. (Mapping int, IBucketUpload)")


class IStorageService(Interface):
    """Tahoe's storage protocol without a transport; both dialects call it.

    Storage indexes are 16 bytes, share numbers 0 to 255 (others are simply not there), secrets
    have been checked for their lengths.
    """

    def get_sizes() -> ServiceSizes:
        """The three sizes of the version message, from memory: never waits for anything."""

    def allocate_buckets(
        storage_index: bytes,
        shnums: Collection[int],
        size: int,
        secrets: LeaseSecrets,
        upload_secret: bytes | None,
    ) -> Deferred[IAllocation]:
        """Begin uploads, and renew the caller's lease on the shares held already.

        A share number is left out of the answer when it is being uploaded by somebody else, or
        when there is no space, memory or provider for it; with the same ``upload_secret`` as
        before, the upload in progress is answered again.

        :param upload_secret: None for an upload that only its allocator can reach.
        :return: fails with an ``IndexFailure``.
        """

    def get_upload(storage_index: bytes, shnum: int, upload_secret: bytes) -> IBucketUpload:
        """The upload in progress.

        :raises NoSuchShare: there is none.
        :raises BadUploadSecret: its secret is another one.
        """

    def abort_upload(storage_index: bytes, shnum: int, upload_secret: bytes) -> Deferred[None]:
        """Abort the upload in progress.

        :return: fails with ``NoSuchShare``, ``BadUploadSecret``, or ``UploadFinished`` when the
            share is complete.
        """

    def list_shares(storage_index: bytes) -> Deferred[frozenset[int]]:
        """:return: fires with the numbers of the complete immutable shares."""

    def open_share(storage_index: bytes, shnum: int) -> Deferred[IShareReader]:
        """:return: fires with the immutable share; fails with ``NoSuchShare``."""

    def list_slot_shares(storage_index: bytes) -> Deferred[frozenset[int]]:
        """:return: fires with the numbers of the mutable shares."""

    def open_slot_share(storage_index: bytes, shnum: int) -> Deferred[IShareReader]:
        """:return: fires with the mutable share; fails with ``NoSuchShare``."""

    def read_slot(
        storage_index: bytes, shnums: Collection[int], vectors: Sequence[ReadVector]
    ) -> Deferred[Mapping[int, tuple[bytes, ...]]]:
        """Read from several shares of one version of a slot.

        :param shnums: empty for all.
        :return: fires with one text per vector for each of the shares that exist.  Fails with
            ``MessageTooLarge`` when the answer would be over the limit, or a ``ProviderError``.
        """

    def read_test_write(
        storage_index: bytes,
        write_enabler: bytes,
        secrets: LeaseSecrets,
        vectors: Mapping[int, TestWriteVectors],
        reads: Sequence[ReadVector],
    ) -> Deferred[ReadTestWriteResult]:
        """Compare, read, and if every comparison holds, write: atomically over all shares.

        :return: fails with ``BadWriteEnabler``, ``MessageTooLarge``, a ``ProviderError`` or an
            ``IndexFailure``; nothing was then written.
        """

    def add_lease(storage_index: bytes, secrets: LeaseSecrets) -> Deferred[bool]:
        """Grant a lease, or renew the caller's.

        :return: fires with whether anything is stored there, and hence there is a lease.
        """

    def advise_corrupt_share(
        kind: str, storage_index: bytes, shnum: int, reason: str
    ) -> Deferred[bool]:
        """:return: fires with whether the share is known, and hence the advisory was kept."""


class IReach(Interface):
    """Knows whether what keeps the shares is there."""

    def answers() -> bool:
        """Whether it is, as far as is known: from memory, and often asked."""

    def is_gone() -> bool:
        """Whether it has not answered for so long that no write should wait for it."""

    def ask() -> Deferred[bool]:
        """Find out, if nothing was heard of it a moment ago.

        :return: fires within four seconds with what :meth:`answers` says then; never fails.
        """
