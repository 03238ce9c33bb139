"""libcloud's Swift driver, extended by what it lacks.

libcloud signs in, in every version of the protocol, and reads the catalogue of services.  Its own
requests for objects are not used: they sign in once more before each one with version 1, ask for
the container and the object before they read it, know neither static large objects nor bulk
deletes nor timeouts while a body is sent, keep the state of a request in the connection that
threads share, and follow redirects with the token.  What stands here instead is one request on
the same HTTP session.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any

from attrs import field, frozen
from libcloud.common.openstack_identity import (
    OpenStackIdentityEndpointType,
    OpenStackServiceCatalog,
)
from libcloud.http import LibcloudConnection
from libcloud.storage.drivers.cloudfiles import (
    OpenStackSwiftConnection,
    OpenStackSwiftStorageDriver,
)
from requests import Response
from requests.adapters import HTTPAdapter

from raic.backends.counting import count_request
from raic.backends.swift.settings import VERSIONS, SwiftSettings

DEFAULT_LIFE = 3600.0
"""How long a token is used that does not say how long it lives, in seconds."""

IDLE_CONNECTIONS = 64
SENT_AT_ONCE = 64 * 1024


@frozen
class Access:
    """The right to use an account.

    :ivar url: the account's address.
    :ivar life: how many seconds the token still lives.
    """

    token: str = field(repr=False)
    url: str
    life: float


class _Counted(HTTPAdapter):
    def send(self, *args: Any, **kwargs: Any) -> Response:
        count_request()
        return super().send(*args, **kwargs)


class _Wire(LibcloudConnection):  # type: ignore[misc]  # libcloud has no annotations
    """libcloud's HTTP session, made to be shared by threads."""

    def __init__(self, *args: Any, ca_bundle: str | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if ca_bundle is not None:
            self.ca_cert = ca_bundle
        session = self.session
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Counted(pool_maxsize=IDLE_CONNECTIONS, max_retries=0))
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.auth = _as_it_is  # else ~/.netrc would be read for every request


class _Pieces:
    """A body to be sent, piece by piece.

    A socket's timeout holds for what is handed to it at once: a whole part would not pass through
    a thin line in time.
    """

    def __init__(self, data: bytes | bytearray) -> None:
        self._rest = memoryview(data)

    def __len__(self) -> int:
        return len(self._rest)

    def __iter__(self) -> Iterator[memoryview]:
        return iter(partial(self.read, SENT_AT_ONCE), b"")

    def read(self, _: int) -> memoryview:
        """The next piece; empty at the end."""
        piece, self._rest = self._rest[:SENT_AT_ONCE], self._rest[SENT_AT_ONCE:]
        return piece


def _as_it_is(request: Any) -> Any:
    return request


class _SwiftConnection(OpenStackSwiftConnection):  # type: ignore[misc]  # as above
    """Signs in when told to, and finds the account whatever the service is called."""

    def get_endpoint(self) -> str:
        """The account's address in the catalogue.

        :raises LibcloudError: there is none.
        :raises ValueError: there are several.
        """
        of_version_1 = self._auth_version == "1.0"
        interfaces = OpenStackIdentityEndpointType
        internal = self.driver.use_internal_url
        found = self.service_catalog.get_endpoint(
            service_type="cloudFiles" if of_version_1 else "object-store",
            region=None if of_version_1 else self._service_region,
            endpoint_type=interfaces.INTERNAL if internal else interfaces.EXTERNAL,
        )
        return str(found.url)

    def sign_in(self) -> Access:
        """Get a token."""
        self._osa = None  # a new one, and no token of an earlier one
        identity = self.get_auth_class()
        kind = {"2.0_apikey": "api_key", "2.0_password": "password"}.get(self._auth_version)
        identity.authenticate(**({"auth_type": kind} if kind else {}))
        headers = identity.connection.response.headers
        self.service_catalog = OpenStackServiceCatalog(identity.urls, self._auth_version)
        url = self._ex_force_base_url or self.get_endpoint()
        life = _life(identity.auth_token_expires, headers)
        identity.connection.session.close()
        return Access(identity.auth_token, url.rstrip("/"), life)


def _life(expires: Any, headers: Mapping[str, str]) -> float:
    """Told by the service's clock, not by ours."""
    if expires is None:
        return float(headers.get("x-auth-token-expires", DEFAULT_LIFE))
    now = parsedate_to_datetime(headers["date"])
    return float((expires - now).total_seconds())


class SwiftDriver(OpenStackSwiftStorageDriver):  # type: ignore[misc]  # as above
    """One session with one account, for several threads."""

    connectionCls = _SwiftConnection  # noqa: N815  # libcloud's name

    def __init__(self, settings: SwiftSettings, user: str, key: str) -> None:
        super().__init__(
            user,
            key,
            region=settings.region,
            timeout=(settings.connect_timeout, settings.read_timeout),
            use_internal_url=settings.interface == "internal",
            ex_force_auth_url=_without_version(settings.auth_url),
            ex_force_auth_version=VERSIONS[settings.auth_version],
            ex_force_base_url=settings.storage_url,
            ex_tenant_name=settings.project,
            ex_tenant_domain_id=settings.project_domain_id,
            ex_domain_name=settings.user_domain,
        )
        self.connection.conn_class = partial(_Wire, ca_bundle=settings.ca_bundle)
        self.connection.connect()

    def ex_sign_in(self) -> Access:
        """Get a token; raises what libcloud and requests raise."""
        access: Access = self.connection.sign_in()
        return access

    def ex_request(
        self,
        access: Access,
        method: str,
        path: str,
        *,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        data: bytes | bytearray | None,
    ) -> Response:
        """Make one request of the account; its body is still to be read.

        :param path: quoted; begins with a slash, or is empty for the account itself.
        """
        wire = self.connection.connection
        sent = {
            "X-Auth-Token": access.token,
            "User-Agent": self.connection._user_agent(),
            "Accept-Encoding": "identity",
            **headers,
        }
        answer: Response = wire.session.request(
            method,
            access.url + path,
            params=params,
            headers=sent,
            data=_Pieces(data) if data else b"",
            allow_redirects=False,
            stream=True,
            verify=wire.verification,
            timeout=wire.session.timeout,
        )
        return answer

    def ex_close(self) -> None:
        """Close idle connections."""
        self.connection.connection.session.close()


def _without_version(auth_url: str) -> str:
    """Without the path of the version, which libcloud adds."""
    return re.sub(r"/v\d(\.\d)?(/(auth/)?tokens)?/?$", "", auth_url)
