"""What is answered, and what is logged, when something goes wrong inside."""

from __future__ import annotations

from base64 import b64encode
from typing import cast

from twisted.internet.defer import Deferred, fail
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher

from raic.backends.memory import MemoryProvider
from raic.errors import (
    IndexFull,
    IndexStopped,
    MessageTooLarge,
    NoSpace,
    OutcomeUnknown,
    ProtocolRefusal,
    ProviderUnreachable,
    ServiceBusy,
    ServiceStopping,
    VersionConflict,
)
from raic.interfaces import IStorageProvider
from raic.server.http.failures import refusal_for
from raic.values import Stored
from tests.server.http.harness import CHANGE, SI, SWISSNUM, WRITE, Answer, FaceTestCase, raw_request


class Loose(MemoryProvider):
    """Raises an error of no kind that anybody expects."""

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        return fail(ZeroDivisionError(f"while writing {key}"))


class UnexpectedFailureTests(FaceTestCase):
    def make_provider(self) -> IStorageProvider:
        return Loose("attic")

    def setUp(self) -> None:
        super().setUp()
        self.events: list[LogEvent] = []
        observer = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def logged(self, *levels: LogLevel) -> str:
        events = [event for event in self.events if event["log_level"] in levels]
        return "\n".join(formatEvent(event) for event in events)

    def test_it_is_unavailable_without_a_traceback(self) -> None:
        answer = self.change_something()
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "5"))
        self.assertEqual(answer.body, b"the node cannot do this just now\n")

    def change_something(self) -> Answer:
        write = {"test": [], "write": [{"offset": 0, "data": b"x"}], "new-length": None}
        return self.change({"test-write-vectors": {0: write}, "read-vector": []})

    def test_it_is_logged_once_with_its_place_and_without_its_text(self) -> None:
        self.change_something()
        logged = self.logged(LogLevel.error, LogLevel.critical)
        self.assertEqual(logged.count("read, test and write: an unexpected ZeroDivisionError"), 1)
        self.assertIn("slot", logged)
        self.assertNotIn(SI, logged)
        self.assertIn(SI, self.logged(LogLevel.debug))

    def test_no_request_leaves_a_secret_or_an_address_in_the_log(self) -> None:
        self.allocate({0, 1}, 10)
        self.write(0, 0, b"x" * 5)
        self.write(0, 2, b"y" * 5)
        self.ask("PUT", f"immutable/{SI}/0/abort", WRITE)
        self.ask("GET", f"mutable/{SI}/0?share=1", {b"upload-secret": b"zz"})
        self.ask("GET", "version", swissnum=b"guess")
        self.change_something()
        connection = self.connect()
        connection.send(raw_request("PATCH", f"immutable/{SI}/1", WRITE, b"x" * 5)[:-3])
        connection.lose()
        hanging = self.connect()
        hanging.send(raw_request("GET", f"immutable/{SI}/1")[:-3])
        self.pass_time(100)
        shown = self.logged(LogLevel.info, LogLevel.warn, LogLevel.error, LogLevel.critical)
        for secret in (*CHANGE.values(), *WRITE.values(), SWISSNUM, b"guess"):
            self.assertNotIn(secret.decode(), shown)
            self.assertNotIn(b64encode(secret).decode(), shown)
        self.assertNotIn(SI, shown)


class StatusTests(FaceTestCase):
    def test_whatever_may_pass_is_unavailable_and_is_not_logged_as_a_bug(self) -> None:
        for error in (
            ProviderUnreachable("attic", "get_object", "out of reach"),
            OutcomeUnknown("attic", "put_object", "no answer"),
            NoSpace("attic", "put_object", "full"),
            IndexFull("full"),
            IndexStopped("stopped"),
            VersionConflict("changed"),
            ServiceBusy("busy"),
            ServiceStopping("stopping"),
        ):
            refusal = refusal_for(error, "test")
            self.assertEqual((refusal.status, refusal.headers), (503, b"Retry-After: 5\r\n"))
            self.assertNotIn(str(error), refusal.text)

    def test_a_refusal_is_the_clients_own_fault(self) -> None:
        self.assertEqual(refusal_for(MessageTooLarge("big"), "test").status, 413)
        self.assertEqual(refusal_for(ProtocolRefusal("of a new kind"), "test").status, 400)
