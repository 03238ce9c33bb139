"""Shares and slots of a node become share files of Tahoe's."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from attrs import evolve, frozen

from raic.errors import ObjectCorrupt, ObjectNotFound, SealBroken
from raic.interfaces import IIndex, IShareReader, IStorageProvider, IWorkers
from raic.shares.pins import Pins
from raic.shares.reader import BucketReader
from raic.shares.sealing import Sealer
from raic.shares.secrets import reveal_write_enabler
from raic.shares.slot_cache import AreaCache
from raic.shares.slot_reader import SlotObjects, SlotShareReader
from raic.shares.tahoe.checked import Digesting
from raic.shares.tahoe.containers import (
    Container,
    Frame,
    Kind,
    NotAContainer,
    immutable_frame,
    mutable_frame,
    read_container_at,
)
from raic.shares.tahoe.folder import (
    FoundFile,
    LeftAlone,
    incoming_path,
    share_path,
)
from raic.shares.tahoe.source import open_source
from raic.values import Lease, SlotShare, SlotVersion, StoredShare


@frozen
class Written:
    """What became of the shares of one storage index.

    :ivar shares: how many were written, and :ivar bytes: how long they are.
    :ivar there: how many were there already, and :ivar there_bytes: how long they are.
    :ivar left: what could not be written.
    """

    shares: int = 0
    bytes: int = 0
    there: int = 0
    there_bytes: int = 0
    left: tuple[LeftAlone, ...] = ()


@frozen
class _Wanted:
    """A share file as it has to be."""

    path: Path
    incoming: Path
    shnum: int
    container: Container
    frame: Frame
    open_reader: Callable[[], IShareReader]


class MovingOut:
    """Writes share files from a provider and its index, which nobody changes meanwhile.

    :param nodeid: of the node, for the leases of mutable shares.
    :param storage: the storage folder of a Tahoe node, which does not run.
    """

    def __init__(
        self,
        provider: IStorageProvider,
        index: IIndex,
        sealer: Sealer,
        workers: IWorkers,
        nodeid: bytes,
        storage: Path,
    ) -> None:
        self._provider = provider
        self._index = index
        self._sealer = sealer
        self._workers = workers
        self._nodeid = nodeid
        self._storage = storage
        self._pins = Pins()
        self._objects = SlotObjects(provider, AreaCache(0))

    async def write(self, storage_index: bytes) -> Written:
        """Write all shares of a storage index, each read back before it gets its name.

        :raises ProviderError: or :class:`IndexFailure` or :class:`OSError`; the call may simply be
            repeated.
        """
        written = Written()
        for wanted in await self._wanted(storage_index):
            if isinstance(wanted, LeftAlone):
                written = evolve(written, left=(*written.left, wanted))
                continue
            reader = wanted.open_reader()
            try:
                written = await self._settle(wanted, reader, written)
            except (ObjectCorrupt, ObjectNotFound) as error:
                left = LeftAlone(wanted.path, str(error))
                written = evolve(written, left=(*written.left, left))
            finally:
                reader.close()
        return written

    async def _settle(self, wanted: _Wanted, reader: IShareReader, written: Written) -> Written:
        length = wanted.container.length
        if await self._is_there(wanted, reader):
            return evolve(
                written, there=written.there + 1, there_bytes=written.there_bytes + length
            )
        await self._write(wanted, reader)
        return evolve(written, shares=written.shares + 1, bytes=written.bytes + length)

    async def _wanted(self, storage_index: bytes) -> list[_Wanted | LeftAlone]:
        leases = await self._index.get_leases(storage_index)
        bucket = await self._index.get_bucket(storage_index)
        slot = await self._index.get_slot(storage_index)
        found: list[_Wanted | LeftAlone] = [
            self._wanted_immutable(share, leases) for share in bucket.values()
        ]
        if slot is not None:
            found.extend(self._wanted_mutable(slot, leases, frozenset(bucket)))
        return found

    def _wanted_immutable(self, share: StoredShare, leases: Sequence[Lease]) -> _Wanted:
        frame = immutable_frame(share.length, leases)
        return _Wanted(
            share_path(self._storage, share.storage_index, share.shnum),
            incoming_path(self._storage, share.storage_index, share.shnum),
            share.shnum,
            Container(Kind.IMMUTABLE, 2, len(frame.before), share.length, tuple(leases)),
            frame,
            lambda: BucketReader(share, self._provider, self._pins),
        )

    def _wanted_mutable(
        self, version: SlotVersion, leases: Sequence[Lease], taken: frozenset[int]
    ) -> list[_Wanted | LeftAlone]:
        index, kept = version.storage_index, version.write_enabler
        try:
            secret = reveal_write_enabler(self._sealer, index, kept)
        except SealBroken as error:
            return [
                LeftAlone(share_path(self._storage, index, shnum), str(error))
                for shnum in version.shares
            ]
        found: list[_Wanted | LeftAlone] = []
        for shnum, share in version.shares.items():
            path = share_path(self._storage, index, shnum)
            if shnum in taken:
                why = "an immutable share has its name: Tahoe cannot keep both"
                found.append(LeftAlone(path, why))
                continue
            frame = mutable_frame(share.length, leases, secret, kept.nodeid, self._nodeid)
            container = Container(
                Kind.MUTABLE,
                2,
                len(frame.before),
                share.length,
                tuple(leases),
                secret,
                kept.nodeid,
            )

            def opened(share: SlotShare = share) -> IShareReader:
                return SlotShareReader(self._objects, self._pins, version, share)

            incoming = incoming_path(self._storage, index, shnum)
            found.append(_Wanted(path, incoming, shnum, container, frame, opened))
        return found

    async def _is_there(self, wanted: _Wanted, reader: IShareReader) -> bool:
        """Whether an export that was cut short has written the file, as it still has to be."""
        try:
            found = await self._workers.run(lambda: read_container_at(wanted.path))
        except NotAContainer:
            return False
        if found != wanted.container:
            return False
        if found.kind is Kind.IMMUTABLE:
            return True  # written once, and whole
        digesting = Digesting()
        await reader.stream(0, reader.length, digesting)
        return await self._digest(wanted, wanted.path) == digesting.digest()

    async def _write(self, wanted: _Wanted, reader: IShareReader) -> None:
        wanted.incoming.parent.mkdir(parents=True, exist_ok=True)
        wanted.path.parent.mkdir(parents=True, exist_ok=True)
        with wanted.incoming.open("wb") as file:
            file.write(wanted.frame.before)
            digesting = _Filing(file)
            await reader.stream(0, reader.length, digesting)
            if digesting.problem is not None:
                raise digesting.problem
            file.write(wanted.frame.after)
            file.flush()
            await self._workers.run(lambda: os.fsync(file.fileno()))
        try:
            found = await self._workers.run(lambda: read_container_at(wanted.incoming))
            same = found == wanted.container
            same = same and await self._digest(wanted, wanted.incoming) == digesting.digest()
        except NotAContainer:
            same = False
        if not same:
            raise OSError(5, "it was read back with other bytes than were written", wanted.path)
        await self._workers.run(lambda: _put_in_place(wanted.incoming, wanted.path))

    async def _digest(self, wanted: _Wanted, path: Path) -> bytes:
        source = await open_source(FoundFile(path, wanted.shnum, 0), self._workers)
        try:
            return await source.digest()
        finally:
            source.close()


class _Filing(Digesting):
    """A consumer that writes to a file.

    :ivar problem: why that failed; what came later was not written.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self.problem: OSError | None = None

    def write(self, data: bytes) -> None:
        """See :class:`IConsumer`; never raises, which a provider would not expect."""
        super().write(data)
        if self.problem is None:
            try:
                self._file.write(data)
            except OSError as error:
                self.problem = error


def _put_in_place(incoming: Path, path: Path) -> None:
    os.replace(incoming, path)
    for folder in (path.parent, path.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
