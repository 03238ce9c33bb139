"""The thin client's own parser: what it gets wrong, the kill test would blame on the node."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.load import Change
from tests.end_to_end.wire import Address, Answer, Requests

SIZED = b"HTTP/1.1 206 Partial Content\r\nX: y\r\nContent-Length: 5\r\n\r\nhello"
EMPTY = b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x\r\nlo\r\n0\r\n\r\n"


class AnswerTests(SynchronousTestCase):
    def test_answers_are_complete_at_their_last_byte_however_they_arrive(self) -> None:
        for whole, status, body in (
            (SIZED, 206, b"hello"),
            (EMPTY, 204, b""),
            (CHUNKED, 200, b"hello"),
        ):
            for step in (1, 2, 7, len(whole)):
                answer = Answer()
                pieces = [whole[at : at + step] for at in range(0, len(whole), step)]
                complete = [answer.feed(piece) for piece in pieces]
                self.assertEqual(complete, [False] * (len(pieces) - 1) + [True])
                self.assertEqual((answer.status, bytes(answer.body)), (status, body))

    def test_a_body_that_is_not_kept_is_counted(self) -> None:
        answer = Answer(keep=False)
        self.assertTrue(answer.feed(SIZED))
        self.assertEqual((answer.received, bytes(answer.body)), (5, b""))


class RequestTests(SynchronousTestCase):
    def test_a_nurl_says_where_and_with_what_right(self) -> None:
        address = Address.from_nurl("pb://AbC_d@127.0.0.1:3457/swiss#v=1")
        self.assertEqual(address, Address("127.0.0.1", 3457, "swiss"))

    def test_a_write_says_its_range_and_length(self) -> None:
        head, _, body = Requests("s").write(b"\0" * 16, 3, 10, b"hello").partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        self.assertEqual(lines[0], b"PATCH /storage/v1/immutable/" + b"a" * 26 + b"/3 HTTP/1.1")
        self.assertIn(b"Content-Range: bytes 10-14/*", lines)
        self.assertIn(b"Content-Length: 5", lines)
        self.assertEqual(body, b"hello")


class ChangeTests(SynchronousTestCase):
    def test_the_model_of_a_slot_write_fills_holes_and_truncates(self) -> None:
        self.assertEqual(Change(3, b"x", None).apply(b""), b"\0\0\0x")
        self.assertEqual(Change(1, b"xy", None).apply(b"abcd"), b"axyd")
        self.assertEqual(Change(1, b"xy", 2).apply(b"abcd"), b"ax")
        self.assertEqual(Change(0, b"", 0).apply(b"abcd"), b"")
