"""S3 providers on containers of their own."""

from __future__ import annotations

from typing import Any

from raic.backends.s3 import S3Credentials, S3Provider, S3Settings
from tests.contracts.driving import reactor
from tests.services.moto import S3Endpoint

MIB = 1024 * 1024


def settings_for(endpoint: S3Endpoint, **changed: Any) -> S3Settings:
    """For a new container, unless one is named."""
    known = {"region": endpoint.region, "endpoint_url": endpoint.url, "part_size": 5 * MIB}
    container = changed.pop("container", None) or endpoint.make_container()
    return S3Settings(container, **{**known, **changed})


def credentials_for(endpoint: S3Endpoint) -> S3Credentials:
    """Those that the endpoint knows."""
    return S3Credentials(endpoint.access_key_id, endpoint.secret_access_key)


def s3_provider(endpoint: S3Endpoint, settings: S3Settings) -> S3Provider:
    """A provider that is not started."""
    credentials = credentials_for(endpoint)
    return S3Provider("cloud", settings, lambda: credentials, reactor)
