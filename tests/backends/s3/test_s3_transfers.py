"""Uploads and streams that meet with trouble on the way, and what they cost in requests."""

from __future__ import annotations

from time import perf_counter

from raic.backends import partupload
from raic.errors import (
    AccessDenied,
    KeyTaken,
    OutcomeUnknown,
    ProviderBusy,
    ProviderUnreachable,
    StorageUnusable,
)
from raic.interfaces import IObjectUpload
from raic.values import Stored
from tests.backends.s3.little import error, request_name
from tests.backends.s3.scripted import KEY, MIB, PATH, Scripted, driven
from tests.contracts.consumer import Collector
from tests.contracts.provider import pattern
from tests.services.scripted_http import Answer, Request, Then

TEN = b"0123456789"
LARGE = pattern(11 * MIB + 1)
SLOW_DOWN = error(503, "SlowDown")
FAILED = error(500, "InternalError")
RESET = Answer(silent=True, then=Then.RESET)
FAILED_LATE = Answer(200, b"<Error><Code>InternalError</Code><Message>no</Message></Error>")
PARTS = ["begin", "complete", "part", "part", "part"]


class UploadTests(Scripted):
    async def start(self) -> None:
        await super().start()
        self.patch(partupload, "FIRST_PAUSE", 0.001)

    async def begun(self, data: bytes = LARGE) -> IObjectUpload:
        upload = self.provider.open_upload(KEY, len(data))
        await upload.write(data)
        return upload

    async def upload(self, data: bytes = LARGE) -> Stored:
        return await (await self.begun(data)).finish()

    @driven
    async def test_a_small_object_is_one_request(self) -> None:
        await self.upload(TEN)
        await self.provider.put_object(KEY + "1", TEN)
        self.assertEqual(self.asked(), ["put", "put"])

    @driven
    async def test_a_large_object_goes_in_parts(self) -> None:
        self.assertEqual(await self.upload(), Stored(KEY, len(LARGE)))
        self.assertTrue(self.s3.objects[PATH] == LARGE)
        self.assertEqual(sorted(self.asked()), PARTS)
        numbers = [r.query["partNumber"] for r in self.server.requests if "partNumber" in r.query]
        self.assertEqual(sorted(numbers), ["1", "2", "3"])

    @driven
    async def test_what_failed_on_the_way_is_sent_again(self) -> None:
        for name in ("begin", "part", "complete"):
            for wrong in ([SLOW_DOWN], [FAILED, FAILED], [RESET, SLOW_DOWN, FAILED]):
                self.s3.objects.clear()
                self.server.requests.clear()
                self.s3.wrong = {name: [None, *wrong] if name == "part" else [*wrong]}
                await self.upload()
                self.assertTrue(self.s3.objects[PATH] == LARGE)
                self.assertEqual(sorted(self.asked()), sorted([*PARTS, *([name] * len(wrong))]))

    @driven
    async def test_a_small_object_is_sent_again_too(self) -> None:
        self.s3.wrong = {"put": [FAILED, RESET]}
        await self.upload(TEN)
        self.assertEqual(self.asked(), ["put"] * 3)

    @driven
    async def test_a_late_failure_to_complete_is_a_failure(self) -> None:
        self.s3.wrong = {"complete": [FAILED_LATE]}
        await self.upload()
        self.assertEqual(self.asked().count("complete"), 2)

    @driven
    async def test_a_completion_whose_answer_is_lost_is_found_to_have_succeeded(self) -> None:
        self.s3.lost = {"complete", "put"}
        self.s3.wrong = {"complete": [RESET], "put": [RESET]}
        await self.upload()
        self.assertEqual(self.asked()[-3:], ["complete", "head", "abort"])
        self.s3.objects.clear()
        await self.upload(TEN)
        self.assertEqual(self.asked()[-3:], ["put", "put", "get"])
        self.assertEqual(self.s3.objects[PATH], TEN)

    @driven
    async def test_answers_that_stay_away_leave_the_outcome_unknown(self) -> None:
        for name, data in (("complete", LARGE), ("put", TEN)):
            for last in (RESET, SLOW_DOWN, error(403, "AccessDenied")):
                self.s3.wrong = {name: [RESET]}
                self.s3.always_wrong = {name: last}
                upload = await self.begun(data)
                await self.refused(upload.finish(), OutcomeUnknown)
                await upload.abort()
                self.assertEqual(self.s3.uploads, {})
                self.assertEqual(self.s3.objects, {})

    @driven
    async def test_an_upload_that_failed_leaves_nothing(self) -> None:
        for name, kind, answer in (
            ("part", AccessDenied, error(403, "AccessDenied")),
            ("part", ProviderBusy, SLOW_DOWN),
            ("part", ProviderUnreachable, RESET),
            ("complete", ProviderBusy, SLOW_DOWN),
            ("complete", StorageUnusable, error(404, "NoSuchUpload")),
        ):
            self.s3.always_wrong = {name: answer}
            upload = self.provider.open_upload(KEY, len(LARGE))

            async def whole(upload: IObjectUpload = upload) -> None:
                await upload.write(LARGE)
                await upload.finish()

            await self.refused(whole(), kind)
            await self.refused(upload.write(b""), kind)
            await upload.abort()
            self.assertEqual(self.s3.uploads, {})
            self.assertEqual(self.s3.objects, {})
        self.s3.always_wrong = {"begin": error(403, "AccessDenied")}
        upload = self.provider.open_upload(KEY, len(LARGE))
        await self.refused(upload.write(LARGE), AccessDenied)
        await upload.abort()

    @driven
    async def test_an_abort_that_fails_is_left_for_later(self) -> None:
        self.s3.always_wrong = {"abort": FAILED}
        upload = await self.begun()
        await upload.abort()
        self.assertEqual(len(self.s3.uploads), 1)

    @driven
    async def test_the_same_parts_may_come_again_but_no_others(self) -> None:
        await self.upload()
        await self.upload()
        self.assertEqual(self.asked()[-3:], ["complete", "head", "abort"])
        other = b"x" + LARGE[1:]
        for data in (other, other[:-1]):
            upload = await self.begun(data)
            await self.refused(upload.finish(), KeyTaken)
            await upload.abort()
        self.assertTrue(self.s3.objects[PATH] == LARGE)
        self.assertEqual(self.s3.uploads, {})

    @driven
    async def test_an_etag_that_says_nothing_leaves_the_key_taken(self) -> None:
        await self.upload()
        opaque = Answer(200, headers={"ETag": '"opaque"'})
        self.s3.wrong = {"part": [opaque, opaque, opaque]}
        await self.refused(self.upload(), KeyTaken)

    @driven
    async def test_a_service_without_conditions_is_found_out_once(self) -> None:
        self.s3.wrong = {"put": [error(501, "NotImplemented")]}
        await self.upload(TEN)
        await self.provider.put_object(KEY + "1", TEN)
        await self.upload()
        conditions = ["if-none-match" in request.headers for request in self.server.requests]
        self.assertEqual(conditions, [True] + [False] * 7)

    @driven
    async def test_conditions_can_be_demanded_or_left_out(self) -> None:
        await self.provider.stop()
        self.provider = self.make_provider(conditional=False)
        await self.provider.start()
        self.assertFalse(
            any("if-none-match" in request.headers for request in self.server.requests)
        )
        await self.provider.stop()
        self.provider = self.make_provider(conditional=True)
        self.s3.wrong = {"put": [error(501, "NotImplemented")]}
        await self.refused(self.provider.start(), StorageUnusable)

    @driven
    async def test_a_link_may_be_slow_as_long_as_it_moves(self) -> None:
        await self.provider.stop()
        self.provider = self.make_provider(connect_timeout=0.4, read_timeout=5)
        await self.provider.start()
        self.server.pause = 0.01
        begun = perf_counter()
        await self.provider.put_object(KEY, LARGE)
        self.assertGreater(perf_counter() - begun, 0.8)
        self.assertTrue(self.s3.objects[PATH] == LARGE)

    @driven
    async def test_new_objects_get_what_was_configured(self) -> None:
        await self.provider.stop()
        kinds = {"storage_class": "STANDARD_IA", "server_side_encryption": "aws:kms"}
        self.provider = self.make_provider(**kinds, sse_kms_key_id="a-key")
        await super().start()
        await self.provider.put_object(KEY + "1", TEN)
        await self.upload()
        for request in self.server.requests:
            if request_name(request) in {"put", "begin"}:
                self.assertEqual(request.headers["x-amz-storage-class"], "STANDARD_IA")
                self.assertEqual(request.headers["x-amz-server-side-encryption"], "aws:kms")
                key_id = request.headers["x-amz-server-side-encryption-aws-kms-key-id"]
                self.assertEqual(key_id, "a-key")


class StreamTests(Scripted):
    @driven
    async def test_a_read_of_any_size_is_one_request(self) -> None:
        self.s3.objects[PATH] = LARGE
        collector = Collector()
        await self.provider.stream_object(KEY, 1, len(LARGE), collector)
        self.assertTrue(collector.data == LARGE[1:])
        self.assertTrue(await self.provider.get_object(KEY, 2, len(LARGE)) == LARGE[2:])
        await self.provider.get_object(KEY, 3, 0)
        self.assertEqual(self.asked(), ["get", "get", "head"])

    @driven
    async def test_a_body_that_breaks_off_is_continued(self) -> None:
        self.s3.objects[PATH] = LARGE
        cut = 3 * MIB
        headers = {"Content-Range": f"bytes 0-{len(LARGE) - 1}/{len(LARGE)}"}
        broken = Answer(206, LARGE[:cut], headers, announced=len(LARGE), then=Then.CLOSE)
        self.s3.wrong = {"get": [broken]}
        collector = Collector()
        count = await self.provider.stream_object(KEY, 0, len(LARGE), collector)
        self.assertEqual(count, len(LARGE))
        self.assertTrue(collector.data == LARGE)
        self.assertEqual(len(self.server.requests), 2)
        continued = self.server.requests[1].headers["range"]
        begin = int(continued.removeprefix("bytes=").partition("-")[0])
        self.assertTrue(0 < begin <= cut)

    @driven
    async def test_a_body_that_breaks_off_without_bringing_anything_is_a_failure(self) -> None:
        self.s3.objects[PATH] = LARGE

        def broken(request: Request) -> Answer:
            begin = int(request.headers["range"].removeprefix("bytes=").partition("-")[0])
            rest = LARGE[begin:]
            headers = {"Content-Range": f"bytes {begin}-{len(LARGE) - 1}/{len(LARGE)}"}
            sent = rest[: MIB if begin == 0 else 10]
            return Answer(206, sent, headers, announced=len(rest), then=Then.CLOSE)

        self.s3.always_wrong = {"get": broken}
        collector = Collector()
        streaming = self.provider.stream_object(KEY, 0, len(LARGE), collector)
        await self.refused(streaming, ProviderUnreachable)
        self.assertEqual(len(self.server.requests), 2)
        self.assertTrue(LARGE.startswith(collector.data))

    async def first_piece(self, collector: Collector) -> None:
        collector.resume()
        while not collector.pieces:
            await self.turn()

    @driven
    async def test_a_paused_stream_holds_no_thread(self) -> None:
        await self.provider.stop()
        self.provider = self.make_provider(threads=1)
        await self.provider.start()
        self.s3.objects[PATH] = LARGE
        collector = Collector(pausing=True)
        streaming = self.provider.stream_object(KEY, 0, len(LARGE), collector)
        await self.first_piece(collector)
        self.assertEqual(await self.provider.get_object(KEY, 0, 4), LARGE[:4])
        self.assertFalse(streaming.called)
        self.assertEqual(len(collector.pieces), 1)
        collector.stop()
        self.assertLess(await streaming, len(LARGE))

    @driven
    async def test_stopping_ends_streams(self) -> None:
        self.s3.objects[PATH] = LARGE
        collector = Collector(pausing=True)
        streaming = self.provider.stream_object(KEY, 0, len(LARGE), collector)
        await self.first_piece(collector)
        await self.provider.stop()
        self.assert_no_thread()
        collector.resume()
        while collector.registered:
            await self.turn()
            collector.resume()
        await self.refused(streaming, StorageUnusable)
