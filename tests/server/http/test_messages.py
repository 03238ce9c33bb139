"""Messages in both encodings, and which of them is used."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import cbor2
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from raic.server.http import encodings
from raic.server.http.cbor import MAX_DEPTH, MAX_ITEMS, loads
from raic.server.http.face import DECODED_AT_ONCE_BYTES
from raic.server.http.negotiation import answer_encoding, request_encoding
from tests.server.http.harness import ALLOCATE, CBOR, CHANGE, SI, FaceTestCase

JSON = "application/json"
CONTENT_JSON = "Content-Type: application/json"
ACCEPT_JSON = "Accept: application/json"

ALLOCATE_PATH = f"immutable/{SI}"
CHANGE_PATH = f"mutable/{SI}/read-test-write"


def tagged_set(content: bytes) -> bytes:
    """An allocation whose set is this array."""
    return (
        b"\xa2"
        + cbor2.dumps("share-numbers")
        + b"\xd9\x01\x02"
        + content
        + cbor2.dumps("allocated-size")
        + b"\x0a"
    )


class CBORTests(FaceTestCase):
    def allocate_with(self, body: bytes) -> int:
        return self.ask("POST", ALLOCATE_PATH, ALLOCATE, body).status

    def test_a_set_is_taken_and_an_array_is_not(self) -> None:
        self.assertEqual(self.allocate_with(tagged_set(b"\x82\x01\x02")), 200)
        self.assertEqual(self.allocate_with(tagged_set(b"\x9f\x01\x02\xff")), 200)
        plain = cbor2.dumps({"share-numbers": [1, 2], "allocated-size": 10})
        self.assertEqual(self.allocate_with(plain), 400)

    def test_what_is_not_of_the_schema_is_a_bad_request(self) -> None:
        messages: tuple[object, ...] = (
            {},
            {"share-numbers": {1}},
            {"share-numbers": {1}, "allocated-size": 10, "more": 1},
            {"share-numbers": {-1}, "allocated-size": 10},
            {"share-numbers": {2**64}, "allocated-size": 10},
            {"share-numbers": {1}, "allocated-size": 2**64},
            {"share-numbers": {1}, "allocated-size": -1},
            {"share-numbers": {1}, "allocated-size": True},
            {"share-numbers": {1}, "allocated-size": 1.5},
            {"share-numbers": {"1"}, "allocated-size": 10},
            {"share-numbers": set(range(257)), "allocated-size": 10},
            {b"share-numbers": {1}, b"allocated-size": 10},
            [],
            None,
            "share-numbers",
        )
        for message in messages:
            self.assertEqual(self.allocate_with(cbor2.dumps(message)), 400, message)
        self.assertEqual(len(self.service.uploads), 0)

    def test_bombs_are_a_bad_request(self) -> None:
        for body in (
            b"",
            b"\xff",
            b"\x81" * 8192,
            b"\x9f" * 8192,
            b"\xd8\x20" * 4096,
            b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"\xbb\x00\x00\x00\xff\xff\xff\xff\xff",
            b"\x7f" + b"\x61\xff" * 100,
            tagged_set(b"\x81\xc2\x49\x01" + bytes(8)),
            tagged_set(b"\x81\xc4\x82\x1a\x7f\xff\xff\xff\x01"),
            tagged_set(b"\x81\xd8\x23\x61("),
            tagged_set(b"\x81\xd8\x1d\x00"),
        ):
            self.assertEqual(self.allocate_with(body), 400, body[:20])

    def test_a_message_of_very_many_items_is_a_bad_request(self) -> None:
        for body in (b"\x80" * MAX_MESSAGE_ITEMS, b"\x9f" + b"\x00" * MAX_MESSAGE_ITEMS):
            self.assertEqual(self.ask("POST", CHANGE_PATH, CHANGE, body).status, 400)

    def test_a_large_message_of_few_items_is_taken(self) -> None:
        data = bytes(DECODED_AT_ONCE_BYTES + 1)
        self.store_slot(data)
        self.assertEqual(self.ask("GET", f"mutable/{SI}/0").body, data)

    def test_no_content_type_means_cbor(self) -> None:
        self.assertEqual(self.allocate({1}, 10).status, 200)

    def test_any_other_content_type_is_unsupported(self) -> None:
        body = cbor2.dumps({"share-numbers": {1}, "allocated-size": 10})
        for kind in ("some/value", "text/html", "application/cbor2", ";", "*/*"):
            headers = [f"Content-Type: {kind}"]
            answer = self.ask("POST", ALLOCATE_PATH, ALLOCATE, body, headers)
            self.assertEqual(answer.status, 415, kind)

    def test_an_encoding_that_cannot_be_sent_is_not_acceptable_and_nothing_is_done(self) -> None:
        body = cbor2.dumps({"share-numbers": {1}, "allocated-size": 10})
        answer = self.ask("POST", ALLOCATE_PATH, ALLOCATE, body, ["Accept: image/gif"])
        self.assertEqual(answer.status, 406)
        self.assertEqual(len(self.service.uploads), 0)
        self.assertEqual(self.ask("GET", "version", headers=["Accept: image/gif"]).status, 406)


MAX_MESSAGE_ITEMS = MAX_ITEMS + 10


class JSONTests(FaceTestCase):
    def json(self, method: str, path: str, secrets: dict[bytes, bytes], message: object) -> Any:
        body = None if message is None else json.dumps(message).encode()
        answer = self.ask(method, path, secrets, body, [CONTENT_JSON, ACCEPT_JSON])
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, JSON))
        return json.loads(answer.body)

    def test_the_version_has_text_keys(self) -> None:
        version = self.json("GET", "version", {}, None)
        sizes = version["http://allmydata.org/tahoe/protocols/storage/v1"]
        self.assertEqual(sizes["maximum-mutable-share-size"], 1024 * 1024)
        self.assertEqual(version["application-version"], b64encode(b"raic/0").decode())

    def test_sets_are_arrays(self) -> None:
        answer = self.json(
            "POST", ALLOCATE_PATH, ALLOCATE, {"share-numbers": [7, 1], "allocated-size": 10}
        )
        self.assertEqual(answer, {"already-have": [], "allocated": [1, 7]})
        headers = ["Content-Range: bytes 0-4/10", ACCEPT_JSON]
        written = self.ask(
            "PATCH", f"immutable/{SI}/1", {b"upload-secret": b"u" * 32}, b"01234", headers
        )
        self.assertEqual(json.loads(written.body), {"required": [{"begin": 5, "end": 10}]})
        self.assertEqual(self.json("GET", f"immutable/{SI}/shares", {}, None), [])

    def test_bytes_are_base64_and_share_numbers_strings(self) -> None:
        vectors = {
            "test": [{"offset": 0, "size": 1, "specimen": ""}],
            "write": [{"offset": 0, "data": b64encode(b"\xffhello").decode()}],
            "new-length": None,
        }
        answer = self.json(
            "POST", CHANGE_PATH, CHANGE, {"test-write-vectors": {"3": vectors}, "read-vector": []}
        )
        self.assertEqual(answer, {"success": True, "data": {}})
        read = {"test-write-vectors": {}, "read-vector": [{"offset": 0, "size": 3}]}
        self.assertEqual(
            self.json("POST", CHANGE_PATH, CHANGE, read),
            {"success": True, "data": {"3": [b64encode(b"\xffhe").decode()]}},
        )

    def test_what_is_not_of_the_schema_is_a_bad_request(self) -> None:
        one: dict[str, object] = {"test": [], "write": [], "new-length": None}
        bad = {**one, "write": [{"offset": 0, "data": "!"}]}
        allocations: tuple[object, ...] = (
            *({}, [], None, 1, "x", [[]]),
            {"share-numbers": [[]], "allocated-size": 1},
            {"share-numbers": 1, "allocated-size": 1},
            {"share-numbers": [1.5], "allocated-size": 1},
            {"share-numbers": [1], "allocated-size": 10**30},
        )
        changes: tuple[object, ...] = (
            {"test-write-vectors": [], "read-vector": []},
            {"test-write-vectors": {"x": one}, "read-vector": []},
            {"test-write-vectors": {"-1": one}, "read-vector": []},
            {"test-write-vectors": {"1": 1}, "read-vector": []},
            {"test-write-vectors": {"1": bad}, "read-vector": []},
            {"test-write-vectors": {"1": {**one, "write": [{"offset": 0, "data": 1}]}}},
        )
        for path, secrets, messages in (
            (ALLOCATE_PATH, ALLOCATE, allocations),
            (CHANGE_PATH, CHANGE, changes),
            (f"immutable/{SI}/1/corrupt", {}, ({"reason": 1}, {"reason": "\ud800"})),
        ):
            for message in messages:
                body = json.dumps(message).encode()
                answer = self.ask("POST", path, secrets, body, [CONTENT_JSON])
                self.assertEqual(answer.status, 400, message)

    def test_bombs_are_a_bad_request(self) -> None:
        for body in (b"", b"{", b"[" * 100_000, b"\xff\xfe", b"9" * 10_000, b"NaN", b'"\\ud800"'):
            answer = self.ask("POST", CHANGE_PATH, CHANGE, body, [CONTENT_JSON])
            self.assertEqual(answer.status, 400, body[:10])


class NegotiationTests(SynchronousTestCase):
    def test_the_preferred_encoding_is_chosen(self) -> None:
        for accept, expected in (
            ("application/cbor", CBOR),
            ("application/json", JSON),
            ("*/*", CBOR),
            ("application/*", CBOR),
            ("APPLICATION/JSON", JSON),
            ("application/json, application/cbor", CBOR),
            ("application/json, application/cbor;q=0.5", JSON),
            ("application/json;q=0.3, */*;q=0.2", JSON),
            ("application/cbor;q=0, */*", JSON),
            ("text/html, application/json;q=0.9, */*;q=0.8", JSON),
            ("application/json; charset=utf-8 ; q=1.000", JSON),
            ("image/gif", None),
            ("application/cbor;q=0", None),
            ("application/json;q=nonsense", None),
            ("application/json;q=1.5", None),
            ("text/*", None),
            (",", None),
        ):
            chosen = answer_encoding([accept.encode()])
            self.assertEqual(chosen and chosen.media_type, expected, accept)
        self.assertIs(answer_encoding(None), encodings.CBOR)
        self.assertIs(answer_encoding([b"image/gif", b"application/json"]), encodings.JSON)

    def test_the_content_type_may_have_parameters(self) -> None:
        self.assertIs(request_encoding([b"application/json; charset=utf-8"]), encodings.JSON)
        self.assertIs(request_encoding([b"Application/CBOR"]), encodings.CBOR)
        self.assertIs(request_encoding([b""]), encodings.CBOR)


MEMBERS = (
    st.integers(0, 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=300) | st.booleans()
)
VALUES = st.recursive(
    MEMBERS | st.none(),
    lambda inner: (
        st.lists(inner, max_size=30)
        | st.sets(MEMBERS, max_size=30)
        | st.dictionaries(MEMBERS, inner, max_size=30)
    ),
    max_leaves=20,
)


def depth_of(value: object) -> int:
    if isinstance(value, list | dict):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max([depth_of(item) for item in inner], default=0)
    return 2 if isinstance(value, set) else 0


class DecoderTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=50)
    @given(value=VALUES)
    def test_what_cbor2_writes_is_read(self, value: object) -> None:
        if depth_of(value) < MAX_DEPTH:
            self.assertEqual(loads(cbor2.dumps(value)), value)
        else:
            self.assertRaises(ValueError, loads, cbor2.dumps(value))

    @given(data=st.binary(max_size=100))
    def test_anything_else_is_an_error_and_no_other(self, data: bytes) -> None:
        try:
            value = loads(data)
        except ValueError:
            return
        self.assertEqual(cbor2.loads(data), value)

    @settings(deadline=None, max_examples=50)
    @given(value=VALUES, at=st.integers(0, 200))
    def test_whatever_is_cut_short_or_too_long_is_an_error(self, value: object, at: int) -> None:
        data = cbor2.dumps(value)
        self.assertRaises(ValueError, loads, data[: at % len(data)])
        self.assertRaises(ValueError, loads, data + b"\x00")

    def test_indefinite_lengths_are_read(self) -> None:
        for data, value in (
            (b"\x5f\x42ab\x41c\xff", b"abc"),
            (b"\x7f\x61a\x60\xff", "a"),
            (b"\x9f\x01\x9f\xff\xff", [1, []]),
            (b"\xbf\x61a\x01\xff", {"a": 1}),
            (b"\xd9\x01\x02\x9f\x01\xff", {1}),
        ):
            self.assertEqual(loads(data), value)

    def test_other_kinds_are_errors(self) -> None:
        for data in (
            *(b"\x20", b"\xf9\x00\x00", b"\xf7", b"\xe0", b"\xff", b"\x1f", b"\x1c", b"\x3f"),
            *(b"\xc2\x41\x01", b"\xd9\x01\x02\x01", b"\xd9\x01\x02\x81\x80", b"\xdf\x80"),
            *(b"\x5f\x61a\xff", b"\x5f\x5f\xff\xff", b"\xa1\x80\x01", b"\xbf\x01\xff", b"\x61\xff"),
        ):
            self.assertRaises(ValueError, loads, data)

    def test_too_many_items_or_levels_are_errors(self) -> None:
        self.assertEqual(len(loads(cbor2.dumps([0] * (MAX_ITEMS - 1)))), MAX_ITEMS - 1)  # type: ignore[arg-type]  # a list
        self.assertRaises(ValueError, loads, cbor2.dumps([0] * MAX_ITEMS))
        self.assertEqual(loads(b"\x81" * MAX_DEPTH + b"\x00")[0] is None, False)  # type: ignore[index]  # a list
        self.assertRaises(ValueError, loads, b"\x81" * (MAX_DEPTH + 1) + b"\x00")


GOOD: dict[str, tuple[str, dict[bytes, bytes], dict[str, Any]]] = {
    "allocation": (ALLOCATE_PATH, ALLOCATE, {"share-numbers": {1}, "allocated-size": 5}),
    "advisory": (f"immutable/{SI}/1/corrupt", {}, {"reason": "x"}),
    "changes": (
        CHANGE_PATH,
        CHANGE,
        {
            "test-write-vectors": {
                1: {
                    "test": [{"offset": 0, "size": 1, "specimen": b""}],
                    "write": [{"offset": 0, "data": b"x"}],
                    "new-length": 3,
                }
            },
            "read-vector": [{"offset": 1, "size": 2}],
        },
    ),
}
WRONG: tuple[object, ...] = (
    *(-1, 2**64, b"x", "x", "", [1], None, 1.5, True, {"a": 1}, {1: 1}, {1}, {"x"}, [[]], [None]),
    cbor2.undefined,
)


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every part of a message is."""
    yield at
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths(value[key], (*at, key))


def replaced(value: Any, path: tuple[Any, ...], part: object) -> Any:
    """The message with one part replaced."""
    if not path:
        return part
    changed = value.copy()
    changed[path[0]] = replaced(value[path[0]], path[1:], part)
    return changed


def part_of(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


class SchemaTests(FaceTestCase):
    def test_a_part_of_a_wrong_type_is_a_bad_request(self) -> None:
        for path, secrets, message in GOOD.values():
            for at in paths(message):
                right = part_of(message, at)
                for wrong in WRONG:
                    if type(wrong) is type(right) and wrong not in (-1, 2**64, ""):
                        continue
                    if wrong is None and at[-1:] == ("new-length",):
                        continue
                    body = cbor2.dumps(replaced(message, at, wrong))
                    answer = self.ask("POST", path, secrets, body)
                    self.assertEqual(answer.status, 400, (at, wrong))

    def test_a_key_too_many_or_too_few_is_a_bad_request(self) -> None:
        for path, secrets, message in GOOD.values():
            for at in paths(message):
                part = part_of(message, at)
                if isinstance(part, dict):
                    first = next(iter(part))
                    without = {key: part[key] for key in part if key != first}
                    for wrong in ({**part, "more": part[first]}, without or {"": part[first]}):
                        body = cbor2.dumps(replaced(message, at, wrong))
                        answer = self.ask("POST", path, secrets, body)
                        self.assertEqual(answer.status, 400, (at, wrong))

    def test_the_numbers_of_vectors_are_limited(self) -> None:
        path, secrets, message = GOOD["changes"]
        for at, most in (
            (("read-vector",), 30),
            (("test-write-vectors", 1, "test"), 30),
            (("test-write-vectors", 1, "write"), None),
        ):
            (entry,) = part_of(message, at)
            for number, status in ((most or 1000, 200), ((most or 15_000) + 1, 400)):
                body = cbor2.dumps(replaced(message, at, [entry] * number))
                self.assertEqual(self.ask("POST", path, secrets, body).status, status, at)
        share = message["test-write-vectors"][1]
        for number, status in ((256, 200), (257, 400)):
            vectors = {shnum: {**share, "test": []} for shnum in range(number)}
            body = cbor2.dumps({**message, "test-write-vectors": vectors})
            self.assertEqual(self.ask("POST", path, secrets, body).status, status)
