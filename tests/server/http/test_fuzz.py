"""Nothing that a client sends makes a 500, an HTML page or a traceback, or changes anything that
it may not change.

``RAIC_FUZZ`` sets the number of examples, for a longer campaign.
"""

from __future__ import annotations

import os
from base64 import b64encode

import cbor2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.http.harness import (
    CANCEL,
    ENABLER,
    RENEW,
    SI,
    SWISSNUM,
    UPLOAD,
    Answer,
    FaceTestCase,
)

EXAMPLES = int(os.environ.get("RAIC_FUZZ", "150"))

STATUSES = {200, 201, 204, 206, 400, 401, 404, 405, 406, 409, 413, 415, 416}
"""All that the protocol has; 503 is for failures, of which there are none here."""

HEALTHY = b"Authorization: Tahoe-LAFS " + b64encode(SWISSNUM)

WORDS = [
    "version",
    "lease",
    "immutable",
    "mutable",
    "shares",
    "abort",
    "corrupt",
    "read-test-write",
    "0",
    "1",
    "7",
    "255",
    "256",
    "007",
    "-1",
    "1e3",
    "%30",
    "18446744073709551616",
    "x",
    "%",
    "..",
    "?",
    "shares?x=1",
    "\x7f",
]
segments = st.sampled_from(["", SI, "a" * 26, *WORDS])
methods = st.sampled_from(["GET", "PUT", "POST", "PATCH", "HEAD", "DELETE", "OPTIONS", "get"])
targets = st.one_of(
    st.lists(segments, max_size=6).map(lambda parts: "/storage/v1/" + "/".join(parts)),
    st.sampled_from(["version", f"lease/{SI}", f"immutable/{SI}", f"immutable/{SI}/1"]).map(
        lambda path: "/storage/v1/" + path
    ),
    st.sampled_from(
        [f"immutable/{SI}/1/abort", f"immutable/{SI}/0/corrupt", f"mutable/{SI}/read-test-write"]
    ).map(lambda path: "/storage/v1/" + path),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
)
secret_lines = st.builds(
    lambda kind, secret: b"X-Tahoe-Authorization: " + kind + b" " + secret,
    st.sampled_from([RENEW, CANCEL, UPLOAD, ENABLER, b"x", b""]),
    st.one_of(
        st.sampled_from([b64encode(b"u" * 32), b64encode(b"w" * 31), b"", b"=", b"!"]),
        st.binary(max_size=10).map(b64encode),
    ),
)
OTHER_LINES = b"""Content-Range: bytes 0-9/10
Content-Range: bytes 0-99999999999/*
Content-Range: x
Range: bytes=0-4
Range: bytes=5-1
Range: bytes=100-200
Range: x
Accept: application/json
Accept: text/html
Accept: */*;q=0.1
Accept: \xff
Content-Type: application/json
Content-Type: text/html
Connection: close
Expect: 100-continue
Content-Length: 5
Content-Length: 10
Content-Length: 99999999999999999999
Transfer-Encoding: chunked
Bad Header
X: \xff\xfe"""
other_lines = st.sampled_from(OTHER_LINES.split(b"\n"))
NAMES = [
    "share-numbers",
    "allocated-size",
    "reason",
    "test-write-vectors",
    "read-vector",
    "test",
    "write",
    "new-length",
    "offset",
    "size",
    "specimen",
    "data",
]
numbers = st.integers(-5, 2**65)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.binary(max_size=20) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.integers(0, 300), inner, max_size=3)
    ),
    max_leaves=8,
)
bodies = st.one_of(
    st.just(b""),
    st.just(b"0123456789"),
    st.binary(max_size=40),
    values.map(cbor2.dumps),
    st.sampled_from([b"{}", b'{"reason": "x"}', b"[[[", b"5\r\n01234\r\n0\r\n\r\n"]),
    st.just(cbor2.dumps({"share-numbers": {5}, "allocated-size": 10})),
    st.just(cbor2.dumps({"test-write-vectors": {}, "read-vector": [{"offset": 0, "size": 9}]})),
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Requests, most of them almost right."""
    method, target = draw(methods), draw(targets)
    body: bytes = draw(bodies)
    lines: list[bytes] = [f"{method} {target} HTTP/1.{draw(st.sampled_from('1110'))}".encode()]
    lines += draw(st.sampled_from([[HEALTHY]] * 9 + [[]]))
    lines += draw(st.lists(secret_lines, max_size=3))
    lines += draw(st.lists(other_lines, max_size=3))
    if draw(st.integers(0, 9)):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class FuzzTests(FaceTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.store(b"immutable!", 0)
        self.store_slot(b"mutable!!!", 0)
        self.allocate({1}, 10)

    def check(self, answer: Answer) -> None:
        self.assertIn(answer.status, STATUSES)
        self.assertNotIn("html", answer.headers.get("content-type", ""))
        self.assertNotIn(b"Traceback", answer.body)
        self.assertNotIn(b"<", answer.body)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        # The same site serves every example: what one did must not matter to the others.
        suppress_health_check=[HealthCheck.differing_executors],
    )
    @given(sent=st.lists(requests(), min_size=1, max_size=3), step=st.sampled_from([1, 7, 10**6]))
    def test_every_answer_is_one_of_the_protocols(self, sent: list[bytes], step: int) -> None:
        connection = self.connect()
        data = b"".join(sent)
        for at in range(0, len(data), step):
            connection.send(data[at : at + step])
        answers = connection.received()
        while answers:
            self.assertTrue(answers.startswith(b"HTTP/1.1 "), answers[:50])
            head, _, rest = answers.partition(b"\r\n\r\n")
            if head == b"HTTP/1.1 100 Continue":
                answers = rest
                continue
            lines = head.decode("ascii").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            length = int(headers.get("content-length", 0))
            # The answer to a HEAD has a length and no body: what follows is another answer.
            body = b"" if rest.startswith(b"HTTP/1.1 ") else rest[:length]
            self.check(Answer(int(lines[0].split(" ")[1]), headers, body))
            answers = rest[len(body) :]
        if not connection.closed:
            connection.lose()
        self.assertEqual(self.budget.taken, 0)
        self.assertEqual(self.fatal, [])
        self.assertEqual(self.ask("GET", f"immutable/{SI}/0").body, b"immutable!")
        self.assertEqual(self.ask("GET", f"mutable/{SI}/0").body, b"mutable!!!")
