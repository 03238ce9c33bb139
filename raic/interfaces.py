"""The interfaces between RAIC's parts.  Their docstrings are normative.

Sizes, offsets and lengths are in bytes; times are in seconds since the Unix epoch.  Every error
named here is in :mod:`raic.errors`.  Methods return their Deferred at once and never raise, unless
the text says so; a programming error (a negative length, a bytes key) may raise ``ValueError``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import Attribute, Interface

from raic.ledger import IFragmentLedger as IFragmentLedger  # noqa: PLC0414 (callers import it here)
from raic.values import (
    Advisory,
    ExpiryBatch,
    ExpiryRule,
    ExpiryRun,
    Expunged,
    Garbage,
    Lease,
    LeasePlace,
    LeaseSecrets,
    ObjectPage,
    ReadTestWriteResult,
    ReadVector,
    ServiceSizes,
    SlotVersion,
    Space,
    Stored,
    StoredShare,
    TestWriteVectors,
    Totals,
    UpcomingLeases,
    Usage,
    Version,
)

T = TypeVar("T")


class IWorkers(Interface):
    """Where blocking calls run."""

    def run(function: Callable[[], T]) -> Deferred[T]:
        """Call ``function``, as a rule in another thread, and deliver its result in this one.

        :return: fires with what it returns, fails with what it raises.
        """

    def stop() -> Deferred[None]:
        """Take no more calls; fires when those under way have ended."""


# ---------------------------------------------------------------------------------------------
# Providers


class IObjectUpload(Interface):
    """One object on its way into a provider.

    The caller writes the object's bytes in order, waits for each Deferred before the next call,
    and ends with exactly one of ``finish`` and ``abort``.  Nothing of the object can be seen,
    read or listed before ``finish`` fires.
    """

    def write(data: bytes) -> Deferred[None]:
        """Add bytes at the end.

        :return: fires when more may be written: this is the back-pressure.  Fails with a
            ``ProviderError``; the upload is then dead, and ``abort`` is the only call left.
        """

    def finish() -> Deferred[Stored]:
        """Make the object durable and visible, atomically.

        :return: fires with what was stored.  Fails with a ``ProviderError``, or ``ValueError``
            when the bytes written are not exactly the size announced; then no object will ever
            appear, unless the error is ``OutcomeUnknown``.
        """

    def abort() -> Deferred[None]:
        """Give up; nothing remains.  May be called in any state but after ``finish`` has fired,
        and more than once.

        :return: fires when what was sent is discarded, or left for
            :meth:`IInterruptedUploads.clear_interrupted_uploads`; never fails.
        """


class IMadeUpload(Interface):
    """An upload whose bytes can be made where they are written.

    A layer around a provider need not provide it.
    """

    def write_made(
        size: int, make: Callable[[], Sequence[bytes | bytearray | memoryview]]
    ) -> Deferred[None]:
        """As :meth:`IObjectUpload.write` of what ``make`` returns, all of it in a row.

        :param size: how many bytes that is.
        :param make: called at most once, as a rule in another thread; does not raise.
        """


class IStorageProvider(Interface):
    """A place for named byte strings that are written once, read, listed and deleted.

    A **key** is at most 512 characters of lower-case ASCII letters, digits, and ``./-_``; it has
    neither empty components nor ``.`` or ``..`` as a component.  Its caller makes it unique with a
    random part; an object is never overwritten, renamed or appended to.  A provider that has not
    been started, or has been stopped, fails every call with ``StorageUnusable``.

    Every method may be called again after it failed, unless it says otherwise.
    """

    name = Attribute("The provider's name in the configuration, for messages. (str)")

    def start() -> Deferred[None]:
        """Prove that the provider can be listed, written and deleted from.

        :return: fires when it can; fails with a ``ProviderError`` whose remedy says what to do.
        """

    def stop() -> Deferred[None]:
        """Abort the uploads under way and release threads and connections.

        :return: fires when that is done; never fails.
        """

    def buffer_size(size: int) -> int:
        """How many bytes of memory an upload of ``size`` bytes holds at most."""

    def open_upload(key: str, size: int) -> IObjectUpload:
        """Begin to store an object of exactly ``size`` bytes.

        Costs nothing yet: errors come from the upload's own methods.
        """

    def put_object(key: str, data: bytes) -> Deferred[Stored]:
        """Store a small object in one request.

        :return: fires when the object is durable and visible.  Repeating the call with the same
            bytes succeeds; with others it fails with ``KeyTaken`` where the provider can tell.
            Fails with ``OutcomeUnknown`` when the object may still appear, with another
            ``ProviderError`` when it will not.
        """

    def get_object(key: str, offset: int, length: int) -> Deferred[bytes]:
        """Read a range that fits in memory.

        :return: fires with exactly the bytes ``offset`` to ``offset + length`` that the object
            has: fewer at its end, none beyond it.  Fails with ``ObjectNotFound``,
            ``ObjectCorrupt`` or another ``ProviderError``.
        """

    def stream_object(key: str, offset: int, length: int, consumer: IConsumer) -> Deferred[int]:
        """Read a range of any size, in one request, at the consumer's pace.

        The provider registers a push producer with ``consumer``, writes the bytes to it in
        pieces of at most 1 MiB, and unregisters before its Deferred fires.

        :return: fires with the number of bytes delivered: less than ``length`` at the object's
            end, or when the consumer called ``stopProducing``.  Fails as :meth:`get_object`
            does, perhaps after some bytes were delivered; those were right.
        """

    def list_objects(prefix: str, token: str | None) -> Deferred[ObjectPage]:
        """One page of the objects whose keys begin with ``prefix``, in ascending order of keys.

        :param token: None for the first page, else the previous page's ``next_token``; still
            usable after the provider was restarted.
        :return: fires with a page of at most 1,000 objects, possibly empty.  An object that was
            there during the whole listing is on exactly one page.  Fails with a
            ``ProviderError``.
        """

    def delete_objects(keys: Collection[str]) -> Deferred[frozenset[str]]:
        """Delete some objects.

        :return: fires with the keys that could *not* be deleted; a missing object counts as
            deleted.  Fails with a ``ProviderError`` when nothing is known of any of them.
        """

    def get_space() -> Deferred[Space]:
        """How much is stored and how much more can be.

        :return: fires with it; fails with a ``ProviderError``.
        """


class IImmediateReads(Interface):
    """A provider some of whose reads need not wait: memory, or a file in the page cache."""

    def read_now(key: str, offset: int, length: int) -> bytes | None:
        """What :meth:`IStorageProvider.get_object` would fire with, if it can be had without
        waiting; else None, which says nothing about whether the object exists.  Never raises.
        """


class ILocalListing(Interface):
    """Marks a provider whose listing is complete, current and cheap.

    After an unclean stop such a provider is listed to find objects that no one refers to, so the
    intents to write them need not be on disk beforehand.
    """


class IInterruptedUploads(Interface):
    """A provider on which a stopped process can leave parts of uploads behind."""

    def clear_interrupted_uploads(prefix: str) -> Deferred[int]:
        """Discard what uploads of an earlier process left under ``prefix``.

        Only to be called by the owner of the prefix.

        :return: fires with how many there were; fails with a ``ProviderError``.
        """


class IRequestCounts(Interface):
    """A provider that counts the requests that it sends; layers around it do not provide this."""

    def requests_made() -> Mapping[str, int]:
        """How many requests were sent since the provider was made, by what needed them.

        Each attempt counts, whatever became of it.

        :return: by the name of the provider's method; of an upload ``write``, ``finish`` or
            ``abort``.  What was never needed may be missing.
        """


class IServiceClock(Interface):
    """A provider whose service tells its time; layers around it do not provide this."""

    def service_time() -> Deferred[float | None]:
        """Ask the service what time it is, in one request.

        :return: fires with it, to the second; None if the answer did not say.  Fails with a
            ``ProviderError``.
        """


class IShortPages(Interface):
    """A provider that lists as few objects at once as it is told; layers around it do not
    provide this.
    """

    def list_some(prefix: str, token: str | None, limit: int) -> Deferred[ObjectPage]:
        """As :meth:`IStorageProvider.list_objects`, with pages of at most ``limit`` objects."""


class IServiceTraits(Interface):
    """A provider that knows how its service goes about things; layers around it do not provide
    this.
    """

    part_size = Attribute("Objects of more bytes than this are stored in parts. (int)")

    def emulated() -> Mapping[str, str]:
        """What the provider does itself because its service, or the way to it, lacks it.

        :return: a few words on how it is done, by ability: ``large objects``, ``ranges``,
            ``pages``.
        """


# ---------------------------------------------------------------------------------------------
# The index


class IIndex(Interface):
    """What is stored where, and the leases on it: the commit point of every write.

    Each method is one whole operation: when its Deferred fires, what it did is durable; when it
    fails, nothing was changed, except with ``IndexStopped``, where only a restart can tell.  Any
    method may fail with ``IndexFull``, ``IndexBusy`` or ``IndexStopped``.
    """

    def close() -> Deferred[None]:
        """Finish what was asked, note that the stop was clean, and release the file.

        :return: fires when done; never fails.  Later calls fail with ``IndexStopped``.
        """

    def was_clean() -> bool:
        """Whether the process that had the index before this one closed it."""

    def epoch() -> int:
        """The epoch of the versions that are given now."""

    def raise_epoch(epoch: int) -> Deferred[None]:
        """Give versions of this epoch from now on; never lowers it.

        :return: fires when that is durable; until then versions of the old epoch are given.
        """

    # Looking things up

    def get_bucket(storage_index: bytes) -> Deferred[Mapping[int, StoredShare]]:
        """:return: fires with the immutable shares, by share number; empty when there are none."""

    def get_slot(storage_index: bytes) -> Deferred[SlotVersion | None]:
        """:return: fires with the slot's current version; None when there is none."""

    def get_leases(storage_index: bytes) -> Deferred[tuple[Lease, ...]]:
        """:return: fires with the leases, the latest to expire first."""

    def get_totals() -> Deferred[Totals]:
        """:return: fires with the running totals; takes the same time at any size."""

    def get_usage(since: int) -> Deferred[Usage]:
        """How much space everything takes.

        :param since: a lease that ends on an earlier day, in UTC, is over.
        :return: fires with running totals; takes the same time at any size.
        """

    def get_advisories(limit: int) -> Deferred[tuple[Advisory, ...]]:
        """:return: fires with the newest advisories first."""

    def unknown_keys(keys: Collection[str]) -> Deferred[frozenset[str]]:
        """Which objects nobody knows.

        :return: fires with those of ``keys`` that nothing here refers to: neither a share, a slot
            version, a chunk, an intent, a repair nor garbage; none of a storage index that was
            set aside.  A fragment's key is known if its object's is and it is of the attempt that
            counts, or if something refers to itself.
        """

    # Writing

    def next_version() -> Version:
        """A version newer than every one given before, by this process or an earlier one.

        Answered at once, from a block of counters reserved on disk.
        """

    def reserve(keys: Collection[str]) -> Deferred[None]:
        """Note that objects with these keys are about to be written.

        :return: fires when the intents are durable, or at once where the provider has
            :class:`ILocalListing`.
        """

    def release(garbage: Collection[Garbage]) -> Deferred[None]:
        """Turn intents into garbage: their objects were not committed and must go.

        Keys that were never reserved are noted all the same.
        """

    def commit_share(
        share: StoredShare, lease: Lease, missing: Collection[str] = ()
    ) -> Deferred[None]:
        """Make a share visible, with a lease on its storage index.

        Ends the intent for its object and notes a repair for each missing fragment of it that
        was not settled meanwhile: see ``IFragmentLedger.settle``.  Fails with
        ``VersionConflict`` when the index has a share under that number already.
        """

    def commit_slot(
        version: SlotVersion,
        expected: Version | None,
        lease: Lease | None,
        not_before: int,
        missing: Collection[str] = (),
    ) -> Deferred[None]:
        """Replace a slot's current version.

        Ends the intents for the new objects and notes repairs as :meth:`commit_share` does, but
        none for a tombstone; every object to which the old version referred and
        the new one does not becomes garbage that is deleted no earlier than ``not_before``.  A
        version without shares is a tombstone: the slot is gone, its leases too unless the storage
        index has immutable shares, and the tombstone itself is garbage that waits for all other
        garbage of the storage index.  Fails with ``VersionConflict`` when the current version is
        not ``expected``.

        :param expected: None when the slot must not exist.
        :param lease: to grant or renew; None for none, as with a tombstone.
        """

    def renew_lease(storage_index: bytes, lease: Lease) -> Deferred[bool]:
        """Grant a lease, or renew the one with the same renew digest; never shortens one.

        :return: fires with False, and nothing changed, when nothing is stored there.
        """

    def advise(advisory: Advisory) -> Deferred[bool]:
        """Keep a client's claim of corruption.

        The newest 10,000 are kept, and of one share no more than ten within a day.

        :return: fires with whether it was kept.
        """

    def next_advisory() -> Deferred[Advisory | None]:
        """:return: fires with the oldest advisory that is not settled; None when there is none."""

    def settle_advisory(advisory: Advisory, checked: int, verdict: str) -> Deferred[None]:
        """Note what was found when the share was read.

        It holds for all advisories of the same share that were received until this one's time and
        are not settled.
        """

    # Expiring and expunging

    def expire(
        rule: ExpiryRule, batch: ExpiryBatch
    ) -> Deferred[tuple[ExpiryRun, LeasePlace | None]]:
        """Drop the leases that are over, and what has no other lease.

        The leases of a storage index go together: none while what does not expire by the rule has
        them, too.  Shares go when no lease on their storage index is left, and their objects
        become garbage; a share that never had a lease stays.  A lease is looked at in the very
        transaction that drops it, so that no renewal is lost.

        :return: fires with the run so far, as :meth:`get_expiry_runs` has it from then on, and
            where the next batch has to begin; None when this was the last.
        """

    def get_expiry_runs(limit: int) -> Deferred[tuple[ExpiryRun, ...]]:
        """:return: fires with the newest runs first; a hundred are kept."""

    def get_upcoming(now: int, limit: int) -> Deferred[UpcomingLeases]:
        """When leases end, from now on.

        :param limit: no more are counted than these, so that it takes no long time.
        :return: fires with it.
        """

    def get_objects(storage_index: bytes) -> Deferred[frozenset[str]]:
        """:return: fires with the keys of all its objects but tombstones, garbage included."""

    def expunge(
        storage_index: bytes,
        objects: Collection[str],
        tombstone: str,
        reason: str,
        now: int,
        not_before: int,
    ) -> Deferred[Expunged]:
        """Drop all shares of a storage index, mutable or not, and their leases.

        Their objects become garbage; so does the tombstone, whose intent ends, but that waits for
        all other garbage of the storage index.

        :param objects: what the tombstone names.
        :return: fires with what is noted of it.  Fails with ``VersionConflict`` when there is a
            share or a slot version that the tombstone does not name.
        """

    def get_expunged(limit: int) -> Deferred[tuple[Expunged, ...]]:
        """:return: fires with the newest first; all are kept."""

    # Deleting

    def next_garbage(now: int, limit: int) -> Deferred[tuple[Garbage, ...]]:
        """What is to be deleted next.

        :return: fires with garbage whose time has come, the oldest first; tombstones only when
            nothing else of their storage index is garbage.
        """

    def settle_garbage(settled: Collection[Garbage]) -> Deferred[None]:
        """Note that these objects were deleted.

        The rows go, and with an object's what is noted of its attempts; where ``passes`` of the
        value passed is more than 1, the row stays with one pass fewer and the value's
        ``not_before``.
        """

    # Rebuilding

    def load(
        shares: Iterable[tuple[StoredShare, Sequence[Lease]]],
        slots: Iterable[tuple[SlotVersion, Sequence[Lease]]],
    ) -> Deferred[None]:
        """Add what a restore found, in one transaction.

        A share that is there already stays; of two slot versions the newer stays.
        """

    def next_objects(after: str, limit: int) -> Deferred[tuple[str, ...]]:
        """What shares and slots refer to, chunks too.

        :return: fires with the keys in ascending order, from the first after ``after`` on; with
            fewer than ``limit`` only at the end.
        """

    def forget(keys: Collection[str]) -> Deferred[None]:
        """Drop the shares and slots whose objects these are: they are not there any more.

        Nothing becomes garbage.  The leases go with the last share of a storage index.
        """

    def why_set_aside(storage_index: bytes) -> Deferred[str | None]:
        """:return: fires with the reason given to :meth:`set_aside`; None when there was none."""

    def set_aside(reasons: Mapping[bytes, str]) -> Deferred[None]:
        """Have every object of these storage indexes count as known.

        For what a restore found but could not read: no search for orphans may delete it.

        :param reasons: by storage index, for the operator; an earlier one stays.
        """


# ---------------------------------------------------------------------------------------------
# The protocol without a transport


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
