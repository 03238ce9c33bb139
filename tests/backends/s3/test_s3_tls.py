"""What goes over the wire where it is encrypted, which is where SDKs do other things."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from raic.backends.s3 import S3Settings
from raic.errors import StorageUnusable
from tests.backends.s3.scripted import KEY, MIB, PATH, Scripted, driven
from tests.services.certificates import loopback_certificate

LARGE = 11 * MIB + 1


class TlsTests(Scripted):
    def setUp(self) -> Deferred[None] | None:  # type: ignore[override]  # trial waits for it
        self.tls, self.ca_bundle = loopback_certificate(Path(self.mktemp()))
        return super().setUp()

    def make_settings(self, **changed: Any) -> S3Settings:
        return super().make_settings(**{"ca_bundle": self.ca_bundle, **changed})

    @driven
    async def test_objects_are_sent_as_they_are(self) -> None:
        await self.provider.put_object(KEY, b"0123456789")
        self.assertEqual(self.s3.objects[PATH], b"0123456789")
        upload = self.provider.open_upload(KEY + "1", LARGE)
        await upload.write(b"x" * LARGE)
        await upload.finish()
        self.assertTrue(self.s3.objects[PATH + "1"] == b"x" * LARGE)
        await self.provider.delete_objects([KEY])
        self.assertNotIn(PATH, self.s3.objects)
        self.assertEqual(sorted(set(self.asked())), ["begin", "complete", "delete", "part", "put"])
        for request in self.server.requests:
            headers = request.headers
            self.assertEqual(int(headers.get("content-length", "0")), len(request.body))
            for absent in ("x-amz-trailer", "content-encoding", "transfer-encoding", "expect"):
                self.assertNotIn(absent, headers)
            self.assertEqual([name for name in headers if "checksum" in name], [])
        self.assertIn("content-md5", self.server.requests[-1].headers)

    @driven
    async def test_a_bundle_that_is_none(self) -> None:
        await self.provider.stop()
        path = Path(self.mktemp())
        path.write_text("no certificate")
        for ca_bundle in ("missing.pem", str(path)):
            self.provider = self.make_provider(ca_bundle=ca_bundle)
            failed = await self.refused(self.provider.start(), StorageUnusable)
            self.assertEqual(failed.remedy, "correct ca_bundle")
            self.assertIn(ca_bundle, str(failed))
