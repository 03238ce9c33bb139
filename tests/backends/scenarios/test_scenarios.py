"""The matrix of what can go wrong, by each kind of cloud."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from raic.errors import AccessDenied, ProviderTimedOut
from tests.backends.libcloud import little as azure
from tests.backends.s3 import little as s3
from tests.backends.scenarios import matrix, worlds
from tests.backends.scenarios.matrix import HANG, Expected
from tests.backends.scenarios.worlds import CALLS, KEY
from tests.contracts.driving import driven
from tests.services.scripted_http import Answer, Request

ROWS = (
    *("connection_refused", "dns_failure", "hang", "hang_of_a_thread", "reset"),
    *("reset_in_the_midst_of_a_body", "body_cut_short", "body_that_stalls", "status_500"),
    *("status_503_with_retry_after", "status_429_with_retry_after", "retry_after_is_heeded"),
    *("status_403_after_an_hour_of_working", "other_credentials_after_an_hour_of_working"),
    *("status_404_on_a_present_key_for_a_while", "status_404_on_a_key_that_is_gone"),
    *("full_quota", "clock_20_minutes_off", "container_that_vanished"),
    *("put_that_times_out_and_lands_a_minute_later",),
    *("puts_that_all_time_out_and_one_lands_a_minute_later",),
    *("everything_ends_within_the_budget", "wrong_certificate_authority"),
)
OFF = timedelta(minutes=20)


class S3ScenarioTests(worlds.S3World, matrix.Matrix):
    """Amazon S3 and its like."""

    def elsewhere(self, host: str) -> dict[str, Any]:
        return {"endpoint_url": f"http://{host}"}

    def refuse_the_first_secret(self) -> None:
        def answer(request: Request) -> Answer:
            if "Credential=first/" in request.headers["authorization"]:
                return s3.error(403, "InvalidAccessKeyId")
            return self.script.right(request)

        self.script.everything = answer

    @driven
    async def test_clock_20_minutes_off(self) -> None:
        times = {"RequestTime": "20261120T150000Z", "ServerTime": "2026-11-20T15:20:00Z"}
        skewed = s3.error(403, "RequestTimeTooSkewed", **times)
        answers = dict.fromkeys(("read", "write", "list", "delete"), skewed)
        expected = Expected(AccessDenied, AccessDenied, "set this machine's clock")
        await self.assert_final(answers, expected, CALLS)


class SwiftScenarioTests(worlds.SwiftWorld, matrix.Matrix):
    """Swift, which signs in first."""

    def elsewhere(self, host: str) -> dict[str, Any]:
        return {"auth_url": f"http://{host}/v3"}

    def refuse_the_first_secret(self) -> None:
        self.swift.keys = {"the-second-secret"}
        self.swift.tokens.clear()

    @driven
    async def test_clock_20_minutes_off(self) -> None:
        """Nothing is signed with the time, and tokens live by the service's clock."""
        for skew in (OFF, -OFF):
            self.swift.skew = skew.total_seconds()
            await self.restart()
            await self.store()
            for operation in CALLS:
                await self.heals(operation)
            self.assertNotIn("sign_in", self.script.asked)

    @driven
    async def test_signing_in_slowly_leaves_no_time_for_more(self) -> None:
        await self.restart(connect_timeout=0.2, read_timeout=0.5)
        await self.store()
        self.swift.tokens.clear()

        def slow(request: Request) -> Answer:
            return evolve(self.script.right(request), after=0.3)

        self.script.everything = slow
        failed = await self.refused(self.leaf.get_object(KEY, 0, 1), ProviderTimedOut)
        self.assertIn("no time was left", str(failed))
        self.assertEqual(failed.operation, "get_object")
        self.assertEqual(self.script.asked, ["read", "sign_in"])

    @driven
    async def test_who_waits_for_a_sign_in_that_hangs_does_not_try_another(self) -> None:
        await self.restart(connect_timeout=0.2, read_timeout=0.5)
        await self.store()
        self.shift = 2 * 3600.0
        self.script.everything = HANG
        reads = [self.leaf.get_object(KEY, 0, 1) for _ in range(8)]
        for reading in reads:
            await self.refused(reading, ProviderTimedOut)
        self.assertLessEqual(len(self.script.asked), 2)


class AzureScenarioTests(worlds.AzureWorld, matrix.Matrix):
    """Azure Blobs: what libcloud's own drivers make of it."""

    def elsewhere(self, host: str) -> dict[str, Any]:
        return {"host": host}

    def refuse_the_first_secret(self) -> None:
        def answer(request: Request) -> Answer:
            if "SharedKey first:" in request.headers["authorization"]:
                return azure.error(403, "AuthenticationFailed")
            return self.script.right(request)

        self.script.everything = answer

    @driven
    async def test_clock_20_minutes_off(self) -> None:
        for skew in (OFF, -OFF):
            date = format_datetime(datetime.now(timezone.utc) + skew, usegmt=True)
            skewed = azure.error(403, "AuthenticationFailed", Date=date)
            answers = dict.fromkeys(("read", "write", "list", "delete"), skewed)
            expected = Expected(AccessDenied, AccessDenied, "set this machine's clock")
            await self.assert_final(answers, expected, CALLS)


class S3TlsScenarioTests(worlds.S3World, matrix.TlsMatrix):
    """With a certificate."""


class SwiftTlsScenarioTests(worlds.SwiftWorld, matrix.TlsMatrix):
    """With a certificate."""


class AzureTlsScenarioTests(worlds.AzureWorld, matrix.TlsMatrix):
    """With a certificate."""


class MatrixTests(SynchronousTestCase):
    def test_no_cloud_lacks_a_row(self) -> None:
        for classes in (
            (S3ScenarioTests, S3TlsScenarioTests),
            (SwiftScenarioTests, SwiftTlsScenarioTests),
            (AzureScenarioTests, AzureTlsScenarioTests),
        ):
            tests = {name for each in classes for name in dir(each) if name.startswith("test_")}
            self.assertEqual({f"test_{row}" for row in ROWS} - tests, set())
