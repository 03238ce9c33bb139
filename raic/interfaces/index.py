"""What is stored where: the commit point of every write.  See :mod:`raic.interfaces`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from raic.values import (
    Advisory,
    ExpiryBatch,
    ExpiryRule,
    ExpiryRun,
    Expunged,
    Garbage,
    Lease,
    LeasePlace,
    SlotVersion,
    StoredShare,
    Totals,
    UpcomingLeases,
    Usage,
    Version,
)


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
