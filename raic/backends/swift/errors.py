"""What goes wrong with Swift, in our own words."""

from __future__ import annotations

from libcloud.common.exceptions import BaseHTTPError
from libcloud.common.types import InvalidCredsError, LibcloudError

from raic.backends.meanings import Meaning, of_failure, of_no_credentials, of_trouble
from raic.backends.network import Refused, in_words, retry_after, trouble
from raic.backends.swift.settings import SwiftSettings
from raic.errors import (
    AccessDenied,
    KeyTaken,
    NoSpace,
    ObjectCorrupt,
    ObjectNotFound,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    ProviderUnreachable,
    RaicError,
    StorageUnusable,
)

SIGN_IN = "sign_in"

_SET = "run 'raic credentials set {name}'"


_MISSING = Meaning(
    StorageUnusable, "create the container {container}, or correct container and region"
)

_BY_STATUS = {
    401: Meaning(AccessDenied, f"user name or key is wrong or no longer valid: {_SET}"),
    403: Meaning(AccessDenied, "let this user read, write and list the container {container}"),
    404: Meaning(ObjectNotFound),
    408: Meaning(ProviderTimedOut),
    409: Meaning(ObjectCorrupt, "a segment of this large object was deleted or altered"),
    412: Meaning(KeyTaken),
    413: Meaning(NoSpace, "raise the quota of the container or account, or free some space"),
    422: Meaning(ProviderUnreachable),  # the bytes were altered on their way
    429: Meaning(ProviderBusy),
    498: Meaning(ProviderBusy),
    507: Meaning(NoSpace),
}

_BY_STATUS_SIGNING_IN = {
    **{status: _BY_STATUS[401] for status in (400, 401, 403)},
    **{status: Meaning(StorageUnusable, "correct auth_url: {auth_url}") for status in (404, 405)},
    408: _BY_STATUS[408],
    429: _BY_STATUS[429],
}

_CERTIFICATE = Meaning(
    StorageUnusable,
    "name the certificate authority of {auth_url} by ca_bundle, or correct auth_url",
)
_CATALOGUE = Meaning(
    StorageUnusable, "correct auth_url, auth_version, region and interface, or write storage_url"
)
_UNREACHABLE = Meaning(ProviderUnreachable, "check auth_url, the network and the name service")


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
    detail = in_words(error)
    if isinstance(error, BaseHTTPError):
        detail = f"status {error.code}"
    if operation == SIGN_IN:
        detail = f"signing in: {detail}"
    names = {"name": name, "container": settings.container, "auth_url": settings.auth_url}
    result = meaning.made(name, wanted or operation, detail, **names)
    if isinstance(result, ProviderBusy):
        result.retry_after = retry_after(getattr(error, "headers", None) or {})
    return result


def missing_container(name: str, settings: SwiftSettings, operation: str) -> ProviderError:
    """What to raise when there is nothing where objects should be."""
    detail = f"no container {settings.container}"
    return _MISSING.made(name, operation, detail, container=settings.container)


def _meaning(operation: str, error: Exception) -> Meaning | None:
    if isinstance(error, Refused):
        return _answered(operation, error)
    if isinstance(error, InvalidCredsError):
        return _BY_STATUS[401]
    if isinstance(error, BaseHTTPError):
        return _signing_in(int(error.code))
    if isinstance(error, RaicError):
        return of_no_credentials(error)
    found = trouble(error)
    if found is not None:
        return of_trouble(operation, found, _CERTIFICATE, _UNREACHABLE)
    if isinstance(error, LibcloudError) or (operation == SIGN_IN):
        # What libcloud raises of an answer that is not as it should be is of many kinds.
        return _CATALOGUE
    return None


def _answered(operation: str, error: Refused) -> Meaning:
    known = _BY_STATUS.get(error.status)
    if known is not None:
        return known
    if error.status >= 500:
        return of_failure(operation, error.headers)
    return Meaning(StorageUnusable, "look up this answer in the service's documentation")


def _signing_in(status: int) -> Meaning:
    return _BY_STATUS_SIGNING_IN.get(status) or (
        Meaning(ProviderBusy) if status >= 500 else _CATALOGUE
    )
