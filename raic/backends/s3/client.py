"""The SDK's client, made to do what is asked and nothing else."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import md5
from io import BytesIO
from os import devnull
from typing import Any

from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.loaders import Loader, create_loader
from botocore.model import OperationModel
from botocore.session import Session

from raic.backends.counting import count_request
from raic.backends.s3.sending import Blocks
from raic.backends.s3.settings import DEFAULT_REGION, S3Credentials, S3Settings


def make_client(settings: S3Settings, credentials: S3Credentials | None) -> Any:
    """A client that may be shared by threads.  Takes a while: it reads descriptions of services.

    :param credentials: None for the SDK's own search: environment, files, instance roles.
    """
    ambient = credentials is None
    session = Session(session_vars=None if ambient else _NOTHING_AMBIENT)
    session.register_component("data_loader", _descriptions())
    known = {}
    if credentials is not None:
        known = {
            "aws_access_key_id": credentials.access_key_id,
            "aws_secret_access_key": credentials.secret_access_key,
            "aws_session_token": credentials.session_token,
        }
    client = session.create_client(
        "s3",
        region_name=settings.region or session.get_config_variable("region") or DEFAULT_REGION,
        endpoint_url=settings.endpoint_url,
        verify=settings.ca_bundle,
        config=_config(settings, ambient),
        **known,
    )
    events = client.meta.events
    events.register_last("before-parameter-build.s3", _stay_in_region)
    # Not by the names of the two requests: what is more specific is called earlier.
    events.register_last("before-call.s3", _send_at_once)
    events.register_last("before-sign.s3.DeleteObjects", _add_md5)
    events.register_last("before-send.s3", _count)
    return client


def ambient_credentials() -> S3Credentials | None:
    """What the SDK finds by itself just now; None for nothing.

    The SDK renews those that it knows to end; of a file that another program has written since,
    it knows nothing.
    """
    found = Session().get_credentials()
    if found is None:
        return None
    now = found.get_frozen_credentials()
    return S3Credentials(now.access_key, now.secret_key, now.token)


_NOTHING_AMBIENT = {
    "profile": (None, None, None, None),
    "config_file": (None, None, devnull, None),
    "credentials_file": (None, None, devnull, None),
    "region": (None, None, None, None),
}
"""Session variables that neither the environment nor the operator's own files can set."""


@cache
def _descriptions() -> Loader:
    """The descriptions of services, read once for all clients."""
    return create_loader()


def _config(settings: S3Settings, ambient: bool) -> Config:
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": settings.addressing_style},
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        # Retrying is the business of a layer, which has a budget for it.
        retries={"total_max_attempts": 1},
        max_pool_connections=settings.threads,
        tcp_keepalive=True,
        # Other services than Amazon's refuse the trailing checksums that are the default over
        # TLS; objects carry tags of our own.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        ignore_configured_endpoint_urls=not ambient,
    )


def _stay_in_region(context: dict[str, Any], **_: Any) -> None:
    """Report a wrong region instead of asking around at every start."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _send_at_once(model: OperationModel, params: dict[str, Any], **_: Any) -> None:
    """Send a body right after its headers.

    The SDK would wait for the service's leave first, which costs every write a round trip, or a
    second where the service gives none.
    """
    if model.name not in {"PutObject", "UploadPart"}:
        return
    params["headers"].pop("Expect", None)
    body = params["body"]
    if isinstance(body, BytesIO):
        body = body.getvalue()  # what the SDK made a file of; not a copy
    if isinstance(body, bytes | bytearray):
        params["body"] = Blocks(body)


def _count(**_: Any) -> None:
    count_request()


def _add_md5(request: AWSRequest, **_: Any) -> None:
    """Batched deletes need a checksum; only this one is known to every service."""
    headers = request.headers
    for name in [name for name in headers if "checksum" in name.lower()]:
        del headers[name]
    digest = md5(request.body, usedforsecurity=False).digest()
    headers["Content-MD5"] = b64encode(digest).decode("ascii")
