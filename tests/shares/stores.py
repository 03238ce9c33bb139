"""A provider, an index and what lies between them, for tests of shares."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.memory import MemoryProvider
from raic.budget import MemoryBudget
from raic.interfaces import IStorageProvider
from raic.shares.buckets import Buckets
from raic.shares.index import SQLiteIndex, create_index, open_index
from raic.shares.pins import Pins
from raic.shares.sealing import Sealer
from raic.shares.upload import BucketUpload, Soon
from raic.values import LeaseSecrets, ListedObject

NOW = 1_700_000_000
SECRETS = LeaseSecrets(b"r" * 32, b"c" * 32)
NODE_KEY = b"k" * 32
INDEX_A = bytes(range(16))
INDEX_B = bytes(range(16, 32))


def pattern(length: int, seed: int = 1) -> bytes:
    """Bytes in which no two places look alike, always the same."""
    return Random(seed).randbytes(length)


class StoreTestCase(SynchronousTestCase):
    """Has a started :class:`MemoryProvider`, an index and buckets over them.

    :cvar local_listing: whether the index keeps intents in memory only.
    :ivar index_path: of the newest index.
    """

    local_listing = True
    index_path: str

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.memory = MemoryProvider("attic")
        self.successResultOf(self.memory.start())
        self.pins = Pins()
        self.sealer = Sealer(NODE_KEY)
        self.budget = MemoryBudget(64 * 1024 * 1024)
        self.fatal: list[Exception] = []
        self.ended: list[BucketUpload] = []
        self.index = self.new_index(epoch=1)
        self.buckets = self.buckets_over(self.memory)

    def new_index(self, epoch: int) -> SQLiteIndex:
        """An empty index, closed when the test ends."""
        path = self.index_path = self.mktemp()
        create_index(path, epoch)
        index = open_index(
            path,
            self.clock,
            None,
            sync=False,
            local_listing=self.local_listing,
            on_fatal=self.fatal.append,
        )
        self.addCleanup(index.close)
        return index

    def buckets_over(
        self, provider: IStorageProvider, soon: Soon = lambda function: function()
    ) -> Buckets:
        """Buckets over this test's index and another provider."""
        shared = (provider, self.index, self.sealer, self.pins, self.clock)
        return Buckets(*shared, self.budget, soon)

    def start(
        self,
        size: int,
        shnum: int = 0,
        *,
        storage_index: bytes = INDEX_A,
        fills_gaps: bool = False,
        secrets: LeaseSecrets = SECRETS,
    ) -> BucketUpload:
        """Begin an upload that notes its end in :attr:`ended`."""
        return self.buckets.start_upload(
            storage_index, shnum, size, secrets, self.ended.append, fills_gaps
        )

    def store(self, data: bytes, shnum: int = 0, storage_index: bytes = INDEX_A) -> None:
        """Store a share."""
        upload = self.start(len(data), shnum, storage_index=storage_index)
        for begin in range(0, len(data), 1_000_000):
            self.successResultOf(upload.write(begin, data[begin : begin + 1_000_000]))
        self.successResultOf(upload.close())

    def held(self, shnum: int = 0, storage_index: bytes = INDEX_A) -> bytes | None:
        """The whole share; None when there is none."""
        share = self.successResultOf(self.index.get_bucket(storage_index)).get(shnum)
        if share is None:
            return None
        reader = self.buckets.open(share)
        try:
            return self.successResultOf(reader.read(0, reader.length))
        finally:
            reader.close()

    def objects(self, prefix: str = "") -> dict[str, int]:
        """What lies in the provider: sizes by key."""
        return {listed.key: listed.size for listed in self.listing(prefix)}

    def listing(self, prefix: str) -> Iterable[ListedObject]:
        token = None
        while True:
            page = self.successResultOf(self.memory.list_objects(prefix, token))
            yield from page.objects
            token = page.next_token
            if token is None:
                return
