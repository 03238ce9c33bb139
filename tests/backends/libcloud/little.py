"""A little Azure Blobs in a dictionary, for a scripted server."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import md5
from xml.sax.saxutils import escape

from attrs import define, field

from tests.services.scripted_http import Answer, Request

DATED = {"ETag": '"0x1"', "Last-Modified": "Fri, 20 Nov 2026 10:00:00 GMT"}
BLOB = {**DATED, "x-ms-blob-type": "BlockBlob"}


def error(status: int, code: str, **headers: str) -> Answer:
    """An error as Azure words it."""
    inner = f"<Code>{code}</Code><Message>as scripted</Message>"
    return Answer(status, f"<Error>{inner}</Error>".encode(), headers)


def request_name(request: Request) -> str:
    """What a request is for: ``list``, ``container``, ``block``, ``put``, ``get``, ``head`` or
    ``delete``.
    """
    query = request.query
    if query.get("restype") == "container":
        return "list" if query.get("comp") == "list" else "container"
    if query.get("comp") == "block":
        return "block"
    return request.method.lower()


def _path(request: Request) -> str:
    """Without the account's name."""
    return "/" + request.path.split("/", 2)[2]


@define
class LittleAzure:
    """The script, right in everything.

    :ivar objects: by path below the account.
    """

    objects: dict[str, bytes] = field(factory=dict)
    blocks: dict[str, dict[str, bytes]] = field(factory=dict)

    def __call__(self, request: Request) -> Answer:
        answer: Answer = getattr(self, "_" + request_name(request))(request)
        return answer

    def _container(self, request: Request) -> Answer:
        return Answer(200, headers=DATED)

    def _list(self, request: Request) -> Answer:
        begin = f"{_path(request)}/{request.query.get('prefix', '')}"
        lines = [
            f"<Blob><Name>{escape(path.removeprefix(_path(request) + '/'))}</Name><Properties>"
            f"<Content-Length>{len(data)}</Content-Length></Properties></Blob>"
            for path, data in sorted(self.objects.items())
            if path.startswith(begin)
        ]
        root = "EnumerationResults"
        return Answer(200, f"<{root}><Blobs>{''.join(lines)}</Blobs></{root}>".encode())

    def _block(self, request: Request) -> Answer:
        self.blocks.setdefault(_path(request), {})[request.query["blockid"]] = request.body
        return Answer(201, headers=DATED)

    def _put(self, request: Request) -> Answer:
        if "comp" not in request.query:
            return self._put_whole(request)
        names = re.findall(r"<Uncommitted>([^<]*)</Uncommitted>", request.body.decode())
        blocks = self.blocks.pop(_path(request), {})
        if not set(names) <= set(blocks):
            return error(400, "InvalidBlockList")
        self.objects[_path(request)] = b"".join(blocks[name] for name in names)
        return Answer(201, headers=DATED)

    def _put_whole(self, request: Request) -> Answer:
        if request.headers.get("x-ms-blob-type") != "BlockBlob":
            return error(400, "InvalidHeaderValue")
        digest = b64encode(md5(request.body, usedforsecurity=False).digest()).decode()
        if request.headers.get("content-md5", digest) != digest:
            return error(400, "Md5Mismatch")
        self.objects[_path(request)] = request.body
        return Answer(201, headers={**DATED, "Content-MD5": digest})

    def _head(self, request: Request) -> Answer:
        data = self.objects.get(_path(request))
        return Answer(404) if data is None else Answer(200, data, BLOB)

    def _get(self, request: Request) -> Answer:
        data = self.objects.get(_path(request))
        if data is None:
            return error(404, "BlobNotFound")
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["x-ms-range"])
        assert found is not None
        return Answer(206, data[int(found[1]) : int(found[2]) + 1], BLOB)

    def _delete(self, request: Request) -> Answer:
        return Answer(404 if self.objects.pop(_path(request), None) is None else 202)
