"""What each endpoint answers, status by status."""

from __future__ import annotations

import cbor2

from tests.server.http.harness import (
    ALLOCATE,
    CANCEL,
    CBOR,
    CHANGE,
    ENABLER,
    INDEX,
    LEASE,
    RENEW,
    SI,
    UPLOAD,
    WRITE,
    FaceTestCase,
    raw_request,
)

OTHER = "a" * 26
ALLOCATION = cbor2.dumps({"share-numbers": {1}, "allocated-size": 10})
ADVICE = cbor2.dumps({"reason": "expected hash abcd, got hash efgh"})
NOTHING = cbor2.dumps({"test-write-vectors": {}, "read-vector": []})
OCTETS = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"

REQUESTS = {
    "version": ("GET", "version", {}, None),
    "lease": ("PUT", f"lease/{SI}", LEASE, None),
    "allocate": ("POST", f"immutable/{SI}", ALLOCATE, ALLOCATION),
    "write": ("PATCH", f"immutable/{SI}/1", WRITE, b"0123456789"),
    "abort": ("PUT", f"immutable/{SI}/1/abort", WRITE, None),
    "list": ("GET", f"immutable/{SI}/shares", {}, None),
    "read": ("GET", f"immutable/{SI}/1", {}, None),
    "advise": ("POST", f"immutable/{SI}/1/corrupt", {}, ADVICE),
    "change": ("POST", f"mutable/{SI}/read-test-write", CHANGE, NOTHING),
    "list slot": ("GET", f"mutable/{SI}/shares", {}, None),
    "read slot": ("GET", f"mutable/{SI}/1", {}, None),
    "advise slot": ("POST", f"mutable/{SI}/1/corrupt", {}, ADVICE),
}
"""Every endpoint, as a valid request."""


class EveryEndpointTests(FaceTestCase):
    def test_without_the_swissnum_nothing_else_is_looked_at(self) -> None:
        for name, (method, path, secrets, body) in REQUESTS.items():
            for swissnum in (None, b"", b"wrong"):
                answer = self.ask(method, path, secrets, body, swissnum=swissnum)
                self.assertEqual(answer.status, 401, name)
                self.assertEqual(answer.headers["www-authenticate"], "Tahoe-LAFS")
        self.assertEqual(self.ask("GET", f"immutable/{SI}/shares").message, set())

    def test_the_swissnum_is_asked_for_before_the_path(self) -> None:
        self.assertEqual(self.ask("BREW", "pot", swissnum=None).status, 401)

    def test_the_swissnum_must_come_once_in_the_right_scheme(self) -> None:
        right = "Authorization: Tahoe-LAFS d2draWRseDR2dG5va3hteTZ4Mm9hb3Rsd3RkdHd4ZDM="
        for headers, status in [
            ((right,), 200),
            ((right.replace("Tahoe-LAFS", "tahoe-lafs"),), 200),
            ((right.replace("Tahoe-LAFS", "Basic"),), 401),
            ((right, right), 401),
            (("Authorization: \xff\xfe",), 401),
            (("Authorization:",), 401),
        ]:
            answer = self.ask("GET", "version", headers=headers, swissnum=None)
            self.assertEqual(answer.status, status, headers)

    def test_a_missing_surplus_double_or_malformed_secret_is_a_bad_request(self) -> None:
        for name, (method, path, secrets, body) in REQUESTS.items():
            wrong = [{**secrets, b"magic-secret": b"x"}, {**secrets, RENEW[:-1]: b"r" * 32}]
            for kind in (RENEW, CANCEL, UPLOAD, ENABLER):
                if kind in secrets:
                    wrong.append({k: v for k, v in secrets.items() if k != kind})
                    wrong.append({**secrets, kind: b""})
                    if kind != UPLOAD:
                        wrong.append({**secrets, kind: b"x" * 31})
                        wrong.append({**secrets, kind: b"x" * 33})
                else:
                    wrong.append({**secrets, kind: b"x" * 32})
            for sent in wrong:
                answer = self.ask(method, path, sent, body)
                self.assertEqual(answer.status, 400, (name, sent))
            for line in ("upload-secret []<>", "upload-secret", "", "upload-secret eA==\tx"):
                header = f"X-Tahoe-Authorization: {line}"
                self.assertEqual(self.ask(method, path, {}, body, [header]).status, 400, line)
            for kind in secrets:
                doubled = f"X-Tahoe-Authorization: {kind.decode()} {'eHh4' * 11}eHg="
                self.assertEqual(self.ask(method, path, secrets, body, [doubled]).status, 400)
        self.assertEqual(self.ask("GET", f"immutable/{SI}/shares").message, set())
        self.assertEqual(self.allocate({1}, 10).message["allocated"], {1})

    def test_an_upload_secret_of_any_length_but_a_huge_one_will_do(self) -> None:
        for length, status in ((1, 200), (1024, 200), (1025, 400)):
            secrets = {**LEASE, UPLOAD: b"u" * length}
            answer = self.ask("POST", f"immutable/{SI}", secrets, ALLOCATION)
            self.assertEqual(answer.status, status)

    def test_unknown_methods_name_those_that_are_known(self) -> None:
        allowed: dict[str, set[str]] = {}
        for method, path, _, _ in REQUESTS.values():
            allowed.setdefault(path, set()).add(method)
            if method == "GET":
                allowed[path].add("HEAD")
        for path, methods in allowed.items():
            for method in {"GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "get"} - methods:
                answer = self.ask(method, path)
                self.assertEqual(answer.status, 405, (method, path))
                self.assertEqual(set(answer.headers["allow"].split(", ")), methods)

    def test_unknown_paths_are_not_found_and_not_html(self) -> None:
        for path in (
            *("", "versio", "version/", "version/x", "VERSION", "immutable", "immutable/", "lease"),
            *(f"lease/{SI}/1", f"lease/{SI[:-1]}", f"lease/{SI}a", f"lease/{SI.upper()}"),
            *(f"immutable/{SI}/1/abort/x", f"immutable/{SI}//abort", f"mutable/{SI}/1/abort"),
            *(f"mutable/{SI[:-1]}9/shares", f"mutable/{'b' * 26}/shares", f"immutable/{SI}/SI/N"),
            *("N", "SI", "lease/SI", "immutable/SI", "immutable/SI/N", "immutable/?"),
        ):
            for method in ("GET", "PUT", "POST"):
                answer = self.ask(method, path)
                self.assertEqual(answer.status, 404, (method, path))
                expected = OCTETS if method == "GET" and "mutable/" in path else TEXT
                self.assertEqual(answer.headers["content-type"], expected, (method, path))

    def test_paths_outside_storage_v1_are_not_found(self) -> None:
        request = raw_request("GET", "version")
        for path in (b"/", b"*", b"/storage/v2/version", b"//storage/v1/version", b"version"):
            connection = self.connect()
            connection.send(request.replace(b"/storage/v1/version", path))
            self.assertEqual(connection.answer().status, 404, path)

    def test_other_forms_of_a_path_are_understood(self) -> None:
        request = raw_request("GET", "version")
        for path in (
            b"/storage/v1/version?",
            b"/storage/v1/version?t=json",
            b"/storage/v1/%76ersion",
            b"http://there/storage/v1/version",
            b"HTTPS://there:1234/storage/v1/version",
        ):
            connection = self.connect()
            connection.send(request.replace(b"/storage/v1/version", path))
            self.assertEqual(connection.answer().status, 200, path)

    def test_a_body_where_none_belongs_is_ignored_while_it_is_small(self) -> None:
        for name, (method, path, secrets, body) in REQUESTS.items():
            if body is None:
                plain = self.ask(method, path, secrets).status
                self.assertEqual(self.ask(method, path, secrets, b"x" * 8192).status, plain, name)
                self.assertEqual(self.ask(method, path, secrets, b"x" * 8193).status, 413, name)

    def test_head_gets_what_get_would_get_without_the_body(self) -> None:
        self.store(b"0123456789", 1)
        for path in ("version", f"immutable/{SI}/1", f"immutable/{SI}/2", f"mutable/{SI}/shares"):
            got, head = self.ask("GET", path), self.ask("HEAD", path)
            self.assertEqual((head.status, head.headers), (got.status, got.headers), path)
            self.assertEqual(head.body, b"")

    def test_every_answer_is_dated(self) -> None:
        self.clock.advance(0.5)
        self.assertEqual(
            self.ask("GET", "version").headers["date"], "Tue, 14 Nov 2023 22:13:20 GMT"
        )
        self.clock.advance(0.5)
        self.assertEqual(
            self.ask("PUT", "version").headers["date"], "Tue, 14 Nov 2023 22:13:21 GMT"
        )


class VersionTests(FaceTestCase):
    def test_it_has_exactly_the_three_sizes_and_all_keys_are_bytes(self) -> None:
        sizes = self.service.get_sizes()
        self.assertEqual(
            self.ask("GET", "version").message,
            {
                b"http://allmydata.org/tahoe/protocols/storage/v1": {
                    b"maximum-immutable-share-size": sizes.maximum_immutable_share_size,
                    b"maximum-mutable-share-size": sizes.maximum_mutable_share_size,
                    b"available-space": sizes.available_space,
                },
                b"application-version": b"raic/0",
            },
        )


class LeaseTests(FaceTestCase):
    def test_nothing_stored_is_not_found(self) -> None:
        answer = self.ask("PUT", f"lease/{SI}", LEASE)
        self.assertEqual((answer.status, answer.headers["content-type"]), (404, TEXT))

    def test_a_lease_is_granted_and_renewed(self) -> None:
        self.store(b"0123456789", 1)
        self.clock.advance(100)
        answer = self.ask("PUT", f"lease/{SI}", LEASE)
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertNotIn("content-length", answer.headers)
        self.ask("PUT", f"lease/{SI}", {RENEW: b"R" * 32, CANCEL: b"C" * 32})
        leases = self.successResultOf(self.index.get_leases(INDEX))
        self.assertEqual({lease.expires for lease in leases}, {1_700_000_100 + 31 * 86400})
        self.assertEqual(len(leases), 2)

    def test_mutable_shares_have_leases_too(self) -> None:
        self.store_slot(b"x")
        self.assertEqual(self.ask("PUT", f"lease/{SI}", LEASE).status, 204)


class AllocateTests(FaceTestCase):
    def test_what_is_held_is_told_and_what_is_new_allocated(self) -> None:
        self.store(b"0123456789", 3)
        self.assertEqual(
            self.allocate({1, 2}, 10).message, {"already-have": {3}, "allocated": {1, 2}}
        )

    def test_asking_again_with_the_same_secret_gets_the_same_answer(self) -> None:
        first = self.allocate({1, 2}, 10)
        self.write(1, 0, b"012")
        self.assertEqual(self.allocate({1, 2}, 10).message, first.message)
        self.assertEqual(self.write(1, 3, b"3").message, {"required": [{"begin": 4, "end": 10}]})

    def test_with_another_secret_only_other_shares_are_allocated(self) -> None:
        self.allocate({1, 2}, 10)
        message = cbor2.dumps({"share-numbers": {2, 3}, "allocated-size": 10})
        answer = self.ask("POST", f"immutable/{SI}", {**LEASE, UPLOAD: b"v"}, message)
        self.assertEqual(answer.message, {"already-have": set(), "allocated": {3}})

    def test_impossible_share_numbers_and_sizes_are_left_out(self) -> None:
        self.assertEqual(self.allocate({255, 256, 2**64 - 1}, 10).message["allocated"], {255})
        self.assertEqual(self.allocate({1}, 2**64 - 1).message["allocated"], set())


class WriteTests(FaceTestCase):
    def test_pieces_in_any_order_complete_the_share(self) -> None:
        self.allocate({1}, 10)
        answer = self.write(1, 4, b"456")
        self.assertEqual(answer.status, 200)
        self.assertEqual(
            answer.message, {"required": [{"begin": 0, "end": 4}, {"begin": 7, "end": 10}]}
        )
        self.assertEqual(self.ask("GET", f"immutable/{SI}/shares").message, set())
        self.write(1, 0, b"01234")
        answer = self.write(1, 7, b"789")
        self.assertEqual((answer.status, answer.message), (201, {"required": []}))
        self.assertEqual(self.ask("GET", f"immutable/{SI}/1").body, b"0123456789")

    def test_other_bytes_conflict_and_equal_ones_do_not(self) -> None:
        self.allocate({1}, 10)
        self.write(1, 0, b"01234")
        self.assertEqual(self.write(1, 3, b"XX").status, 409)
        self.assertEqual(self.write(1, 0, b"01234").status, 200)

    def test_a_total_is_checked(self) -> None:
        self.allocate({1}, 10)
        self.assertEqual(self.write(1, 0, b"01", 10).status, 200)
        for total in (9, 11, 2**64):
            answer = self.write(1, 0, b"01", total)
            self.assertEqual(answer.status, 416)
            self.assertEqual(answer.headers["content-range"], "bytes */10")

    def test_no_range_of_the_share_is_not_satisfiable(self) -> None:
        self.allocate({1}, 10)
        for value in (
            *("", "not a valid content-range header at all", "bytes -1-9/10", "bytes 0--9/10"),
            *("teapots 0-9/10", "bytes 0-9", "bytes 9-0/10", "bytes 0-10/10", "bytes */10"),
            *("bytes 0-9/1", "bytes 0-10/*", "bytes 0-9/10, 0-9/10", "bytes 0-0x9/10"),
            *(f"bytes 0-{10**30}/*", "bytes=0-9", "bytes 0-9/-10", "bytes 0-9/"),
        ):
            headers = [f"Content-Range: {value}"]
            answer = self.ask("PATCH", f"immutable/{SI}/1", WRITE, b"0123456789", headers)
            self.assertEqual(answer.status, 416, value)
        answer = self.ask("PATCH", f"immutable/{SI}/1", WRITE, b"0123456789")
        self.assertEqual(answer.status, 416)
        self.assertEqual(self.write(1, 0, b"0").message, {"required": [{"begin": 1, "end": 10}]})

    def test_a_length_that_is_not_the_ranges_is_refused_before_it_is_read(self) -> None:
        self.allocate({1}, 10)
        headers = ["Content-Range: bytes 0-4/*"]
        for length in (None, 0, 4, 6):
            connection = self.connect()
            connection.send(
                raw_request("PATCH", f"immutable/{SI}/1", WRITE, None, headers, length=length)
            )
            self.assertEqual(connection.answer().status, 400, length)
        self.assertEqual(self.write(1, 9, b"9").message, {"required": [{"begin": 0, "end": 9}]})

    def test_unknown_uploads_are_not_found(self) -> None:
        self.allocate({1}, 10)
        self.assertEqual(self.write(2, 0, b"x").status, 404)
        self.assertEqual(self.write(2**64, 0, b"x").status, 404)
        headers = ["Content-Range: bytes 0-0/*"]
        self.assertEqual(
            self.ask("PATCH", f"immutable/{OTHER}/1", WRITE, b"x", headers).status, 404
        )

    def test_a_wrong_upload_secret_is_unauthorised(self) -> None:
        self.allocate({1}, 10)
        headers = ["Content-Range: bytes 0-0/*"]
        secrets = {UPLOAD: b"u" * 31}
        answer = self.ask("PATCH", f"immutable/{SI}/1", secrets, b"x", headers)
        self.assertEqual(answer.status, 401)

    def test_more_beyond_a_gap_than_is_kept_is_not_satisfiable(self) -> None:
        self.allocate({1}, 8 * 1024 * 1024)
        answer = self.write(1, 1, bytes(5 * 1024 * 1024))
        self.assertEqual((answer.status, answer.headers["content-type"]), (416, TEXT))


class AbortTests(FaceTestCase):
    def test_an_upload_in_progress_is_gone(self) -> None:
        self.allocate({1}, 10)
        self.assertEqual(self.ask("PUT", f"immutable/{SI}/1/abort", WRITE).status, 200)
        self.assertEqual(self.write(1, 0, b"x").status, 404)
        self.assertEqual(self.allocate({1}, 20).message["allocated"], {1})

    def test_a_complete_share_stays(self) -> None:
        self.store(b"0123456789", 1)
        answer = self.ask("PUT", f"immutable/{SI}/1/abort", WRITE)
        self.assertEqual((answer.status, answer.headers["allow"]), (405, ""))
        self.assertEqual(self.ask("GET", f"immutable/{SI}/1").body, b"0123456789")

    def test_an_unknown_upload_is_not_found(self) -> None:
        self.assertEqual(self.ask("PUT", f"immutable/{SI}/1/abort", WRITE).status, 404)
        self.assertEqual(self.ask("PUT", f"immutable/{SI}/{2**64}/abort", WRITE).status, 404)

    def test_a_wrong_upload_secret_is_unauthorised(self) -> None:
        self.allocate({1}, 10)
        answer = self.ask("PUT", f"immutable/{SI}/1/abort", {UPLOAD: b"v"})
        self.assertEqual(answer.status, 401)
        self.assertEqual(self.write(1, 0, b"x").status, 200)


class AdviseTests(FaceTestCase):
    def test_a_known_share_is_noted(self) -> None:
        self.store(b"0123456789", 1)
        self.store_slot(b"x", 2)
        for path in (f"immutable/{SI}/1/corrupt", f"mutable/{SI}/2/corrupt"):
            answer = self.ask("POST", path, {}, ADVICE)
            self.assertEqual((answer.status, answer.body), (200, b""))
        advisories = self.successResultOf(self.index.get_advisories(10))
        self.assertEqual(
            {(it.kind, it.shnum, it.reason) for it in advisories},
            {
                ("immutable", 1, "expected hash abcd, got hash efgh"),
                ("mutable", 2, "expected hash abcd, got hash efgh"),
            },
        )

    def test_an_unknown_share_is_not_found(self) -> None:
        self.store(b"0123456789", 1)
        for path in (f"immutable/{SI}/2", f"mutable/{SI}/1", f"immutable/{SI}/{2**64}"):
            self.assertEqual(self.ask("POST", f"{path}/corrupt", {}, ADVICE).status, 404)

    def test_the_longest_reason_is_taken_and_a_longer_one_is_not(self) -> None:
        self.store(b"0123456789", 1)
        for reason, status in (("r" * 32765, 200), ("r" * 32766, 400), ("", 400)):
            body = cbor2.dumps({"reason": reason})
            answer = self.ask("POST", f"immutable/{SI}/1/corrupt", {}, body)
            self.assertEqual(answer.status, status)


class SlotTests(FaceTestCase):
    def test_it_is_tested_read_and_written(self) -> None:
        self.store_slot(b"abcdef", 3)
        vectors = {
            "test": [{"offset": 1, "size": 2, "specimen": b"bc"}],
            "write": [{"offset": 8, "data": b"ij"}],
            "new-length": None,
        }
        read = [{"offset": 0, "size": 100}, {"offset": 100, "size": 1}]
        answer = self.change({"test-write-vectors": {3: vectors}, "read-vector": read})
        self.assertEqual(answer.message, {"success": True, "data": {3: [b"abcdef", b""]}})
        answer = self.ask("GET", f"mutable/{SI}/3")
        self.assertEqual((answer.status, answer.body), (200, b"abcdef\0\0ij"))
        self.assertEqual(self.ask("GET", f"mutable/{SI}/shares").message, {3})

    def test_nothing_is_written_when_a_test_fails(self) -> None:
        self.store_slot(b"abcdef")
        vectors = {
            "test": [{"offset": 0, "size": 1, "specimen": b"X"}],
            "write": [{"offset": 0, "data": b"Y"}],
            "new-length": 1,
        }
        answer = self.change({"test-write-vectors": {0: vectors}, "read-vector": []})
        self.assertEqual(answer.message, {"success": False, "data": {0: []}})
        self.assertEqual(self.ask("GET", f"mutable/{SI}/0").body, b"abcdef")

    def test_a_wrong_write_enabler_is_unauthorised(self) -> None:
        self.store_slot(b"abcdef")
        answer = self.change(
            {"test-write-vectors": {}, "read-vector": []}, {**CHANGE, ENABLER: b"W" * 32}
        )
        self.assertEqual(answer.status, 401)

    def test_a_share_over_the_limit_is_too_large(self) -> None:
        write = {"test": [], "write": [{"offset": 2**64 - 1, "data": b"x"}], "new-length": None}
        answer = self.change({"test-write-vectors": {0: write}, "read-vector": []})
        self.assertEqual(answer.status, 413)

    def test_shares_of_an_unknown_slot_are_an_empty_set(self) -> None:
        answer = self.ask("GET", f"mutable/{SI}/shares")
        self.assertEqual((answer.status, answer.message), (200, set()))
        self.assertEqual(answer.headers["content-type"], CBOR)
