"""The shares of a node, as share files of Tahoe's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

from attrs import evolve, frozen

from raic.assembly.copynote import raise_if_switching
from raic.assembly.members import Reactor
from raic.assembly.offline import OfflineNode, offline_node
from raic.config.files import replace_file
from raic.config.identity import Identity
from raic.config.model import Config
from raic.deferreds import async_to_deferred
from raic.errors import IndexMissing, OperationRefused
from raic.interfaces import IIndex
from raic.shares.index import SQLiteIndex
from raic.shares.keys import CHUNKS, parse_key
from raic.shares.listing import in_parallel
from raic.shares.sealing import Sealer
from raic.shares.tahoe.folder import LeftAlone
from raic.shares.tahoe.moving_out import MovingOut

PAGE = 1000
_AFTER_CHUNKS = CHUNKS.rstrip("/") + "0"
"""Chunks come first among the objects; what refers to them comes later."""

MARK = "exported-by-raic"
"""A file that says whose shares an export has written; Tahoe takes no notice of it."""


@frozen
class Exported:
    """How far an export is.

    :ivar total: how many shares there are, each slot counting as one, and :ivar total_bytes: how
        many bytes, about.
    :ivar done: how many shares were looked at, and :ivar done_bytes: how long they are.
    :ivar shares: how many shares were written, and :ivar bytes: how long they are.
    :ivar there: how many were there already.
    :ivar left: what could not be written.
    """

    total: int = 0
    total_bytes: int = 0
    done: int = 0
    done_bytes: int = 0
    shares: int = 0
    bytes: int = 0
    there: int = 0
    left: tuple[LeftAlone, ...] = ()


@async_to_deferred
async def export_shares(
    config: Config,
    identity: Identity,
    storage: Path,
    reactor: Reactor,
    progress: Callable[[Exported], None],
) -> Exported:
    """Write every share of a node that does not run into the storage folder of a Tahoe node that
    does not run either.

    What is there already is passed over, so that an export that was cut short goes on where it
    was.

    :return: fires with what was done; fails with a ``ProviderError``, an ``IndexFailure``, an
        ``OperationRefused`` or an ``OSError``, and may be repeated.
    """
    raise_if_switching(config.node_directory)
    if not config.index_path.exists():
        raise IndexMissing(f"there is no index at {config.index_path}")
    _mark(storage, identity)
    async with offline_node(config, identity, reactor) as node:
        exporting = _Exporting(node, identity, storage, progress)
        await exporting.run()
        return exporting.report


def _mark(storage: Path, identity: Identity) -> None:
    """Take the folder, unless there are shares of somebody else."""
    mark, mine = storage / MARK, f"{identity.server_id}\n".encode("ascii")
    if mark.exists():
        if mark.read_bytes() == mine:
            return
        raise OperationRefused(f"{storage} holds the shares of another node", "name an empty one")
    # A Tahoe node that has run has made folders already.
    if any(not path.is_dir() for path in (storage / "shares").rglob("*")):
        raise OperationRefused(f"{storage} holds shares already", "name an empty folder")
    storage.mkdir(parents=True, exist_ok=True)
    replace_file(mark, mine)


async def storage_indexes(index: IIndex) -> AsyncIterator[list[bytes]]:
    """All that anything is stored under, some at a time; one with both kinds of shares twice."""
    assert isinstance(index, SQLiteIndex)
    last = b""
    keys = await index.ledger.next_objects(_AFTER_CHUNKS, PAGE)
    while keys:
        found = []
        for parsed in map(parse_key, keys):
            assert parsed is not None
            if parsed.storage_index != last:
                last = parsed.storage_index
                found.append(last)
        yield found
        keys = await index.ledger.next_objects(keys[-1], PAGE)


class _Exporting:
    def __init__(
        self,
        node: OfflineNode,
        identity: Identity,
        storage: Path,
        progress: Callable[[Exported], None],
    ) -> None:
        self._index = node.index
        self._progress = progress
        self._moving = MovingOut(
            node.provider,
            node.index,
            Sealer(identity.seal_key),
            node.workers,
            identity.nodeid,
            storage,
        )
        self.report = Exported()

    async def run(self) -> None:
        """Write everything."""
        totals = await self._index.get_totals()
        self.report = Exported(
            total=totals.shares + totals.slots, total_bytes=totals.share_bytes + totals.slot_bytes
        )
        async for some in storage_indexes(self._index):
            await in_parallel(self._write, some)

    async def _write(self, storage_index: bytes) -> None:
        written = await self._moving.write(storage_index)
        report = self.report
        count = written.shares + written.there
        self.report = evolve(
            report,
            done=report.done + count,
            done_bytes=report.done_bytes + written.bytes + written.there_bytes,
            shares=report.shares + written.shares,
            bytes=report.bytes + written.bytes,
            there=report.there + written.there,
            left=(*report.left, *written.left),
        )
        self._progress(self.report)
