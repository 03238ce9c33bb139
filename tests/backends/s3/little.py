"""A little S3 in a dictionary, for a scripted server: right unless told to be wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import md5
from uuid import uuid4
from xml.sax.saxutils import escape

from attrs import define, field

from tests.services.scripted_http import Answer, Request, Script


def error(status: int, code: str, **more: str) -> Answer:
    """An error as S3 words it; ``more`` are further elements, in CamelCase."""
    elements = {"Code": code, "Message": "as scripted", **more}
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in elements.items())
    return Answer(status, f"<Error>{inner}</Error>".encode(), {"Content-Type": "application/xml"})


def request_name(request: Request) -> str:
    """What a request is for: ``list``, ``put``, ``get``, ``head``, ``delete``, ``begin``,
    ``part``, ``complete``, ``abort`` or ``uploads``.
    """
    query = request.query
    if "delete" in query:
        return "delete"
    if "uploads" in query:
        return {"POST": "begin", "GET": "uploads"}[request.method]
    if "uploadId" in query:
        return {"PUT": "part", "POST": "complete", "DELETE": "abort"}[request.method]
    if "list-type" in query:
        return "list"
    return request.method.lower()


@define
class LittleS3:
    """The script.

    :ivar keys: of the uploads; ``a/b`` of others.
    :ivar wrong: by name of request, the answers that come first, one each; an answer of None is
        the right one.
    :ivar always_wrong: by name of request, the answer to every further one, or what makes it.
    :ivar lost: names of requests that are carried out though the answer is wrong.
    """

    objects: dict[str, bytes] = field(factory=dict)
    etags: dict[str, str] = field(factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(factory=dict)
    keys: dict[str, str] = field(factory=dict)
    wrong: dict[str, list[Answer | None]] = field(factory=dict)
    always_wrong: Mapping[str, Answer | Script] = field(factory=dict)
    lost: set[str] = field(factory=set)

    def __call__(self, request: Request) -> Answer:
        name = request_name(request)
        answers = self.wrong.get(name)
        answer: Answer | Script | None = answers.pop(0) if answers else self.always_wrong.get(name)
        if answer is None:
            return self._right(name, request)
        if not isinstance(answer, Answer):
            return answer(request)
        if name in self.lost:
            self._right(name, request)
        return answer

    def _right(self, name: str, request: Request) -> Answer:
        if name == "begin":
            return self.begin(request)
        answer: Answer = getattr(self, "_" + name)(request)
        return answer

    def _put(self, request: Request) -> Answer:
        if "if-none-match" in request.headers and request.path in self.objects:
            return error(412, "PreconditionFailed")
        return self._store(request.path, request.body, md5(request.body).hexdigest())

    def _store(self, path: str, body: bytes, etag: str) -> Answer:
        self.objects[path] = body
        self.etags[path] = f'"{etag}"'
        return Answer(200, headers={"ETag": self.etags[path]})

    def _head(self, request: Request) -> Answer:
        data = self.objects.get(request.path)
        if data is None:
            return Answer(404)
        etag = self.etags.get(request.path, '"unknown"')
        return Answer(200, headers={"ETag": etag}, announced=len(data))

    def _get(self, request: Request) -> Answer:
        data = self.objects.get(request.path)
        if data is None:
            return error(404, "NoSuchKey")
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["range"])
        assert found is not None
        begin, end = int(found[1]), min(int(found[2]) + 1, len(data))
        if begin >= len(data):
            return error(416, "InvalidRange")
        headers = {"Content-Range": f"bytes {begin}-{end - 1}/{len(data)}"}
        return Answer(206, data[begin:end], headers)

    def _list(self, request: Request) -> Answer:
        return Answer(200, b"<ListBucketResult><Name>container</Name></ListBucketResult>")

    def _delete(self, request: Request) -> Answer:
        for key in re.findall(r"<Key>([^<]*)</Key>", request.body.decode()):
            self.objects.pop(f"{request.path}/{key}".replace("//", "/"), None)
        self.objects.pop(request.path, None)
        return Answer(200, b"<DeleteResult></DeleteResult>")

    def begin(self, request: Request) -> Answer:
        """The right answer to a request that begins an upload."""
        upload_id = uuid4().hex
        self.uploads[upload_id] = {}
        self.keys[upload_id] = request.path.split("/", 2)[2]
        inner = f"<UploadId>{upload_id}</UploadId>"
        root = "InitiateMultipartUploadResult"
        return Answer(200, f"<{root}>{inner}</{root}>".encode())

    def _part(self, request: Request) -> Answer:
        parts = self.uploads.get(request.query["uploadId"])
        if parts is None:
            return error(404, "NoSuchUpload")
        parts[int(request.query["partNumber"])] = request.body
        return Answer(200, headers={"ETag": f'"{md5(request.body).hexdigest()}"'})

    def _complete(self, request: Request) -> Answer:
        parts = self.uploads.get(request.query["uploadId"])
        if parts is None:
            return error(404, "NoSuchUpload")
        if "if-none-match" in request.headers and request.path in self.objects:
            return error(412, "PreconditionFailed")
        del self.uploads[request.query["uploadId"]]
        pieces = [data for _, data in sorted(parts.items())]
        digests = b"".join(md5(piece).digest() for piece in pieces)
        etag = f"{md5(digests).hexdigest()}-{len(pieces)}"
        self._store(request.path, b"".join(pieces), etag)
        root = "CompleteMultipartUploadResult"
        return Answer(200, f'<{root}><ETag>"{etag}"</ETag></{root}>'.encode())

    def _abort(self, request: Request) -> Answer:
        if self.uploads.pop(request.query["uploadId"], None) is None:
            return error(404, "NoSuchUpload")
        return Answer(204)

    def _uploads(self, request: Request) -> Answer:
        after = request.query.get("upload-id-marker", "")
        left = sorted(upload_id for upload_id in self.uploads if upload_id > after)
        page = left[:1000]
        lines = [
            f"<Upload><Key>{self.keys.get(each, 'a/b')}</Key><UploadId>{each}</UploadId></Upload>"
            for each in page
        ]
        if len(left) > len(page):
            lines.append("<IsTruncated>true</IsTruncated><NextKeyMarker>a/b</NextKeyMarker>")
            lines.append(f"<NextUploadIdMarker>{page[-1]}</NextUploadIdMarker>")
        root = "ListMultipartUploadsResult"
        return Answer(200, f"<{root}>{''.join(lines)}</{root}>".encode())
