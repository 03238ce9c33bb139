"""Which endpoint a path and a method name.

Written out by hand: a general router costs more than everything else that is done for a small
request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from attrs import frozen

from raic.server.http.failures import Refusal
from raic.server.http.request import OCTETS, TEXT, StorageRequest
from raic.shares.keys import decode_index
from raic.values import MAX_SHARES

if TYPE_CHECKING:
    from raic.server.http.face import StorageFace

_NUMBER = re.compile(rb"0|[1-9][0-9]*")
_ABSOLUTE = re.compile(rb"https?://[^/?]*", re.IGNORECASE)

Begin = Callable[["StorageFace", StorageRequest, "int | None"], None]


@frozen
class Endpoint:
    """What can be asked of a resource.

    :ivar name: for the log.
    :ivar operation: what it is counted as.
    :ivar begin: starts to answer, given the length of the body, None when it comes in chunks.
    :ivar secrets: the kinds of secrets that the request must carry.
    :ivar sends_message: whether the answer is a message, whose encoding the client may choose.
    :ivar error_type: the content type of refusals.  Tahoe's client looks at it before it looks at
        the status, and expects that of share data from a read.
    """

    name: str
    operation: str
    begin: Begin
    secrets: frozenset[bytes] = frozenset()
    sends_message: bool = False
    error_type: bytes = TEXT


Methods = Mapping[bytes, Endpoint]


class Routes:
    """Finds endpoints.

    :param resources: by the path below ``/storage/v1``, in which ``SI`` stands for a storage
        index and ``N`` for a share number; then by method.
    """

    def __init__(self, resources: Mapping[bytes, Methods]) -> None:
        self._resources = resources

    def find(self, request: StorageRequest) -> Endpoint:
        """The endpoint; the request's ``storage_index`` and ``shnum`` are set.

        :raises Refusal: there is none (404, 405).
        """
        shape = self._shape(request)
        methods = self._resources.get(shape)
        if methods is None:
            if request.method in (b"GET", b"HEAD") and shape.startswith((b"immutable/", b"mut")):
                request.error_type = OCTETS
            raise Refusal(404, "there is nothing at this path")
        endpoint = methods.get(request.method)
        if endpoint is None and request.method == b"HEAD":
            endpoint = methods.get(b"GET")
        if endpoint is None:
            raise Refusal(405, "this method is not supported here", _allow(methods))
        return endpoint

    def _shape(self, request: StorageRequest) -> bytes:
        """The path with its variable parts replaced; what is no such part is left as it is."""
        parts = _path(request.uri).split(b"/")
        if len(parts) < 4 or parts[:3] != [b"", b"storage", b"v1"]:
            return b""
        parts = parts[3:]
        if len(parts) > 1:
            try:
                request.storage_index = decode_index(parts[1].decode("ascii"))
            except ValueError:
                return parts[0] + b"/?"
            parts[1] = b"SI"
        if len(parts) > 2 and _NUMBER.fullmatch(parts[2]):
            # Share numbers end at 255; every larger one is as good as 256: not there.
            request.shnum = int(parts[2]) if len(parts[2]) <= 3 else MAX_SHARES
            parts[2] = b"N"
        return b"/".join(parts)


def _path(uri: bytes) -> bytes:
    """The path of a request target, without its query."""
    path = uri.partition(b"?")[0]
    if not path.startswith(b"/") and (found := _ABSOLUTE.match(path)):
        path = path[found.end() :]
    return unquote_to_bytes(path) if b"%" in path else path


def _allow(methods: Methods) -> bytes:
    allowed = {*methods, b"HEAD"} if b"GET" in methods else {*methods}
    return b"Allow: " + b", ".join(sorted(allowed)) + b"\r\n"
