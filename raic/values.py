"""Frozen values that interfaces exchange.

Sizes and offsets are in bytes, times in seconds since the Unix epoch, unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

LEASE_SECONDS = 31 * 24 * 60 * 60
"""How long a lease lasts from its grant or renewal: Tahoe's 31 days."""

MAX_SHARES = 256
"""The protocol's limit of shares under one storage index."""

HEAD_BYTES = 256
"""How many of its first bytes the index keeps of each mutable share."""


VERIFIED = "verified"
"""The verdict on a share of which every byte was read and is right."""

GONE = "gone"
"""The verdict on a share that was no longer there."""

UNRESOLVED = "unresolved: "
"""How the reason begins for which a storage index is set aside whose newest version may exist, but
could not be read, as when a provider was away."""


# What providers speak of.


@frozen
class Stored:
    """An object that is durable and visible.

    :ivar missing: the fragments that are not durable yet; always empty for a leaf.
    """

    key: str
    size: int
    missing: tuple[str, ...] = ()


@frozen
class ListedObject:
    """One line of a listing.

    :ivar partial: whether so little of the object is there that it cannot be read and cannot have
        been acknowledged, as a broken-off write can leave it in an array.
    """

    key: str
    size: int
    partial: bool = False


@frozen
class ObjectPage:
    """A page of a listing.

    :ivar next_token: what to pass to get the next page; None on the last one.
    """

    objects: tuple[ListedObject, ...]
    next_token: str | None


@frozen
class Pool:
    """Room that several providers may share, such as folders on one disk.

    :ivar name: the same for all of them.
    :ivar available: bytes that can still be stored by all of them together.
    """

    name: str
    available: int


@frozen
class Space:
    """What a provider holds and can still take.

    :ivar used: bytes stored, None where the provider cannot tell.
    :ivar available: bytes that can still be stored, after reserves and quotas.
    :ivar pool: what the provider has in common with others; None for nothing known.
    """

    used: int | None
    available: int
    pool: Pool | None = None


# What the index speaks of.


@frozen(order=True)
class Version:
    """Which of two slot versions is newer: compared by epoch, then by counter.

    :ivar epoch: rises at every restore and take-over.
    :ivar counter: node-wide, never used twice within an epoch.
    """

    epoch: int
    counter: int


@frozen
class StoredShare:
    """A complete immutable share: where its bytes are.

    :ivar key: the object that holds it.
    :ivar header_length: where in the object the share's first byte is.
    :ivar length: the share's own length.
    """

    storage_index: bytes
    shnum: int
    key: str
    header_length: int
    length: int


@frozen
class Inline:
    """Share bytes that lie in the version object itself.

    :ivar offset: relative to the end of the object's header.
    """

    offset: int


@frozen
class Chunk:
    """A piece of a large mutable share, in an object of its own.

    :ivar key: None for a piece that is all zeros and stored nowhere.
    """

    key: str | None
    length: int


@frozen
class SlotShare:
    """One share of a slot version.

    :ivar head: its first ``HEAD_BYTES`` bytes, or all of them when it is shorter.
    :ivar content: where its bytes are; chunks lie one after the other.
    """

    shnum: int
    length: int
    head: bytes = field(repr=False)
    content: Inline | tuple[Chunk, ...]


@frozen
class WriteEnabler:
    """A slot's write enabler as the index keeps it.

    :ivar digest: for comparison, see ``raic.shares.secrets``.
    :ivar sealed: the secret itself and its node id, readable only with the node key.
    :ivar nodeid: 20 bytes: the tub id of the node that recorded it.
    """

    digest: bytes = field(repr=False)
    sealed: bytes = field(repr=False)
    nodeid: bytes


@frozen
class SlotVersion:
    """A slot at one version.

    :ivar key: the version object.
    :ivar header_length: where in the object inline share bytes begin.
    :ivar size: the version object's length.
    :ivar shares: by share number; empty in a tombstone.
    """

    storage_index: bytes
    version: Version
    key: str
    header_length: int
    size: int
    shares: Mapping[int, SlotShare]
    write_enabler: WriteEnabler

    def keys(self) -> frozenset[str]:
        """Every object that this version refers to, itself included."""
        return frozenset([self.key]) | self.chunk_keys()

    def chunk_keys(self) -> frozenset[str]:
        """The chunk objects that this version refers to."""
        return frozenset(
            chunk.key
            for share in self.shares.values()
            if not isinstance(share.content, Inline)
            for chunk in share.content
            if chunk.key is not None
        )


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
class Garbage:
    """An object to be deleted.

    :ivar not_before: it is not deleted before this second.
    :ivar passes: how many deletions, a request's lifetime apart, are still due: 1 as a rule, 2
        where a write may yet land.
    """

    key: str
    not_before: int
    passes: int = 1


@frozen
class Advisory:
    """A client's claim that a share is corrupt.

    :ivar kind: ``"immutable"`` or ``"mutable"``.
    :ivar reason: the client's words, at most 32,765 characters.
    :ivar checked: when the share was read because of it; None when it was not yet.
    :ivar verdict: what was found then: ``VERIFIED``, ``GONE``, or what is wrong and where.
    """

    kind: str
    storage_index: bytes
    shnum: int
    reason: str
    received: int
    checked: int | None = None
    verdict: str = ""


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


@frozen
class Expunged:
    """A storage index whose shares the operator took down.

    :ivar reason: the operator's words.
    :ivar bytes: of share data, and of the objects of slots.
    """

    time: int
    storage_index: bytes
    reason: str
    shares: int
    slots: int
    bytes: int


@frozen
class Totals:
    """Running totals of the index: counts, and bytes of share data or of objects."""

    shares: int
    share_bytes: int
    slots: int
    slot_bytes: int
    leases: int
    garbage: int
    intents: int
    repairs: int
    advisories: int


@frozen
class Usage:
    """Running totals of bytes; what is stored is what one provider that has a part of every object
    holds of them: the objects themselves with their tags or, in an array, one fragment of each.

    :ivar share_bytes: of all shares, as clients know them, but for zeros that are stored nowhere.
    :ivar stored: of objects that are referred to.
    :ivar leased: of those of them that are under a lease.
    :ivar garbage: of objects that are to be deleted, at most: some may not be there.
    :ivar missing: by number, of the fragments that are noted for repair.
    :ivar fragment_garbage: by number, of single fragments that are to be deleted.
    """

    share_bytes: int
    stored: int
    leased: int
    garbage: int
    missing: Mapping[int, int] = field(factory=dict)
    fragment_garbage: Mapping[int, int] = field(factory=dict)


@frozen
class ProviderSpace:
    """The space that a node takes at one of its providers, in bytes.

    :ivar used: all that is stored there: the provider's part of the shares and ``overhead`` and
        ``garbage``, less ``missing``.
    :ivar leased: what of it is under a lease.
    :ivar garbage: what is to be deleted, at most.
    :ivar overhead: headers, tags and padding.
    :ivar missing: fragments that are to be repaired.
    :ivar quota: None for no limit.
    :ivar moving: whether fragments are being moved to or from it: it holds at most this.
    """

    name: str
    used: int
    leased: int
    garbage: int
    overhead: int
    missing: int = 0
    quota: int | None = None
    moving: bool = False


@frozen
class NodeSpace:
    """The space that a node takes, in bytes.

    :ivar share_bytes: of all shares, as clients know them.
    :ivar quota: how many of those there may be; None for no limit.
    :ivar available: what the version message announces; None when the node does not run.
    :ivar pending: what unfinished uploads were promised, which is not available any more; None
        when the node does not run.
    """

    share_bytes: int
    providers: tuple[ProviderSpace, ...]
    quota: int | None = None
    available: int | None = None
    pending: int | None = None


# What an array speaks of.


@frozen
class FragmentState:
    """What is out of the ordinary with the fragments of one object.

    :ivar missing: the numbers of the fragments that are noted for repair.
    :ivar attempts: by number, the attempt that counts, where it is not the first, ``"0"``.
    """

    missing: frozenset[int] = frozenset()
    attempts: Mapping[int, str] = field(factory=dict)


@frozen
class Placed:
    """Where an array's fragments of one number are.

    :ivar provider: the name of their home: new ones are written there.
    :ivar former: the name of the provider from which they are being moved; None when all are home.
    """

    number: int
    provider: str
    former: str | None = None


@frozen
class ArrayTotals:
    """Running totals of an array.

    :ivar repairs: how many fragments are noted for repair.
    :ivar attempts: of how many fragments another attempt than the first counts.
    :ivar objects: how many objects are referred to.
    :ivar verified: how many of them were ever verified.
    :ivar oldest: when the day began, in UTC, on which the one that was verified longest ago was;
        None when there are none.
    """

    repairs: int
    attempts: int
    objects: int
    verified: int
    oldest: int | None


@frozen
class ArrayEvent:
    """A line of an array's history.

    :ivar what: one word for the kind: ``drain``, ``replace``, ``add``, ``scrub``, ...
    :ivar detail: a sentence for the operator.
    """

    time: int
    what: str
    detail: str


# What the protocol speaks of.


@frozen
class LeaseSecrets:
    """The two secrets that come with every request that grants or renews a lease; 32 bytes each."""

    renew: bytes = field(repr=False)
    cancel: bytes = field(repr=False)


@frozen
class ServiceSizes:
    """What the version message announces."""

    maximum_immutable_share_size: int
    maximum_mutable_share_size: int
    available_space: int


@frozen
class TestVector:
    """A comparison: the share's bytes at ``offset``, at most ``size``, must equal ``specimen``."""

    __test__ = False  # not a test case, whatever its name

    offset: int
    size: int
    specimen: bytes = field(repr=False)


@frozen
class WriteVector:
    """Bytes to be written at ``offset``; a gap before it reads as zeros."""

    offset: int
    data: bytes = field(repr=False)


@frozen
class ReadVector:
    """A range to be read; short at the end of the share."""

    offset: int
    size: int


@frozen
class TestWriteVectors:
    """What is asked of one share of a slot.

    :ivar new_length: None to leave the length, 0 to delete the share, else the length to truncate
        to when the share is longer; it never lengthens.
    """

    __test__ = False

    tests: tuple[TestVector, ...] = ()
    writes: tuple[WriteVector, ...] = ()
    new_length: int | None = None


@frozen
class ReadTestWriteResult:
    """:ivar data: for every share of the slot, one text per read vector, before any write."""

    success: bool
    data: Mapping[int, tuple[bytes, ...]] = field(repr=False)
