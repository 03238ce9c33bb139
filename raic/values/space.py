"""How much there is, and how much there can be."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


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
