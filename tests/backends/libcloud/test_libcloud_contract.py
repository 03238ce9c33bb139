"""The contract, by libcloud's drivers."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.task import Clock

from raic.backends.blocking import BlockingProvider
from raic.backends.libcloud import LibcloudProvider, LibcloudSettings
from raic.backends.libcloud.store import LibcloudStore
from raic.backends.patience import Patience
from raic.backends.tagging import TaggingProvider
from raic.interfaces import IStorageProvider
from raic.workers import InlineWorkers
from tests.contracts.driving import Driven, ReactorSuite, SynchronousSuite, reactor
from tests.contracts.provider import ProviderContract
from tests.contracts.provider_model import ModelContract
from tests.services.azurite import azurite_server


class LocalContract(ProviderContract, Driven):
    """Sets up folders of their own."""

    many = 101
    knows_taken_keys = False
    part_size = 8 * 1024 * 1024

    def make_provider(self) -> IStorageProvider:
        folder = Path(self.mktemp()).absolute()
        (folder / "container").mkdir(parents=True)
        return self.provider_in(folder)

    def provider_in(self, folder: Path) -> LibcloudProvider:
        settings = LibcloudSettings(
            "local", "container", prefix="raic/", path=str(folder), part_size=self.part_size
        )
        return LibcloudProvider(str(folder), settings, dict, reactor, page=50)

    def restarted(self, provider: IStorageProvider) -> IStorageProvider:
        return self.provider_in(Path(provider.name))


class LocalTests(LocalContract, ReactorSuite):
    """Objects as single files."""


class LocalPartsTests(LocalContract, ReactorSuite):
    """Large objects in parts."""

    part_size = 256 * 1024


class TaggedLocalTests(LocalContract, ReactorSuite):
    """Below the layer that it is always below."""

    many = 11

    def make_provider(self) -> IStorageProvider:
        return TaggingProvider(super().make_provider(), bytes(32))

    def restarted(self, provider: IStorageProvider) -> IStorageProvider:
        return TaggingProvider(super().restarted(provider), bytes(32))


class LocalModelTests(ModelContract, SynchronousSuite):
    """Whatever is done in whatever order, in parts so small that most objects have some."""

    knows_taken_keys = False

    def make_provider(self) -> IStorageProvider:
        self.folder = Path(self.mktemp()).absolute()
        (self.folder / "container").mkdir(parents=True)
        return self.restarted(None)

    def restarted(self, provider: IStorageProvider | None) -> IStorageProvider:
        settings = LibcloudSettings("local", "container", path=str(self.folder), part_size=64)
        patience = Patience("cloud", Clock())
        store = LibcloudStore("cloud", settings, dict, patience, 1000)
        return BlockingProvider("cloud", store, InlineWorkers, Clock(), settings.plan, patience)


@pytest.mark.service
class AzureTests(ProviderContract, ReactorSuite):
    """Azure Blobs, as Azurite plays it; large objects in parts."""

    many = 45
    knows_taken_keys = False

    def make_provider(self) -> IStorageProvider:
        server = azurite_server()
        self.settings = LibcloudSettings(
            "azure_blobs",
            server.make_container(),
            prefix="raic/",
            host=server.host,
            port=server.port,
            secure=False,
            part_size=256 * 1024,
            threads=4,
        )
        return self.provider_with(self.settings)

    def provider_with(self, settings: LibcloudSettings) -> LibcloudProvider:
        server = azurite_server()
        credentials = {"key": server.account, "secret": server.key}
        return LibcloudProvider("azure", settings, lambda: credentials, reactor, page=20)

    def restarted(self, provider: IStorageProvider) -> IStorageProvider:
        return self.provider_with(self.settings)
