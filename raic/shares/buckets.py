"""Immutable shares: uploading and reading them."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from raic.budget import MemoryBudget
from raic.interfaces import IIndex, IShareReader, IStorageProvider
from raic.shares.keys import ShareKey, new_transaction_id
from raic.shares.layout import share_header
from raic.shares.pins import Pins
from raic.shares.reader import BucketReader
from raic.shares.sealing import Sealer
from raic.shares.secrets import new_lease
from raic.shares.streamed import GRID_BYTES, TAIL_BYTES
from raic.shares.upload import GATHERED_BYTES, BucketUpload, Planned, Soon
from raic.shares.written import PIECE_BYTES, WINDOW_BYTES
from raic.values import LeaseSecrets, StoredShare

STREAMING_BYTES = WINDOW_BYTES + TAIL_BYTES + GRID_BYTES + 3 * PIECE_BYTES
"""What a streaming upload holds of its share: the window, the tail with the piece that straddles
its beginning, and a batch and a piece that wait while another batch is under way."""


class Buckets:
    """The immutable shares of one provider and index.

    :param budget: from which each upload takes, when it begins, all the memory it may hold.
    :param soon: calls what passes on the bytes of an upload, at once or a little later.
    """

    def __init__(
        self,
        provider: IStorageProvider,
        index: IIndex,
        sealer: Sealer,
        pins: Pins,
        clock: IReactorTime,
        budget: MemoryBudget,
        soon: Soon = lambda function: function(),
    ) -> None:
        self._provider = provider
        self._index = index
        self._sealer = sealer
        self._pins = pins
        self._clock = clock
        self._budget = budget
        self._soon = soon

    def start_upload(
        self,
        storage_index: bytes,
        shnum: int,
        size: int,
        lease_for: LeaseSecrets,
        on_end: Callable[[BucketUpload], None],
        fills_gaps: bool,
    ) -> BucketUpload:
        """Begin to upload a share of ``size`` bytes.

        :param lease_for: who gets a lease when the share is complete.
        :param on_end: called once the upload has ended, in whatever way, but never before this
            method has returned; ``is_complete`` then says whether there is a share.
        :param fills_gaps: make a gap zeros when what lies beyond it no longer fits in memory, as
            the old dialect needs, instead of refusing the write.
        :raises ServiceBusy: the budget has no room; nothing was begun.
        """
        planned = self._plan(storage_index, shnum, size, lease_for, fills_gaps)
        memory = self._memory(planned.size)
        self._budget.take(memory)
        return BucketUpload(
            planned,
            self._provider,
            self._index,
            self._clock,
            on_end,
            lambda: self._budget.give_back(memory),
            self._soon,
        )

    def open(self, share: StoredShare) -> IShareReader:
        """The share, open for reading; its object stays until the reader is closed."""
        return BucketReader(share, self._provider, self._pins)

    def _plan(
        self,
        storage_index: bytes,
        shnum: int,
        size: int,
        lease_for: LeaseSecrets,
        fills_gaps: bool,
    ) -> Planned:
        now = self._clock.seconds()
        unsealed = share_header(storage_index, shnum, size, int(now), [new_lease(lease_for, now)])
        key = str(
            ShareKey(storage_index, shnum, new_transaction_id(), size, unsealed.length + size)
        )
        header = unsealed.sealed_for(key, self._sealer)
        share = StoredShare(storage_index, shnum, key, unsealed.length, size)
        return Planned(share, header, lease_for, fills_gaps)

    def _memory(self, size: int) -> int:
        if size <= GATHERED_BYTES:
            return size
        digests = size // GRID_BYTES * 16
        return min(size, STREAMING_BYTES) + digests + self._provider.buffer_size(size)
