"""Shares and slots of a node as what others can be made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raic.errors import ObjectCorrupt, ObjectNotFound, SealBroken
from raic.interfaces import IIndex, IShareReader, IStorageProvider
from raic.shares.keys import encode_index
from raic.shares.pins import Pins
from raic.shares.reader import BucketReader
from raic.shares.sealing import Sealer
from raic.shares.secrets import reveal_write_enabler
from raic.shares.slot_cache import AreaCache
from raic.shares.slot_reader import SlotObjects, SlotShareReader
from raic.shares.tahoe.checked import Digesting
from raic.shares.tahoe.containers import NEWEST, Container, Kind, NotAContainer
from raic.shares.tahoe.folder import LeftAlone
from raic.shares.tahoe.source import PIECE_BYTES, IShareSource
from raic.values import Lease, SlotVersion, StoredShare


class StoredSource:
    """A share of a node, open for reading; see :class:`IShareSource`."""

    def __init__(
        self, path: Path, shnum: int, container: Container, reader: IShareReader, now: int
    ) -> None:
        self.path = path
        self.shnum = shnum
        self.container = container
        self.modified = now
        self._reader = reader
        self._position = 0

    async def next_piece(self) -> bytes:
        """See :class:`IShareSource`."""
        length = min(PIECE_BYTES, self.container.length - self._position)
        try:
            piece = await self._reader.read(self._position, length)
        except (ObjectCorrupt, ObjectNotFound) as error:
            raise NotAContainer(str(error)) from error
        self._position += length
        return piece

    async def digest(self) -> bytes:
        """See :class:`IShareSource`."""
        self._position = 0
        digesting = Digesting()
        while piece := await self.next_piece():
            digesting.write(piece)
        return digesting.digest()

    def close(self) -> None:
        """See :class:`IShareSource`."""
        self._reader.close()


class StoredShares:
    """Opens what a provider and its index have, which nobody changes meanwhile.

    :param now: the current time.
    """

    def __init__(self, provider: IStorageProvider, index: IIndex, sealer: Sealer, now: int) -> None:
        self._provider = provider
        self._index = index
        self._sealer = sealer
        self._now = now
        self._pins = Pins()
        self._objects = SlotObjects(provider, AreaCache(0))

    async def open(self, storage_index: bytes) -> tuple[list[IShareSource], list[LeftAlone]]:
        """All shares under a storage index, to be closed by the caller, and what cannot be used.

        :raises IndexFailure: the index cannot tell.
        """
        leases = await self._index.get_leases(storage_index)
        bucket = await self._index.get_bucket(storage_index)
        slot = await self._index.get_slot(storage_index)
        found: list[IShareSource] = [self._immutable(one, leases) for one in bucket.values()]
        if slot is None:
            return found, []
        try:
            return found + self._mutable(slot, leases), []
        except SealBroken as error:
            return found, [LeftAlone(_place(storage_index, n), str(error)) for n in slot.shares]

    def _immutable(self, share: StoredShare, leases: Sequence[Lease]) -> StoredSource:
        container = Container(Kind.IMMUTABLE, NEWEST, 0, share.length, tuple(leases))
        reader = BucketReader(share, self._provider, self._pins)
        return self._source(share.storage_index, share.shnum, container, reader)

    def _mutable(self, slot: SlotVersion, leases: Sequence[Lease]) -> list[IShareSource]:
        kept = slot.write_enabler
        secret = reveal_write_enabler(self._sealer, slot.storage_index, kept)
        found: list[IShareSource] = []
        for share in slot.shares.values():
            container = Container(
                Kind.MUTABLE, NEWEST, 0, share.length, tuple(leases), secret, kept.nodeid
            )
            reader = SlotShareReader(self._objects, self._pins, slot, share)
            found.append(self._source(slot.storage_index, share.shnum, container, reader))
        return found

    def _source(
        self, storage_index: bytes, shnum: int, container: Container, reader: IShareReader
    ) -> StoredSource:
        return StoredSource(_place(storage_index, shnum), shnum, container, reader, self._now)


def _place(storage_index: bytes, shnum: int) -> Path:
    return Path(encode_index(storage_index)) / str(shnum)
