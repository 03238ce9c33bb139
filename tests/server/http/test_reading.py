"""Ranges of shares, small and large, and what happens when a provider fails under them."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IConsumer

from raic.backends.memory import MemoryProvider
from raic.errors import ProviderUnreachable
from raic.interfaces import IStorageProvider
from raic.server.http.ranges import parse_content_range, parse_range
from tests.server.http.harness import SI, Answer, FaceTestCase, raw_request
from tests.shares.stores import pattern

OCTETS = "application/octet-stream"
LARGE = 1_500_000


class ReadTestCase(FaceTestCase):
    kind = "immutable"

    def read(self, value: str | None = None, shnum: int = 0) -> Answer:
        headers = [] if value is None else [f"Range: {value}"]
        return self.ask("GET", f"{self.kind}/{SI}/{shnum}", None, None, headers)


class RangeTests(ReadTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.put(b"abcdefghijklmnopqrstuvwxyz")

    def put(self, data: bytes) -> None:
        self.store(data)

    def test_without_a_range_the_whole_share_is_sent(self) -> None:
        answer = self.read()
        self.assertEqual((answer.status, answer.body), (200, b"abcdefghijklmnopqrstuvwxyz"))
        self.assertEqual(answer.headers["content-type"], OCTETS)
        self.assertNotIn("content-range", answer.headers)

    def test_a_range_is_sent_and_named(self) -> None:
        for value, body, named in (
            ("bytes=0-10", b"abcdefghijk", "bytes 0-10/*"),
            ("bytes=3-3", b"d", "bytes 3-3/*"),
            ("bytes=0-25", b"abcdefghijklmnopqrstuvwxyz", "bytes 0-25/*"),
            ("bytes=10-100", b"klmnopqrstuvwxyz", "bytes 10-25/*"),
            (f"bytes=25-{10**25}", b"z", "bytes 25-25/*"),
            ("Bytes=3-3", b"d", "bytes 3-3/*"),
            ("bytes= 1-2 ", b"bc", "bytes 1-2/*"),
        ):
            answer = self.read(value)
            self.assertEqual((answer.status, answer.body), (206, body), value)
            self.assertEqual(answer.headers["content-range"], named)
            self.assertEqual(answer.headers["content-type"], OCTETS)

    def test_a_range_past_the_end_has_no_content(self) -> None:
        for value in ("bytes=26-26", "bytes=1000-2000"):
            answer = self.read(value)
            self.assertEqual((answer.status, answer.body), (204, b""))

    def test_any_other_range_is_not_satisfiable(self) -> None:
        for value in (
            *("molluscs=0-9", "bytes=-2-9", "bytes=0--10", "bytes=-300-", "bytes=", "bytes=-5"),
            *("bytes=0-5, 6-7", "bytes=0-", "bytes 0-5", "", "bytes=5-4", "bytes=0-5,", "0-5"),
            *("bytes=0x1-0x2", "bytes=1e1-20", "bytes=0-" + 5000 * "9", "bytes=٣-٤"),
        ):
            raw = value.encode("utf-8").decode("latin-1")
            answer = self.read(raw)
            self.assertEqual(answer.status, 416, value)
            self.assertEqual(answer.headers["content-type"], OCTETS)
            self.assertEqual(answer.headers["content-range"], "bytes */26")

    def test_two_range_headers_are_not_satisfiable(self) -> None:
        headers = ["Range: bytes=0-1", "Range: bytes=0-1"]
        answer = self.ask("GET", f"{self.kind}/{SI}/0", None, None, headers)
        self.assertEqual(answer.status, 416)

    def test_an_unknown_share_is_not_found_whatever_the_range(self) -> None:
        for number in ("1", "255", "256", "007", "00", "-1", "1e3", "x", str(2**64), "9" * 4000):
            for headers in ([], ["Range: bytes=0-9"], ["Range: nonsense"]):
                answer = self.ask("GET", f"{self.kind}/{SI}/{number}", None, None, headers)
                self.assertEqual(answer.status, 404, number)
                self.assertEqual(answer.headers["content-type"], OCTETS)
        answer = self.ask("GET", f"{self.kind}/{'a' * 26}/0")
        self.assertEqual((answer.status, answer.headers["content-type"]), (404, OCTETS))


class SlotRangeTests(RangeTests):
    kind = "mutable"

    def put(self, data: bytes) -> None:
        self.store_slot(data)


class LargeRangeTests(ReadTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.data = pattern(LARGE)
        self.put(self.data)

    def put(self, data: bytes) -> None:
        self.store(data)

    def test_it_is_the_same_in_one_piece_or_streamed(self) -> None:
        for begin, last in ((0, 9), (0, 524287), (5, 524292), (7, 524295), (1, LARGE + 5)):
            answer = self.read(f"bytes={begin}-{last}")
            self.assertEqual(answer.status, 206)
            self.assertEqual(answer.body, self.data[begin : last + 1])
        self.assertEqual(self.read().body, self.data)

    def test_the_connection_serves_on_after_a_stream(self) -> None:
        connection = self.connect()
        connection.send(raw_request("GET", f"{self.kind}/{SI}/0") * 2)
        self.assertEqual([it.body for it in connection.answers()], [self.data] * 2)

    def test_a_client_that_leaves_ends_the_stream_and_lets_the_object_go(self) -> None:
        connection = self.connect()
        connection.transport.stalls = True
        connection.send(raw_request("GET", f"{self.kind}/{SI}/0"))
        connection.channel.stopProducing()
        connection.lose()
        self.assertLess(len(connection.received()), LARGE)
        self.assertEqual(self.pinned(), set())

    def test_the_object_is_held_only_while_it_is_read(self) -> None:
        connection = self.connect()
        connection.transport.stalls = True
        connection.send(raw_request("GET", f"{self.kind}/{SI}/0"))
        self.assertEqual(len(self.pinned()), 1)
        while connection.channel.requests:
            connection.channel.resumeProducing()
        self.assertEqual(self.pinned(), set())
        for value in ("bytes=0-1", "bytes=0-", "bytes=9999999-99999999", None):
            self.read(value)
            self.ask("HEAD", f"{self.kind}/{SI}/0")
            self.assertEqual(self.pinned(), set())


class BrokenProvider(MemoryProvider):
    """Fails its reads: at once, or after some bytes."""

    broken = False
    cut = False
    truncated = False
    empty = False

    def read_now(self, key: str, offset: int, length: int) -> bytes | None:
        return None if self.broken or self.truncated else super().read_now(key, offset, length)

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        if self.broken:
            return fail(ProviderUnreachable("attic", "get_object", f"{key} is out of reach"))
        if self.truncated:
            length -= 1
        return super().get_object(key, offset, length)

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        error = ProviderUnreachable("attic", "stream_object", f"{key} is out of reach")
        if self.broken:
            return fail(error)
        if self.empty:
            return succeed(0)
        if self.truncated:
            return super().stream_object(key, offset, length // 2, consumer)
        streaming = super().stream_object(key, offset, length, consumer)
        return streaming.addCallback(lambda _: fail(error)) if self.cut else streaming


class FailingReadTests(ReadTestCase):
    provider: BrokenProvider

    def make_provider(self) -> IStorageProvider:
        return BrokenProvider("attic")

    def setUp(self) -> None:
        super().setUp()
        self.data = pattern(LARGE)
        self.store(self.data)

    def test_a_provider_out_of_reach_is_unavailable_and_not_html(self) -> None:
        self.provider.broken = True
        for value in ("bytes=0-9", "bytes=0-1000000", None):
            answer = self.read(value)
            self.assertEqual(answer.status, 503)
            self.assertEqual(answer.headers["content-type"], OCTETS)
            self.assertEqual(answer.headers["retry-after"], "5")
            self.assertEqual(answer.body, b"the node cannot do this just now\n")

    def test_a_short_object_is_unavailable_and_not_a_short_body(self) -> None:
        self.provider.truncated = True
        self.assertEqual(self.read("bytes=0-9").status, 503)

    def test_a_stream_that_ends_early_aborts_the_connection(self) -> None:
        for fault in ("truncated", "cut"):
            setattr(self.provider, fault, True)
            connection = self.connect()
            connection.send(raw_request("GET", f"immutable/{SI}/0"))
            self.assertTrue(connection.transport.aborted, fault)
            self.assertTrue(connection.received().startswith(b"HTTP/1.1 200 OK\r\n"))
            setattr(self.provider, fault, False)

    def test_a_failed_read_lets_the_object_go(self) -> None:
        self.provider.broken = True
        for value in ("bytes=0-9", None):
            self.read(value)
            self.assertEqual(self.pinned(), set())

    def test_a_stream_that_brings_nothing_is_unavailable(self) -> None:
        self.provider.empty = True
        self.assertEqual(self.read().status, 503)

    def test_other_reads_go_on(self) -> None:
        self.provider.broken = True
        self.read()
        self.provider.broken = False
        self.assertEqual(self.read().body, self.data)


class HeaderTests(ReadTestCase):
    def test_ranges_are_half_open(self) -> None:
        self.assertEqual(parse_range(b"bytes=3-7"), (3, 8))
        self.assertEqual(parse_content_range(b"bytes 3-7/8"), (3, 8, 8))
        self.assertEqual(parse_content_range(b"bytes 3-7/*"), (3, 8, None))
