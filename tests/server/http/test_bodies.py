"""Request bodies: streamed, cut short, refused, paused, and limited in memory."""

from __future__ import annotations

import cbor2
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from raic.backends.memory import MemoryProvider
from raic.errors import ProviderUnreachable
from raic.interfaces import IObjectUpload, IStorageProvider
from raic.values import Stored
from tests.server.http.harness import (
    CHANGE,
    INDEX,
    MAX_MESSAGE,
    SI,
    UPLOAD,
    WRITE,
    Connection,
    FaceTestCase,
    raw_request,
)
from tests.shares.stores import pattern

MIB = 1024 * 1024
LINGER = 4 * MIB


def write_head(begin: int, length: int, shnum: int = 0, *headers: str) -> bytes:
    """A PATCH without its body."""
    content_range = f"Content-Range: bytes {begin}-{begin + length - 1}/*"
    return raw_request(
        "PATCH", f"immutable/{SI}/{shnum}", WRITE, None, [content_range, *headers], length=length
    )


@implementer(IObjectUpload)
class SlowUpload:
    """An object upload that is slow until told otherwise."""

    def __init__(self, inner: IObjectUpload, provider: SlowProvider) -> None:
        self._inner = inner
        self._provider = provider

    def write(self, data: bytes) -> Deferred[None]:
        if self._provider.broken:
            return fail(ProviderUnreachable("attic", "write", "out of reach"))
        waiting: Deferred[None] = Deferred()
        self._provider.waiting.append(waiting)
        return waiting.addCallback(lambda _: self._inner.write(data))

    def finish(self) -> Deferred[Stored]:
        return self._inner.finish()

    def abort(self) -> Deferred[None]:
        return self._inner.abort()


class SlowProvider(MemoryProvider):
    """Takes the bytes of streamed objects when :meth:`go_on` is called."""

    broken = False

    def __init__(self) -> None:
        super().__init__("attic")
        self.waiting: list[Deferred[None]] = []

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        return SlowUpload(super().open_upload(key, size), self)

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        if self.broken:
            return fail(ProviderUnreachable("attic", "put_object", "out of reach"))
        return super().put_object(key, data)

    def go_on(self) -> None:
        """Take all that waits, and what comes then."""
        while self.waiting:
            self.waiting.pop(0).callback(None)


class ShareDataTests(FaceTestCase):
    def begin(self, size: int, length: int) -> Connection:
        """Allocate, and send the head of a PATCH of the first ``length`` bytes."""
        self.assertEqual(self.allocate({0}, size).message["allocated"], {0})
        connection = self.connect()
        connection.send(write_head(0, length))
        return connection

    def required(self) -> list[tuple[int, int]]:
        upload = self.service.get_upload(INDEX, 0, WRITE[UPLOAD])
        return list(upload.required_ranges())

    def test_a_body_in_many_parts_is_one_write(self) -> None:
        connection = self.begin(100, 50)
        for _ in range(50):
            self.assertEqual(connection.received(), b"")
            connection.send(b"x")
        self.assertEqual(connection.answer().message, {"required": [{"begin": 50, "end": 100}]})

    def test_a_body_cut_short_leaves_its_prefix(self) -> None:
        connection = self.begin(100, 50)
        connection.send(b"x" * 30)
        connection.lose()
        self.assertEqual(self.required(), [(30, 100)])
        self.assertEqual(self.write(0, 30, b"y" * 70).status, 201)
        self.assertEqual(self.ask("GET", f"immutable/{SI}/0").body, b"x" * 30 + b"y" * 70)
        self.assertEqual(self.budget.taken, 0)

    def test_a_body_cut_before_its_first_byte_leaves_nothing(self) -> None:
        self.begin(100, 50).lose()
        self.assertEqual(self.required(), [(0, 100)])
        self.assertEqual(self.budget.taken, 0)

    def test_a_prefix_that_fills_the_last_gap_completes_the_share(self) -> None:
        connection = self.begin(100, 60)
        self.write(0, 50, b"y" * 50)
        connection.send(b"x" * 50)
        connection.lose()
        self.assertEqual(self.ask("GET", f"immutable/{SI}/0").body, b"x" * 50 + b"y" * 50)

    def test_two_bodies_at_once_both_see_the_share_complete(self) -> None:
        first = self.begin(100, 50)
        second = self.connect()
        second.send(write_head(0, 100) + b"x" * 100)
        self.assertEqual(second.answer().status, 201)
        first.send(b"x" * 50)
        self.assertEqual(first.answer().status, 404)

    def test_an_upload_that_ended_meanwhile_is_not_found(self) -> None:
        connection = self.begin(100, 50)
        self.ask("PUT", f"immutable/{SI}/0/abort", WRITE)
        connection.send(b"x" * 50)
        self.assertEqual(connection.answer().status, 404)
        self.assertEqual(self.budget.taken, 0)

    def test_a_body_of_several_pieces_is_streamed(self) -> None:
        data = pattern(3 * MIB + 17)
        connection = self.begin(len(data), len(data))
        for at in range(0, len(data), 65536):
            connection.send(data[at : at + 65536])
        self.assertEqual(connection.answer().status, 201)
        self.assertEqual(self.ask("GET", f"immutable/{SI}/0").body, data)
        self.assertEqual(self.budget.taken, 0)

    def test_a_conflict_is_answered_before_the_rest_arrives(self) -> None:
        self.allocate({0}, 3 * MIB)
        self.write(0, 0, b"x" * 10)
        connection = self.connect()
        connection.send(write_head(0, 2 * MIB) + b"y" * (MIB + 1))
        self.assertEqual(connection.answer().status, 409)
        connection.send(b"y" * (MIB - 1) + raw_request("GET", "version"))
        self.assertEqual(connection.answer().status, 200)
        self.assertEqual(self.budget.taken, 0)

    def test_no_memory_for_a_body_is_unavailable(self) -> None:
        self.allocate({0}, 100)
        self.budget.take(self.budget.limit - 49)
        answer = self.write(0, 0, b"x" * 50)
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "5"))
        self.assertEqual(self.write(0, 0, b"x" * 49).status, 200)
        self.assertEqual(self.budget.taken, self.budget.limit - 49)

    def test_chunks_are_refused(self) -> None:
        self.allocate({0}, 100)
        connection = self.connect()
        headers = ["Content-Range: bytes 0-9/*", "Transfer-Encoding: chunked"]
        head = raw_request("PATCH", f"immutable/{SI}/0", WRITE, None, headers)
        connection.send(head + b"a\r\n0123456789\r\n0\r\n\r\n")
        answer = connection.answer()
        self.assertEqual((answer.status, answer.headers["connection"]), (400, "close"))
        self.assertEqual(self.required(), [(0, 100)])

    def test_a_length_and_chunks_are_refused(self) -> None:
        connection = self.connect()
        connection.send(
            raw_request("PATCH", f"immutable/{SI}/0", WRITE, b"x", ["Transfer-Encoding: chunked"])
        )
        self.assertEqual(connection.answer().status, 400)
        self.assertTrue(connection.closed)


class BackPressureTests(FaceTestCase):
    provider: SlowProvider

    def make_provider(self) -> IStorageProvider:
        return SlowProvider()

    def test_a_connection_is_read_no_further_than_two_pieces_ahead(self) -> None:
        data = pattern(16 * MIB)
        self.allocate({0}, len(data))
        connection = self.connect()
        connection.send(write_head(0, len(data)))
        sent = 0
        while connection.transport.producerState == "producing":
            connection.send(data[sent : sent + 65536])
            sent += 65536
        self.assertLess(sent, 8 * MIB)
        self.assertEqual(connection.transport.producerState, "paused")
        # However long the provider takes, the connection stays.
        self.clock.advance(25 * 60)
        self.assertFalse(connection.closed)
        # The transport may ask to go on for reasons of its own.
        connection.channel.resumeProducing()
        self.assertEqual(connection.transport.producerState, "paused")

        self.provider.go_on()
        self.assertEqual(connection.transport.producerState, "producing")
        while sent < len(data):
            connection.send(data[sent : sent + 65536])
            sent += 65536
            self.provider.go_on()
        self.provider.go_on()
        self.assertEqual(connection.answer().status, 201)
        self.assertEqual(self.ask("GET", f"immutable/{SI}/0").body, data)
        self.assertEqual(self.budget.taken, 0)

    def test_a_client_that_leaves_while_the_provider_is_slow_loses_nothing(self) -> None:
        data = pattern(6 * MIB)
        self.allocate({0}, len(data))
        connection = self.connect()
        connection.send(write_head(0, len(data)))
        for at in range(0, 5 * MIB, MIB):
            connection.send(data[at : at + MIB])
        connection.lose()
        self.provider.go_on()
        upload = self.service.get_upload(INDEX, 0, WRITE[UPLOAD])
        self.assertEqual(list(upload.required_ranges()), [(5 * MIB, 6 * MIB)])
        self.assertEqual(self.budget.taken, 0)

    def test_a_provider_that_fails_is_unavailable_and_the_connection_goes_on(self) -> None:
        self.allocate({0}, 8 * MIB)
        self.provider.broken = True
        connection = self.connect()
        connection.send(write_head(0, 3 * MIB))
        for _ in range(3):
            connection.send(bytes(MIB))
        connection.send(raw_request("GET", "version"))
        self.assertEqual([it.status for it in connection.answers()], [503, 200])
        self.assertEqual(self.budget.taken, 0)

    def test_a_share_that_cannot_be_stored_is_unavailable(self) -> None:
        self.allocate({0}, 10)
        self.provider.broken = True
        self.assertEqual(self.write(0, 0, b"0123456789").status, 503)
        self.assertEqual(self.ask("GET", f"immutable/{SI}/shares").message, set())


class RefusedBodyTests(FaceTestCase):
    def refused(self, length: int, *headers: str) -> Connection:
        """A connection whose client has been told 401 and has yet to send its body."""
        connection = self.connect()
        connection.send(
            raw_request(
                "PATCH", f"immutable/{SI}/0", {}, None, headers, swissnum=b"", length=length
            )
        )
        return connection

    def test_the_answer_does_not_wait_for_the_body(self) -> None:
        connection = self.refused(1000)
        self.assertEqual(connection.answer().status, 401)
        self.assertFalse(connection.closed)

    def test_a_short_body_is_thrown_away_and_the_connection_goes_on(self) -> None:
        connection = self.refused(LINGER)
        connection.answer()
        connection.send(bytes(LINGER) + raw_request("GET", "version"))
        self.assertEqual(connection.answer().status, 200)

    def test_a_long_body_ends_the_connection_but_not_before_the_answer_is_read(self) -> None:
        connection = self.refused(LINGER + 1)
        self.assertEqual(connection.answer().headers["connection"], "close")
        connection.send(bytes(LINGER))
        self.assertFalse(connection.closed)
        connection.send(b"x")
        self.assertTrue(connection.closed)

    def test_a_body_that_does_not_come_is_not_waited_for(self) -> None:
        connection = self.refused(1000)
        connection.send(b"x" * 500)
        self.clock.advance(5)
        self.assertTrue(connection.transport.aborted)

    def test_a_client_that_asks_first_is_told_and_disconnected(self) -> None:
        connection = self.refused(1000, "Expect: 100-continue")
        answer = connection.answer()
        self.assertEqual((answer.status, answer.headers["connection"]), (401, "close"))

    def test_a_client_that_asks_first_may_go_on(self) -> None:
        self.allocate({0}, 100)
        connection = self.connect()
        connection.send(write_head(0, 50, 0, "Expect: 100-continue"))
        self.assertEqual(connection.received(), b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.send(b"x" * 50)
        self.assertEqual(connection.answer().status, 200)


class LongAnswerTests(FaceTestCase):
    def test_an_answer_counts_until_the_client_reads_it_or_leaves(self) -> None:
        data = pattern(700_000)
        self.store_slot(data)
        message = {"test-write-vectors": {}, "read-vector": [{"offset": 0, "size": 2**62}]}
        asking = raw_request("POST", f"mutable/{SI}/read-test-write", CHANGE, cbor2.dumps(message))
        self.budget.limit = 2_000_000
        reading, leaving = self.connect(), self.connect()
        for connection in (reading, leaving):
            connection.transport.stalls = True
            connection.send(asking)
            self.assertEqual(connection.answer().message["data"], {0: [data]})
        self.assertGreater(self.budget.taken, 1_400_000)
        self.assertEqual(self.change(message).status, 503)
        reading.channel.resumeProducing()
        self.assertEqual(self.change(message).message["data"], {0: [data]})
        leaving.lose()
        self.assertEqual(self.budget.taken, 0)


class MessageLimitTests(FaceTestCase):
    path = f"mutable/{SI}/read-test-write"

    def test_a_message_over_the_limit_is_refused_before_it_is_read(self) -> None:
        connection = self.connect()
        connection.send(raw_request("POST", self.path, CHANGE, length=MAX_MESSAGE + 1))
        self.assertEqual(connection.answer().status, 413)

    def test_the_limits_of_small_messages_are_small(self) -> None:
        connection = self.connect()
        connection.send(raw_request("POST", f"immutable/{SI}/0/corrupt", length=256 * 1024 + 1))
        self.assertEqual(connection.answer().status, 413)

    def test_no_memory_for_a_message_is_unavailable(self) -> None:
        self.budget.take(self.budget.limit - 1000)
        connection = self.connect()
        connection.send(raw_request("POST", self.path, CHANGE, length=1001))
        self.assertEqual(connection.answer().status, 503)

    def test_memory_is_given_back_however_the_message_ends(self) -> None:
        good = cbor2.dumps({"test-write-vectors": {}, "read-vector": []})
        for body in (good, b"\x00" * len(good)):
            self.ask("POST", self.path, CHANGE, body)
            self.assertEqual(self.budget.taken, 0)
        connection = self.connect()
        connection.send(raw_request("POST", self.path, CHANGE, length=1000) + b"x" * 500)
        self.assertEqual(self.budget.taken, 1000)
        connection.lose()
        self.assertEqual(self.budget.taken, 0)

    def test_no_length_or_chunks_are_a_bad_request(self) -> None:
        self.assertEqual(self.ask("POST", self.path, CHANGE).status, 400)
        connection = self.connect()
        head = raw_request("POST", self.path, CHANGE, None, ["Transfer-Encoding: chunked"])
        connection.send(head)
        self.assertEqual(connection.answer().status, 400)
