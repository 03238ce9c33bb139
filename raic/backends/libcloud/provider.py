"""Any of libcloud's storage drivers as a provider."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from raic.backends.libcloud.settings import Abilities, LibcloudSettings
from raic.backends.libcloud.store import LibcloudStore
from raic.backends.patience import Patience
from raic.backends.registry import (
    Credentials,
    ProviderType,
    Reactor,
    Secret,
    Setting,
    boolean,
    prefix,
    size,
    whole,
)
from raic.backends.telling import TellingProvider
from raic.errors import ConfigurationError
from raic.workers import ThreadWorkers

PAGE_OBJECTS = 1000


class LibcloudProvider(TellingProvider):
    """Keeps objects in a container, in threads of its own.

    :param credentials: ``key`` and ``secret``; asked at the first request, and when refused.
    :param reactor: an ``IReactorFromThreads`` that is an ``IReactorTime`` too.
    :param page: how many objects are listed at once.
    """

    def __init__(
        self,
        name: str,
        settings: LibcloudSettings,
        credentials: Credentials,
        reactor: Any,
        page: int = PAGE_OBJECTS,
    ) -> None:
        patience = Patience(name, reactor, settings.read_timeout)
        self._libcloud = LibcloudStore(name, settings, credentials, patience, page)
        super().__init__(
            name,
            self._libcloud,
            partial(ThreadWorkers, reactor, settings.workers, name),
            reactor,
            settings.plan,
            patience,
        )

    @property
    def abilities(self) -> Abilities:
        """What the driver can do by itself; the rest is emulated."""
        return self._libcloud.abilities

    def emulated(self) -> Mapping[str, str]:
        """See :class:`raic.interfaces.IServiceTraits`."""
        how = {
            "large objects": "parts are objects of their own",
            "pages": "everything below a prefix is listed at once",
        }
        if not self.abilities.ranges:
            how["ranges"] = "everything before a range is transferred too"
        return how

    def renew_credentials(self) -> Deferred[bool]:
        """Ask for the credentials again, as after a rotation; requests under way are not hurt.

        :return: fires with whether they are others; fails with a ``ProviderError``.
        """
        return self._run("renew_credentials", self._libcloud.renew_credentials)


def _make(
    name: str, settings: Mapping[str, Any], credentials: Credentials, reactor: Reactor
) -> LibcloudProvider:
    written = {key: value for key, value in settings.items() if value is not None}
    try:
        return LibcloudProvider(name, LibcloudSettings(**written), credentials, reactor)
    except (ValueError, AttributeError, ImportError) as error:
        # libcloud has an AttributeError for a driver that it does not know.
        raise ConfigurationError([str(error)]) from None


LIBCLOUD = ProviderType(
    make=_make,
    settings=(
        Setting("driver", "libcloud's name of the service, such as azure_blobs.", required=True),
        Setting("container", "The container that holds the objects; it must exist.", required=True),
        Setting("prefix", "What goes before every key, such as raic/home.", prefix),
        Setting("path", "For driver = local: the folder of the container.", is_path=True),
        Setting("host", "The service's host, where it is not the driver's own."),
        Setting("port", "The service's port.", whole),
        Setting("secure", "Whether to use TLS.", boolean, "true"),
        Setting("region", "The region, for drivers that have some."),
        Setting("project", "The project, for drivers that have some."),
        Setting(
            "ca_bundle",
            "A file of certificate authorities to trust instead of the usual.",
            is_path=True,
        ),
        Setting(
            "part_size",
            "The size of the parts of large objects.  Four of them are held in memory for each"
            " upload.",
            size,
            "8MiB",
        ),
        Setting("threads", "How many requests may be under way at once.", whole, "8"),
    ),
    secrets=(
        # Optional, because the driver ``local`` has none.
        Secret("key", "access key, or name of the account", optional=True, hidden=False),
        Secret("secret", "secret key", optional=True),
    ),
)
