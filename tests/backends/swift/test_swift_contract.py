"""The contract, by the Swift provider on a real Swift."""

from __future__ import annotations

from typing import Any

import pytest

from raic.interfaces import IStorageProvider
from tests.backends.swift.swift_world import SwiftWorld
from tests.contracts.driving import Driven, ReactorSuite
from tests.contracts.provider import ProviderContract


class SwiftContract(ProviderContract, Driven):
    """Sets up containers of their own."""

    many = 45
    options: dict[str, Any] = {"page": 20}  # noqa: RUF012  # never altered

    def make_provider(self) -> IStorageProvider:
        self.world = SwiftWorld()
        self.addCleanup(self.world.close)
        return self.world.provider(**self.options)

    def restarted(self, provider: IStorageProvider) -> IStorageProvider:
        again = SwiftWorld.provider(self.first, **self.options)
        return again

    def setUp(self) -> Any:
        started = super().setUp()
        self.first = self.world
        return started


@pytest.mark.service
class SwiftTests(SwiftContract, ReactorSuite):
    """In segments of 256 KiB, below a prefix."""
