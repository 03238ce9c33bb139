"""Connections: how many, how long, and several requests over one."""

from __future__ import annotations

from twisted.internet.interfaces import IProtocolNegotiationFactory
from zope.interface.verify import verifyObject

from raic.server.http import Limits
from tests.server.http.harness import SI, WRITE, FaceTestCase, raw_request
from tests.server.http.test_bodies import write_head
from tests.shares.stores import pattern

VERSION = raw_request("GET", "version")


class TimeTests(FaceTestCase):
    def test_a_connection_without_a_request_is_closed_after_a_minute(self) -> None:
        connection = self.connect()
        self.pass_time(59)
        self.assertFalse(connection.closed)
        self.pass_time(5)
        self.assertTrue(connection.closed)

    def test_a_header_that_trickles_is_cut_off_after_a_minute(self) -> None:
        connection = self.connect()
        for byte in VERSION[:64]:
            connection.send(bytes([byte]))
            self.pass_time(1)
        self.assertTrue(connection.closed)

    def test_between_requests_five_minutes_may_pass(self) -> None:
        connection = self.connect()
        for _ in range(3):
            connection.send(VERSION)
            self.assertEqual(connection.answer().status, 200)
            self.pass_time(295)
            self.assertFalse(connection.closed)
        self.pass_time(5)
        self.assertTrue(connection.closed)

    def test_a_later_header_has_a_minute_too(self) -> None:
        connection = self.connect()
        connection.send(VERSION + VERSION[:10])
        connection.send(VERSION[10:20])
        self.pass_time(64)
        self.assertTrue(connection.closed)

    def test_a_body_that_trickles_is_cut_off_and_its_prefix_kept(self) -> None:
        self.allocate({0}, 1_000_000)
        connection = self.connect()
        connection.send(write_head(0, 1_000_000))
        for _ in range(64):
            connection.send(b"x")
            self.pass_time(1)
        self.assertTrue(connection.transport.aborted)
        self.assertEqual(
            self.write(0, 60, b"x" * 10).message, {"required": [{"begin": 70, "end": 1_000_000}]}
        )

    def test_a_slow_but_steady_body_is_not(self) -> None:
        self.allocate({0}, 1_000_000)
        connection = self.connect()
        connection.send(write_head(0, 1_000_000))
        for _ in range(200):
            self.pass_time(4)
            connection.send(b"x" * 5_000)
        self.assertEqual(connection.answer().status, 201)

    def test_a_client_that_does_not_read_is_cut_off(self) -> None:
        self.store(pattern(2_000_000))
        connection = self.connect()
        connection.transport.stalls = True
        connection.send(raw_request("GET", f"immutable/{SI}/0"))
        self.assertLess(len(connection.received()), 2_000_000)
        self.pass_time(65)
        self.assertTrue(connection.transport.aborted)

    def test_a_client_that_reads_on_is_not(self) -> None:
        self.store(pattern(2_000_000))
        connection = self.connect()
        connection.transport.stalls = True
        connection.send(raw_request("GET", f"immutable/{SI}/0"))
        while connection.channel.requests:
            self.pass_time(50)
            connection.channel.resumeProducing()
        self.assertEqual(len(connection.answer().body), 2_000_000)

    def test_one_that_reads_no_answer_is_given_no_further_one(self) -> None:
        data = pattern(300_000)
        self.store(data)
        connection = self.connect()
        connection.transport.stalls = True
        connection.send(raw_request("GET", f"immutable/{SI}/0") * 3)
        self.assertEqual(connection.transport.producerState, "paused")
        connection.send(VERSION)
        for _ in range(3):
            self.assertEqual(connection.answer().body, data)
            self.pass_time(50)
            connection.channel.resumeProducing()
        self.assertEqual(connection.answer().status, 200)
        connection.channel.resumeProducing()
        self.assertEqual(connection.transport.producerState, "producing")
        connection.send(raw_request("GET", f"immutable/{SI}/0") * 2)
        self.assertEqual(connection.answer().body, data)
        self.pass_time(65)
        self.assertTrue(connection.transport.aborted)
        self.assertEqual(connection.received(), b"")

    def test_no_timer_is_left_when_all_connections_are_gone(self) -> None:
        before = len(self.clock.getDelayedCalls())
        connections = [self.connect() for _ in range(3)]
        self.assertEqual(len(self.clock.getDelayedCalls()), before + 1)
        for connection in connections:
            connection.lose()
        self.assertEqual(len(self.clock.getDelayedCalls()), before)
        self.assertEqual(len(self.site.connections), 0)


class NegotiationTests(FaceTestCase):
    def test_clients_that_ask_get_http_1_1(self) -> None:
        verifyObject(IProtocolNegotiationFactory, self.site)
        self.assertEqual(self.site.acceptableProtocols(), [b"http/1.1"])


class NumberTests(FaceTestCase):
    limits = Limits(connections=3)

    def test_one_too_many_closes_the_one_that_has_waited_longest(self) -> None:
        first, second, third = self.connect(), self.connect(), self.connect()
        first.send(VERSION)
        fourth = self.connect()
        self.assertEqual(
            [it.closed for it in (first, second, third, fourth)], [False, True, False, False]
        )

    def test_one_that_is_at_work_is_spared(self) -> None:
        self.allocate({0}, 100)
        busy = [self.connect() for _ in range(3)]
        for connection in busy:
            connection.send(write_head(0, 100))
        extra = self.connect()
        self.assertTrue(extra.closed)
        self.assertEqual([it.closed for it in busy], [False] * 3)


class StopTests(FaceTestCase):
    def test_without_connections_it_stops_at_once(self) -> None:
        self.successResultOf(self.site.stop())

    def test_idle_connections_are_closed_and_requests_end_first(self) -> None:
        self.allocate({0}, 10)
        idle, busy = self.connect(), self.connect()
        busy.send(write_head(0, 10) + b"01234")
        stopped = self.site.stop()
        self.assertTrue(idle.closed)
        self.assertNoResult(stopped)
        busy.send(b"56789")
        answer = busy.answer()
        self.assertEqual((answer.status, answer.headers["connection"]), (201, "close"))
        self.successResultOf(stopped)

    def test_an_idle_client_that_does_not_hang_up_is_not_waited_for(self) -> None:
        idle = self.connect()
        idle.transport.deaf = True
        stopped = self.site.stop()
        self.pass_time(1)
        self.assertNoResult(stopped)
        self.pass_time(1)
        self.assertTrue(idle.transport.aborted)
        self.successResultOf(stopped)

    def test_what_does_not_end_is_aborted(self) -> None:
        self.allocate({0}, 10)
        busy = self.connect()
        busy.send(write_head(0, 10) + b"01234")
        stopped = self.site.stop()
        self.pass_time(10)
        self.assertTrue(busy.transport.aborted)
        self.successResultOf(stopped)


class ParserTests(FaceTestCase):
    def test_requests_in_one_segment_are_answered_in_order(self) -> None:
        self.allocate({0}, 300)
        requests = b"".join(
            write_head(at, 100) + b"x" * 100 + raw_request("GET", f"immutable/{SI}/shares")
            for at in (0, 100, 200)
        )
        connection = self.connect()
        connection.send(requests)
        self.assertEqual([it.status for it in connection.answers()], [200, 200, 200, 200, 201, 200])

    def test_requests_in_single_bytes_are_answered_in_order(self) -> None:
        self.allocate({0}, 10)
        connection = self.connect()
        for byte in write_head(0, 10) + b"0123456789" + VERSION:
            connection.send(bytes([byte]))
        self.assertEqual([it.status for it in connection.answers()], [201, 200])

    def test_a_thousand_pipelined_requests_are_answered(self) -> None:
        connection = self.connect()
        connection.send(VERSION * 1000)
        self.assertEqual({it.status for it in connection.answers()}, {200})

    def test_http_1_0_gets_one_answer(self) -> None:
        connection = self.connect()
        connection.send(VERSION.replace(b"HTTP/1.1", b"HTTP/1.0") + VERSION)
        answer = connection.answer()
        self.assertEqual((answer.status, answer.headers["connection"]), (200, "close"))
        self.assertTrue(connection.closed)

    def test_a_client_may_close_after_its_request(self) -> None:
        connection = self.connect()
        connection.send(raw_request("GET", "version", headers=["Connection: close"]))
        self.assertEqual(connection.answer().headers["connection"], "close")
        self.assertTrue(connection.closed)

    def test_what_is_not_http_is_a_bad_request(self) -> None:
        for data in (
            b"nonsense\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            VERSION.replace(b"Host: there", b"Host there"),
            VERSION.replace(b"Host: there", b"Content-Length: -1"),
            VERSION.replace(b"Host: there", b"Content-Length: 1e3"),
            VERSION.replace(b"Host: there", b"content-length: " + b"9" * 5000),
            VERSION.replace(b"Host: there", b"Content-Length: 1\r\nContent-Length: 2"),
            VERSION.replace(b"Host: there", b"Transfer-Encoding: gzip"),
            VERSION.replace(b"Host: there", b"Host: " + b"x" * 16_300),
            VERSION.replace(b"Host: there", b"\r\n".join([b"X: y"] * 65)),
            VERSION.replace(b"Host: there", b"X: \x00"),
        ):
            connection = self.connect()
            connection.send(data)
            self.assertEqual(connection.answer().status, 400, data[:80])
            self.assertTrue(connection.closed)

    def test_an_endless_line_ends_the_connection(self) -> None:
        connection = self.connect()
        connection.send(b"GET /" + b"x" * 20_000)
        self.assertTrue(connection.closed)

    def test_a_client_that_leaves_does_not_disturb_others(self) -> None:
        self.allocate({0}, 10)
        leaving, staying = self.connect(), self.connect()
        leaving.send(write_head(0, 10) + b"01234")
        leaving.lose()
        staying.send(raw_request("PUT", f"immutable/{SI}/0/abort", WRITE))
        self.assertEqual(staying.answer().status, 200)
