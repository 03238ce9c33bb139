"""Requests to an account, with a valid token."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from requests import Response
from twisted.internet.interfaces import IReactorTime

from raic.backends.network import Refused
from raic.backends.patience import Patience
from raic.backends.registry import Credentials
from raic.backends.swift.access import Keeper
from raic.backends.swift.driver import Access, SwiftDriver
from raic.backends.swift.errors import SIGN_IN, translated
from raic.backends.swift.settings import SwiftSettings
from raic.errors import ProviderError

_NOTHING: Mapping[str, str] = {}


class Account:
    """Asks; used by several threads.

    :param patience: asked before every request, those for tokens included.
    :ivar requests: how many requests were made, those for tokens excepted.
    :ivar tokens: how many tokens were asked for.
    """

    def __init__(
        self,
        name: str,
        settings: SwiftSettings,
        credentials: Credentials,
        clock: IReactorTime,
        patience: Patience,
    ) -> None:
        self._name = name
        self._settings = settings
        self._credentials = credentials
        self._patience = patience
        self._driver: SwiftDriver | None = None
        self._used: tuple[str, str] | None = None
        self._keeper = Keeper(self._sign_in, clock.seconds)
        self.requests = 0
        self.tokens = 0

    def ask(
        self,
        method: str,
        path: str,
        hoped_for: Collection[int],
        *,
        params: Mapping[str, str] = _NOTHING,
        headers: Mapping[str, str] = _NOTHING,
        data: bytes | bytearray | None = None,
    ) -> Response:
        """Make a request; once more with another token if the first one is refused.

        :return: an answer with one of these statuses, its body still to be read or closed.
        :raises Refused: it has another status.
        :raises ProviderError: there is no signing in.
        """
        access = self._keeper.current()
        answer = self._send(access, method, path, params, headers, data)
        if answer.status_code == 401:
            answer.close()
            access = self._keeper.other_than(access)
            answer = self._send(access, method, path, params, headers, data)
        if answer.status_code in hoped_for:
            return answer
        raise Refused.by(f"{method} {path or '/'}", answer)

    def sign_in_anew(self) -> None:
        """Ask for another token than the present one."""
        self._keeper.other_than(self._keeper.current())

    def renew_credentials(self) -> bool:
        """Ask for the credentials again, and sign in if they are others.

        :return: whether they are.
        """
        if self._asked() == self._used:
            return False
        self.sign_in_anew()
        return True

    def close(self) -> None:
        """Let go of idle connections."""
        if self._driver is not None:
            self._driver.ex_close()

    def _send(self, access: Access, method: str, path: str, *rest: Any) -> Response:
        params, headers, data = rest
        driver = self._driver
        assert driver is not None
        self._patience.check()
        self.requests += 1
        return driver.ex_request(access, method, path, params=params, headers=headers, data=data)

    def _sign_in(self) -> Access:
        self._patience.check()
        try:
            user, key = self._asked()
            if self._driver is None or self._used != (user, key):
                self.close()
                self._driver, self._used = SwiftDriver(self._settings, user, key), (user, key)
            self.tokens += 1
            return self._driver.ex_sign_in()
        except ProviderError:
            raise
        except Exception as error:
            meant = translated(self._name, self._settings, SIGN_IN, error, self._patience.operation)
            if meant is None:
                raise
            failure = meant
        # Without its cause, which knows the key.
        raise failure

    def _asked(self) -> tuple[str, str]:
        credentials = self._credentials()
        return credentials["user"], credentials["key"]
