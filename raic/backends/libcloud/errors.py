"""What goes wrong with libcloud's drivers, in our own words."""

from __future__ import annotations

import errno
from typing import Any

from attrs import frozen
from libcloud.common.exceptions import BaseHTTPError
from libcloud.common.types import InvalidCredsError, LibcloudError
from libcloud.storage.types import ContainerDoesNotExistError, ObjectDoesNotExistError

from raic.backends.libcloud.settings import LibcloudSettings
from raic.backends.network import Trouble, retry_after, trouble
from raic.errors import (
    AccessDenied,
    NoSpace,
    ObjectNotFound,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    ProviderUnreachable,
    RaicError,
    StorageUnusable,
)

WRITES = frozenset({"put_object", "finish"})
"""The operations after which an object may appear though no answer came."""


@frozen
class _Meaning:
    """:ivar remedy: may name ``{name}``, ``{container}`` and ``{driver}``."""

    kind: type[ProviderError]
    remedy: str = ""


_MISSING = _Meaning(StorageUnusable, "create the container {container}, or correct container")
_CREDENTIALS = _Meaning(
    AccessDenied, "the key or secret is wrong: run 'raic credentials set {name}'"
)
_BY_STATUS = {
    401: _CREDENTIALS,
    403: _Meaning(AccessDenied, "check the credentials, and let them use {container}"),
    404: _Meaning(ObjectNotFound),
    408: _Meaning(ProviderTimedOut),
    413: _Meaning(NoSpace),
    429: _Meaning(ProviderBusy),
    507: _Meaning(NoSpace),
}
_BY_ERRNO = {
    errno.ENOSPC: NoSpace,
    errno.EDQUOT: NoSpace,
    errno.EACCES: AccessDenied,
    errno.EROFS: StorageUnusable,
}
_BY_KIND: dict[Any, _Meaning] = {
    ContainerDoesNotExistError: _MISSING,
    (ObjectDoesNotExistError, FileNotFoundError): _Meaning(ObjectNotFound),
    InvalidCredsError: _CREDENTIALS,
}
_CERTIFICATE = _Meaning(
    StorageUnusable, "name the service's certificate authority by ca_bundle, or correct host"
)
_UNREACHABLE = _Meaning(ProviderUnreachable, "check host, region, the network and the name service")
_LOST = _Meaning(OutcomeUnknown)
_ODD = _Meaning(StorageUnusable, "look up this answer in the documentation of {driver}")


def translated(
    name: str, settings: LibcloudSettings, operation: str, error: Exception
) -> ProviderError | None:
    """See :meth:`raic.backends.blockingstore.BlockingStore.translated`."""
    meaning = _meaning(operation, error)
    if meaning is None:
        return None
    remedy = meaning.remedy.format(name=name, container=settings.container, driver=settings.driver)
    detail = " ".join((str(error) or type(error).__name__).split())[:400]
    result = meaning.kind(name, operation, detail, remedy)
    if isinstance(result, ProviderBusy):
        result.retry_after = retry_after(getattr(error, "headers", None) or {})
    return result


def _meaning(operation: str, error: Exception) -> _Meaning | None:
    for kinds, meaning in _BY_KIND.items():
        if isinstance(error, kinds):
            return meaning
    if isinstance(error, RaicError):
        # The credentials could not be had.
        return _Meaning(AccessDenied, error.remedy.replace("{", "{{").replace("}", "}}"))
    if isinstance(error, BaseHTTPError):
        return _answered(operation, int(error.code))
    if isinstance(error, OSError) and error.errno in _BY_ERRNO:
        return _Meaning(_BY_ERRNO[error.errno])
    found = trouble(error)
    if found is not None:
        return _unanswered(operation, found)
    # Its drivers raise this one of any answer that they did not foresee, as text.
    if isinstance(error, LibcloudError):
        return _LOST if operation in WRITES else _ODD
    return None


def _answered(operation: str, status: int) -> _Meaning:
    if status >= 500 and status not in _BY_STATUS:
        return _LOST if operation in WRITES else _Meaning(ProviderBusy)
    return _BY_STATUS.get(status, _ODD)


def _unanswered(operation: str, found: Trouble) -> _Meaning:
    if found is Trouble.CERTIFICATE:
        return _CERTIFICATE
    if found is Trouble.NOT_CONNECTED:
        return _UNREACHABLE
    if operation in WRITES:
        return _LOST
    return _Meaning(ProviderTimedOut) if found is Trouble.TIMED_OUT else _UNREACHABLE
