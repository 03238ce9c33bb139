"""Amazon S3 and what speaks its protocol, as a provider."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from raic.backends.patience import Patience
from raic.backends.s3.settings import S3Credentials, S3Settings
from raic.backends.s3.store import S3Store
from raic.backends.telling import TellingProvider
from raic.workers import ThreadWorkers


class S3Provider(TellingProvider):
    """Keeps objects in a container of S3, in threads of its own.

    :param credentials: asked in a worker thread at every start, and when they are refused; None
        for what the SDK finds by itself.
    :param reactor: an ``IReactorFromThreads`` that is an ``IReactorTime`` too.
    """

    def __init__(
        self,
        name: str,
        settings: S3Settings,
        credentials: Callable[[], S3Credentials | None],
        reactor: Any,
    ) -> None:
        patience = Patience(name, reactor, settings.read_timeout)
        self._s3 = S3Store(name, settings, credentials, patience)
        super().__init__(
            name,
            self._s3,
            partial(ThreadWorkers, reactor, settings.threads, name),
            reactor,
            settings.plan,
            patience,
        )

    def renew_credentials(self) -> Deferred[bool]:
        """Ask for the credentials again, as after a rotation; requests under way are not hurt.

        :return: fires with whether they are others; fails with a ``ProviderError``.
        """
        return self._run("renew_credentials", self._s3.renew_credentials)
