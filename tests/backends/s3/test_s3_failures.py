"""What a failing S3 looks like from above: one line per way to fail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import formatdate
from functools import partial
from os import environ
from typing import Any

from attrs import evolve, frozen
from twisted.internet.defer import Deferred

from raic.backends.s3 import S3Provider, S3Settings
from raic.errors import (
    AccessDenied,
    NoSpace,
    ObjectCorrupt,
    ObjectNotFound,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    ProviderUnreachable,
    StorageUnusable,
)
from tests.backends.s3.little import error
from tests.backends.s3.scripted import KEY, PATH, SECRET, Scripted, driven
from tests.contracts.consumer import Collector
from tests.contracts.driving import reactor
from tests.services.scripted_http import Answer, Request, Then

TEN = b"0123456789"
RANGE = {"Content-Range": "bytes 0-9/10"}
HTML = Answer(502, b"<html><p>Bad gateway<br></html>", {"Content-Type": "text/html"})


@frozen
class Case:
    """:ivar says: a part of the remedy."""

    answer: Answer
    kind: type[ProviderError]
    says: str = ""


REFUSALS = (
    Case(error(403, "AccessDenied"), AccessDenied, "rights"),
    Case(error(403, "AllAccessDisabled"), AccessDenied, "rights"),
    Case(error(403, "InvalidAccessKeyId"), AccessDenied, "'raic credentials set cloud'"),
    Case(error(403, "SignatureDoesNotMatch"), AccessDenied, "secret access key is wrong"),
    Case(error(400, "ExpiredToken"), AccessDenied, "expired"),
    Case(error(401, "Unauthorized"), AccessDenied, "'raic credentials set cloud'"),
    Case(error(403, "RequestTimeTooSkewed"), AccessDenied, "clock"),
    Case(error(404, "NoSuchBucket"), StorageUnusable, "create the container container"),
    Case(error(400, "InvalidStorageClass"), StorageUnusable, "storage_class"),
    Case(error(418, "Teapot"), StorageUnusable, "documentation"),
    Case(
        evolve(error(301, "PermanentRedirect"), headers={"x-amz-bucket-region": "eu-west-1"}),
        StorageUnusable,
        "write region = eu-west-1",
    ),
    Case(
        error(400, "AuthorizationHeaderMalformed", Region="eu-west-3"),
        StorageUnusable,
        "write region = eu-west-3",
    ),
    Case(error(307, "TemporaryRedirect"), StorageUnusable, "endpoint_url"),
    Case(Answer(307, headers={"Location": "http://127.0.0.1:1/"}), StorageUnusable, "endpoint_url"),
    Case(error(503, "SlowDown"), ProviderBusy),
    Case(evolve(error(429, "TooManyRequests"), headers={"Retry-After": "7"}), ProviderBusy),
    Case(Answer(429), ProviderBusy),
    Case(error(409, "OperationAborted"), ProviderBusy),
    Case(error(400, "RequestTimeout"), ProviderTimedOut),
)

READS = (
    *REFUSALS,
    Case(error(500, "InternalError"), ProviderBusy),
    Case(error(503, "ServiceUnavailable"), ProviderBusy),
    Case(HTML, ProviderBusy),
    Case(Answer(silent=True), ProviderTimedOut),
    Case(Answer(silent=True, then=Then.CLOSE), ProviderUnreachable),
    Case(Answer(silent=True, then=Then.RESET), ProviderUnreachable),
)

BODIES = (
    Case(error(404, "NoSuchKey"), ObjectNotFound),
    Case(error(403, "InvalidObjectState"), StorageUnusable, "archiv"),
    Case(Answer(206, TEN[:4], RANGE, announced=10), ProviderTimedOut),
    Case(Answer(206, TEN[:4], RANGE, announced=10, then=Then.CLOSE), ProviderUnreachable),
    Case(Answer(206, TEN[:4], RANGE, announced=10, then=Then.RESET), ProviderUnreachable),
    Case(Answer(206, TEN[:4], RANGE), ObjectCorrupt, "ranges"),
    Case(Answer(206, TEN * 2, RANGE), ObjectCorrupt, "ranges"),
    Case(Answer(206, TEN, {"Content-Range": "bytes 10-19/20"}), ObjectCorrupt, "ranges"),
    Case(Answer(200, TEN * 2), ObjectCorrupt, "ranges"),
)

WRITES = (
    *REFUSALS,
    Case(error(403, "QuotaExceeded"), NoSpace),
    Case(error(507, "InsufficientStorage"), NoSpace),
    Case(error(400, "BadDigest"), ProviderUnreachable),
    Case(error(500, "InternalError"), OutcomeUnknown),
    Case(error(503, "ServiceUnavailable"), OutcomeUnknown),
    Case(HTML, OutcomeUnknown),
    Case(Answer(silent=True), OutcomeUnknown),
    Case(Answer(silent=True, then=Then.CLOSE), OutcomeUnknown),
    Case(Answer(silent=True, then=Then.RESET), OutcomeUnknown),
    Case(Answer(200, b"<html>Please log in</html>"), StorageUnusable, "endpoint_url"),
)

STARTING = (
    *REFUSALS,
    Case(error(500, "InternalError"), ProviderBusy),
    Case(Answer(silent=True), ProviderTimedOut),
    Case(Answer(200, b"<html>Please log in</html>"), StorageUnusable, "log-in"),
    Case(Answer(200, b"<html>Please log in<br></html>"), ProviderBusy),
    Case(Answer(404, b"<html>Not here<br></html>"), StorageUnusable, "not S3's"),
)


class FailureTests(Scripted):
    async def assert_fails(
        self, name: str, case: Case, operation: Callable[[], Deferred[Any]]
    ) -> ProviderError:
        self.s3.always_wrong = {name: case.answer}
        try:
            result = await operation()
        except ProviderError as caught:
            failed = caught
        else:
            raise self.failureException(f"{case} expected, not {result!r}")
        self.s3.always_wrong = {}
        self.assertIs(type(failed), case.kind, f"{case}: {failed}")
        self.assertEqual(failed.provider, "cloud")
        self.assertIn(case.says, failed.remedy)
        self.assertNotIn(SECRET, str(failed) + failed.remedy)
        self.assertNotIn("{", failed.remedy)
        if not isinstance(failed, OutcomeUnknown):
            self.assertTrue(failed.remedy)
        return failed

    @driven
    async def test_reads_that_fail(self) -> None:
        self.s3.objects[PATH] = TEN
        for case in (*READS, *BODIES):
            self.server.requests.clear()
            await self.assert_fails("get", case, lambda: self.provider.get_object(KEY, 0, 10))
            self.assertEqual(self.asked(), ["get"])
        self.assertEqual(await self.provider.get_object(KEY, 0, 10), TEN)

    @driven
    async def test_streams_that_fail(self) -> None:
        self.s3.objects[PATH] = TEN
        for case in (*READS, *BODIES):
            collector = Collector()
            stream = partial(self.provider.stream_object, KEY, 0, 10, collector)
            await self.assert_fails("get", case, stream)
            self.assertFalse(collector.registered)
            self.assertEqual(collector.pieces, [])

    @driven
    async def test_listings_and_deletes_that_fail(self) -> None:
        for case in READS:
            await self.assert_fails("list", case, lambda: self.provider.list_objects("", None))
            await self.assert_fails("delete", case, lambda: self.provider.delete_objects([KEY]))

    @driven
    async def test_small_writes_that_fail(self) -> None:
        for case in WRITES:
            self.server.requests.clear()
            await self.assert_fails("put", case, lambda: self.provider.put_object(KEY, TEN))
            self.assertEqual(self.asked(), ["put"])
            self.assertEqual(self.s3.objects, {})

    @driven
    async def test_starts_that_fail(self) -> None:
        for name in ("list", "put", "delete"):
            for case in STARTING if name == "list" else REFUSALS:
                await self.provider.stop()
                self.assert_no_thread()
                await self.assert_fails(name, case, self.provider.start)
                self.assert_no_thread()

    @driven
    async def test_a_provider_that_could_not_start_can_start_later(self) -> None:
        await self.provider.stop()
        self.s3.wrong = {"list": [error(503, "SlowDown")]}
        await self.refused(self.provider.start(), ProviderBusy)
        await self.refused(self.provider.put_object(KEY, TEN), StorageUnusable)
        await self.provider.start()
        await self.provider.put_object(KEY, TEN)

    @driven
    async def test_a_start_needs_to_read_what_it_wrote(self) -> None:
        for answer in (
            error(404, "NoSuchKey"),
            Answer(206, b"x" * 16, {"Content-Range": "bytes 0-15/16"}),
        ):
            await self.provider.stop()
            self.s3.always_wrong = {"get": answer}
            refused = await self.refused(self.provider.start(), StorageUnusable)
            self.assertIn("read back", str(refused))
            self.assertEqual(self.s3.objects, {})

    async def start_after_one_that_broke_off(self, age: float, **headers: str) -> list[str]:
        """Start when the service says that another start wrote something so many seconds ago.

        :return: what is there afterwards.
        """
        await self.provider.stop()
        self.s3.wrong = {"delete": [error(503, "SlowDown")]}
        await self.refused(self.provider.start(), ProviderBusy)
        (path,) = self.s3.objects
        written = datetime.fromtimestamp(reactor.seconds() - age, timezone.utc)
        inner = f"<Key>{path.removeprefix('/container/')}</Key><Size>16</Size>"
        inner += f"<LastModified>{written:%Y-%m-%dT%H:%M:%S}.000Z</LastModified>"
        inner = f"<Name>container</Name><Contents>{inner}</Contents>"
        listed = f"<ListBucketResult>{inner}</ListBucketResult>".encode()
        self.s3.wrong = {"list": [Answer(200, listed, headers)]}
        await self.provider.start()
        return list(self.s3.objects)

    @driven
    async def test_a_start_clears_what_one_before_it_left(self) -> None:
        self.assertEqual(await self.start_after_one_that_broke_off(1000), [])

    @driven
    async def test_a_start_spares_what_another_one_may_need(self) -> None:
        self.assertEqual(len(await self.start_after_one_that_broke_off(300)), 1)

    @driven
    async def test_the_service_says_how_old_that_is(self) -> None:
        date = formatdate(reactor.seconds() + 1000, usegmt=True)
        self.assertEqual(await self.start_after_one_that_broke_off(0, Date=date), [])

    @driven
    async def test_a_start_needs_to_delete_what_it_wrote(self) -> None:
        await self.provider.stop()

        def keep(request: Request) -> Answer:
            key = request.body.decode().split("<Key>")[1].split("<")[0]
            line = f"<Error><Key>{key}</Key><Code>AccessDenied</Code></Error>"
            return Answer(200, f"<DeleteResult>{line}</DeleteResult>".encode())

        self.s3.always_wrong = {"delete": keep}
        refused = await self.refused(self.provider.start(), AccessDenied)
        self.assertIn("rights", refused.remedy)

    @driven
    async def test_a_busy_service_says_how_long_to_wait(self) -> None:
        self.s3.always_wrong = {"get": Answer(429, headers={"Retry-After": "7"})}
        busy = await self.refused(self.provider.get_object(KEY, 0, 1), ProviderBusy)
        self.assertEqual(busy.retry_after, 7.0)
        self.s3.always_wrong = {"get": error(503, "SlowDown")}
        busy = await self.refused(self.provider.get_object(KEY, 0, 1), ProviderBusy)
        self.assertIsNone(busy.retry_after)

    @driven
    async def test_a_wrong_clock_is_shown_beside_the_right_one(self) -> None:
        times = {"RequestTime": "20261120T150000Z", "ServerTime": "2026-11-20T15:20:00Z"}
        self.s3.always_wrong = {"get": error(403, "RequestTimeTooSkewed", **times)}
        refused = await self.refused(self.provider.get_object(KEY, 0, 1), AccessDenied)
        self.assertIn("here 20261120T150000Z, there 2026-11-20T15:20:00Z", str(refused))


class UnreachableTests(Scripted):
    """Where no server is."""

    @driven
    async def test_an_unknown_name(self) -> None:
        await self.provider.stop()
        self.provider = self.make_provider(endpoint_url="http://nowhere.invalid")
        failed = await self.refused(self.provider.start(), ProviderUnreachable)
        self.assertIn("addressing_style = path", failed.remedy)

    @driven
    async def test_settings_that_cannot_be(self) -> None:
        for changed, says in (
            ({"endpoint_url": "not a url"}, "endpoint_url"),
            ({"endpoint_url": "https://127.0.0.1:1", "ca_bundle": "missing.pem"}, "ca_bundle"),
        ):
            await self.provider.stop()
            self.provider = self.make_provider(**changed)
            failed = await self.refused(self.provider.start(), StorageUnusable)
            self.assertIn(says, failed.remedy)

    @driven
    async def test_a_name_that_cannot_be_a_container(self) -> None:
        await self.provider.stop()
        settings = S3Settings("No Container!", endpoint_url=self.server.url)
        self.provider = S3Provider("cloud", settings, self.credentials, reactor)
        failed = await self.refused(self.provider.start(), StorageUnusable)
        self.assertIn("container", failed.remedy)

    @driven
    async def test_no_credentials_at_all(self) -> None:
        await self.provider.stop()
        self.set_environment(AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE="/dev/null")
        self.provider = S3Provider("cloud", self.make_settings(), lambda: None, reactor)
        failed = await self.refused(self.provider.start(), AccessDenied)
        self.assertIn("'raic credentials set cloud'", failed.remedy)

    @driven
    async def test_credentials_of_the_environment(self) -> None:
        await self.provider.stop()
        self.set_environment(AWS_ACCESS_KEY_ID="ambient", AWS_SECRET_ACCESS_KEY="ambient")
        self.provider = S3Provider("cloud", self.make_settings(), lambda: None, reactor)
        await self.provider.start()
        for request in self.server.requests:
            self.assertIn("Credential=ambient/", request.headers["authorization"])

    @driven
    async def test_the_environment_does_not_meddle_with_other_credentials(self) -> None:
        await self.provider.stop()
        self.set_environment(AWS_PROFILE="nobody", AWS_CONFIG_FILE="nowhere", AWS_REGION="x-y-1")
        self.provider = self.make_provider(region=None)
        await self.provider.start()
        authorization = self.server.requests[-1].headers["authorization"]
        self.assertRegex(authorization, r"Credential=the-access-key-id/\d+/us-east-1/s3/")

    def set_environment(self, **values: str) -> None:
        names = {name for name in environ if name.startswith("AWS_")} | set(values)
        for name in names:
            before = environ.pop(name, None)
            self.addCleanup(self.restore, name, before)
        environ.update(values)

    def restore(self, name: str, value: str | None) -> None:
        if value is None:
            environ.pop(name, None)
        else:
            environ[name] = value
