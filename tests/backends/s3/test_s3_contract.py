"""The contract, by S3."""

from __future__ import annotations

from raic.backends.s3 import S3Provider
from raic.backends.tagging import TaggingProvider
from raic.interfaces import IStorageProvider
from tests.backends.s3.stores import MIB, s3_provider, settings_for
from tests.contracts.driving import Driven, ReactorSuite
from tests.contracts.provider import ProviderContract
from tests.services.moto import S3Endpoint, moto_endpoint


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


class S3Tests(OnMoto, S3Contract, ReactorSuite):
    """Objects that go out in one request."""


class S3PartsTests(OnMoto, S3Contract, ReactorSuite):
    """Objects that go out in parts."""

    large = 11 * MIB + 1
    many = 11


class TaggedS3Tests(OnMoto, ProviderContract, ReactorSuite):
    """Below the layer that it is always below."""

    large = 11 * MIB + 1
    many = 11

    def make_provider(self) -> IStorageProvider:
        endpoint = moto_endpoint()
        return TaggingProvider(s3_provider(endpoint, settings_for(endpoint)), bytes(32))
