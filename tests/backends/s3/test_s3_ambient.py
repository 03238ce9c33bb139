"""``credentials = ambient``: what the SDK finds by itself, tried on services."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from json import dumps
from os import environ
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from raic.backends.registry import Reactor
from raic.backends.s3 import S3, S3Provider
from raic.errors import AccessDenied
from tests.backends.s3 import test_s3_contract as contract
from tests.contracts.driving import Driven, ReactorSuite, driven, reactor
from tests.services.moto import S3Endpoint
from tests.services.scripted_http import Answer, Request, ScriptedServer

KEY = "shares/aa/x"
ROLES = "/latest/meta-data/iam/security-credentials/"


class Metadata:
    """The addresses at which an instance of a cloud asks who it is.

    :ivar endpoint: whose credentials it hands out.
    """

    def __init__(self, endpoint: S3Endpoint) -> None:
        self.endpoint = endpoint

    def __call__(self, request: Request) -> Answer:
        if request.path == "/latest/api/token":
            return Answer(200, b"a-token")
        if request.path == ROLES:
            return Answer(200, b"the-role")
        if request.path != ROLES + "the-role":
            return Answer(404)
        ends = datetime.now(timezone.utc) + timedelta(hours=6)
        found = {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": self.endpoint.access_key_id,
            "SecretAccessKey": self.endpoint.secret_access_key,
            "Token": "",
            "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return Answer(200, dumps(found).encode())


class AmbientSuite(Driven):
    """Mix this with an endpoint into a ``ReactorSuite``.

    :cvar checks: whether the service knows wrong secrets.
    """

    checks = True
    addCleanup: Callable[..., Any]  # noqa: N815  # trial's name

    def make_endpoint(self) -> S3Endpoint:
        raise NotImplementedError

    def setUp(self) -> None:
        for name in [name for name in environ if name.startswith("AWS_")]:
            self.set_variable(name, None)
        self.home = Path(self.mktemp()).absolute()
        (self.home / ".aws").mkdir(parents=True)
        self.set_variable("HOME", str(self.home))
        self.set_variable("AWS_EC2_METADATA_DISABLED", "true")
        self.endpoint = self.make_endpoint()

    def set_variable(self, name: str, value: str | None) -> None:
        before = environ.get(name)
        self.addCleanup(_assign, name, before)
        _assign(name, value)

    def make_provider(self) -> S3Provider:
        texts = {
            "container": self.endpoint.make_container(),
            "endpoint_url": self.endpoint.url,
            "region": self.endpoint.region,
            "addressing_style": "path",
        }
        nobody: Any = dict
        clock: Reactor = reactor
        provider = S3.make("cloud", S3.parsed(texts), nobody, clock)
        assert isinstance(provider, S3Provider)
        self.addCleanup(provider.stop)
        return provider

    async def assert_works(self) -> S3Provider:
        provider = self.make_provider()
        await provider.start()
        await provider.put_object(KEY, b"data")
        self.assertEqual(await provider.get_object(KEY, 0, 10), b"data")
        return provider

    def write_file(self, endpoint: S3Endpoint) -> None:
        (self.home / ".aws" / "credentials").write_text(
            f"[default]\naws_access_key_id = {endpoint.access_key_id}\n"
            f"aws_secret_access_key = {endpoint.secret_access_key}\n"
        )

    @driven
    async def test_of_the_environment(self) -> None:
        self.set_variable("AWS_ACCESS_KEY_ID", self.endpoint.access_key_id)
        self.set_variable("AWS_SECRET_ACCESS_KEY", self.endpoint.secret_access_key)
        await self.assert_works()

    @driven
    async def test_of_a_file_in_the_home_folder(self) -> None:
        self.write_file(self.endpoint)
        await self.assert_works()

    @driven
    async def test_of_an_instance(self) -> None:
        server = ScriptedServer(reactor, Metadata(self.endpoint))
        self.addCleanup(server.stop)
        self.set_variable("AWS_EC2_METADATA_DISABLED", None)
        self.set_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
        await self.assert_works()
        self.assertIn(ROLES + "the-role", [request.path for request in server.requests])

    @driven
    async def test_of_nobody(self) -> None:
        refused = await self.refused(self.make_provider().start(), AccessDenied)
        self.assertIn("'raic credentials set cloud'", refused.remedy)

    @driven
    async def test_a_file_that_another_program_has_written_anew_is_read_again(self) -> None:
        self.write_file(self.endpoint)
        provider = await self.assert_works()
        self.write_file(evolve(self.endpoint, secret_access_key="wrong"))
        self.assertTrue(await provider.renew_credentials())
        if self.checks:
            await self.refused(provider.get_object(KEY, 0, 1), AccessDenied)
        self.write_file(self.endpoint)
        # The service refuses once, and nobody notices.
        self.assertEqual(await provider.get_object(KEY, 0, 10), b"data")


class MotoTests(contract.OnMoto, AmbientSuite, ReactorSuite):
    """Where anybody may do anything."""

    checks = False


@pytest.mark.service
class SwiftTests(contract.OnSwift, AmbientSuite, ReactorSuite):
    """Where secrets are checked."""


def _assign(name: str, value: str | None) -> None:
    if value is None:
        environ.pop(name, None)
    else:
        environ[name] = value
