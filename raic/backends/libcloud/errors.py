"""What goes wrong with libcloud's drivers, in our own words."""

from __future__ import annotations

import errno
from typing import Any

from libcloud.common.types import InvalidCredsError, LibcloudError
from libcloud.storage.types import ContainerDoesNotExistError, ObjectDoesNotExistError

from raic.backends.libcloud.settings import LibcloudSettings
from raic.backends.meanings import (
    LOST,
    WRITES,
    Meaning,
    of_failure,
    of_no_credentials,
    of_trouble,
)
from raic.backends.network import Refused as AnswerRefused
from raic.backends.network import hours_apart, in_words, retry_after, trouble
from raic.errors import (
    AccessDenied,
    NoSpace,
    ObjectNotFound,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    ProviderUnreachable,
    RaicError,
    StorageUnusable,
)

_REFUSALS = frozenset({401, 403, 408, 413, 429})
_HOURS_APART = 5 / 60


class Refused(AnswerRefused):
    """An answer that no driver of libcloud is shown.

    :ivar skewed: whether our clock and the service's are far apart.
    """

    skewed = False

    def compare_clocks(self, now: float) -> None:
        """Find out whether our clock may be the reason."""
        self.skewed = hours_apart(self.headers, now) > _HOURS_APART


def is_refusal(method: str, status: int) -> bool:
    """Whether an answer says that a request was refused, whatever it was for."""
    if method == "PUT" and status == 404:
        return True
    return status in _REFUSALS or status >= 500


_MISSING = Meaning(StorageUnusable, "create the container {container}, or correct container")
_CREDENTIALS = Meaning(
    AccessDenied, "the key or secret is wrong: run 'raic credentials set {name}'"
)
_BY_STATUS = {
    401: _CREDENTIALS,
    403: Meaning(AccessDenied, "check the credentials, and let them use {container}"),
    404: _MISSING,
    408: Meaning(ProviderTimedOut),
    413: Meaning(NoSpace),
    429: Meaning(ProviderBusy),
    507: Meaning(NoSpace),
}
_CLOCK = Meaning(AccessDenied, "set this machine's clock, and keep it right")
_BY_ERRNO = {
    errno.ENOSPC: NoSpace,
    errno.EDQUOT: NoSpace,
    errno.EACCES: AccessDenied,
    errno.EROFS: StorageUnusable,
}
_BY_KIND: dict[Any, Meaning] = {
    ContainerDoesNotExistError: _MISSING,
    (ObjectDoesNotExistError, FileNotFoundError): Meaning(ObjectNotFound),
    InvalidCredsError: _CREDENTIALS,
}
_CERTIFICATE = Meaning(
    StorageUnusable, "name the service's certificate authority by ca_bundle, or correct host"
)
_UNREACHABLE = Meaning(ProviderUnreachable, "check host, region, the network and the name service")
_ODD = Meaning(StorageUnusable, "look up this answer in the documentation of {driver}")


def translated(
    name: str, settings: LibcloudSettings, operation: str, error: Exception
) -> ProviderError | None:
    """See :meth:`raic.backends.blockingstore.BlockingStore.translated`."""
    meaning = _meaning(operation, error)
    if meaning is None:
        return None
    detail = " ".join(in_words(error).split())[:400]
    names = {"name": name, "container": settings.container, "driver": settings.driver}
    result = meaning.made(name, operation, detail, **names)
    if isinstance(result, ProviderBusy):
        result.retry_after = retry_after(getattr(error, "headers", None) or {})
    return result


def _meaning(operation: str, error: Exception) -> Meaning | None:
    for kinds, meaning in _BY_KIND.items():
        if isinstance(error, kinds):
            return meaning
    if isinstance(error, RaicError):
        return of_no_credentials(error)
    if isinstance(error, Refused):
        return _answered(operation, error)
    if isinstance(error, OSError) and error.errno in _BY_ERRNO:
        return Meaning(_BY_ERRNO[error.errno])
    found = trouble(error)
    if found is not None:
        return of_trouble(operation, found, _CERTIFICATE, _UNREACHABLE)
    # Its drivers raise this one of any answer that they did not foresee, as text.
    if isinstance(error, LibcloudError):
        return LOST if operation in WRITES else _ODD
    return None


def _answered(operation: str, error: Refused) -> Meaning:
    if error.status in {401, 403} and error.skewed:
        return _CLOCK
    return _BY_STATUS.get(error.status) or of_failure(operation, error.headers)
