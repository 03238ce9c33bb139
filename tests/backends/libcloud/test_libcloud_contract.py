"""The contract, by libcloud's drivers."""

from __future__ import annotations

from pathlib import Path

import pytest

from raic.backends.libcloud import LibcloudProvider, LibcloudSettings
from raic.interfaces import IStorageProvider
from tests.contracts.driving import Driven, ReactorSuite, reactor
from tests.contracts.provider import ProviderContract
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
