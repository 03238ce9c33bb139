"""An index that is copied to the provider, lost, and made anew from a copy."""

from __future__ import annotations

from pathlib import Path

from raic.interfaces import IStorageProvider
from raic.shares.checkpoints import (
    Checkpointer,
    CheckpointSettings,
    fetch_checkpoint,
    list_checkpoints,
)
from raic.shares.findings import RebuildReport
from raic.shares.index import SQLiteIndex, open_index
from raic.shares.index.copies import RevivedIndex
from raic.shares.keys import CheckpointKey
from raic.shares.orphans import Unclear
from raic.shares.rebuild import highest_epoch, rebuild
from raic.values import LEASE_SECONDS
from raic.workers import InlineWorkers
from tests.shares.rebuild_world import RebuildTestCase
from tests.shares.upload_world import UploadProvider

HOUR = 3600.0
SETTINGS = CheckpointSettings(HOUR, 1000, 3)


class CheckpointTestCase(RebuildTestCase):
    """Has a provider, an index, and what copies the one to the other."""

    revived: RevivedIndex
    unclear: Unclear

    def setUp(self) -> None:
        super().setUp()
        self.scripted = UploadProvider()
        self.successResultOf(self.scripted.start())
        self.memory = self.remote = self.scripted
        self.slots = self.new_slots()
        self.buckets = self.buckets_over(self.remote)

    def checkpointer(
        self,
        settings: CheckpointSettings = SETTINGS,
        provider: IStorageProvider | None = None,
    ) -> Checkpointer:
        """Not started."""
        return Checkpointer(
            provider or self.remote,
            self.path(),
            self.index.changes,
            self.sealer,
            self.clock,
            InlineWorkers(),
            settings,
        )

    def path(self) -> Path:
        """The index's file."""
        return Path(self.index_path)

    def checkpoint(self) -> CheckpointKey:
        """Make one."""
        return self.successResultOf(self.checkpointer().make())

    def checkpoints(self) -> list[CheckpointKey]:
        """Those there are, the newest first."""
        return self.successResultOf(list_checkpoints(self.remote))[0]

    def restore(self, key: CheckpointKey, *, may_lack: bool = False) -> RebuildReport:
        """Throw the index away and make another one of a checkpoint."""
        before = self.objects()
        target = Path(self.mktemp())
        expires = int(self.clock.seconds()) + LEASE_SECONDS
        fetching = fetch_checkpoint(self.remote, key, self.sealer, target, expires, lambda _: None)
        self.revived = self.successResultOf(fetching)
        epoch = self.successResultOf(highest_epoch(self.remote)) + 1
        self.unclear = Unclear()
        self.index = self.open(target)
        self.index_path = str(target)
        self.slots = self.new_slots()
        self.buckets = self.buckets_over(self.remote)
        report = self.successResultOf(
            rebuild(
                self.remote,
                self.index,
                self.sealer,
                self.clock,
                self.progress.append,
                may_lack=may_lack,
                unclear=self.unclear,
            )
        )
        self.successResultOf(self.index.raise_epoch(epoch))
        self.assertEqual(self.objects(), before)
        return report

    def open(self, path: Path) -> SQLiteIndex:
        """An index, closed when the test ends."""
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
