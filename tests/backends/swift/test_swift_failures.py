"""What a failing Swift looks like from above: one line per way to fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred

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
from tests.backends.swift.little import CONTAINER, PASSWORD, is_sign_in
from tests.backends.swift.scripted import Scripted
from tests.contracts.consumer import Collector
from tests.contracts.driving import driven
from tests.services.scripted_http import Answer, Request, Then

TEN = b"0123456789"
LONG = bytes(range(256)) * 8 * 1024
RANGE = {"Content-Range": "bytes 0-9/10"}
AFTER = {"Retry-After": "7"}
DATED = {
    "Retry-After": "Fri, 20 Nov 2026 10:00:30 GMT",
    "Date": "Fri, 20 Nov 2026 10:00:00 GMT",
}


@frozen
class Case:
    """:ivar says: a part of the remedy."""

    answer: Answer
    kind: type[ProviderError]
    says: str = ""
    retry_after: float | None = None


REFUSALS = (
    Case(Answer(403), AccessDenied, "read, write and list the container container"),
    Case(Answer(401), AccessDenied, "'raic credentials set cloud'"),
    Case(Answer(429, headers=AFTER), ProviderBusy, retry_after=7.0),
    Case(Answer(429, headers=DATED), ProviderBusy, retry_after=30.0),
    Case(Answer(498), ProviderBusy),
    Case(Answer(503, headers=AFTER), ProviderBusy, retry_after=7.0),
    Case(Answer(408), ProviderTimedOut),
    Case(Answer(418), StorageUnusable, "documentation"),
    Case(Answer(302, headers={"Location": "http://127.0.0.1:1/"}), StorageUnusable),
)

READS = (
    *REFUSALS,
    Case(Answer(500), ProviderBusy),
    Case(Answer(503), ProviderBusy),
    Case(Answer(502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"}), ProviderBusy),
    Case(Answer(409), ObjectCorrupt, "segment"),
    Case(Answer(404), ObjectNotFound),
    Case(Answer(silent=True), ProviderTimedOut),
    Case(Answer(silent=True, then=Then.CLOSE), ProviderUnreachable),
    Case(Answer(silent=True, then=Then.RESET), ProviderUnreachable),
    Case(Answer(206, TEN[:4], RANGE, announced=10, then=Then.CLOSE), ProviderUnreachable),
    Case(Answer(206, TEN[:4], RANGE, announced=10, then=Then.RESET), ProviderUnreachable),
    Case(Answer(206, TEN[:4], RANGE, announced=10), ProviderTimedOut),
    Case(Answer(200, TEN * 2), ObjectCorrupt, "ranges"),
    Case(Answer(206, TEN, {"Content-Range": "bytes 5-14/20"}), ObjectCorrupt, "ranges"),
)

WRITES = (
    *REFUSALS,
    Case(Answer(413), NoSpace, "quota"),
    Case(Answer(507), NoSpace),
    Case(Answer(404), StorageUnusable, "create the container container"),
    Case(Answer(422), ProviderUnreachable),
    Case(Answer(500), OutcomeUnknown),
    Case(Answer(503), OutcomeUnknown),
    Case(Answer(201), StorageUnusable, "storage_url"),
    Case(Answer(silent=True), OutcomeUnknown),
    Case(Answer(silent=True, then=Then.CLOSE), OutcomeUnknown),
    Case(Answer(silent=True, then=Then.RESET), OutcomeUnknown),
)


class FailureTests(Scripted):
    """Each with a provider that has worked so far."""

    def answers(self, method: str, answer: Answer, times: int | None = None) -> None:
        """What requests of a method for an object get from now on."""
        left = [times]

        def interfere(request: Request) -> Answer | None:
            of_object = request.path.startswith(CONTAINER + "/")
            if request.method != method or not of_object or left[0] == 0:
                return None
            if left[0] is not None:
                left[0] -= 1
            return answer

        self.swift.interfere = interfere

    async def assert_case(
        self, case: Case, operation: str, call: Callable[[], Awaitable[object]]
    ) -> None:
        try:
            await call()
        except ProviderError as error:
            failed = error
        else:
            self.fail(f"{case} went well")
        self.assertIs(type(failed), case.kind, (case, failed))
        self.assertEqual((failed.provider, failed.operation), ("cloud", operation))
        self.assertIn(case.says, failed.remedy, case)
        self.assertNotIn(PASSWORD, str(failed))
        if isinstance(failed, ProviderBusy):
            self.assertEqual(failed.retry_after, case.retry_after)

    @driven
    async def test_every_failed_read_has_its_error(self) -> None:
        self.swift.objects["a"] = TEN
        for case in READS:
            self.answers("GET", case.answer)
            await self.assert_case(case, "get_object", lambda: self.provider.get_object("a", 0, 10))
        self.swift.interfere = lambda _: None
        self.assertEqual(await self.provider.get_object("a", 0, 10), TEN)

    @driven
    async def test_every_failed_write_has_its_error(self) -> None:
        for case in WRITES:
            self.answers("PUT", case.answer)
            await self.assert_case(case, "put_object", lambda: self.provider.put_object("a", TEN))
        self.swift.interfere = lambda _: None
        await self.provider.put_object("a", TEN)

    @driven
    async def test_a_write_whose_answer_was_lost_can_be_repeated(self) -> None:
        def store_and_drop(request: Request) -> Answer | None:
            if request.method == "PUT":
                self.swift.objects["a"] = request.body
                return Answer(silent=True, then=Then.RESET)
            return None

        self.swift.interfere = store_and_drop
        await self.refused(self.provider.put_object("a", TEN), OutcomeUnknown)
        self.swift.interfere = lambda _: None
        await self.provider.put_object("a", TEN)

    @driven
    async def test_a_range_is_all_that_is_asked_for(self) -> None:
        self.swift.objects["a"] = LONG
        self.assertEqual(await self.provider.get_object("a", 1000, 24), LONG[1000:1024])
        (request,) = self.server.requests
        self.assertEqual(request.headers["range"], "bytes=1000-1023")

    @driven
    async def test_a_stream_goes_on_where_it_broke(self) -> None:
        self.swift.objects["a"] = LONG
        broken: list[Request] = []

        def break_once(request: Request) -> Answer | None:
            if request.method != "GET" or broken:
                return None
            broken.append(request)
            headers = {"Content-Range": f"bytes 0-{len(LONG) - 1}/{len(LONG)}"}
            there = LONG[: len(LONG) // 2]
            return Answer(206, there, headers, announced=len(LONG), then=Then.CLOSE)

        self.swift.interfere = break_once
        collector = Collector()
        await self.provider.stream_object("a", 0, len(LONG), collector)
        self.assertTrue(collector.data == LONG)

    @driven
    async def test_a_vanished_container_is_no_missing_object(self) -> None:
        self.swift.interfere = lambda request: None if is_sign_in(request) else Answer(404)
        calls: tuple[Callable[[], Deferred[Any]], ...] = (
            lambda: self.provider.get_object("a", 0, 1),
            lambda: self.provider.put_object("a", TEN),
            lambda: self.provider.list_objects("", None),
            self.provider.get_space,
        )
        for call in calls:
            refused = await self.refused(call(), StorageUnusable)
            self.assertIn("create the container container", refused.remedy)

    @driven
    async def test_what_was_written_is_read_back_at_the_start(self) -> None:
        self.answers("GET", Answer(206, b"x" * 16, {"Content-Range": "bytes 0-15/16"}))
        refused = await self.refused(self.make_provider().start(), StorageUnusable)
        self.assertIn("read back", str(refused))
        self.assertEqual(self.swift.objects, {})

    @driven
    async def test_a_service_without_large_objects_stores_no_list_of_segments(self) -> None:
        # It would be taken for the object itself.
        upload = self.provider.open_upload("a", 100_000)
        await upload.write(bytes(100_000))
        refused = await self.refused(upload.finish(), StorageUnusable)
        self.assertIn("part_size", refused.remedy)
        await upload.abort()
        self.assertEqual(self.swift.objects, {})

    @driven
    async def test_a_part_that_fails_is_sent_again(self) -> None:
        self.answers("PUT", Answer(503), times=2)
        upload = self.provider.open_upload("a", 100_000)
        await upload.write(bytes(100_000))
        await self.refused(upload.finish(), StorageUnusable)  # it has no large objects
        sent = [r for r in self.server.requests if r.method == "PUT" and "segments" in r.path]
        self.assertEqual(len(sent), 4)
        await upload.abort()

    @driven
    async def test_deleting_says_what_could_not_be_deleted(self) -> None:
        self.swift.objects.update(a=TEN, b=TEN)

        def refuse(request: Request) -> Answer | None:
            refused = request.method == "DELETE" and request.path.endswith("/b")
            return Answer(503) if refused else None

        self.swift.interfere = refuse
        self.assertEqual(await self.provider.delete_objects(["a", "b", "c"]), frozenset("b"))
        await self.refused(self.provider.delete_objects(["b"]), ProviderBusy)
        self.assertEqual(self.swift.objects, {"b": TEN})

    @driven
    async def test_a_token_may_end_within_a_bulk_delete(self) -> None:
        refused = b'{"Number Deleted": 0, "Response Status": "401 Unauthorized", "Errors": []}'
        done = b'{"Number Deleted": 2, "Response Status": "200 OK", "Errors": []}'
        answers = [Answer(200, refused), Answer(200, done)]

        def bulk(request: Request) -> Answer | None:
            return answers.pop(0) if "bulk-delete" in request.query else None

        self.swift.interfere = bulk
        self.assertEqual(await self.provider.delete_objects(["a", "b"]), frozenset())
        self.assertEqual(len(self.sign_ins()), 1)

    @driven
    async def test_a_bulk_delete_says_what_it_could_not_delete(self) -> None:
        errors = b'[["/container/b", "503 Busy"], ["/container/c", "404 Not Found"]]'
        body = b'{"Number Deleted": 1, "Response Status": "503 Busy", "Errors": %s}' % errors
        self.swift.interfere = lambda r: Answer(200, body) if "bulk-delete" in r.query else None
        failed = await self.provider.delete_objects(["a", "b", "c"])
        self.assertEqual(failed, frozenset("b"))
        await self.refused(self.provider.delete_objects(["b", "c"]), ProviderBusy)
