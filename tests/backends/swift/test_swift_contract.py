"""The contract, by the Swift provider on a real Swift."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from raic.backends.blocking import BlockingProvider
from raic.backends.patience import Patience
from raic.backends.swift.store import SwiftStore
from raic.backends.tagging import TaggingProvider
from raic.interfaces import IStorageProvider
from raic.workers import InlineWorkers
from tests.backends.swift.swift_world import SwiftWorld
from tests.contracts.driving import Driven, ReactorSuite, SynchronousSuite
from tests.contracts.provider import ProviderContract
from tests.contracts.provider_model import ModelContract


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


@pytest.mark.service
class TaggedSwiftTests(ProviderContract, ReactorSuite):
    """Below the layer that it is always below."""

    many = 11

    def make_provider(self) -> IStorageProvider:
        world = SwiftWorld()
        self.addCleanup(world.close)
        return TaggingProvider(world.provider(), bytes(32))


@pytest.mark.service
class SwiftModelTests(ModelContract, SynchronousSuite):
    """Whatever is done in whatever order, in segments so small that most objects have some."""

    examples = 3

    def make_provider(self) -> IStorageProvider:
        self.world = SwiftWorld()
        self.addCleanup(self.world.close)
        return self.restarted(None)

    def restarted(self, provider: IStorageProvider | None) -> IStorageProvider:
        settings = self.world.settings(part_size=64)
        patience = Patience("cloud", Clock())
        store = SwiftStore("cloud", settings, self.world.credentials, Clock(), patience)
        return BlockingProvider("cloud", store, InlineWorkers, Clock(), settings.plan, patience)
