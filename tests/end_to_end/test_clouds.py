"""What a real Tahoe client stores in a cloud stays there, whatever the cloud."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.backends.swift.swift_world import SwiftWorld
from tests.end_to_end.clouds import CloudCase, CloudNode
from tests.services.azurite import azurite_server
from tests.services.keystone import (
    API_KEY,
    CREDENTIAL_ID,
    CREDENTIAL_SECRET,
    PASSWORD,
    PROJECT,
    PROJECT_DOMAIN_ID,
    REGION,
    USER,
    USER_DOMAIN,
    running_keystone,
)
from tests.services.moto import S3Endpoint, moto_endpoint
from tests.services.swift import swift_server

__all__ = ["CloudNode"]


@pytest.mark.service
class S3(CloudCase):
    def test_moto(self) -> None:
        self.check_s3(moto_endpoint())

    def test_swift_through_its_s3_api(self) -> None:
        server = swift_server()
        self.check_s3(S3Endpoint(server.endpoint, server.user, server.key))

    def check_s3(self, endpoint: S3Endpoint) -> None:
        container = endpoint.make_container()
        log = self.check_cloud(
            {"type": "s3", "container": container, "endpoint_url": endpoint.url},
            {
                "ACCESS_KEY_ID": endpoint.access_key_id,
                "SECRET_ACCESS_KEY": endpoint.secret_access_key,
            },
        )
        self.assertIn(f"shares live in: cloud, s3 container {container}, prefix raic/v0-", log)
        self.assertNotIn(endpoint.secret_access_key, log)


@pytest.mark.service
class Swift(CloudCase):
    def setUp(self) -> None:
        super().setUp()
        self.world = SwiftWorld()
        self.stack.callback(self.world.close)
        self.keystone = self.stack.enter_context(running_keystone(self.world.server))

    def check_swift(
        self,
        settings: dict[str, str],
        user: str,
        key: str,
        kind: str = "swift",
        *,
        restore: bool = False,
    ) -> None:
        container = self.world.container
        provider = {"type": kind, "container": container, **settings}
        log = self.check_cloud(provider, {"USER": user, "KEY": key}, restore=restore)
        self.assertIn(f"shares live in: cloud, {kind} container {container}, prefix raic/v0-", log)
        self.assertNotIn(key, log)

    def assert_signed_in(self, how: str, times: int) -> None:
        """One token for each run of the node, and one for the restore."""
        self.assertEqual(self.keystone.sign_ins, [how] * times)

    def test_version_1(self) -> None:
        server = self.world.server
        settings = {"auth_url": server.auth_url, "auth_version": "v1"}
        self.check_swift(settings, server.user, server.key, restore=True)

    def test_keystone_2(self) -> None:
        settings = {
            "auth_url": f"{self.keystone.url}/v2.0",
            "auth_version": "v2",
            "project": PROJECT,
            "region": REGION,
        }
        self.check_swift(settings, USER, PASSWORD)
        self.assert_signed_in("passwordCredentials", 2)

    def test_keystone_3(self) -> None:
        settings = {
            "auth_url": f"{self.keystone.url}/v3",
            "project": PROJECT,
            "project_domain_id": PROJECT_DOMAIN_ID,
            "user_domain": USER_DOMAIN,
            "region": REGION,
        }
        self.check_swift(settings, USER, PASSWORD, restore=True)
        self.assert_signed_in("password", 4)

    def test_an_application_credential(self) -> None:
        settings = {
            "auth_url": f"{self.keystone.url}/v3",
            "auth_version": "v3_application_credential",
            "region": REGION,
        }
        self.check_swift(settings, CREDENTIAL_ID, CREDENTIAL_SECRET)
        self.assert_signed_in("application_credential", 2)

    def test_rackspace(self) -> None:
        settings = {"auth_url": f"{self.keystone.url}/v2.0", "region": REGION.lower()}
        self.check_swift(settings, USER, API_KEY, "cloudfiles")
        self.assert_signed_in("RAX-KSKEY:apiKeyCredentials", 2)


@pytest.mark.service
class Libcloud(CloudCase):
    def test_azure_blobs(self) -> None:
        server = azurite_server()
        container = server.make_container()
        provider = {
            "type": "libcloud",
            "driver": "azure_blobs",
            "container": container,
            "host": server.host,
            "port": str(server.port),
            "secure": "false",
        }
        log = self.check_cloud(provider, {"KEY": server.account, "SECRET": server.key})
        self.assertIn(f"shares live in: cloud, libcloud container {container}", log)
        self.assertNotIn(server.key, log)

    def test_files(self) -> None:
        folder = Path(self.stack.enter_context(TemporaryDirectory()))
        (folder / "shares").mkdir()
        provider = {
            "type": "libcloud",
            "driver": "local",
            "container": "shares",
            "path": str(folder),
        }
        log = self.check_cloud(provider, {})
        self.assertIn("shares live in: cloud, libcloud container shares", log)
