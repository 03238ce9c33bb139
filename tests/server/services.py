"""A whole storage service in memory, for tests of the service and of its two faces."""

from __future__ import annotations

from raic.backends.memory import MemoryProvider
from raic.budget import MemoryBudget
from raic.interfaces import IBucketUpload
from raic.server.service import Permissions, StorageService
from raic.server.space import SpaceGauge
from raic.shares.slots import Slots
from raic.values import LeaseSecrets
from tests.shares.stores import SECRETS, StoreTestCase

MAX_MUTABLE = 16 * 1024 * 1024
MAX_READ = 32 * 1024 * 1024
NODEID = b"n" * 20


class ServiceTestCase(StoreTestCase):
    """Has a :class:`StorageService` over a memory provider, an index and a clock.

    :cvar capacity: of the provider, in bytes.
    :cvar permissions: what the operator allows.
    """

    capacity = 2**40
    permissions = Permissions()
    may_write = True

    def setUp(self) -> None:
        super().setUp()
        self.memory = MemoryProvider("attic", self.capacity)
        self.successResultOf(self.memory.start())
        self.buckets = self.buckets_over(self.memory)
        self.gauge = SpaceGauge(self.memory, self.clock)
        self.successResultOf(self.gauge.start())
        self.addCleanup(self.gauge.stop)
        slots = Slots(
            self.memory,
            self.index,
            self.sealer,
            self.pins,
            self.clock,
            nodeid=NODEID,
            max_share_size=MAX_MUTABLE,
            max_read=MAX_READ,
            budget=MemoryBudget(2**30),
        )
        self.service = StorageService(
            self.index,
            self.buckets,
            slots,
            self.gauge,
            self.clock,
            maximum_mutable=MAX_MUTABLE,
            permissions=self.permissions,
            may_write=lambda: self.may_write,
        )
        self.addCleanup(self.service.stop)

    def allocate(
        self,
        storage_index: bytes,
        shnums: set[int],
        size: int,
        secret: bytes | None = b"upload",
        secrets: LeaseSecrets = SECRETS,
    ) -> tuple[set[int], dict[int, IBucketUpload]]:
        """What an allocation answers."""
        answer = self.successResultOf(
            self.service.allocate_buckets(storage_index, shnums, size, secrets, secret)
        )
        return set(answer.already_have), dict(answer.allocated)

    def store_share(self, storage_index: bytes, shnum: int, data: bytes) -> None:
        """Store a share through the service."""
        upload = self.allocate(storage_index, {shnum}, len(data))[1][shnum]
        self.successResultOf(upload.write(0, data))
        self.successResultOf(upload.close())
