"""A little Swift with a little Keystone, for a scripted server: right unless a test interferes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from hashlib import md5
from itertools import count
from json import dumps, loads
from typing import Any

from tests.services.scripted_http import Answer, Request

ACCOUNT = "/v1/AUTH_test"
CONTAINER = f"{ACCOUNT}/container"
KEYSTONE = "/identity/v3/auth/tokens"
USER, PASSWORD = "the-user", "the-password"  # that of nobody

Interference = Callable[[Request], Answer | None]


class LittleSwift:
    """Answers requests.

    :ivar interfere: asked first; None from it for what is right.
    :ivar keys: the passwords or secrets that are right.
    :ivar life: of new tokens, in seconds.
    :ivar skew: how far its clock is ahead of everyone else's, in seconds.
    """

    def __init__(self) -> None:
        self.interfere: Interference = lambda _: None
        self.objects: dict[str, bytes] = {}
        self.keys = {PASSWORD}
        self.life = 3600.0
        self.skew = 0.0
        self.tokens: set[str] = set()
        self.url = ""
        self.sent: list[Any] = []
        self._numbers = count()

    def __call__(self, request: Request) -> Answer:
        interference = self.interfere(request)
        if interference is not None:
            return interference
        if is_sign_in(request):
            return self._sign_in(request)
        if request.headers.get("x-auth-token") not in self.tokens:
            return Answer(401, b"no such token")
        if request.path == CONTAINER:
            return self._container(request)
        if request.path == ACCOUNT:
            return Answer(204)
        return self._object(request)

    def _sign_in(self, request: Request) -> Answer:
        now = datetime.now(timezone.utc) + timedelta(seconds=self.skew)
        ends = (now + timedelta(seconds=self.life)).strftime("%Y-%m-%dT%H:%M:%SZ")
        dated = {"Date": format_datetime(now, usegmt=True), "Content-Type": "application/json"}
        token = f"token-{next(self._numbers)}"
        if request.method == "GET":
            if request.headers["x-auth-key"] not in self.keys:
                return Answer(401, headers=dated)
            self.tokens.add(token)
            life = {"X-Auth-Token-Expires": str(int(self.life))}
            place = {"X-Storage-Url": self.url + ACCOUNT}
            return Answer(200, headers={**dated, **life, **place, "X-Auth-Token": token})
        asked = loads(request.body)["auth"]
        self.sent.append(asked)
        if not any(f'"{key}"' in dumps(asked) for key in self.keys):
            return Answer(401, b'{"error": {"message": "no", "code": 401}}', dated)
        self.tokens.add(token)
        if "/v2.0/" in request.path:
            return Answer(200, dumps(self._version_2(token, ends)).encode(), dated)
        body = dumps({"token": {"expires_at": ends, "catalog": self._catalogue()}}).encode()
        return Answer(201, body, {**dated, "X-Subject-Token": token})

    def _catalogue(self) -> list[dict[str, Any]]:
        def endpoint(region: str, interface: str, url: str) -> dict[str, str]:
            return {"region": region, "region_id": region, "interface": interface, "url": url}

        here = [
            endpoint("here", "public", self.url + ACCOUNT),
            endpoint("here", "internal", "http://internal.invalid"),
            endpoint("there", "public", "http://there.invalid"),
        ]
        return [
            {"type": "compute", "name": "nova", "endpoints": here[2:]},
            {"type": "object-store", "name": "objects", "endpoints": here},
        ]

    def _version_2(self, token: str, ends: str) -> dict[str, Any]:
        endpoint = {"region": "HERE", "publicURL": self.url + ACCOUNT}
        service = {"type": "object-store", "name": "cloudFiles", "endpoints": [endpoint]}
        return {
            "access": {
                "token": {"id": token, "expires": ends},
                "user": {"roles": []},
                "serviceCatalog": [service],
            }
        }

    def _container(self, request: Request) -> Answer:
        if request.method == "HEAD":
            return Answer(204)
        begin, after = request.query.get("prefix", ""), request.query.get("marker", "")
        before = request.query.get("end_marker", "\x7f")
        lines = [
            {"name": name, "bytes": len(self.objects[name])}
            for name in sorted(self.objects)
            if name.startswith(begin) and after < name < before
        ]
        return Answer(200, dumps(lines).encode(), {"Content-Type": "application/json"})

    def _object(self, request: Request) -> Answer:
        name = request.path.removeprefix(CONTAINER + "/")
        if request.method == "PUT":
            if name in self.objects:
                return Answer(412)
            self.objects[name] = request.body
            return Answer(201, headers={"ETag": md5(request.body).hexdigest()})
        if name not in self.objects:
            return Answer(404)
        if request.method == "DELETE":
            del self.objects[name]
            return Answer(204)
        data = self.objects[name]
        if request.method == "HEAD":
            return Answer(200, data)
        first, last = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
        found = data[first : last + 1]
        if not found:
            return Answer(416)
        said = f"bytes {first}-{first + len(found) - 1}/{len(data)}"
        return Answer(206, found, {"Content-Range": said})


def is_sign_in(request: Request) -> bool:
    """Whether a request is for a token."""
    return request.path == KEYSTONE or request.path.endswith(("/v2.0/tokens", "/auth/v1.0"))
