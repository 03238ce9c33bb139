"""What goes wrong with S3, in our own words."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from socket import gaierror
from typing import Any

from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError
from urllib3 import exceptions as http

from raic.backends.meanings import LOST, WRITES, Meaning, of_failure
from raic.backends.network import retry_after
from raic.backends.s3.settings import S3Settings
from raic.errors import (
    AccessDenied,
    KeyTaken,
    NoSpace,
    ObjectNotFound,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    ProviderUnreachable,
    StorageUnusable,
)

_SET = "run 'raic credentials set {name}'"
_RIGHTS = "give these credentials the rights on {container} that the documentation of S3 lists"
_ENDPOINT = "check endpoint_url and region, and that the service is up"


_BY_CODE = {
    "NoSuchKey": Meaning(ObjectNotFound),
    "404": Meaning(ObjectNotFound),
    "NoSuchBucket": Meaning(
        StorageUnusable,
        "create the container {container}, or correct container and endpoint_url",
    ),
    "NoSuchUpload": Meaning(
        StorageUnusable,
        "let no lifecycle rule end uploads in parts that are younger than a day",
    ),
    "InvalidBucketName": Meaning(StorageUnusable, "correct container: {container} is no name"),
    "InvalidObjectState": Meaning(
        StorageUnusable, "use a storage_class that can be read at once, and no archiving rule"
    ),
    "InvalidStorageClass": Meaning(StorageUnusable, "correct storage_class"),
    "EntityTooSmall": Meaning(StorageUnusable, "raise part_size"),
    "EntityTooLarge": Meaning(StorageUnusable, "lower part_size"),
    "AccessDenied": Meaning(AccessDenied, _RIGHTS),
    "InvalidAccessKeyId": Meaning(AccessDenied, f"the access key id is not known: {_SET}"),
    "SignatureDoesNotMatch": Meaning(AccessDenied, f"the secret access key is wrong: {_SET}"),
    "ExpiredToken": Meaning(AccessDenied, f"the session token has expired: {_SET}"),
    "InvalidToken": Meaning(AccessDenied, f"the session token is wrong: {_SET}"),
    "RequestTimeTooSkewed": Meaning(AccessDenied, "set this machine's clock, and keep it right"),
    "RequestExpired": Meaning(AccessDenied, "set this machine's clock, and keep it right"),
    "QuotaExceeded": Meaning(NoSpace),
    "InsufficientStorage": Meaning(NoSpace),
    "XMinioStorageFull": Meaning(NoSpace),
    "PreconditionFailed": Meaning(KeyTaken),
    "ConditionalRequestConflict": Meaning(ProviderBusy),
    "OperationAborted": Meaning(ProviderBusy),
    "SlowDown": Meaning(ProviderBusy),
    "Throttling": Meaning(ProviderBusy),
    "ThrottlingException": Meaning(ProviderBusy),
    "RequestLimitExceeded": Meaning(ProviderBusy),
    "TooManyRequests": Meaning(ProviderBusy),
    "BandwidthLimitExceeded": Meaning(ProviderBusy),
    "RequestTimeout": Meaning(ProviderTimedOut),
    "IncompleteBody": Meaning(ProviderUnreachable),
    "BadDigest": Meaning(ProviderUnreachable),
    "XAmzContentSHA256Mismatch": Meaning(ProviderUnreachable),
    "KMS.DisabledException": Meaning(StorageUnusable, "enable the key sse_kms_key_id"),
    "KMS.NotFoundException": Meaning(StorageUnusable, "correct sse_kms_key_id"),
}

_REGION = Meaning(StorageUnusable, "write region = {region}")
_REDIRECT = Meaning(StorageUnusable, "correct region and endpoint_url: they lead elsewhere")
_ELSEWHERE = frozenset(
    {
        *("PermanentRedirect", "TemporaryRedirect", "Redirect", "AuthorizationHeaderMalformed"),
        *("IllegalLocationConstraintException", "301", "307"),
    }
)

_BY_STATUS = {
    401: Meaning(AccessDenied, _SET),
    403: _BY_CODE["AccessDenied"],
    408: Meaning(ProviderTimedOut),
    412: Meaning(KeyTaken),
    429: Meaning(ProviderBusy),
    501: Meaning(StorageUnusable, "the service does not know this request: use another one"),
    507: Meaning(NoSpace),
}

_CERTIFICATE = Meaning(
    StorageUnusable,
    "name the certificate authority of {endpoint} by ca_bundle, or correct endpoint_url",
)
_NAMES = "check endpoint_url, region and the name service, or write addressing_style = path"
_UNKNOWN = Meaning(StorageUnusable, "look up this answer in the service's documentation")
_NOT_S3 = Meaning(StorageUnusable, "check endpoint_url: the answer was not S3's")

_OPENING = frozenset({"start", "renew_credentials"})
_REFUSED = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})


def code_of(error: sdk.ClientError) -> str:
    """S3's word for an error; the status where it gives none, as in the answer to a HEAD."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: sdk.ClientError) -> int:
    """The HTTP status of an error."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_refusal(error: sdk.ClientError) -> bool:
    """Whether other credentials might help."""
    return status_of(error) in {401, 403} or code_of(error) in _REFUSED


def translated(
    name: str, settings: S3Settings, operation: str, error: Exception
) -> ProviderError | None:
    """See :meth:`raic.backends.blockingstore.BlockingStore.translated`."""
    if isinstance(error, sdk.ClientError):
        meaning, detail = _answered(error, operation)
        region = _region(error)
    else:
        found = _unanswered(error, operation)
        if found is None:
            return None
        meaning, detail, region = found, _described(error), ""
    result = _made(meaning, name, settings, operation, detail, region)
    if isinstance(result, ProviderBusy) and isinstance(error, sdk.ClientError):
        result.retry_after = retry_after(_headers(error))
    return result


def refused(
    name: str, settings: S3Settings, operation: str, request: str, code: str
) -> ProviderError:
    """What S3's reason for refusing one part of a request means."""
    meaning = _BY_CODE.get(code, _UNKNOWN)
    return _made(meaning, name, settings, operation, f"{request}: {code}", "")


def _made(
    meaning: Meaning, name: str, settings: S3Settings, operation: str, detail: str, region: str
) -> ProviderError:
    return meaning.made(
        name,
        operation,
        detail,
        name=name,
        container=settings.container,
        endpoint=settings.endpoint_url or "Amazon S3",
        region=region,
    )


# Errors that the service answered with


def _answered(error: sdk.ClientError, operation: str) -> tuple[Meaning, str]:
    code, status = code_of(error), status_of(error)
    message = error.response.get("Error", {}).get("Message", "")
    detail = f"{error.operation_name}: {code} (status {status}): {message}"
    if code.startswith("RequestTimeTooSkewed"):
        detail += _skew(error)
    if code in _ELSEWHERE or 300 <= status < 400:
        return (_REGION if _region(error) else _REDIRECT), detail
    known = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if code == "404" and error.operation_name != "HeadObject":
        known = _NOT_S3  # which would say what is missing
    if known is not None:
        return known, detail
    if status >= 500:
        return of_failure(operation, _headers(error)), detail
    return _UNKNOWN, detail


def _headers(error: sdk.ClientError) -> dict[str, str]:
    headers: dict[str, str] = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers


def _region(error: sdk.ClientError) -> str:
    """The region that the answer names; empty if none."""
    named = error.response.get("Error", {}).get("Region")
    return str(named or _headers(error).get("x-amz-bucket-region", ""))


def _skew(error: sdk.ClientError) -> str:
    """How wrong our clock is, as far as the answer tells."""
    said: dict[str, Any] = error.response.get("Error", {})
    ours, theirs = said.get("RequestTime", ""), said.get("ServerTime", "")
    return f" (here {ours}, there {theirs})" if ours and theirs else ""


# Errors without an answer


_SETTINGS = (
    sdk.ParamValidationError,
    sdk.InvalidRegionError,
    sdk.EndpointProviderError,
    sdk.InvalidS3AddressingStyleError,
)
_CREDENTIALS = (
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.CredentialRetrievalError,
    sdk.NoAuthTokenError,
    sdk.ProfileNotFound,
)
_NEVER_SENT = (sdk.EndpointConnectionError, sdk.ConnectTimeoutError, sdk.ProxyConnectionError)
_BROKEN = (sdk.BotoCoreError, http.HTTPError, ResponseParserError, OSError)

_UNANSWERED: tuple[tuple[tuple[type[Exception], ...], Meaning], ...] = (
    ((ssl.SSLCertVerificationError,), _CERTIFICATE),
    ((gaierror,), Meaning(ProviderUnreachable, _NAMES)),
    (_CREDENTIALS, Meaning(AccessDenied, _SET)),
    (_SETTINGS, Meaning(StorageUnusable, "correct container, region and addressing_style")),
    (_NEVER_SENT, Meaning(ProviderUnreachable, _ENDPOINT)),
)


def _unanswered(error: Exception, operation: str) -> Meaning | None:
    chain = list(_chain(error))
    for kinds, meaning in _UNANSWERED:
        if any(isinstance(link, kinds) for link in chain):
            return meaning
    if operation in _OPENING and isinstance(error, ValueError):
        return Meaning(StorageUnusable, "correct endpoint_url")
    if not isinstance(error, _BROKEN):
        return None
    if operation in WRITES:
        return LOST
    if any(isinstance(link, sdk.ReadTimeoutError | http.ReadTimeoutError) for link in chain):
        return Meaning(ProviderTimedOut)
    if isinstance(error, ResponseParserError):
        return _NOT_S3
    return Meaning(ProviderUnreachable)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those that led to it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = getattr(error, "kwargs", {}).get("error")
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__


def _described(error: Exception) -> str:
    """What happened, and why where another exception says it."""
    *_, root = _chain(error)
    text = str(error) or type(error).__name__
    return text if root is error or str(root) in text else f"{text} ({root})"
