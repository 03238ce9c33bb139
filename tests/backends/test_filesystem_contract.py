"""The contract, by every kind of filesystem provider."""

from __future__ import annotations

from twisted.internet.task import Clock

from raic.backends import putprocess
from raic.backends.disk import Disk
from raic.backends.filesystem import FilesystemProvider
from raic.interfaces import IStorageProvider, IWorkers
from raic.workers import InlineWorkers, ThreadWorkers
from tests.backends.disks import ImpatientDisk, OldDisk
from tests.backends.putting import FakePutProcess
from tests.contracts.driving import Driven, ReactorSuite, SynchronousSuite, reactor
from tests.contracts.provider import ProviderContract
from tests.contracts.provider_model import ModelContract


class FilesystemContract(ProviderContract, Driven):
    """Sets up providers on folders of their own."""

    fsync = False
    beside: str | None = None
    makes = inspects = True

    def make_workers(self) -> IWorkers:
        return InlineWorkers()

    def make_disk(self) -> Disk:
        return Disk()

    def make_provider(self) -> IStorageProvider:
        return self.provider_at(self.mktemp())

    def provider_at(self, path: str) -> FilesystemProvider:
        return FilesystemProvider(
            path,  # its name: a restarted one is found by it
            path,
            self.make_workers(),
            Clock(),
            fsync=self.fsync,
            beside=self.beside,
            disk=self.make_disk(),
        )

    def restarted(self, provider: IStorageProvider) -> IStorageProvider:
        return self.provider_at(provider.name)


class InlineTests(FilesystemContract, ModelContract, SynchronousSuite):
    """Without threads and without syncing."""


class PromptTests(FilesystemContract, ModelContract, SynchronousSuite):
    """With small objects written at once."""

    beside = "."


class CrowdTests(FilesystemContract, SynchronousSuite):
    """With every small object stored by another process."""

    fsync = True

    def provider_at(self, path: str) -> FilesystemProvider:
        for name in ("SEVERAL", "CROWD", "CROWDED_PUTS"):
            self.patch(putprocess, name, 0)
        self.process = FakePutProcess(path, ImpatientDisk())
        return FilesystemProvider(
            path,
            path,
            InlineWorkers(),
            Clock(),
            spawn=self.process.spawn,
            disk=ImpatientDisk(),
        )


class SyncedTests(FilesystemContract, SynchronousSuite):
    """With syncing, as far as the calls go: no disk is waited for."""

    fsync = True

    def make_disk(self) -> Disk:
        return ImpatientDisk()


class NamedFilesTests(FilesystemContract, ModelContract, SynchronousSuite):
    """Where unfinished files need names."""

    def make_disk(self) -> Disk:
        return OldDisk()


class ThreadTests(FilesystemContract, ReactorSuite):
    """With threads and without syncing."""

    def make_workers(self) -> IWorkers:
        workers = ThreadWorkers(reactor, 4, "tested")
        self.addCleanup(workers.stop)
        return workers


class SyncedThreadTests(ThreadTests):
    """With threads and syncing."""

    fsync = True
