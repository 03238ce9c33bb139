"""Leases, and what becomes of shares that have none."""

from __future__ import annotations

from attrs import field, frozen

LEASE_SECONDS = 31 * 24 * 60 * 60
"""How long a lease lasts from its grant or renewal: Tahoe's 31 days."""


@frozen
class LeaseSecrets:
    """The two secrets that come with every request that grants or renews a lease; 32 bytes each."""

    renew: bytes = field(repr=False)
    cancel: bytes = field(repr=False)


@frozen
class Lease:
    """A lease as it is stored: its secrets only as digests.

    :ivar renew_digest: Tahoe's own form, the unkeyed BLAKE2b-256 of the secret.
    :ivar cancel_digest: likewise.
    :ivar expires: the second at which it ends.
    """

    renew_digest: bytes = field(repr=False)
    cancel_digest: bytes = field(repr=False)
    expires: int


@frozen
class ExpiryRule:
    """When leases are over, and for what.

    :ivar before: a lease that ends before this second is over.
    :ivar immutable: whether immutable shares go when all their leases are over.
    :ivar mutable: whether slots do.
    """

    before: int
    immutable: bool = True
    mutable: bool = True


@frozen
class ExpiryPolicy:
    """What the operator wants to expire: Tahoe's ``expire.*``.

    :ivar duration: how long a lease lasts from its grant or renewal, in seconds; None for the
        31 days for which it was given.
    :ivar cutoff: leases granted or renewed before this second are over, and no others; None for
        going by their age.
    """

    duration: int | None = None
    cutoff: int | None = None
    immutable: bool = True
    mutable: bool = True

    def rule(self, now: int) -> ExpiryRule:
        """What is over at a moment; a lease was granted or renewed 31 days before it ends."""
        if self.cutoff is not None:
            before = self.cutoff + LEASE_SECONDS
        elif self.duration is not None:
            before = now - self.duration + LEASE_SECONDS
        else:
            before = now
        return ExpiryRule(before, self.immutable, self.mutable)


@frozen
class LeasePlace:
    """Where a lease is in the order in which leases end."""

    expires: int
    storage_index: bytes
    renew_digest: bytes = field(repr=False)


@frozen
class ExpiryBatch:
    """How much is to be dropped at once.

    :ivar run: when the run began of which this is a part: what it is known by.
    :ivar not_before: when the objects may be deleted.
    :ivar limit: how many leases to look at.
    :ivar after: where the last batch ended; None for the first.
    """

    run: int
    now: int
    not_before: int
    limit: int
    after: LeasePlace | None = None


@frozen
class ExpiryRun:
    """What a run of the expiry has dropped so far.

    :ivar started: no two runs of an index have begun in the same second.
    :ivar ended: None while it is under way, and for ever if it was cut short.
    :ivar slot_bytes: of version objects and chunks.
    :ivar objects: how many became garbage.
    """

    started: int
    ended: int | None = None
    rule: ExpiryRule = ExpiryRule(0)
    leases: int = 0
    shares: int = 0
    share_bytes: int = 0
    slots: int = 0
    slot_bytes: int = 0
    objects: int = 0


@frozen
class UpcomingLeases:
    """When leases end.

    :ivar first: the first one; None when there is none.
    :ivar day: how many end within a day.
    :ivar week: how many end within a week.
    """

    first: int | None
    day: int
    week: int
