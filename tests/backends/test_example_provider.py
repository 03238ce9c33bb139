"""The provider of the documentation: installed as a package, found by its entry point."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import invalidate_caches
from pathlib import Path
from tempfile import mkdtemp
from typing import ClassVar

from raic.backends.registry import provider_type, provider_types
from raic.errors import ConfigurationError
from raic.interfaces import IStorageProvider
from tests.contracts.driving import ReactorSuite, reactor
from tests.contracts.provider import ProviderContract

SOURCE = Path(__file__).parents[2] / "docs" / "development" / "example-provider"


class ExampleTests(ProviderContract, ReactorSuite):
    """Passes the contract."""

    many = 101
    folder: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(mkdtemp(prefix="raic-example-"))
        copy = shutil.copytree(SOURCE, cls.folder / "source")
        installed = cls.folder / "installed"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
        command += ["--no-build-isolation", "--disable-pip-version-check", "--target"]
        subprocess.run([*command, str(installed), str(copy)], check=True, timeout=120)
        sys.path.insert(0, str(installed))
        invalidate_caches()

    @classmethod
    def tearDownClass(cls) -> None:
        sys.path.remove(str(cls.folder / "installed"))
        for name in [name for name in sys.modules if name.startswith("raic_sqlite")]:
            del sys.modules[name]
        shutil.rmtree(cls.folder)

    def make_provider(self) -> IStorageProvider:
        return self.provider_at(str(Path(self.mktemp()).absolute()))

    def provider_at(self, path: str) -> IStorageProvider:
        kind = provider_type("sqlite")
        settings = kind.parsed({"path": path, "part_size": "256KiB"})
        return kind.make(path, settings, dict, reactor)

    def restarted(self, provider: IStorageProvider) -> IStorageProvider:
        return self.provider_at(provider.name)

    def test_it_is_found(self) -> None:
        self.assertIn("sqlite", provider_types())
        kind = provider_type("sqlite")
        self.assertRaises(ConfigurationError, kind.parsed, {})
