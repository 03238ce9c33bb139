"""The endpoints of mutable shares, and the corruption advisories of both kinds."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from raic.errors import NoSuchShare
from raic.server.http.authorization import WRITE_ENABLER
from raic.server.http.face import StorageFace, bodiless
from raic.server.http.general import LEASE, lease_secrets
from raic.server.http.messages import ADVISORY, CHANGES, Changes
from raic.server.http.request import StorageRequest
from raic.server.http.routes import Begin, Endpoint
from raic.values import ReadTestWriteResult


def _read_test_write(face: StorageFace, request: StorageRequest, length: int | None) -> None:
    def write(changes: Changes) -> Deferred[None]:
        writing = face.service.read_test_write(
            request.storage_index,
            request.secrets[WRITE_ENABLER],
            lease_secrets(request.secrets),
            changes.vectors,
            changes.reads,
        )
        return writing.addCallback(done)

    def done(result: ReadTestWriteResult) -> None:
        data = {shnum: list(texts) for shnum, texts in result.data.items()}
        face.send(request, {"success": result.success, "data": data})

    face.receive(request, length, CHANGES, write)


def _list(face: StorageFace, request: StorageRequest) -> Deferred[None]:
    listing = face.service.list_slot_shares(request.storage_index)
    return listing.addCallback(lambda shnums: face.send(request, set(shnums)))


def _advise(kind: str) -> Begin:
    def begin(face: StorageFace, request: StorageRequest, length: int | None) -> None:
        def advise(reason: str) -> Deferred[None]:
            advising = face.service.advise_corrupt_share(
                kind, request.storage_index, request.shnum, reason
            )
            return advising.addCallback(advised)

        face.receive(request, length, ADVISORY, advise)

        def advised(known: bool) -> None:
            if not known:
                raise NoSuchShare("no such share")
            request.answer(200)

    return begin


READ_TEST_WRITE = Endpoint(
    "read, test and write",
    "read_test_write",
    _read_test_write,
    LEASE | {WRITE_ENABLER},
    sends_message=True,
)
LIST = Endpoint("list mutable shares", "list_slot", bodiless(_list), sends_message=True)
ADVISE_IMMUTABLE = Endpoint(
    "advise of an immutable share's corruption", "advise", _advise("immutable")
)
ADVISE_MUTABLE = Endpoint("advise of a mutable share's corruption", "advise", _advise("mutable"))
