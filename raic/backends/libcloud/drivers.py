"""libcloud's drivers: one for each call under way, because they may not be shared by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from libcloud.common.types import InvalidCredsError
from libcloud.http import LibcloudConnection
from libcloud.storage.providers import get_driver
from requests.adapters import HTTPAdapter

from raic.backends.counting import count_request
from raic.backends.libcloud.errors import Refused, is_refusal
from raic.backends.libcloud.settings import LOCAL, Abilities, LibcloudSettings
from raic.backends.patience import Patience
from raic.backends.registry import Credentials

SENT_AT_ONCE = 64 * 1024


class _Pieces:
    """A body to be sent piece by piece: a socket's timeout holds for what it is given at once."""

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)

    def __len__(self) -> int:
        return len(self._rest)

    def read(self, _: int) -> memoryview:
        """The next piece; empty at the end."""
        piece, self._rest = self._rest[:SENT_AT_ONCE], self._rest[SENT_AT_ONCE:]
        return piece


class _Patient(HTTPAdapter):
    """Gives every request a timeout: libcloud forgets to where a body is sent.

    Refusals are raised here: libcloud's drivers make all kinds of things of them, such as a
    missing object of an overloaded service, and forget the headers.
    """

    def __init__(self, timeout: tuple[float, float], patience: Patience) -> None:
        super().__init__(max_retries=0)
        self._timeout = timeout
        self._patience = patience

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """See ``HTTPAdapter``; raises ``Refused`` too."""
        if isinstance(request.body, bytes):
            request.body = _Pieces(request.body)
        self._patience.check()
        count_request()
        answer = super().send(request, *args, **{**kwargs, "timeout": self._timeout})
        if is_refusal(request.method, answer.status_code):
            refused = Refused.by(request.method, answer)
            refused.compare_clocks(self._patience.now())
            raise refused
        return answer


class _Wire(LibcloudConnection):  # type: ignore[misc]  # libcloud has no annotations
    def __init__(
        self, *args: Any, ca_bundle: str | None, adapter: HTTPAdapter, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if ca_bundle is not None:
            self.ca_cert = ca_bundle
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, adapter)


class Drivers:
    """Makes drivers when there are none idle.

    :ivar abilities: of all of them.
    """

    def __init__(
        self, settings: LibcloudSettings, credentials: Credentials, patience: Patience
    ) -> None:
        self._settings = settings
        self._patience = patience
        self._credentials = credentials
        self._class = get_driver(settings.driver)
        self._used: dict[str, str] | None = None
        self._idle: deque[Any] = deque()
        self.abilities = Abilities.of(settings.driver, self._class)

    @contextmanager
    def one(self) -> Iterator[Any]:
        """A driver, for as long as the context lasts."""
        used = self._used
        try:
            driver = self._idle.pop()
        except IndexError:
            driver = self._made()
            used = self._used
        try:
            yield driver
        finally:
            if used is self._used:
                self._idle.append(driver)
            else:
                _closed(driver)

    def renewed(self) -> bool:
        """Ask for the credentials again; returns whether they are others."""
        asked = self._asked()
        if asked == self._used:
            return False
        self._used = asked
        self.close()
        return True

    def close(self) -> None:
        """Let go of the drivers that are idle."""
        while self._idle:
            _closed(self._idle.pop())

    def _asked(self) -> dict[str, str]:
        return {} if self._settings.driver == LOCAL else dict(self._credentials())

    def _made(self) -> Any:
        if self._used is None:
            self._used = self._asked()
        settings = self._settings
        if settings.driver == LOCAL:
            return self._class(settings.path, ex_use_locking=False)
        wanted = {
            "secure": settings.secure,
            "host": settings.host,
            "port": settings.port,
            "region": settings.region,
            "project": settings.project,
        }
        known = {key: value for key, value in wanted.items() if value is not None}
        if "key" not in self._used:
            raise InvalidCredsError("no key found")
        driver = self._class(self._used["key"], self._used.get("secret"), **known)
        timeout = (settings.connect_timeout, settings.read_timeout)
        adapter = _Patient(timeout, self._patience)
        driver.connection.conn_class = partial(_Wire, ca_bundle=settings.ca_bundle, adapter=adapter)
        driver.connection.connect()
        return driver


def _closed(driver: Any) -> None:
    wire = driver.connection.connection
    if wire is not None:
        wire.session.close()
