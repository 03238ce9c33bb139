"""As much of S3 as our provider asks for, in memory, at next to no cost: for measurements.

moto copies a large object several times when it is completed, and reads all of it for a range.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from re import findall
from subprocess import PIPE, Popen
from threading import Thread
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.services.moto import S3Endpoint

_XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class _Handler(BaseHTTPRequestHandler):
    """Objects are lists of the parts they came in."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024  # so that an answer's lines leave together
    rbufsize = 64 * 1024

    objects: ClassVar[dict[str, list[bytes]]] = {}
    uploads: ClassVar[dict[str, dict[int, bytes]]] = {}
    numbers: ClassVar[count[int]] = count()

    def _taken_apart(self) -> tuple[str, dict[str, str], bytes]:
        """Path, query and body of the request."""
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query, True).items()}
        return url.path, query, self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_PUT(self) -> None:
        """A container, an object, or a part of one."""
        path, query, body = self._taken_apart()
        if "partNumber" in query:
            self.uploads[query["uploadId"]][int(query["partNumber"])] = body
        elif path.count("/") > 1:
            self.objects[path] = [body]
        self._answer(ETag=f'"{next(self.numbers):032x}"')

    def do_POST(self) -> None:
        """The begin and the end of an upload in parts, and deletions."""
        path, query, body = self._taken_apart()
        if "uploads" in query:
            upload = str(next(self.numbers))
            self.uploads[upload] = {}
            self._answer(_xml("InitiateMultipartUploadResult", UploadId=upload))
        elif "uploadId" in query:
            parts = self.uploads.pop(query["uploadId"])
            self.objects[path] = [parts[number] for number in sorted(parts)]
            self._answer(_xml("CompleteMultipartUploadResult", ETag="whole"))
        else:
            for key in findall("<Key>(.*?)</Key>", body.decode()):
                self.objects.pop(f"{path.rstrip('/')}/{key}", None)
            self._answer(_xml("DeleteResult"))

    def do_GET(self) -> None:
        """A range of an object; else a listing, of nothing: no measurement needs more."""
        path, _, _ = self._taken_apart()
        if path.count("/") < 2:
            self._answer(_xml("ListBucketResult", Name=path.strip("/"), IsTruncated="false"))
            return
        parts = self.objects[path]
        size = sum(map(len, parts))
        asked = self.headers["Range"].removeprefix("bytes=").split("-")
        begin, end = int(asked[0]), min(size, int(asked[1]) + 1)
        self.send_response(206)
        self.send_header("Content-Length", str(end - begin))
        self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        self.end_headers()
        for part in parts:
            self.wfile.write(memoryview(part)[max(0, begin) : max(0, end)])
            begin, end = begin - len(part), end - len(part)

    def do_DELETE(self) -> None:
        """An upload that was given up."""
        _, query, _ = self._taken_apart()
        self.uploads.pop(query.get("uploadId", ""), None)
        self._answer()

    def _answer(self, body: str = "", **headers: str) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _xml(name: str, **values: str) -> str:
    inside = "".join(f"<{tag}>{value}</{tag}>" for tag, value in values.items())
    return f"<{name} {_XMLNS}>{inside}</{name}>"


@contextmanager
def lean_s3_process() -> Iterator[S3Endpoint]:
    """A server in a process of its own; it ends with the context."""
    command = [sys.executable, "-m", "tests.services.lean_s3"]
    root = __file__.rpartition("/tests/")[0]  # where tests/ is
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=root) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield S3Endpoint(process.stdout.readline().strip(), "key-id", "secret")
        finally:
            process.stdin.close()  # which it waits for
            process.wait(30)


def _serve() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201 - it is what the other process reads
    Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    _serve()
