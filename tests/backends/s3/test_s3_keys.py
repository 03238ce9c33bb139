"""Containers that are shared, deletes, leavings, and credentials that change."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import gatherResults

from raic.backends.s3 import S3Credentials, S3Settings
from raic.errors import AccessDenied, ProviderBusy, StorageUnusable
from raic.values import ListedObject, Space
from tests.backends.s3.little import error
from tests.backends.s3.scripted import CREDENTIALS, KEY, MIB, PATH, Scripted, driven
from tests.backends.s3.stores import s3_provider, settings_for
from tests.contracts.driving import ReactorSuite
from tests.services.moto import moto_endpoint
from tests.services.scripted_http import Answer, Request

TEN = b"0123456789"
SLOW_DOWN = error(503, "SlowDown")


class PrefixTests(ReactorSuite):
    @driven
    async def test_several_share_a_container(self) -> None:
        endpoint = moto_endpoint()
        settings = settings_for(endpoint, prefix="one/")
        others = [
            settings_for(endpoint, container=settings.container, prefix=prefix)
            for prefix in ("two/", "one")
        ]
        one, two, above = (s3_provider(endpoint, each) for each in (settings, *others))
        for provider in (one, two, above):
            self.addCleanup(provider.stop)
            await provider.start()
        await one.put_object(KEY, TEN)
        await two.put_object(KEY, b"other")
        client = endpoint.client()
        for key in ("one/Not a key", "one/", "one/zz//"):
            client.put_object(Bucket=settings.container, Key=key, Body=b"foreign")
        self.assertEqual(await one.get_object(KEY, 0, 10), TEN)
        page = await one.list_objects("", None)
        self.assertEqual(page.objects, (ListedObject(KEY, 10),))
        upload = client.create_multipart_upload(Bucket=settings.container, Key="two/x")
        self.assertEqual(await one.clear_interrupted_uploads(""), 0)
        self.assertEqual(await two.clear_interrupted_uploads("y"), 0)
        self.assertEqual(await two.clear_interrupted_uploads("x"), 1)
        left = client.list_multipart_uploads(Bucket=settings.container).get("Uploads", [])
        self.assertNotIn(upload["UploadId"], [each["UploadId"] for each in left])
        await two.delete_objects([KEY])
        self.assertEqual(await one.get_object(KEY, 0, 10), TEN)


class ListingTests(Scripted):
    @driven
    async def test_a_listing_that_does_not_go_on_is_an_error(self) -> None:
        def listed(*keys: str) -> Answer:
            lines = (f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in keys)
            inner = f"<Name>container</Name><IsTruncated>true</IsTruncated>{''.join(lines)}"
            return Answer(200, f"<ListBucketResult>{inner}</ListBucketResult>".encode())

        self.s3.always_wrong = {"list": listed("a", "b", "B")}
        await self.refused(self.provider.list_objects("", None), StorageUnusable)
        self.s3.always_wrong = {"list": listed("a", "b")}
        page = await self.provider.list_objects("", None)
        self.assertEqual(page.next_token, "b")
        await self.refused(self.provider.list_objects("", page.next_token), StorageUnusable)
        self.assertEqual(self.server.requests[-1].query["start-after"], "b")

    @driven
    async def test_space_is_plenty(self) -> None:
        self.assertEqual(await self.provider.get_space(), Space(None, 2**40))


class DeletingTests(Scripted):
    def keys(self, count: int) -> list[str]:
        return [f"a/{number:05}" for number in range(count)]

    @driven
    async def test_many_are_deleted_by_the_thousand(self) -> None:
        keys = self.keys(2001)
        for key in keys:
            self.s3.objects[f"/container/{key}"] = TEN
        self.assertEqual(await self.provider.delete_objects(keys), frozenset())
        self.assertEqual(self.s3.objects, {})
        self.assertEqual(self.asked(), ["delete"] * 3)

    @driven
    async def test_those_that_could_not_be_deleted_are_named(self) -> None:
        lines = (("a", "AccessDenied"), ("b", "NoSuchKey"), ("c", "InternalError"))
        errors = (f"<Error><Key>{k}</Key><Code>{code}</Code></Error>" for k, code in lines)
        answer = Answer(200, f"<DeleteResult>{''.join(errors)}</DeleteResult>".encode())
        self.s3.wrong = {"delete": [answer]}
        failed = await self.provider.delete_objects(["a", "b", "c", "d"])
        self.assertEqual(failed, {"a", "c"})

    @driven
    async def test_a_batch_that_failed_does_not_hide_the_others(self) -> None:
        keys = self.keys(2001)
        self.s3.wrong = {"delete": [None, SLOW_DOWN, None]}
        self.assertEqual(await self.provider.delete_objects(keys), frozenset(keys[1000:2000]))
        self.s3.always_wrong = {"delete": SLOW_DOWN}
        await self.refused(self.provider.delete_objects(keys), ProviderBusy)

    @driven
    async def test_a_service_without_batches_is_found_out_once(self) -> None:
        for status in (405, 501):
            await self.provider.stop()
            self.provider = self.make_provider()
            await self.start()
            self.s3.wrong = {"delete": [error(status, "Refused")]}
            keys = self.keys(3)
            for key in keys:
                self.s3.objects[f"/container/{key}"] = TEN
            self.assertEqual(await self.provider.delete_objects(keys), frozenset())
            self.assertEqual(await self.provider.delete_objects(keys), frozenset())
            self.assertEqual(self.s3.objects, {})
            self.assertEqual([r.method for r in self.server.requests], ["POST"] + ["DELETE"] * 6)

    @driven
    async def test_of_single_deletes_too_those_that_failed_are_named(self) -> None:
        def refused(request: Request) -> Answer:
            if request.method == "POST":
                return error(501, "NotImplemented")
            return Answer(204) if request.path.endswith("/b") else error(403, "AccessDenied")

        self.s3.always_wrong = {"delete": refused}
        self.assertEqual(await self.provider.delete_objects(["a", "b", "c"]), {"a", "c"})
        await self.refused(self.provider.delete_objects(["a", "c"]), AccessDenied)


class LeavingsTests(Scripted):
    @driven
    async def test_any_number_of_leavings_is_cleared(self) -> None:
        for number in range(2001):
            self.s3.uploads[f"{number:05}"] = {}
        self.assertEqual(await self.provider.clear_interrupted_uploads("a/"), 2001)
        self.assertEqual(self.s3.uploads, {})
        self.assertEqual(self.asked().count("uploads"), 3)
        self.assertEqual(self.server.requests[0].query["prefix"], "a/")

    @driven
    async def test_what_is_under_way_stays(self) -> None:
        self.s3.uploads["left"] = {}
        upload = self.provider.open_upload(KEY, 11 * MIB)
        await upload.write(b"x" * 10 * MIB)
        self.assertEqual(await self.provider.clear_interrupted_uploads(""), 1)
        await upload.write(b"x" * MIB)
        await upload.finish()
        self.assertEqual(len(self.s3.objects[PATH]), 11 * MIB)

    @driven
    async def test_what_is_just_beginning_stays(self) -> None:
        clearing = []

        def begun_but_not_answered(request: Request) -> Answer:
            answer = self.s3.begin(request)
            clearing.append(self.provider.clear_interrupted_uploads(""))
            return evolve(answer, after=0.5)

        self.s3.always_wrong = {"begin": begun_but_not_answered}
        upload = self.provider.open_upload(KEY, 11 * MIB)
        await upload.write(b"x" * 11 * MIB)
        self.assertEqual(await clearing[0], 0)
        await upload.finish()
        self.assertEqual(len(self.s3.objects[PATH]), 11 * MIB)
        self.assertEqual(await self.provider.clear_interrupted_uploads(""), 0)


class CredentialsTests(Scripted):
    def setUp(self) -> Any:
        self.present: S3Credentials | None = CREDENTIALS
        return super().setUp()

    def credentials(self) -> S3Credentials | None:
        return self.present

    def users(self) -> set[str]:
        """The access key ids of the requests since the start."""
        lines = [request.headers["authorization"] for request in self.server.requests]
        return {line.partition("Credential=")[2].partition("/")[0] for line in lines}

    def refuse_old(self, request: Request) -> Answer:
        if CREDENTIALS.access_key_id in request.headers["authorization"]:
            return error(403, "InvalidAccessKeyId")
        return Answer(206, TEN, {"Content-Range": "bytes 0-9/10"})

    @driven
    async def test_changed_credentials_are_picked_up_without_a_failure(self) -> None:
        self.s3.always_wrong = {"get": self.refuse_old}
        await self.refused(self.provider.get_object(KEY, 0, 10), AccessDenied)
        self.present = S3Credentials("new", "secret", "a-token")
        found = await gatherResults([self.provider.get_object(KEY, 0, 10) for _ in range(5)])
        self.assertEqual(found, [TEN] * 5)
        self.server.requests.clear()
        await self.provider.get_object(KEY, 0, 10)
        self.assertEqual(self.users(), {"new"})
        self.assertEqual(self.server.requests[0].headers["x-amz-security-token"], "a-token")

    @driven
    async def test_credentials_can_be_renewed_at_any_time(self) -> None:
        self.assertFalse(await self.provider.renew_credentials())
        self.present = S3Credentials("new", "secret")
        self.assertTrue(await self.provider.renew_credentials())
        await self.provider.list_objects("", None)
        self.assertEqual(self.users(), {"new"})


class SettingsTests(Scripted):
    def test_settings_that_cannot_work_are_programming_errors(self) -> None:
        for wrong in ({"part_size": 5 * MIB - 1}, {"parts_in_flight": 0}, {"threads": 0}):
            self.assertRaises(ValueError, S3Settings, "container", **wrong)

    def test_secrets_are_not_shown(self) -> None:
        shown = repr(S3Credentials("id", "hidden", "hidden"))
        self.assertIn("id", shown)
        self.assertNotIn("hidden", shown)
