"""OpenStack Swift, and Rackspace Cloud Files, as a provider."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from raic.backends.patience import Patience
from raic.backends.registry import Credentials
from raic.backends.swift.settings import SwiftSettings
from raic.backends.swift.store import PAGE_OBJECTS, SwiftStore
from raic.backends.telling import TellingProvider
from raic.workers import ThreadWorkers


class SwiftProvider(TellingProvider):
    """Keeps objects in a container of Swift, in threads of its own.

    :param credentials: ``user`` and ``key``; asked whenever a token is.
    :param reactor: an ``IReactorFromThreads`` that is an ``IReactorTime`` too.
    :param page: how many objects are listed at once.
    """

    def __init__(
        self,
        name: str,
        settings: SwiftSettings,
        credentials: Credentials,
        reactor: Any,
        page: int = PAGE_OBJECTS,
    ) -> None:
        patience = Patience(name, reactor, settings.read_timeout)
        self._swift = SwiftStore(name, settings, credentials, reactor, patience, page)
        self.account = self._swift.account
        super().__init__(
            name,
            self._swift,
            partial(ThreadWorkers, reactor, settings.threads, name),
            reactor,
            settings.plan,
            patience,
        )

    def renew_credentials(self) -> Deferred[bool]:
        """Ask for the credentials again, as after a rotation; requests under way are not hurt.

        :return: fires with whether they are others; fails with a ``ProviderError``.
        """
        return self._run("renew_credentials", self.account.renew_credentials)
