"""What goes wrong with Swift, in our own words."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen
from libcloud.common.exceptions import BaseHTTPError
from libcloud.common.types import InvalidCredsError, LibcloudError
from requests import Response
from urllib3 import exceptions as http

from raic.backends.network import Trouble, retry_after, trouble
from raic.backends.swift.settings import SwiftSettings
from raic.errors import (
    AccessDenied,
    KeyTaken,
    NoSpace,
    ObjectCorrupt,
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

SIGN_IN = "sign_in"

_TEXT_CHARACTERS = 200
_SET = "run 'raic credentials set {name}'"


class Refused(Exception):
    """An answer that is not the one hoped for.

    :ivar status: HTTP's.
    :ivar request: what was asked.
    """

    def __init__(
        self, request: str, status: int, text: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{request}: status {status}: {text[:_TEXT_CHARACTERS].strip()}")
        self.request = request
        self.status = status
        self.headers = headers or {}

    @classmethod
    def by(cls, request: str, answer: Response) -> Refused:
        """Reads the beginning of an answer's body, and lets go of it."""
        try:
            text = answer.raw.read(_TEXT_CHARACTERS * 4).decode("utf-8", "replace")
        except (http.HTTPError, OSError):
            text = answer.reason
        answer.close()
        return cls(request, answer.status_code, " ".join(text.split()), answer.headers)


@frozen
class _Meaning:
    """:ivar remedy: may name ``{name}``, ``{container}`` and ``{auth_url}``."""

    kind: type[ProviderError]
    remedy: str = ""


_MISSING = _Meaning(
    StorageUnusable, "create the container {container}, or correct container and region"
)

_BY_STATUS = {
    401: _Meaning(AccessDenied, f"user name or key is wrong or no longer valid: {_SET}"),
    403: _Meaning(AccessDenied, "let this user read, write and list the container {container}"),
    404: _Meaning(ObjectNotFound),
    408: _Meaning(ProviderTimedOut),
    409: _Meaning(ObjectCorrupt, "a segment of this large object was deleted or altered"),
    412: _Meaning(KeyTaken),
    413: _Meaning(NoSpace, "raise the quota of the container or account, or free some space"),
    422: _Meaning(ProviderUnreachable),  # the bytes were altered on their way
    429: _Meaning(ProviderBusy),
    498: _Meaning(ProviderBusy),
    507: _Meaning(NoSpace),
}

_BY_STATUS_SIGNING_IN = {
    **{status: _BY_STATUS[401] for status in (400, 401, 403)},
    **{status: _Meaning(StorageUnusable, "correct auth_url: {auth_url}") for status in (404, 405)},
    408: _BY_STATUS[408],
    429: _BY_STATUS[429],
}

_CERTIFICATE = _Meaning(
    StorageUnusable,
    "name the certificate authority of {auth_url} by ca_bundle, or correct auth_url",
)
_CATALOGUE = _Meaning(
    StorageUnusable, "correct auth_url, auth_version, region and interface, or write storage_url"
)
_UNREACHABLE = _Meaning(ProviderUnreachable, "check auth_url, the network and the name service")
_LOST = _Meaning(OutcomeUnknown)


def translated(
    name: str, settings: SwiftSettings, operation: str, error: Exception, wanted: str = ""
) -> ProviderError | None:
    """See :meth:`raic.backends.blockingstore.BlockingStore.translated`.

    :param operation: :data:`SIGN_IN` for what happened before the request itself.
    :param wanted: the operation for which we signed in.
    """
    meaning = _meaning(operation, error)
    if meaning is None:
        return None
    detail = str(error) or type(error).__name__
    if isinstance(error, BaseHTTPError):
        detail = f"status {error.code}"
    if operation == SIGN_IN:
        detail = f"signing in: {detail}"
    remedy = meaning.remedy.format(
        name=name, container=settings.container, auth_url=settings.auth_url
    )
    result = meaning.kind(name, wanted or operation, detail, remedy)
    if isinstance(result, ProviderBusy):
        result.retry_after = retry_after(getattr(error, "headers", None) or {})
    return result


def missing_container(name: str, settings: SwiftSettings, operation: str) -> StorageUnusable:
    """What to raise when there is nothing where objects should be."""
    remedy = _MISSING.remedy.format(container=settings.container)
    return StorageUnusable(name, operation, f"no container {settings.container}", remedy)


def _meaning(operation: str, error: Exception) -> _Meaning | None:
    if isinstance(error, Refused):
        return _answered(operation, error.status, "retry-after" in error.headers)
    if isinstance(error, InvalidCredsError):
        return _BY_STATUS[401]
    if isinstance(error, BaseHTTPError):
        return _signing_in(int(error.code))
    if isinstance(error, RaicError):
        # The credentials could not be had.
        return _Meaning(AccessDenied, error.remedy.replace("{", "{{").replace("}", "}}"))
    found = trouble(error)
    if found is not None:
        return _unanswered(operation, found)
    if isinstance(error, LibcloudError) or (operation == SIGN_IN):
        # What libcloud raises of an answer that is not as it should be is of many kinds.
        return _CATALOGUE
    return None


def _answered(operation: str, status: int, may_retry: bool) -> _Meaning:
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    if status >= 500:
        # The service may have done what it failed to say; not so when it says when to come back.
        lost = operation in WRITES and not may_retry
        return _LOST if lost else _Meaning(ProviderBusy)
    return _Meaning(StorageUnusable, "look up this answer in the service's documentation")


def _signing_in(status: int) -> _Meaning:
    return _BY_STATUS_SIGNING_IN.get(status) or (
        _Meaning(ProviderBusy) if status >= 500 else _CATALOGUE
    )


def _unanswered(operation: str, found: Trouble) -> _Meaning:
    if found is Trouble.CERTIFICATE:
        return _CERTIFICATE
    if found is Trouble.NOT_CONNECTED:
        return _UNREACHABLE
    if operation in WRITES:
        return _LOST
    return _Meaning(ProviderTimedOut) if found is Trouble.TIMED_OUT else _UNREACHABLE
