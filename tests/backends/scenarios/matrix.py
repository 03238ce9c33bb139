"""What can go wrong with a cloud, whichever it is, and what a node makes of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from time import monotonic
from typing import Any

from attrs import frozen

from raic.backends import partupload
from raic.backends.layers.retries import RetryPolicy
from raic.backends.layers.timeout import Timeouts
from raic.backends.tags import stored_size
from raic.errors import (
    AccessDenied,
    NoSpace,
    ObjectNotFound,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    ProviderUnreachable,
    StorageUnusable,
)
from tests.backends.scenarios.worlds import ATTEMPTS, CALLS, DATA, KEY, READS, WRITES, World
from tests.contracts.driving import driven
from tests.services.certificates import loopback_certificate
from tests.services.scripted_http import Answer, Then

UPLOAD_ATTEMPTS = partupload.ATTEMPTS
"""How often an upload's own requests are made: the leaf does that, which has their bytes."""

BRIEF = {"connect_timeout": 0.2, "read_timeout": 0.2}
STORED = stored_size(len(DATA))
BEGUN = {"Content-Range": f"bytes 0-{STORED - 1}/{STORED}"}

HANG = Answer(silent=True)
RESET = Answer(silent=True, then=Then.RESET)
RESET_IN_BODY = Answer(206, DATA[:9], BEGUN, announced=STORED, then=Then.RESET)
CUT_SHORT = Answer(206, DATA[:9], BEGUN, announced=STORED, then=Then.CLOSE)
STALLED = Answer(206, DATA[:9], BEGUN, announced=STORED)
BROKEN = Answer(500)
BUSY = Answer(503, headers={"Retry-After": "0.02"})
SLOW_DOWN = Answer(429, headers={"Retry-After": "0.02"})


@frozen
class Expected:
    """What becomes of operations: of those that store objects, and of others."""

    stores: type[ProviderError]
    others: type[ProviderError]
    says: str = ""

    def of(self, operation: str) -> type[ProviderError]:
        """The class of an operation's error."""
        return self.stores if operation in WRITES else self.others


class Matrix(World):
    """Each test is a row of the matrix; each subclass, with a cloud, a column."""

    async def fails(self, operation: str, expected: Expected, **layers: Any) -> ProviderError:
        """An operation fails as expected, and one line says so.

        :param layers: which are set differently.
        """
        self.logged.clear()
        provider = self.layers(**layers).provider
        try:
            result = await CALLS[operation](provider)
        except ProviderError as error:
            failed = error
        else:
            raise self.failureException(f"{operation}: {expected} expected, not {result!r}")
        self.assertIs(type(failed), expected.of(operation), f"{operation}: {failed}")
        self.assertIn(expected.says, failed.remedy)
        self.assertEqual(failed.provider, self.name)
        (line,) = self.logged
        kind = type(failed).__name__
        self.assertTrue(line.startswith(f"{kind}: {self.name}: {operation}: "), line)
        self.assertTrue(line.endswith(failed.remedy or "nothing needs doing"), line)
        self.assertNotIn(self.secret, line)
        return failed

    async def heals(self, operation: str, **layers: Any) -> None:
        """An operation succeeds, and nobody has to know how."""
        self.logged.clear()
        await CALLS[operation](self.layers(**layers).provider)
        self.assertEqual(self.logged, [])

    async def assert_row(
        self, answer: Answer, expected: Expected, operations: Iterable[str] = CALLS
    ) -> None:
        """Where an answer stays wrong, operations fail after all attempts; else they do not."""
        for operation in operations:
            kind = self.kinds[operation]
            await self.store()
            self.script.always = {kind: answer}
            await self.fails(operation, expected)
            attempts = UPLOAD_ATTEMPTS if operation == "finish" else ATTEMPTS
            self.assertEqual(self.script.asked.count(kind), attempts, operation)
            self.script.heal()
            self.script.wrong = {kind: [answer]}
            await self.heals(operation)

    async def assert_final(
        self, answers: dict[str, Any], expected: Expected, operations: Iterable[str]
    ) -> None:
        """Operations fail at the first attempt: another one would not help."""
        for operation in operations:
            await self.store()
            self.script.always = answers
            await self.fails(operation, expected)
            self.assertLessEqual(self.script.asked.count(self.kinds[operation]), 1, operation)
            self.script.heal()

    # No answer

    @driven
    async def test_connection_refused(self) -> None:
        await self.store()
        await self.server.refuse()
        expected = Expected(ProviderUnreachable, ProviderUnreachable, "check")
        for operation in CALLS:
            await self.fails(operation, expected)
        for operation in CALLS:
            self.patch(partupload, "FIRST_PAUSE", 0.2)
            layers = self.layers(retry=RetryPolicy(attempts=ATTEMPTS, first_pause=0.2))
            working = CALLS[operation](layers.provider)
            self.server.accept()  # before there can be another attempt
            await working
            await self.store()
            await self.server.refuse()
        self.server.accept()

    @driven
    async def test_dns_failure(self) -> None:
        leaf = self.make_leaf(**self.elsewhere("nowhere.invalid"))
        self.addCleanup(leaf.stop)
        refused = await self.refused(leaf.start(), ProviderUnreachable)
        self.assertIn("name service", refused.remedy)
        self.assertEqual((refused.provider, refused.operation), (self.name, "start"))

    def elsewhere(self, host: str) -> dict[str, Any]:
        """The settings for a service on another host."""
        raise NotImplementedError

    @driven
    async def test_hang(self) -> None:
        await self.restart(**BRIEF)
        await self.assert_row(HANG, Expected(OutcomeUnknown, ProviderTimedOut))

    @driven
    async def test_hang_of_a_thread(self) -> None:
        """The leaf's own time-outs are of no use: a layer ends the wait, and the place is free."""
        await self.store()
        self.script.everything = HANG
        timeouts = Timeouts(answer=0.2, longest=0.3)
        for operation in CALLS:
            layers = self.layers(timeouts=timeouts, retry=RetryPolicy(attempts=1))
            expected = Expected(OutcomeUnknown, ProviderTimedOut).of(operation)
            if operation == "delete_objects":
                expected = OutcomeUnknown
            await self.refused(CALLS[operation](layers.provider), expected)
            assert layers.timeout is not None
            assert layers.concurrency is not None
            # A stream is over at once, whatever its thread does.
            self.assertEqual(layers.timeout.hung, 0 if operation == "stream_object" else 1)
            self.assertEqual(layers.concurrency.under_way, 0)
        # Their connections end with the server; their threads must, too.
        await self.server.refuse()

    @driven
    async def test_reset(self) -> None:
        await self.assert_row(RESET, Expected(OutcomeUnknown, ProviderUnreachable))

    @driven
    async def test_reset_in_the_midst_of_a_body(self) -> None:
        expected = Expected(ProviderUnreachable, ProviderUnreachable)
        await self.assert_row(RESET_IN_BODY, expected, READS)

    @driven
    async def test_body_cut_short(self) -> None:
        expected = Expected(ProviderUnreachable, ProviderUnreachable)
        await self.assert_row(CUT_SHORT, expected, READS)

    @driven
    async def test_body_that_stalls(self) -> None:
        await self.restart(**BRIEF)
        await self.assert_row(STALLED, Expected(ProviderTimedOut, ProviderTimedOut), READS)

    # A service in trouble

    @driven
    async def test_status_500(self) -> None:
        await self.assert_row(BROKEN, Expected(OutcomeUnknown, ProviderBusy))

    @driven
    async def test_status_503_with_retry_after(self) -> None:
        await self.assert_row(BUSY, Expected(ProviderBusy, ProviderBusy))

    @driven
    async def test_status_429_with_retry_after(self) -> None:
        await self.assert_row(SLOW_DOWN, Expected(ProviderBusy, ProviderBusy))

    @driven
    async def test_retry_after_is_heeded(self) -> None:
        await self.store()
        self.script.wrong = {"read": [Answer(503, headers={"Retry-After": "0.4"})]}
        began = monotonic()
        await self.heals("get_object")
        self.assertGreater(monotonic() - began, 0.4)
        # Nobody can wait for so long.
        self.script.wrong = {"read": [Answer(429, headers={"Retry-After": "60"})]}
        failed = await self.fails("get_object", Expected(ProviderBusy, ProviderBusy))
        assert isinstance(failed, ProviderBusy)
        self.assertEqual(failed.retry_after, 60.0)

    # Refusals

    @driven
    async def test_status_403_after_an_hour_of_working(self) -> None:
        await self.store()
        for operation in CALLS:
            await self.heals(operation)
        self.shift = 3600.0
        answers = dict.fromkeys(("read", "write", "list", "delete"), self.denied)
        await self.assert_final(answers, Expected(AccessDenied, AccessDenied, "container"), CALLS)

    @driven
    async def test_other_credentials_after_an_hour_of_working(self) -> None:
        await self.store()
        self.refuse_the_first_secret()
        self.secret = "the-second-secret"
        for operation in CALLS:
            await self.heals(operation)

    def refuse_the_first_secret(self) -> None:
        """Let the service take another one only."""
        raise NotImplementedError

    @driven
    async def test_status_404_on_a_present_key_for_a_while(self) -> None:
        for operation in READS:
            await self.store()
            await self.restart()
            self.script.wrong = {self.look: [self.missing] * 2}
            await self.heals(operation)

    @driven
    async def test_status_404_on_a_key_that_is_gone(self) -> None:
        for operation in READS:
            await self.store()
            self.objects().clear()
            await self.restart()
            expected = Expected(ObjectNotFound, ObjectNotFound, "raic restore")
            await self.fails(operation, expected)
            self.assertEqual(self.script.asked.count(self.look), ATTEMPTS)

    @driven
    async def test_full_quota(self) -> None:
        expected = Expected(NoSpace, NoSpace, "quota")
        await self.assert_final({"write": self.quota}, expected, WRITES)

    @driven
    async def test_clock_20_minutes_off(self) -> None:
        raise NotImplementedError

    @driven
    async def test_container_that_vanished(self) -> None:
        for known in (False, True):
            for operation in (*WRITES, *READS, "list_objects"):
                await self.store()
                if known:
                    await self.layers().provider.get_object(KEY, 0, 1)
                self.script.everything = self.vanished
                expected = Expected(StorageUnusable, StorageUnusable, "create the container")
                await self.fails(operation, expected)
                self.script.heal()

    # Late

    @driven
    async def test_put_that_times_out_and_lands_a_minute_later(self) -> None:
        await self.restart(**BRIEF)
        for operation in WRITES:
            self.script.wrong = {"write": [HANG]}
            await self.heals(operation)
            self.assertEqual(len(self.script.held), 1)
            self.script.land()
            provider = self.layers().provider
            self.assertEqual(await provider.get_object(KEY, 0, len(DATA) + 1), DATA)
            await provider.delete_objects([KEY])

    @driven
    async def test_puts_that_all_time_out_and_one_lands_a_minute_later(self) -> None:
        await self.restart(**BRIEF)
        for operation in WRITES:
            self.script.always = {"write": HANG}
            await self.fails(operation, Expected(OutcomeUnknown, OutcomeUnknown))
            self.script.heal()
            provider = self.layers().provider
            self.assertEqual(self.objects(), {})
            self.assertEqual(await provider.delete_objects([KEY]), frozenset())
            self.script.land()
            (name,) = self.objects()
            self.assertTrue(name.endswith(KEY), name)
            self.assertEqual(await provider.delete_objects([KEY]), frozenset())
            self.assertEqual(self.objects(), {})

    # In time

    @driven
    async def test_everything_ends_within_the_budget(self) -> None:
        """A thirtieth of the times that there are in production."""
        await self.restart(connect_timeout=0.17, read_timeout=0.67)
        budget = 1.5
        retry = RetryPolicy(attempts=6, first_pause=0.01, longest_pause=0.3, budget=budget)
        self.patch(partupload, "RETRY_SECONDS", 0.67)
        await self.store()
        self.script.everything = HANG
        for operation in ("finish", "put_object", "stream_object"):
            layers = self.layers(timeouts=Timeouts(0.67, longest=budget), retry=retry)
            began = monotonic()
            await self.refused(CALLS[operation](layers.provider), ProviderError)
            self.assertLess(monotonic() - began, budget + 0.4, operation)
        began = monotonic()
        await self.leaf.stop()  # waits for what is still under way
        self.assertLess(monotonic() - began, budget + 0.4)


class TlsMatrix(World):
    """The row that needs a certificate."""

    tls = True

    @driven
    async def test_wrong_certificate_authority(self) -> None:
        other = loopback_certificate(Path(self.mktemp()))[1]
        self.server.requests.clear()
        for ca_bundle in (None, other):
            leaf = self.make_leaf(ca_bundle=ca_bundle)
            self.addCleanup(leaf.stop)
            refused = await self.refused(leaf.start(), StorageUnusable)
            self.assertIn("by ca_bundle", refused.remedy)
            self.assertEqual((refused.provider, refused.operation), (self.name, "start"))
        self.assertEqual(self.server.requests, [])
