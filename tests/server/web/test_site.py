"""The status page, JSON, metrics and health, as bytes on connections."""

from __future__ import annotations

import json
import string
from html.parser import HTMLParser
from urllib.parse import quote

import jsonschema
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from raic.errors import IndexStopped
from raic.server.web.channel import MOST_CONNECTIONS
from raic.server.web.events import INTERVAL_SECONDS, MOST_LISTENERS
from raic.server.web.families import FAMILIES
from raic.status import Readiness
from raic.status.form import make_schema
from tests.server.web import statuses
from tests.server.web.harness import SiteCase, parse
from tests.server.web.statuses import INDEX, NASTY, SECRET

FOREIGN = ("evil.example", "evil.example:3456", "127.0.0.1.evil.example", "localhost.evil")
"""Hosts that are somebody else's."""


class Elements(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


class Page(SiteCase):
    def test_it_says_what_there_is_and_what_to_do(self) -> None:
        got = self.ask()
        self.assertEqual(
            (got.status, got.headers["Content-Type"]), (200, "text/html; charset=utf-8")
        )
        for text in (
            "It needs you now",
            "only 1 of 2 can be written to",
            "bring b back",
            "b: connection refused",
            "check the network",
            "10</b> at risk",
            "storage.example.net",
            "0.4 ms",
            "not looked at yet",
        ):
            self.assertIn(text, got.text)

    def test_it_has_no_style_and_no_script_in_its_text(self) -> None:
        for tag, attributes in Elements(self.ask().text).found:
            self.assertNotEqual(tag, "style")
            self.assertFalse({"style"} & attributes.keys(), (tag, attributes))
            self.assertFalse(
                [name for name in attributes if name.startswith("on")], (tag, attributes)
            )
            if tag == "script":
                self.assertEqual(attributes, {"src": "/static/live.js", "defer": None})
        self.assertIn("default-src 'none'", self.ask().headers["Content-Security-Policy"])

    def test_whatever_is_shown_is_text(self) -> None:
        nasty = statuses.provider(NASTY, problem=NASTY, remedy=NASTY, health="failing")
        warned = evolve(statuses.node().warnings[0], text=NASTY, remedy=NASTY)
        self.status = evolve(
            statuses.node(statuses.server(nickname=NASTY, providers=(nasty,))), warnings=(warned,)
        )
        page = self.ask().text
        self.assertNotIn("<script>alert", page)
        self.assertGreater(page.count("&lt;script&gt;"), 5)

    def test_several_servers_are_on_one_page(self) -> None:
        self.status = statuses.node(
            statuses.server(name="east", nickname="east"), statuses.server(name="west")
        )
        elements = Elements(self.ask().text).found
        ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertIn("providers-east", ids)
        self.assertIn("providers-west", ids)

    def test_before_a_server_has_started(self) -> None:
        self.status = evolve(statuses.node(), servers=())
        self.assertIn("The node is starting", self.ask().text)
        self.assertEqual(self.ask("/readyz").status, 503)

    def test_what_is_left_out_is_shown_nowhere(self) -> None:
        for target in ("/", "/api/v1/status", "/metrics"):
            text = self.ask(target).text
            self.assertNotIn(SECRET, text)
            self.assertNotIn(INDEX, text)
        self.assertEqual(self.ask("/?reveal=1").status, 403)
        self.assertEqual(self.ask("/api/v1/status?reveal=1").status, 403)


class Data(SiteCase):
    def test_the_json_is_of_the_documented_form(self) -> None:
        got = self.ask("/api/v1/status")
        self.assertEqual(got.headers["Content-Type"], "application/json")
        jsonschema.validate(json.loads(got.body), make_schema())
        self.assertEqual(json.loads(self.ask("/api/v1/schema").body), make_schema())

    def test_the_metrics_are_what_the_official_parser_takes(self) -> None:
        got = self.ask("/metrics")
        self.assertIn("application/openmetrics-text", got.headers["Content-Type"])
        families = list(text_string_to_metric_families(got.text))
        self.assertEqual({each.name for each in families}, set(FAMILIES))
        values = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }
        self.assertEqual(values["raic_ready", "attic"], 0)
        self.assertEqual(values["raic_provider_up", "a", "attic"], 1)
        self.assertEqual(values["raic_provider_up", "attic", "b"], 0)
        self.assertEqual(values["raic_array_objects", "at_risk", "attic", "clouds"], 10)
        self.assertEqual(values["raic_operation_seconds_count", "attic", "http", "read"], 8)
        self.assertEqual(
            values["raic_operation_seconds_bucket", "+Inf", "attic", "http", "read"], 8
        )

    def test_health_and_readiness(self) -> None:
        self.assertEqual((self.ask("/healthz").status, self.ask("/healthz").text), (200, "alive\n"))
        got = self.ask("/readyz")
        self.assertEqual(got.status, 503)
        self.assertIn("bring b back", got.text)
        self.status = statuses.node(statuses.server(readiness=Readiness(True)))
        self.assertEqual(self.ask("/readyz").status, 200)

    def test_an_index_that_does_not_answer_is_told(self) -> None:
        self.status = IndexStopped("the disk is gone")
        for target in ("/", "/api/v1/status", "/metrics", "/readyz"):
            got = self.ask(target)
            self.assertEqual(got.status, 503)
            self.assertIn("check the disk", got.text)
        self.assertEqual(self.ask("/healthz").status, 200)

    def test_an_error_of_its_own_shows_nothing_of_it(self) -> None:
        self.status = ZeroDivisionError("something secret")
        got = self.ask()
        self.assertEqual(got.status, 503)
        self.assertNotIn("secret", got.text)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class BadInput(SiteCase):
    def test_other_methods_are_refused(self) -> None:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "NONSENSE"):
            for target in ("/", "/api/v1/status", "/api/v1/events", "/metrics", "/healthz"):
                got = self.ask(target, method)
                self.assertEqual((got.status, got.headers["Allow"]), (405, "GET, HEAD"), method)

    def test_head_has_no_body(self) -> None:
        for target in ("/", "/metrics", "/api/v1/events"):
            got = self.ask(target, "HEAD")
            self.assertEqual((got.status, got.body), (200, b""))

    def test_parameters(self) -> None:
        for target in (
            "/?reveal=2",
            "/?reveal",
            "/?reveal=1&reveal=1",
            "/?x=1",
            "/metrics?reveal=1",
            "/api/v1/status?=&&;",
            "/?" + "&".join(f"a{number}=1" for number in range(50)),
            "/?reveal=%00",
            "/?reveal=%ff%fe",
        ):
            self.assertEqual(self.ask(target).status, 400, target)
        self.assertEqual(self.ask("/?" + "a" * 5000).status, 414)
        self.assertEqual(self.ask("/?reveal=0").status, 200)

    def test_paths(self) -> None:
        for target in ("/nothing", "//", "/static/", "/static/../site.py", "/static/..%2fsite.py",
                       "/api/v2/status", "/%2e%2e/", "http://elsewhere/", "*"):  # fmt: skip
            self.assertEqual(self.ask(target).status, 404, target)

    def test_other_names_are_refused(self) -> None:
        for host in (*FOREIGN, "", "a b", "localhost:3456:1", "[::1", "user@localhost"):
            self.assertIn(self.ask(host=host).status, (400, 421), host)
        self.assertEqual(self.ask(host=None).status, 400)
        for host in ("localhost", "LOCALHOST:1", "127.0.0.1:3456", "[::1]:3456", "10.1.2.3",
                     "status.example.net", "status.example.net:443"):  # fmt: skip
            self.assertEqual(self.ask(host=host).status, 200, host)
        doubled = self.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        self.assertEqual(doubled.status, 400)

    def test_pages_from_elsewhere_are_refused(self) -> None:
        for origin in ("http://evil.example", "null", "https://localhost:9999", "http://localhost"):
            self.assertEqual(self.ask(Origin=origin).status, 403, origin)
            self.assertEqual(self.ask(method="POST", Origin=origin, body=b"a=1").status, 403)
        self.assertEqual(self.ask(Origin="http://localhost:3456").status, 200)
        for mode in ("cors", "no-cors", "websocket"):
            got = self.ask(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode=mode)
            self.assertEqual(got.status, 403)
        got = self.ask(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")
        self.assertEqual(got.status, 200)

    def test_bodies(self) -> None:
        self.assertEqual(self.ask(body=b"x" * 100).status, 200)
        self.assertEqual(self.ask(method="POST", body=b"x" * 100).status, 405)
        channel, transport = self.connect()
        channel.dataReceived(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
            + b"x" * 9999
        )
        self.assertEqual(parse(transport.value()).status, 413)
        before = len(transport.value())
        channel.dataReceived(b"x" * 100000 + b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual((len(transport.value()), transport.disconnecting), (before, True))
        chunked = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.assertEqual(self.send(chunked).status, 413)

    def test_long_headers_and_nonsense(self) -> None:
        for data in (b"X: " + b"x" * 40000 + b"\r\n\r\n", b"X: " + b"x" * 40000):
            got = self.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + data)
            self.assertEqual((got.status, got.text), (431, "a line of a request is too long\n"))
        for data in (
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
            b"nonsense\r\n\r\n",
        ):
            sent = self.send_all(data)
            self.assertTrue(not sent or parse(sent).status == 400, sent)

    @settings(max_examples=50)
    @given(st.text(string.printable, max_size=60), st.sampled_from(["/", "/?", "/static/", "/?a="]))
    def test_nothing_of_a_request_is_in_the_answer(self, text: str, start: str) -> None:
        marked = quote(f"{text}qzxj'<q>", safe="/?&=;'<>\"+") or "x"
        got = self.ask(start + marked, host="localhost", User_Agent="qzxj", Referer="http://qzxj/")
        self.assertIn(got.status, (400, 403, 404, 414))
        self.assertNotIn("qzxj", got.text + str(got.headers))
        refused = self.ask(host="qzxj.example")
        self.assertNotIn("qzxj", refused.text + str(refused.headers))

    def test_connections_are_bounded(self) -> None:
        opened = [self.connect() for _ in range(MOST_CONNECTIONS)]
        _, transport = self.connect()
        self.assertTrue(transport.aborted)
        self.assertFalse(any(each.aborted for _, each in opened))


class Events(SiteCase):
    def test_the_page_comes_again_and_again(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got = parse(transport.value())
        self.assertEqual((got.status, got.headers["Content-Type"]), (200, "text/event-stream"))
        self.status = statuses.node(statuses.server(nickname="cellar"))
        self.clock.advance(INTERVAL_SECONDS)
        self.assertIn(b"event: page", transport.value())
        self.assertIn(b"cellar", transport.value())
        transport.clear()
        assert transport.producer is not None
        transport.producer.pauseProducing()
        self.clock.advance(INTERVAL_SECONDS)
        self.assertEqual(transport.value(), b"")
        transport.producer.resumeProducing()
        self.status = ZeroDivisionError()
        self.clock.advance(INTERVAL_SECONDS)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.status = statuses.node()
        self.clock.advance(INTERVAL_SECONDS)
        self.assertIn(b"attic", transport.value())
        channel.connectionLost()
        self.clock.advance(2 * INTERVAL_SECONDS)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_listeners_are_bounded(self) -> None:
        for _ in range(MOST_LISTENERS):
            self.assertEqual(self.ask("/api/v1/events").status, 200)
        self.assertEqual(self.ask("/api/v1/events").status, 503)


class WithAPassword(SiteCase):
    password = "correct horse"

    def test_it_is_needed_for_all_but_health(self) -> None:
        for target in ("/", "/api/v1/status", "/api/v1/events", "/metrics", "/nothing"):
            got = self.ask(target)
            self.assertEqual(got.status, 401, target)
            self.assertIn("Basic", got.headers["WWW-Authenticate"])
        for target in ("/", "/api/v1/status", "/metrics"):
            self.assertEqual(self.ask(target, password="correct horse").status, 200)
        self.assertEqual(self.ask("/healthz").status, 200)
        self.assertEqual(
            (self.ask("/readyz").status, self.ask("/readyz").text), (503, "not ready\n")
        )
        self.assertIn("bring b back", self.ask("/readyz", password="correct horse").text)

    def test_what_is_left_out_can_be_asked_for(self) -> None:
        self.assertNotIn(SECRET, self.ask(password="correct horse").text)
        page = self.ask("/?reveal=1", password="correct horse").text
        self.assertIn(SECRET, page)
        self.assertIn(INDEX, page)
        told = json.loads(self.ask("/api/v1/status?reveal=1", password="correct horse").body)
        self.assertIn(SECRET, told["servers"][0]["addresses"]["furl"])

    def test_guessing_is_slow(self) -> None:
        answers = [self.ask(password=f"guess {number}").status for number in range(20)]
        self.assertEqual(answers, [401] * 5 + [429] * 15)
        self.assertEqual(self.ask(password="correct horse").status, 429)
        self.assertEqual(self.ask(password="correct horse", peer="10.0.0.9").status, 200)
        self.clock.advance(5)
        self.assertEqual(self.ask(password="correct horse").status, 200)

    def test_malformed_ones_are_wrong_ones(self) -> None:
        for value in ("Basic", "Basic ???", "Bearer x", "Basic /w==", "basic " + "A" * 4000, ""):
            self.assertIn(self.ask(Authorization=value).status, (401, 429), value)

    def test_it_can_change(self) -> None:
        self.site.use_password("another one")
        self.assertEqual(self.ask(password="correct horse").status, 401)
        self.assertEqual(self.ask(password="another one").status, 200)
