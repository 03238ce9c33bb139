"""The endpoints of immutable shares."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from raic.interfaces import IAllocation, IBucketUpload
from raic.server.http.authorization import UPLOAD
from raic.server.http.bodies import ShareData
from raic.server.http.face import StorageFace, bodiless
from raic.server.http.failures import Refusal
from raic.server.http.general import LEASE, lease_secrets
from raic.server.http.messages import ALLOCATION, Allocation
from raic.server.http.ranges import parse_content_range
from raic.server.http.request import StorageRequest
from raic.server.http.routes import Endpoint


def _allocate(face: StorageFace, request: StorageRequest, length: int | None) -> None:
    def allocate(wanted: Allocation) -> Deferred[None]:
        allocating = face.service.allocate_buckets(
            request.storage_index,
            wanted.shnums,
            wanted.size,
            lease_secrets(request.secrets),
            request.secrets[UPLOAD],
        )
        return allocating.addCallback(allocated)

    def allocated(allocation: IAllocation) -> None:
        face.send(
            request,
            {
                "already-have": set(allocation.already_have),
                "allocated": set(allocation.allocated),
            },
        )

    face.receive(request, length, ALLOCATION, allocate)


def _write(face: StorageFace, request: StorageRequest, length: int | None) -> None:
    parsed = parse_content_range(request.header(b"Content-Range") or b"")
    if parsed is None:
        raise Refusal(416, "Content-Range must be 'bytes FIRST-LAST/TOTAL'")
    begin, end, total = parsed
    upload = face.service.get_upload(request.storage_index, request.shnum, request.secrets[UPLOAD])
    if end > upload.size or total not in (None, upload.size):
        unsatisfied = b"Content-Range: bytes */%d\r\n" % upload.size
        raise Refusal(416, "Content-Range does not fit the allocated size", unsatisfied)
    if length != end - begin:
        raise Refusal(400, "Content-Length must be given and equal the range")

    def written() -> None:
        if upload.is_complete():
            upload.close().addCallbacks(lambda _: _answer(201), request.failed)
        elif not request.gone:
            _answer(200)

    def _answer(status: int) -> None:
        face.send(request, {"required": _required(upload)}, status)

    request.body = ShareData(request, upload, begin, length, face.budget, written)


def _required(upload: IBucketUpload) -> list[dict[str, int]]:
    return [{"begin": begin, "end": end} for begin, end in upload.required_ranges()]


def _abort(face: StorageFace, request: StorageRequest) -> Deferred[None]:
    aborting = face.service.abort_upload(
        request.storage_index, request.shnum, request.secrets[UPLOAD]
    )
    return aborting.addCallback(lambda _: request.answer(200))


def _list(face: StorageFace, request: StorageRequest) -> Deferred[None]:
    listing = face.service.list_shares(request.storage_index)
    return listing.addCallback(lambda shnums: face.send(request, set(shnums)))


ALLOCATE = Endpoint("allocate", "allocate", _allocate, LEASE | {UPLOAD}, sends_message=True)
WRITE = Endpoint("write share data", "write", _write, frozenset([UPLOAD]), sends_message=True)
ABORT = Endpoint("abort an upload", "abort", bodiless(_abort), frozenset([UPLOAD]))
LIST = Endpoint("list immutable shares", "list", bodiless(_list), sends_message=True)
