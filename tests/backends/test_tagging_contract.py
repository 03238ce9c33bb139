"""The contract, by the tagging layer."""

from __future__ import annotations

from twisted.internet.task import Clock

from raic.backends.filesystem import FilesystemProvider
from raic.backends.memory import MemoryProvider
from raic.backends.tagging import TaggingProvider
from raic.interfaces import IStorageProvider
from raic.workers import InlineWorkers, ThreadWorkers
from tests.contracts.driving import ReactorSuite, SynchronousSuite, reactor
from tests.contracts.provider import ProviderContract
from tests.contracts.provider_model import ModelContract

TAG_KEY = bytes(range(32))


class TaggedMemoryTests(ProviderContract, ModelContract, SynchronousSuite):
    def make_provider(self) -> IStorageProvider:
        return TaggingProvider(MemoryProvider("memory"), TAG_KEY)


class TaggedFilesystemTests(ProviderContract, SynchronousSuite):
    def make_provider(self) -> IStorageProvider:
        return self.provider_at(self.mktemp())

    def provider_at(self, path: str) -> IStorageProvider:
        inner = FilesystemProvider(path, path, InlineWorkers(), Clock(), fsync=False)
        return TaggingProvider(inner, TAG_KEY)

    def restarted(self, provider: IStorageProvider) -> IStorageProvider:
        return self.provider_at(provider.name)


class TaggedThreadTests(ProviderContract, ReactorSuite):
    def make_provider(self) -> IStorageProvider:
        workers = ThreadWorkers(reactor, 4, "tested")
        self.addCleanup(workers.stop)
        path = self.mktemp()
        return TaggingProvider(FilesystemProvider("disk", path, workers, Clock()), TAG_KEY)
