"""Identity services in front of the real Swift: Keystone, versions 2 and 3, and Rackspace's own.

They speak the protocol as it is specified and refuse what does not fit, but decide nothing
themselves: the tokens are Swift's own, of its own authentication.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps, loads
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

from attrs import define, field

from tests.services.swift import SwiftServer

USER = "operator"
PASSWORD = "the password of the operator"
API_KEY = "the-api-key-of-the-operator"
CREDENTIAL_ID = "an-application-credential"
CREDENTIAL_SECRET = "the-secret-of-the-credential"
PROJECT = "grid"
PROJECT_DOMAIN_ID = "domain-of-projects"
USER_DOMAIN = "Domain of users"
REGION = "ORD"


@define
class Keystone:
    """Where the service is, and what it was asked.

    :ivar url: without the path of a version.
    :ivar sign_ins: how each token was asked for, in order: ``password``, ``apiKey`` and so on.
    """

    swift: SwiftServer
    url: str = ""
    sign_ins: list[str] = field(factory=list)

    def answer(self, path: str, asked: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        """The status, headers and body for a request for a token."""
        versions = {"/v3/auth/tokens": self._version_3, "/v2.0/tokens": self._version_2}
        if path not in versions:
            return _refusal(404, f"nothing at {path}")
        return versions[path](asked["auth"])

    def _version_3(self, auth: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        (method,) = auth["identity"]["methods"]
        given = auth["identity"][method]
        right = {
            "password": {
                "user": {"domain": {"name": USER_DOMAIN}, "name": USER, "password": PASSWORD}
            },
            "application_credential": {"id": CREDENTIAL_ID, "secret": CREDENTIAL_SECRET},
        }
        project = {"name": PROJECT, "domain": {"id": PROJECT_DOMAIN_ID}}
        # A credential brings its project along; naming one is an error.
        scope = {"project": project} if method == "password" else None
        if given != right.get(method) or auth.get("scope") != scope:
            return _refusal(401, "The request you have made requires authentication.")
        token, ends = self._token(method)
        place = {"interface": "public", "region": REGION, "region_id": REGION}
        endpoint = {**place, "url": self.swift.storage_url, "id": "e1"}
        elsewhere = {**place, "region": "DFW", "region_id": "DFW", "url": "http://dfw.invalid"}
        services = [
            {"type": "identity", "name": "keystone", "endpoints": [{**endpoint, "url": self.url}]},
            {"type": "object-store", "name": "swift", "endpoints": [elsewhere, endpoint]},
        ]
        body = {"token": {"methods": [method], "expires_at": ends, "catalog": services}}
        return 201, {"X-Subject-Token": token}, body

    def _version_2(self, auth: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        right: dict[str, Any] = {
            "passwordCredentials": {
                "passwordCredentials": {"username": USER, "password": PASSWORD},
                "tenantName": PROJECT,
            },
            "RAX-KSKEY:apiKeyCredentials": {
                "RAX-KSKEY:apiKeyCredentials": {"username": USER, "apiKey": API_KEY}
            },
        }
        method = next((name for name in right if name in auth), "")
        if auth != right.get(method):
            return _refusal(401, "Unable to authenticate user with credentials provided.")
        token, ends = self._token(method)
        endpoint = {
            "region": REGION,
            "publicURL": self.swift.storage_url,
            "internalURL": "http://internal.invalid",
            "tenantId": "AUTH_test",
        }
        elsewhere = {**endpoint, "region": "DFW", "publicURL": "http://dfw.invalid"}
        service = {"name": "cloudFiles", "type": "object-store", "endpoints": [elsewhere, endpoint]}
        access = {
            "token": {"id": token, "expires": ends, "tenant": {"id": "t1", "name": PROJECT}},
            "serviceCatalog": [service],
            "user": {"id": "u1", "name": USER, "roles": []},
        }
        return 200, {}, {"access": access}

    def _token(self, method: str) -> tuple[str, str]:
        """One of Swift's own, and when it ends."""
        self.sign_ins.append(method)
        who = {"X-Auth-User": self.swift.user, "X-Auth-Key": self.swift.key}
        with urlopen(Request(self.swift.auth_url, headers=who), timeout=20) as answer:
            token, life = answer.headers["X-Auth-Token"], answer.headers["X-Auth-Token-Expires"]
        ends = datetime.now(timezone.utc) + timedelta(seconds=int(life))
        return token, ends.strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def _refusal(status: int, message: str) -> tuple[int, dict[str, str], Any]:
    return status, {}, {"error": {"code": status, "title": "Refused", "message": message}}


@contextmanager
def running_keystone(swift: SwiftServer) -> Iterator[Keystone]:
    """A service of one's own, in a thread of this process."""
    keystone = Keystone(swift)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, body = keystone.answer(self.path, loads(asked))
            text = dumps(body).encode()
            self.send_response(status)  # which says what time it is
            for name, value in {**headers, "Content-Type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        keystone.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, name="keystone")
        thread.start()
        try:
            yield keystone
        finally:
            server.shutdown()
            thread.join()
