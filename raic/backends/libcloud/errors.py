"""What goes wrong with libcloud's drivers, in our own words."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from attrs import frozen
from libcloud.common.types import InvalidCredsError, LibcloudError
from libcloud.storage.types import ContainerDoesNotExistError, ObjectDoesNotExistError
from requests import Response
from urllib3 import exceptions as http

from raic.backends.libcloud.settings import LibcloudSettings
from raic.backends.network import Trouble, hours_apart, retry_after, trouble
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

_REFUSALS = frozenset({401, 403, 408, 413, 429})
_TEXT_CHARACTERS = 200
_HOURS_APART = 5 / 60


class Refused(Exception):
    """An answer that no driver of libcloud is shown.

    :ivar status: HTTP's.
    :ivar skewed: whether our clock and the service's are far apart.
    """

    def __init__(
        self, request: str, status: int, text: str, headers: Mapping[str, str], now: float
    ) -> None:
        super().__init__(f"{request}: status {status}: {text[:_TEXT_CHARACTERS].strip()}")
        self.status = status
        self.headers = headers
        self.skewed = hours_apart(headers, now) > _HOURS_APART

    @classmethod
    def by(cls, request: str, answer: Response, now: float) -> Refused:
        """Reads the beginning of an answer's body, and lets go of it."""
        try:
            text = answer.raw.read(_TEXT_CHARACTERS * 4).decode("utf-8", "replace")
        except (http.HTTPError, OSError):
            text = answer.reason
        answer.close()
        return cls(request, answer.status_code, " ".join(text.split()), answer.headers, now)


def is_refusal(method: str, status: int) -> bool:
    """Whether an answer says that a request was refused, whatever it was for."""
    if method == "PUT" and status == 404:
        return True
    return status in _REFUSALS or status >= 500


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
    404: _MISSING,
    408: _Meaning(ProviderTimedOut),
    413: _Meaning(NoSpace),
    429: _Meaning(ProviderBusy),
    507: _Meaning(NoSpace),
}
_CLOCK = _Meaning(AccessDenied, "set this machine's clock, and keep it right")
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
    if isinstance(error, Refused):
        return _answered(operation, error)
    if isinstance(error, OSError) and error.errno in _BY_ERRNO:
        return _Meaning(_BY_ERRNO[error.errno])
    found = trouble(error)
    if found is not None:
        return _unanswered(operation, found)
    # Its drivers raise this one of any answer that they did not foresee, as text.
    if isinstance(error, LibcloudError):
        return _LOST if operation in WRITES else _ODD
    return None


def _answered(operation: str, error: Refused) -> _Meaning:
    status = error.status
    if status in {401, 403} and error.skewed:
        return _CLOCK
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    # The service may have done what it failed to say; not so when it says when to come back.
    lost = operation in WRITES and "retry-after" not in error.headers
    return _LOST if lost else _Meaning(ProviderBusy)


def _unanswered(operation: str, found: Trouble) -> _Meaning:
    if found is Trouble.CERTIFICATE:
        return _CERTIFICATE
    if found is Trouble.NOT_CONNECTED:
        return _UNREACHABLE
    if operation in WRITES:
        return _LOST
    return _Meaning(ProviderTimedOut) if found is Trouble.TIMED_OUT else _UNREACHABLE
