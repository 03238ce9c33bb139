"""The contract, by S3."""

from __future__ import annotations

from functools import partial

import pytest
from attrs import evolve
from twisted.internet.task import Clock

from raic.backends.blocking import BlockingProvider
from raic.backends.patience import Patience
from raic.backends.s3 import S3Provider, S3Settings
from raic.backends.s3.store import S3Store
from raic.backends.tagging import TaggingProvider
from raic.errors import AccessDenied, ProviderError, StorageUnusable
from raic.interfaces import IStorageProvider
from raic.workers import InlineWorkers
from tests.backends.s3.stores import MIB, credentials_for, s3_provider, settings_for
from tests.contracts.driving import Driven, ReactorSuite, SynchronousSuite, driven
from tests.contracts.provider import ProviderContract
from tests.contracts.provider_model import ModelContract
from tests.services.moto import S3Endpoint, moto_endpoint
from tests.services.swift import swift_server


class S3Contract(ProviderContract, Driven):
    """Mix this with an endpoint into a ``ReactorSuite``."""

    def make_endpoint(self) -> S3Endpoint:
        raise NotImplementedError

    def make_provider(self) -> IStorageProvider:
        endpoint = self.make_endpoint()
        self.settings = settings_for(endpoint, prefix="nodes/one/")
        return s3_provider(endpoint, self.settings)

    def restarted(self, provider: IStorageProvider) -> IStorageProvider:
        assert isinstance(provider, S3Provider)
        return s3_provider(self.make_endpoint(), self.settings)


class OnMoto(Driven):
    def make_endpoint(self) -> S3Endpoint:
        return moto_endpoint()


class OnSwift(Driven):
    """Swift's own face of S3, which checks secrets and checksums."""

    def make_endpoint(self) -> S3Endpoint:
        server = swift_server()
        return S3Endpoint(server.endpoint, server.user, server.key)


class S3Tests(OnMoto, S3Contract, ReactorSuite):
    """With objects that go out in parts, and listings of several pages."""

    large = 11 * MIB + 1


class TaggedS3Tests(ProviderContract, ReactorSuite):
    """Below the layer that it is always below, with objects that go out in one request."""

    many = 11

    def make_provider(self) -> IStorageProvider:
        endpoint = moto_endpoint()
        return TaggingProvider(s3_provider(endpoint, settings_for(endpoint)), bytes(32))


class S3ModelTests(ModelContract, SynchronousSuite):
    """Whatever is done in whatever order, with objects that go out in one request."""

    examples = 5

    def make_provider(self) -> IStorageProvider:
        endpoint = moto_endpoint()
        return self.provider_with(settings_for(endpoint, prefix="raic/"))

    def provider_with(self, settings: S3Settings) -> IStorageProvider:
        self.settings = settings
        patience = Patience("cloud", Clock())
        store = S3Store("cloud", settings, partial(credentials_for, moto_endpoint()), patience)
        return BlockingProvider("cloud", store, InlineWorkers, Clock(), settings.plan, patience)

    def restarted(self, provider: IStorageProvider) -> IStorageProvider:
        return self.provider_with(self.settings)


@pytest.mark.service
class SwiftS3Tests(OnSwift, S3Contract, ReactorSuite):
    """On a real service, which is slower."""

    large = 11 * MIB + 1
    many = 11


@pytest.mark.service
class RefusalTests(OnSwift, ReactorSuite):
    """What a real service refuses."""

    async def assert_refused(
        self, endpoint: S3Endpoint, container: str | None, kind: type[ProviderError], says: str
    ) -> None:
        provider = s3_provider(endpoint, settings_for(self.make_endpoint(), container=container))
        self.addCleanup(provider.stop)
        refused = await self.refused(provider.start(), kind)
        self.assertIn(says, refused.remedy)

    @driven
    async def test_a_wrong_secret(self) -> None:
        wrong = evolve(self.make_endpoint(), secret_access_key="wrong")
        await self.assert_refused(wrong, None, AccessDenied, "secret access key is wrong")

    @driven
    async def test_an_unknown_access_key(self) -> None:
        wrong = evolve(self.make_endpoint(), access_key_id="test:nobody")
        await self.assert_refused(wrong, None, AccessDenied, "'raic credentials set cloud'")

    @driven
    async def test_a_missing_container(self) -> None:
        endpoint = self.make_endpoint()
        says = "create the container missing"
        await self.assert_refused(endpoint, "missing", StorageUnusable, says)
