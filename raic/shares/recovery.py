"""What an object's key and header say of the share or slot that it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from attrs import evolve, frozen

from raic.errors import ObjectCorrupt, ObjectNotFound, SealBroken
from raic.interfaces import IStorageProvider
from raic.shares.keys import CHUNKS, ShareKey, VersionKey
from raic.shares.layout import (
    SHARE_MAGIC,
    SLOT_MAGIC,
    Header,
    header_length,
    leases_in,
    read_header,
    slot_share,
)
from raic.shares.listing import folder, pages
from raic.shares.sealing import Sealer
from raic.shares.secrets import keep_write_enabler
from raic.shares.slot_reader import CHUNK_BYTES
from raic.values import (
    HEAD_BYTES,
    LEASE_SECONDS,
    Chunk,
    Inline,
    Lease,
    SlotShare,
    SlotVersion,
    StoredShare,
    Version,
)

FIRST_BYTES = 4 * 1024
"""How much of an object is read at first; few headers are longer."""

NOBODY = bytes(32)
"""The digests of a lease that nobody can renew, for what is found without one."""


class Unusable(Exception):
    """An object cannot be used; the text says which and why."""


@frozen
class FoundShare:
    """An immutable share.

    :ivar created: when its upload began.
    """

    share: StoredShare
    created: int
    leases: tuple[Lease, ...]

    @property
    def place(self) -> tuple[bytes, int]:
        """Its storage index and number."""
        return self.share.storage_index, self.share.shnum


@frozen
class FoundSlot:
    """A slot.

    :ivar version: the newest that can be used, perhaps a tombstone; None when there is none.
    :ivar leases: none with a tombstone.
    :ivar left_over: how many older versions there are.
    :ivar problems: what is wrong with newer ones.
    """

    version: SlotVersion | None
    leases: tuple[Lease, ...] = ()
    left_over: int = 0
    problems: tuple[str, ...] = ()


class Recovery:
    """Reads headers.

    :param now: from when the leases get their full time.
    """

    def __init__(self, provider: IStorageProvider, sealer: Sealer, now: int) -> None:
        self._provider = provider
        self._sealer = sealer
        self._expires = now + LEASE_SECONDS

    async def share(self, named: tuple[ShareKey, int]) -> FoundShare | Unusable:
        """The share in an object.

        :param named: the object's key and length.
        :raises ProviderError: the object cannot be read just now.
        """
        try:
            return await self._share(*named)
        except Unusable as problem:
            return problem

    async def slot(self, versions: Sequence[tuple[VersionKey, int]]) -> FoundSlot:
        """A slot at the newest version that can be used.

        :param versions: the keys and lengths of its version objects, in any order.
        :raises ProviderError: an object cannot be read just now.
        """
        ordered = sorted(versions, key=lambda one: (one[0].version, one[0].txn), reverse=True)
        problems: list[str] = []
        for place, (key, size) in enumerate(ordered):
            try:
                version, leases = await self._version(key, size)
            except Unusable as problem:
                problems.append(str(problem))
            else:
                if problems:
                    problems[-1] += f"; the slot is read at {version.key} instead"
                return FoundSlot(version, leases, len(ordered) - place - 1, tuple(problems))
        return FoundSlot(None, problems=tuple(problems))

    async def _share(self, key: ShareKey, size: int) -> FoundShare:
        name = str(key)
        _check_size(name, key.size, size)
        header, _ = await self._header(name, SHARE_MAGIC)
        with _complaining_of(name):
            said = header.open_part
            place = said["storage-index"], said["share-number"], said["length"]
            created = int(said["created"])
            leases = self._leases(header)
        if place != (key.storage_index, key.shnum, key.length):
            raise Unusable(f"{name}: its header speaks of another share")
        if header.length + key.length != size:
            raise Unusable(f"{name}: its length is not that of header and share")
        share = StoredShare(key.storage_index, key.shnum, name, header.length, key.length)
        return FoundShare(share, created, leases)

    async def _version(self, key: VersionKey, size: int) -> tuple[SlotVersion, tuple[Lease, ...]]:
        name = str(key)
        _check_size(name, key.size, size)
        header, begin = await self._header(name, SLOT_MAGIC)
        with _complaining_of(name):
            said, sealed = header.open_part, header.sealed_part
            place = said["storage-index"], Version(said["epoch"], said["counter"])
            shares = [slot_share(entry, b"") for entry in said["shares"]]
            enabler = keep_write_enabler(
                self._sealer,
                key.storage_index,
                sealed["write-enabler"],
                sealed["write-enabler-nodeid"],
            )
            leases = self._leases(header) if shares else ()
        if place != (key.storage_index, key.version):
            raise Unusable(f"{name}: its header speaks of another version")
        await self._check_contents(key, shares, size - header.length)
        heads = [await self._head(name, share, header.length, begin) for share in shares]
        with_heads = {
            share.shnum: evolve(share, head=head) for share, head in zip(shares, heads, strict=True)
        }
        version = SlotVersion(
            key.storage_index, key.version, name, header.length, size, with_heads, enabler
        )
        return version, leases

    async def _check_contents(
        self, key: VersionKey, shares: Iterable[SlotShare], inline: int
    ) -> None:
        """Whether all bytes of the shares are there.

        :param inline: how many bytes follow the header.
        """
        chunks: list[Chunk] = []
        for share in shares:
            if isinstance(share.content, Inline):
                if share.content.offset + share.length > inline:
                    raise Unusable(f"{key}: share {share.shnum} does not fit into it")
            else:
                _check_layout(key, share, share.content)
                chunks += share.content
        wanted = {chunk.key: chunk.length for chunk in chunks if chunk.key is not None}
        if wanted:
            there = await self._chunks(key.storage_index)
            missing = sum(there.get(name) != length for name, length in wanted.items())
            if missing:
                raise Unusable(f"{key}: {missing} of its {len(wanted)} chunks are not there")

    async def _chunks(self, storage_index: bytes) -> dict[str, int]:
        """The lengths of the slot's chunk objects, by key."""
        found: dict[str, int] = {}
        async for page in pages(self._provider, folder(CHUNKS, storage_index)):
            found.update((listed.key, listed.size) for listed in page if not listed.partial)
        return found

    async def _head(self, name: str, share: SlotShare, after: int, begin: bytes) -> bytes:
        """The share's first bytes.

        :param after: the length of the header.
        :param begin: what was read of the version object so far.
        """
        length = min(HEAD_BYTES, share.length)
        if isinstance(share.content, Inline):
            offset = after + share.content.offset
            if offset + length <= len(begin):
                return begin[offset : offset + length]
            return await self._read(name, offset, length)
        # All chunks but the last are longer than a head.
        first = share.content[0].key if share.content else None
        return bytes(length) if first is None else await self._read(first, 0, length)

    async def _header(self, name: str, magic: bytes) -> tuple[Header, bytes]:
        """The header, and the bytes at the object's beginning that were read for it."""
        try:
            begin = await self._provider.get_object(name, 0, FIRST_BYTES)
            length = header_length(name, begin)
            if length > len(begin):
                begin = await self._provider.get_object(name, 0, length)
            return read_header(name, magic, begin, self._sealer), begin
        except (ObjectCorrupt, ObjectNotFound) as error:
            raise Unusable(f"{name}: {error.detail}") from error
        except SealBroken as error:
            raise Unusable(f"{name}: {error}") from error

    async def _read(self, name: str, offset: int, length: int) -> bytes:
        """A range, wholly."""
        try:
            data = await self._provider.get_object(name, offset, length)
        except (ObjectCorrupt, ObjectNotFound) as error:
            raise Unusable(f"{name}: {error.detail}") from error
        if len(data) != length:
            raise Unusable(f"{name}: it is shorter than listed")
        return data

    def _leases(self, header: Header) -> tuple[Lease, ...]:
        """The leases in a header, with their full time; where there are none, nobody's."""
        found = leases_in(header) or (Lease(NOBODY, NOBODY, 0),)
        return tuple(evolve(lease, expires=self._expires) for lease in found)


@contextmanager
def _complaining_of(name: str) -> Iterator[None]:
    """What a sealed header lacks was never there: an object of a kind unknown to this RAIC."""
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        raise Unusable(f"{name}: its header is not understood: {error!r}") from error


def _check_size(name: str, said: int, listed: int) -> None:
    if said != listed:
        raise Unusable(f"{name}: it has {listed} bytes")


def _check_layout(key: VersionKey, share: SlotShare, chunks: Sequence[Chunk]) -> None:
    whole = all(chunk.length == CHUNK_BYTES for chunk in chunks[:-1])
    if not whole or sum(chunk.length for chunk in chunks) != share.length:
        raise Unusable(f"{key}: the chunks of share {share.shnum} do not make it up")
