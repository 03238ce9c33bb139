"""Shares, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

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
        return self.chunk_keys() | {self.key}

    def chunk_keys(self) -> frozenset[str]:
        """The chunk objects that this version refers to."""
        keys: set[str] = set()
        for share in self.shares.values():
            if not isinstance(share.content, Inline):
                keys.update(chunk.key for chunk in share.content if chunk.key is not None)
        return frozenset(keys)


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
